"""Reading a given text with calls of the model's own: the text is forced, token by token, and only the calls are free.

Before each token of the text the model is asked, greedily, what it would write: where `<|db_entity|>` is likelier than
every text token and EOS, it writes its call as in decoding, under the same constraints; value and `<|db_end|>` are
forced in, and the text token's log p is read after the call. At one place a model may call up to four times in a row.

log p is the raw softmax over the whole vocabulary: what a model puts on `<|db_entity|>` without calling is lost to the
text token.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lamlam.engine.constraint import CallConstraint
from lamlam.engine.draft import Draft, Guess
from lamlam.engine.engine import Engine
from lamlam.engine.lexicon import Lexicon
from lamlam.engine.sampling import Sampler
from lamlam.engine.sequence import Sequence as TokenSequence
from lamlam.engine.sequence import State
from lamlam.engine.settings import DecodingSettings

__all__ = ["Reader", "Reading"]

_CALLS_AT_ONE_PLACE = 4
_LONGEST_DRAFT = 32


class Reading(TokenSequence):
    """A sequence whose text is given; only its calls are the model's. `log_probs` are those of the given ids, in nats.

    The prompt is read as any prompt is, without calls, and has no log p.
    """

    def __init__(
        self,
        prompt: str,
        given: Sequence[int],
        settings: DecodingSettings,
        lexicon: Lexicon,
        constraint: CallConstraint,
        context: int,
    ) -> None:
        super().__init__(prompt, settings, lexicon, constraint, context, Sampler(settings))
        self._given = given
        self._calls_here = 0
        self.log_probs: list[float] = []

    @property
    def unread(self) -> int:
        """How many of the given ids did not fit into the context with the calls before them."""
        return len(self._given) - len(self.log_probs)

    def next_given(self, number: int) -> list[int]:
        """At most `number` of the ids that are to be read next; none inside a call."""
        if self.state in (State.ENTITY, State.RELATION):
            return []
        return list(self._given[len(self.log_probs) : len(self.log_probs) + number])

    def choose(self, logits: Tensor, likeliest: int | None = None) -> int:
        """As any sequence chooses; where the model would write text, which is told without a mask, the given token."""
        if self.state is not State.TEXT or likeliest not in self._lexicon.bytes_of:
            return super().choose(logits, likeliest)
        token = self._given[len(self.log_probs)]
        self.take(token, logits)
        return token

    def allowed(self, logits: Tensor) -> Tensor:
        """In text: the call where the model prefers it to any text, else the given token alone."""
        allowed = super().allowed(logits)
        if self.state is not State.TEXT:
            return allowed
        entity = self._vocabulary.entity_id
        preferred = int(logits.float().masked_fill(~allowed, -torch.inf).argmax())
        calls = preferred == entity and self._calls_here < _CALLS_AT_ONE_PLACE
        return self._lexicon.mask([entity if calls else self._given[len(self.log_probs)]])

    def surely_allows(self, token: int) -> bool:
        return self.state is not State.TEXT and super().surely_allows(token)

    def take(self, token: int, logits: Tensor) -> None:
        if self.state is State.TEXT:
            if token == self._vocabulary.entity_id:
                self._calls_here += 1
            else:
                self._calls_here = 0
                self.log_probs.append(float(logits.float().log_softmax(-1)[token]))
        super().take(token, logits)


class Reader(Engine):
    """An engine that reads texts instead of writing them.

    What is to be read is known, so it is drafted: the model reads a stretch in one pass, up to where it calls.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.model, engine.vocabulary, engine.kb, device=engine.model.device, speculate=False)

    def read(self, texts: Sequence[tuple[str, Sequence[int]]], settings: DecodingSettings) -> list[Reading]:
        """One reading for each prompt and the ids that are to follow it; the ids end with EOS.

        Of `settings` those that govern calls apply. Raises `LamLamError` when a prompt fills the model's context.
        """
        endless = DecodingSettings(
            max_tokens=self._context,
            max_calls=self._context,
            max_calls_in_a_row=self._context,
            max_query_tokens=settings.max_query_tokens,
            max_value_tokens=settings.max_value_tokens,
            entities=settings.entities,
            relations=settings.relations,
            on_miss=settings.on_miss,
            lookups=settings.lookups,
        )
        readings = [
            Reading(
                prompt, given, endless, self._lexicon, CallConstraint(self._lexicon, self.kb, endless), self._context
            )
            for prompt, given in texts
        ]
        self.run(readings)
        return readings

    def _draft(self, sequence: TokenSequence, ready: int) -> Draft:
        assert isinstance(sequence, Reading)
        room = min(_LONGEST_DRAFT, self._context - len(sequence.ids) - 1)
        tokens = sequence.next_given(room) if room > 0 else []
        return Draft(tokens, [(Guess.VALUE, False)] * len(tokens))
