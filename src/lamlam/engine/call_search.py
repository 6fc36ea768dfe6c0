"""Finding the call that a model finds likeliest as a whole, among those that a text may make.

Greedy decoding settles the entity before it sees which relations are left to ask for. Here every call about a name of
the text is scored, entity and relation together (`token_tree`), but for those whose answer the text states already.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from torch import Tensor

from lamlam.engine.token_tree import Node, TokenTree
from lamlam.text import WORD
from lamlam.vocab import Vocabulary

__all__ = ["CallSearch", "Stated"]

_ENTITY_WEIGHT = 0.5  # of the entity's log-probability beside the relation's
_PARTLY_STATED = 2.0  # log-probability that a call loses if the text states one of its values
_IMPROBABLE = -5.0  # log-probability of the likeliest name below which the model means another one

Relations = Callable[[str], Sequence[tuple[str, float]]]  # an entity's, each with the share of its values stated


class CallSearch(TokenTree):
    """The calls about some names, of `longest` tokens a field and `room` in all; `relations` tells those of each name.

    `found` is None where the model means none of the names, where the relations of the likeliest cannot be told, and
    where no call is left.
    """

    def __init__(
        self, names: Iterable[str], relations: Relations, vocabulary: Vocabulary, longest: int, room: int
    ) -> None:
        super().__init__()
        self.means_another = False
        self._relations, self._vocabulary, self._longest, self._room = relations, vocabulary, longest, room
        self._names: dict[Node, str] = {}
        self._likeliest: Node | None = None
        self._untold: set[Node] = set()
        for name in names:
            tokens = vocabulary.encode(" " + name)
            if len(tokens) <= min(longest, room - 1):
                node = self.add([*tokens, vocabulary.relation_id], weight=_ENTITY_WEIGHT)
                node.grow = partial(self._add_relations, node)
                self._names[node] = name

    @property
    def found(self) -> Node | None:
        """The last node of the best call, once the search has ended."""
        return None if self.means_another or self._likeliest in self._untold else self.best

    def plan(self, most: int) -> list[Node]:
        """Choose at most so many nodes for the next pass to read; none when the search has ended."""
        self.reading = []
        return [] if self.means_another or self._likeliest in self._untold else super().plan(most)

    def take(self, nodes: Sequence[Node], logits: Tensor) -> None:
        """Score what follows the nodes that were read, given the logits [K, V] after each."""
        super().take(nodes, logits)
        self._likeliest = self._likeliest or self._likeliest_name()
        if self._likeliest is not None and self._likeliest.score is not None:
            self.means_another = self._likeliest.score < _ENTITY_WEIGHT * _IMPROBABLE

    def _likeliest_name(self) -> Node | None:
        """The likeliest name's last node, once no other can be likelier."""
        scored = [node for node in self._names if node.score is not None]
        best = max(scored, key=lambda node: (node.score, [-place for place in node.rank]), default=None)
        begun = (node for node in self.unread if node.weight == _ENTITY_WEIGHT and node not in self._names)
        return best if best and all(node.score <= best.score for node in begun) else None  # type: ignore[operator]

    def _add_relations(self, node: Node) -> None:
        relations = self._relations(self._names[node])
        if not relations:
            self._untold.add(node)
        for relation, stated in relations:
            tokens = self._vocabulary.encode(" " + relation)
            if stated < 1 and len(tokens) <= min(self._longest, self._room - len(node.rank) - 1):
                end = self.add([*tokens, self._vocabulary.return_id], at=node)
                end.penalty = _PARTLY_STATED if stated else 0.0


class Stated:
    """What a text states, apart from where it has one of some `names`."""

    def __init__(self, text: str, names: Iterable[str] = ()) -> None:
        self._words = _plain(text)
        for name in names:
            self._words = self._words.replace(_plain(name), " | ")

    def share(self, values: Iterable[str]) -> float:
        """The share of some values that are words of the text; 0 without values."""
        distinct = {_plain(value) for value in values}
        return sum(value in self._words for value in distinct) / len(distinct) if distinct else 0.0


def _plain(text: str) -> str:
    """Its words in lower case without accents, a space around each."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " " + " ".join(WORD.findall(bare)) + " "
