"""Token ids from what a server tells of its completion: from its ids, or else from its text."""

import re

from lamlam.engine.completions import Piece
from lamlam.engine.control_tokens import ControlTokens

__all__ = ["Transcript"]


class Transcript:
    """The tokens of one completion. A text is encoded word by word, with the strings of control tokens taken for them.

    A server that tells text alone does not tell a control token from its characters, nor how a word was cut.
    """

    def __init__(self, control_tokens: ControlTokens, *, from_ids: bool) -> None:
        self._control_tokens, self._from_ids = control_tokens, from_ids
        self._id_of = {text: token for token, text in control_tokens.special.items()}
        self._specials = re.compile("|".join(re.escape(text) for text in sorted(self._id_of, key=len, reverse=True)))
        self._held = ""

    def tokens(self, piece: Piece) -> list[int]:
        """The tokens that are complete now."""
        if self._from_ids:
            return list(piece.ids or ())
        self._held += piece.text
        tokens: list[int] = []
        while match := self._specials.search(self._held):
            tokens += [*self._encoded(match.start()), self._id_of[match[0]]]
            self._held = self._held[len(match[0]) :]
        # The last word may go on, or be the beginning of a control token, in which no space stands.
        end = len(self._held) if piece.finish is not None else max(self._held.rfind(" "), 0)
        return tokens + self._encoded(end)

    def _encoded(self, end: int) -> list[int]:
        text, self._held = self._held[:end], self._held[end:]
        return self._control_tokens.vocabulary.encode(text) if text else []
