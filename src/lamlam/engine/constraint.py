"""Which tokens may come next inside a call, so that a query asks for something that the knowledge base holds.

A name can be written in any division into tokens: a token may come next when the bytes written so far and its own
begin a name. What the grammar of calls allows is `Sequence`'s concern.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from torch import Tensor

from lamlam.engine.call_search import CallSearch, Stated
from lamlam.engine.control_tokens import ControlTokens
from lamlam.engine.mentions import Mentions
from lamlam.engine.settings import DecodingSettings
from lamlam.engine.source import FactSource, as_of

__all__ = ["CallConstraint", "Continuation", "NameSet", "Names"]

_LISTED = 256  # names of a large knowledge base that are listed for one beginning
_TRIED = 64  # likeliest tokens of which each is looked up, where more names begin so than were listed
_PER_TRY = 8  # names listed for each of those


@dataclass(frozen=True, slots=True)
class Continuation:
    """What may follow inside a name: these text tokens, and the name's end if it is `complete`."""

    ids: frozenset[int]
    complete: bool


class Names(Protocol):
    """A set of names, each written with a leading space."""

    def after(self, written: bytes, logits: Tensor) -> Continuation:
        """What may follow the bytes `written` of a name; `logits` [V] say what the model would like best."""
        ...

    def begins(self, written: bytes) -> bool:
        """Whether a name begins with the bytes `written`."""
        ...

    def holds(self, written: bytes) -> bool:
        """Whether the bytes `written` are a whole name."""
        ...


class CallConstraint:
    """The names that one sequence's calls may use."""

    def __init__(self, control_tokens: ControlTokens, kb: FactSource, settings: DecodingSettings) -> None:
        self._control_tokens, self._kb, self._settings = control_tokens, as_of(kb, settings.revision), settings
        self._mentions = Mentions(self._kb)

    def entities(self, context: str) -> Names | None:
        """The entities for a call that follows `context`; None where any text may be written.

        A context that mentions no known name leaves the model free: to ask for a stranger and be told that it is
        unknown is better than to be led to the nearest name that is known.
        """
        if self._settings.entities == "context":
            names = self.mentioned(context)
            return NameSet(names, self._control_tokens) if names else None
        if self._settings.entities == "free" or not self._kb.entities_starting("", 1):
            return None
        return _KnownNames(self._kb, self._control_tokens)

    def mentioned(self, context: str) -> list[str]:
        """The names that `context` mentions, in the order of their first mention; none where that is not asked."""
        return self._mentions.update(context) if self._settings.entities == "context" else []

    def calls(self, context: str, room: int) -> CallSearch | None:
        """A search among the calls of at most `room` tokens that may follow `context`; None if none can be listed."""
        if not self.lists_calls or not (names := self.mentioned(context)):
            return None
        relations = partial(self._relations_left, context)
        return CallSearch(names, relations, self._control_tokens.vocabulary, self._settings.max_query_tokens, room)

    @property
    def lists_calls(self) -> bool:
        """Whether calls are about names of the context, in relations that these have."""
        return self._settings.entities == "context" and self._settings.relations == "known"

    def _relations_left(self, context: str, entity: str) -> list[tuple[str, float]]:
        """The relations of an entity, each with the share of its values that `context` states."""
        names = self._kb.relations_of(entity)
        if not self._settings.skip_stated:
            return [(name, 0.0) for name in names]
        found = self._kb.lookup_many([(entity, name) for name in names]) if names else ()
        stated = Stated(context, {entity, *(fact.entity for resolution in found for fact in resolution.facts)})
        return [(name, stated.share(each.values)) for name, each in zip(names, found, strict=True)]

    def relations(self, entity: str) -> Names | None:
        """The relations for a call about `entity`; None where any text may be written."""
        names = self._kb.relations_of(entity) if self._settings.relations == "known" else ()
        return NameSet(names, self._control_tokens) if names else None


class NameSet:
    """Names that are all at hand."""

    def __init__(self, names: Iterable[str], control_tokens: ControlTokens) -> None:
        self._names = {_written(name) for name in names}
        self._control_tokens = control_tokens

    def after(self, written: bytes, logits: Tensor) -> Continuation:
        rests = {name[len(written) :] for name in self._names if name.startswith(written)}
        ids = frozenset(token for rest in rests for token in self._control_tokens.beginning(rest))
        return Continuation(ids, complete=b"" in rests)

    def begins(self, written: bytes) -> bool:
        return any(name.startswith(written) for name in self._names)

    def holds(self, written: bytes) -> bool:
        return written in self._names


class _KnownNames:
    """All names of a knowledge base, which may be too many to list.

    Where more names begin with what is written than are listed, the tokens that the model likes best are each looked
    up, so that every token allowed leads to a name, and a likely one is not missed. A token that ends within a
    character cannot be looked up: among so many names it is allowed only where a listed one begins with it.
    """

    def __init__(self, kb: FactSource, control_tokens: ControlTokens) -> None:
        self._kb, self._control_tokens = kb, control_tokens
        self._all: NameSet | None = None

    def after(self, written: bytes, logits: Tensor) -> Continuation:
        if self._all is None:
            names = self._starting(written, _LISTED)
            listed = NameSet(names, self._control_tokens)
            if len(names) == _LISTED:
                following = listed.after(written, logits)
                return Continuation(following.ids | self._tried(written, logits), self.holds(written))
            self._all = listed
        return self._all.after(written, logits)

    def begins(self, written: bytes) -> bool:
        if self._all is not None:
            return self._all.begins(written)
        return any(_written(name).startswith(written) for name in self._starting(written, _PER_TRY))

    def holds(self, written: bytes) -> bool:
        if self._all is not None:
            return self._all.holds(written)
        name = _name(written)
        return bool(name) and _written(name) == written and bool(self._kb.entities_named([name]))

    def _tried(self, written: bytes, logits: Tensor) -> frozenset[int]:
        likeliest = logits.topk(min(_TRIED, len(logits))).indices.tolist()
        texts = ((token, self._control_tokens.bytes_of.get(token)) for token in likeliest)
        return frozenset(token for token, text in texts if text is not None and self.begins(written + text))

    def _starting(self, written: bytes, limit: int) -> list[str]:
        return list(self._kb.entities_starting(_name(written), limit))


def _written(name: str) -> bytes:
    return (" " + name).encode()


def _name(written: bytes) -> str:
    """The name begun by `written`, up to its last whole character."""
    return written.decode(errors="ignore")[1:]
