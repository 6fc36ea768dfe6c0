"""Guessing which tokens come next, so that the model reads them in the pass that it makes anyway.

Four things are guessed: that a value which came in is written into the text; that a call asks for an entity that was
asked for before, or that the context names; that what followed the same few tokens in other texts follows again, which
gives the skeleton of calls and their relations; and that what followed two tokens in this text, mostly within a name,
follows again. A wrong guess costs some reading and changes nothing: every token is
chosen as it would be without (speculative decoding, arXiv 2211.17192, with drafts from what is at hand instead of from
a second model). How likely each guess is right is learnt as well, and only those that pay are made.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum, auto
from weakref import WeakKeyDictionary

from lamlam.engine.sequence import DecodingSequence, State
from lamlam.vocab import Vocabulary

__all__ = ["Draft", "Drafter", "Guess"]

_ORDERS = (5, 3)  # tokens that a habit looks back at, the most telling first
_HABITS = 100_000
_LEAST_COUNT = 2
_AT_FIRST = (9, 10)  # of so many guesses of a kind so many are taken to have been right


class Guess(StrEnum):
    """Where a guess comes from."""

    VALUE = auto()
    NAME = auto()
    HABIT = auto()
    COPY = auto()


@dataclass(slots=True)
class Draft:
    """Tokens that may follow, and what sort of guess each is; `probability` that all of them do."""

    tokens: list[int] = field(default_factory=list)
    guesses: list[tuple[Guess, bool]] = field(default_factory=list)  # with whether it is the first of its name or value
    probability: float = 1.0


@dataclass(slots=True)
class _Copies:
    """What followed each two tokens of one sequence, as far as it is `learnt`."""

    after: dict[tuple[int, int], int] = field(default_factory=dict)
    learnt: int = 2


class Drafter:
    """Drafts for all sequences of an engine, of `longest` tokens at most. It learns from what they write.

    A habit looks back at a sequence's trail, which leaves out names and values: they are new each time.
    """

    def __init__(self, vocabulary: Vocabulary, longest: int = 24) -> None:
        self._entity_id, self._last_ids = vocabulary.entity_id, {vocabulary.return_id, vocabulary.eos_id}
        self._longest = longest
        self._habits: OrderedDict[tuple[int, ...], Counter[int]] = OrderedDict()
        self._copies: WeakKeyDictionary[DecodingSequence, _Copies] = WeakKeyDictionary()
        self._rates: dict[tuple[Guess, bool], tuple[float, float]] = {}

    def draft(self, sequence: DecodingSequence, least: float, room: int) -> Draft:
        """At most `room` tokens that may follow a sequence's ids, all of them with a probability of `least`."""
        draft, room = Draft(), min(room, self._longest)
        in_name = sequence.state is State.ENTITY
        expected = sequence.expected()
        going_on = self._copy(draft, Guess.NAME if in_name else Guess.VALUE, expected, least, not in_name)
        trail = [*sequence.trail[-max(_ORDERS) :], *(expected[-1:] if in_name else [])]
        last = [*sequence.ids[-2:], *expected]
        while going_on and len(draft.tokens) < room and (guess := self._next(sequence, trail, last)):
            token, kind, probability = guess
            if draft.probability * probability < least:
                break
            self._add(draft, token, kind, False, probability)
            trail.append(token)
            last.append(token)
            if token == self._entity_id:
                name = sequence.likely_name()
                going_on = bool(name) and self._copy(draft, Guess.NAME, name, least, True)
                trail += name[-1:]
                last += name
            elif token in self._last_ids:
                break
        del draft.tokens[max(room, 0) :], draft.guesses[max(room, 0) :]
        return draft

    def learn(self, sequence: DecodingSequence) -> None:
        """Remember what followed what in the part of the trail that is new."""
        trail = sequence.trail
        for at in range(sequence.learnt, len(trail)):
            for order in _ORDERS:
                if at >= order:
                    self._habits.setdefault(tuple(trail[at - order : at]), Counter())[trail[at]] += 1
        sequence.learnt = len(trail)
        copies, ids = self._copies.setdefault(sequence, _Copies()), sequence.ids
        for at in range(min(copies.learnt, len(ids)), len(ids)):
            copies.after[ids[at - 2], ids[at - 1]] = ids[at]
        copies.learnt = max(len(ids), 2)
        while len(self._habits) > _HABITS:
            self._habits.popitem(last=False)

    def judge(self, draft: Draft, accepted: int) -> None:
        """Learn from how many tokens of a draft were right."""
        for place, guess in enumerate(draft.guesses[: min(accepted + 1, len(draft.tokens))]):
            right, all_ = self._rates.get(guess, _AT_FIRST)
            self._rates[guess] = right * 0.99 + (place < accepted), all_ * 0.99 + 1

    def _copy(self, draft: Draft, guess: Guess, tokens: list[int], least: float, whole: bool) -> bool:
        """Append a name or value; False where its end is too unlikely."""
        for place, token in enumerate(tokens):
            right, all_ = self._rates.get((guess, whole and place == 0), _AT_FIRST)
            if draft.probability * right / all_ < least:
                return False
            self._add(draft, token, guess, whole and place == 0, right / all_)
        return True

    def _add(self, draft: Draft, token: int, guess: Guess, first: bool, probability: float) -> None:
        draft.tokens.append(token)
        draft.guesses.append((guess, first))
        draft.probability *= probability

    def _next(self, sequence: DecodingSequence, trail: list[int], last: list[int]) -> tuple[int, Guess, float] | None:
        if habit := self._habit(trail):
            return habit[0], Guess.HABIT, habit[1]
        copies = self._copies.get(sequence)
        token = copies.after.get((last[-2], last[-1])) if copies and len(last) > 1 else None
        right, all_ = self._rates.get((Guess.COPY, False), _AT_FIRST)
        return (token, Guess.COPY, right / all_) if token is not None else None

    def _habit(self, trail: list[int]) -> tuple[int, float] | None:
        """What followed the end of a trail most often, and how likely it does again."""
        for order in _ORDERS:
            context = tuple(trail[-order:])
            if habit := self._habits.get(context):
                self._habits.move_to_end(context)
                ((token, count),) = habit.most_common(1)
                if count >= _LEAST_COUNT:
                    return token, count / (habit.total() + 1)
        return None
