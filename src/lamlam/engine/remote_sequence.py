"""One sequence that a server writes: the same grammar, over tokens that the server offers."""

import torch

from lamlam.engine.completions import Piece
from lamlam.engine.constraint import CallConstraint
from lamlam.engine.control_tokens import ControlTokens
from lamlam.engine.generation import Lookup
from lamlam.engine.sampling import Sampler
from lamlam.engine.sequence import DecodingSequence, State
from lamlam.engine.settings import DecodingSettings
from lamlam.kb.fact import Resolution
from lamlam.markup.tokens import RETURN

__all__ = ["RemoteSequence"]

_NO_LOGITS = torch.empty(0)  # a server tells none; free names need none
_ENDLESS = 2**31  # tokens of a context of which nothing is known


class RemoteSequence(DecodingSequence):
    """A prompt and what the server writes after it."""

    def __init__(
        self,
        prompt: str,
        settings: DecodingSettings,
        control_tokens: ControlTokens,
        constraint: CallConstraint,
        context: int | None,
    ) -> None:
        super().__init__(prompt, settings, control_tokens, constraint, context or _ENDLESS, Sampler(settings))
        self.settings = settings
        self.requests = self.offered = 0  # requests made, tokens offered
        self._banned_here: frozenset[int] = frozenset()  # in place of the next token alone

    @property
    def banned(self) -> frozenset[int]:
        """Tokens that the next request must not be answered with."""
        if self._banned_here or self.may_ever_call or self.state is not State.TEXT:
            return self._banned_here
        return frozenset(self._control_tokens.special) - {self._vocabulary.eos_id}

    @property
    def most_tokens(self) -> int:
        """Tokens to ask for: the visible ones that are left, and one call; one where another stands in its place."""
        if self._banned_here:
            return 1
        may_be_in_call = self.may_ever_call or self.state is not State.TEXT
        call = 2 * self.settings.max_query_tokens + 3 if may_be_in_call else 0
        visible = self.settings.max_tokens - self._text_tokens
        return min(visible + call, self._context - len(self.ids))

    def resume(self) -> None:
        """Make ready for what the server writes."""
        if self.state in (State.PROMPT, State.VALUE):
            self.state = State.TEXT
            if self.settings.force_call and not self._calls:
                self.take(self._vocabulary.entity_id, _NO_LOGITS)

    def offer(self, token: int) -> bool:
        """Take the token if it has a place here. If not, another is taken or must be asked for in its stead."""
        self.offered += 1
        self.wish(token, _NO_LOGITS)
        allowed = self.allowed(_NO_LOGITS)
        asked_before, self._banned_here = self._banned_here, frozenset()
        if 0 <= token < len(allowed) and allowed[token]:
            self.take(token, _NO_LOGITS)
            return True
        if allowed.sum() == 1:
            self.take(int(allowed.nonzero()), _NO_LOGITS)
        elif token in asked_before:
            self._cut()
        else:
            no_place = frozenset(i for i in self._control_tokens.special if not allowed[i])
            self._banned_here = asked_before | no_place | {token}
        return False

    def stopped_by(self, piece: Piece) -> int | None:
        """The token at which the server stopped and which it left out, if it did that."""
        if not self.is_ready or self._banned_here or piece.finish != "stop":
            return None
        tail = self._said if self.state is State.TEXT else self._written
        if tail.endswith(RETURN.encode()):
            return None  # plain characters, which the server took for the token
        if piece.stop_reason in (RETURN, self._vocabulary.return_id):
            return self._vocabulary.return_id
        if self.state is State.RELATION and self._written.strip() and not piece.tells_reason:
            return self._vocabulary.return_id
        return self._vocabulary.eos_id

    def drop(self, resolution: Resolution) -> None:
        self._record(Lookup(*self.query, resolution, "", query_cut=self._query_cut))
        self._undo_call()
        self._banned_here = frozenset(self._control_tokens.special) - {self._vocabulary.eos_id}

    def _cut(self) -> None:
        """End where the model wants what has no place, and the server cannot keep it from that."""
        if self.state is not State.TEXT:
            self._undo_call()
        self._refused_calls += 1
        self._end("cut")
