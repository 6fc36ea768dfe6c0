"""Guessing which tokens come next, so that the model reads them in the pass that it makes anyway.

Three things are guessed: that a value which came in is written into the text; that a call asks for an entity that was
asked for before, or that the context names; and that what followed the same few tokens before follows again, which
gives the skeleton of calls and their relations. A wrong guess costs some reading and changes nothing: every token is
chosen as it would be without (speculative decoding, arXiv 2211.17192, with drafts from what is at hand instead of from
a second model).
"""

from collections import Counter, OrderedDict

from lamlam.engine.sequence import Sequence as TokenSequence

__all__ = ["Drafter"]

_ORDER = 4  # tokens that a habit looks back at
_HABITS = 100_000
_LEAST_COUNT, _LEAST_SHARE = 2, 0.6


class Drafter:
    """Drafts for all sequences of an engine. Its habits are learnt from what they write, in `longest` tokens a draft.

    A habit looks back at a sequence's trail, which leaves out the names that calls ask for and the values that come in:
    they are new each time.
    """

    def __init__(self, entity_id: int, longest: int = 12) -> None:
        self._entity_id, self._longest = entity_id, longest
        self._habits: OrderedDict[tuple[int, ...], Counter[int]] = OrderedDict()

    def draft(self, sequence: TokenSequence) -> list[int]:
        """Tokens that may follow a sequence's ids."""
        guess = sequence.expected()
        trail = [*sequence.trail[-_ORDER:], *sequence.visible_in_trail(guess)]
        while len(guess) < self._longest:
            token = self._habit(tuple(trail[-_ORDER:]))
            if token is None:
                break
            guess.append(token)
            trail.append(token)
            if token == self._entity_id:
                name = sequence.likely_name()
                if not name:
                    break
                guess += name
                trail.append(name[-1])
        return guess[: self._longest]

    def learn(self, sequence: TokenSequence) -> None:
        """Remember what followed what in the part of the trail that is new."""
        trail = sequence.trail
        for at in range(max(sequence.learnt, _ORDER), len(trail)):
            self._habits.setdefault(tuple(trail[at - _ORDER : at]), Counter())[trail[at]] += 1
        sequence.learnt = len(trail)
        while len(self._habits) > _HABITS:
            self._habits.popitem(last=False)

    def _habit(self, context: tuple[int, ...]) -> int | None:
        habit = self._habits.get(context)
        if not habit:
            return None
        self._habits.move_to_end(context)
        ((token, count),) = habit.most_common(1)
        return token if count >= _LEAST_COUNT and count >= _LEAST_SHARE * habit.total() else None
