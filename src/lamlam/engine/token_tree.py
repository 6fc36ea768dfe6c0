"""Finding the sequence of tokens that a model finds likeliest, in a few passes instead of token by token.

The sequences form a tree. A pass reads some of its nodes, each of which sees only the nodes above it (tree attention,
arXiv 2305.09781). Nodes are read best first, and the search ends when nothing unread can be better than the best
sequence that was scored: the result is that of scoring every sequence, however many nodes a pass reads.

K nodes of one pass, V the width of the logits.
"""

from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from math import exp, inf, log, log1p
from typing import Self

from torch import Tensor

__all__ = ["Node", "TokenTree"]

_SURE = 1 - 1e-9  # a probability that log1p can take


class Node:
    """A token of a tree, and what is known of it.

    `score` is the weighted log-probability of its path, once its parent was read. `logits` [V] are those that follow
    it, and `column` its place among all nodes that were read. `penalty` is what the sequence that ends here loses;
    None where none ends. `grow` adds what follows it, when the search comes to it.
    """

    __slots__ = ("children", "column", "grow", "logits", "parent", "penalty", "rank", "score", "token", "weight")

    def __init__(self, token: int, parent: Self | None = None, weight: float = 1.0) -> None:
        self.token, self.parent, self.weight = token, parent, weight
        self.children: dict[int, Self] = {}
        self.rank: tuple[int, ...] = (*parent.rank, len(parent.children)) if parent else ()
        self.score = None if parent else 0.0
        self.penalty: float | None = None
        self.grow: Callable[[], None] | None = None
        self.column: int | None = None
        self.logits: Tensor | None = None

    @property
    def path(self) -> list[Self]:
        """The nodes that lead to it and its own, without the root."""
        return [*self.parent.path, self] if self.parent else []

    @property
    def columns(self) -> list[int]:
        """The columns of its path, as far as it was read."""
        return [node.column for node in self.path if node.column is not None]

    @property
    def goes_on(self) -> bool:
        return bool(self.children) or self.grow is not None


class TokenTree:
    """Sequences that may follow what the model has read; `reading` are the nodes of the pass that is being made.

    A sequence's score is the weighted sum of its tokens' log-probabilities, less its penalty. Where others continue it,
    the probability that none of them does counts as well. Of equal scores the sequence added first is the best.
    """

    def __init__(self) -> None:
        self.root = Node(-1)
        self.reading: list[Node] = []
        self.best: Node | None = None  # the last node of the best sequence of those scored
        self.best_score = -inf
        self.unread = [self.root]  # scored nodes with more behind them
        self.columns = 0  # nodes that were read or are being read

    @property
    def found(self) -> Node | None:
        """The last node of the best sequence, once the search has ended."""
        return self.best

    def add(self, tokens: Iterable[int], *, at: Node | None = None, weight: float = 1.0) -> Node:
        """Add tokens behind a node, the root by default, and return the last. A sequence ends there with a penalty."""
        node = at or self.root
        for token in tokens:
            if token not in node.children:
                node.children[token] = Node(token, node, weight)
            node = node.children[token]
        return node

    def plan(self, most: int) -> list[Node]:
        """Choose at most so many nodes for the next pass, parents before their children; none once `best` is found.

        What is behind an unread node is as likely, for all that is known, as its siblings.
        """
        self.unread = [node for node in self.unread if _known(node) >= self.best_score]
        heap = [(-_known(node), node.rank, node) for node in self.unread]
        heapify(heap)
        self.reading = []
        while heap and len(self.reading) < most:
            cost, _, node = heappop(heap)
            if node.grow is not None:
                grow, node.grow = node.grow, None
                grow()
            if node.children and node is not self.root:
                node.column, self.columns = self.columns, self.columns + 1
                self.reading.append(node)
            for child in node.children.values():
                if child.goes_on:
                    heappush(heap, (cost + child.weight * log(len(node.children)), child.rank, child))
        return self.reading

    def take(self, nodes: Sequence[Node], logits: Tensor) -> None:
        """Score what follows the nodes that were read, given the logits [K, V] after each; the root is one of them."""
        places = [place for place, node in enumerate(nodes) for _ in node.children]
        tokens = [token for node in nodes for token in node.children]
        log_probs = iter(logits.float().log_softmax(-1)[places, tokens].tolist())
        read = set(nodes)
        self.unread = [node for node in self.unread if node not in read]
        for node, row in zip(nodes, logits, strict=True):
            node.logits = row
            continued = 0.0
            for child in node.children.values():
                log_prob = next(log_probs)
                continued += exp(log_prob)
                child.score = _known(node) + child.weight * log_prob
                if child.goes_on:
                    if child not in read:
                        self.unread.append(child)
                else:
                    self._end(child, 0.0)
            self._end(node, log1p(-min(continued, _SURE)))

    def follow(self, tokens: Sequence[int], logits: Tensor) -> None:
        """Take the logits [K, V] after the root and after `tokens` that were read behind it, as far as these are nodes.

        They stand in the cache where the first nodes would.
        """
        self.take([node := self.root], logits[:1])
        for token, row in zip(tokens, logits[1:], strict=False):
            if token not in node.children or not node.children[token].children:
                return
            node = node.children[token]
            node.column, self.columns = self.columns, self.columns + 1
            self.take([node], row[None])

    def _end(self, node: Node, not_continued: float) -> None:
        """Compare the sequence that ends in a node, if one does, with the best."""
        if node.penalty is None:
            return
        score = _known(node) + not_continued - node.penalty
        if self.best is None or (-score, node.rank) < (-self.best_score, self.best.rank):
            self.best, self.best_score = node, score


def _known(node: Node) -> float:
    assert node.score is not None
    return node.score
