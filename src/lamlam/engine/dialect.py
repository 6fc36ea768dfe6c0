"""What one server of the completions protocol understands, found out by asking it.

Servers differ in whether they take token ids, take fields beyond OpenAI's, tell token ids, show control tokens in
their text, and heed `logit_bias`. One small request tells all of that: it asks for a control token.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lamlam.engine.completions import Completions
from lamlam.engine.control_tokens import ControlTokens
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import LamLamError
from lamlam.markup.tokens import RELATION, RETURN
from lamlam.server import Refused

__all__ = ["Dialect"]

_BIAS = 100  # the most that the protocol knows


@dataclass(frozen=True)
class Dialect:
    """How to speak with a server: what it takes, and what it tells."""

    model: str
    control_tokens: ControlTokens
    takes_ids: bool = True
    takes_more: bool = True  # fields beyond OpenAI's
    tells_ids: bool = True
    heeds_bias: bool = True

    @classmethod
    def of(cls, server: Completions, control_tokens: ControlTokens, model: str) -> "Dialect":
        """Try from the best way of asking to the plainest. Raises `LamLamError` where none will do."""
        first: Refused | None = None
        for takes_ids, takes_more in ((True, True), (True, False), (False, True), (False, False)):
            dialect = cls(model, control_tokens, takes_ids, takes_more)
            try:
                return dialect._tried(server)
            except Refused as error:
                first = first or error
        assert first is not None
        raise first

    def _tried(self, server: Completions) -> "Dialect":
        wanted = self.control_tokens.vocabulary.relation_id
        before = [self.control_tokens.vocabulary.bos_id, *self.control_tokens.vocabulary.encode(" a")]
        body = self.body(before, 1, DecodingSettings(), bias={wanted: _BIAS})
        pieces = server.whole(body)
        tells_ids = any(piece.ids for piece in pieces)
        ids = [token for piece in pieces for token in piece.ids or ()]
        heeds_bias = wanted in ids if tells_ids else RELATION in "".join(piece.text for piece in pieces)
        if not (tells_ids or heeds_bias):
            raise LamLamError(
                f"the server at {server.place} tells no token ids and shows no control tokens, "
                "so that its calls cannot be read"
            )
        return replace(self, tells_ids=tells_ids, heeds_bias=heeds_bias)

    def body(
        self,
        ids: Sequence[int],
        max_tokens: int,
        settings: DecodingSettings,
        *,
        seed: int = 0,
        banned: Collection[int] = (),
        bias: dict[int, int] | None = None,
    ) -> dict[str, Any]:
        """A request to go on after `ids`, up to the end of a call, without the `banned` tokens."""
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": list(ids) if self.takes_ids else self._text(ids),
            "max_tokens": max_tokens,
            "temperature": settings.temperature,
            "stop": [RETURN],
            "stream": True,
        }
        if settings.temperature > 0:
            body["seed"] = seed
        if settings.top_p is not None:
            body["top_p"] = settings.top_p
        bias = (bias or {}) | dict.fromkeys(banned, -_BIAS)
        if bias:
            body["logit_bias"] = {str(token): weight for token, weight in bias.items()}
        if settings.top_k is not None:
            body["top_k"] = settings.top_k
        return body | (self._more() if self.takes_more else {})

    def _more(self) -> dict[str, Any]:
        """Fields that some servers know and others pass over."""
        return {
            "stop_token_ids": [self.control_tokens.vocabulary.return_id],
            "include_stop_str_in_output": True,  # vLLM
            "no_stop_trim": True,  # SGLang
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
            "return_token_ids": True,  # vLLM
            "return_tokens": True,  # llama.cpp
            "cache_prompt": True,  # llama.cpp
            **({} if self.takes_ids else {"add_special_tokens": False}),
        }

    def _text(self, ids: Sequence[int]) -> str:
        """The ids as text, for a server that takes nothing else."""
        text = ""
        for is_text, run in self._runs(ids):
            if not is_text:
                text += "".join(self.control_tokens.special[token] for token in run)
                continue
            plain = b"".join(self.control_tokens.bytes_of[token] for token in run).decode(errors="ignore")
            if any(special in plain for special in self.control_tokens.special.values()):
                raise LamLamError(
                    "the server takes text alone, and would read as a control token what stands as plain characters "
                    "in a prompt, a text or a value"
                )
            text += plain
        return text

    def _runs(self, ids: Sequence[int]) -> Iterable[tuple[bool, list[int]]]:
        run: list[int] = []
        for token in ids:
            if run and (token in self.control_tokens.bytes_of) != (run[-1] in self.control_tokens.bytes_of):
                yield run[-1] in self.control_tokens.bytes_of, run
                run = []
            run.append(token)
        if run:
            yield run[-1] in self.control_tokens.bytes_of, run
