"""What a run will ask for and cost, before anything is asked.

Tokens are guessed from characters, as the tokenizer of a hosted model is not at hand.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lamlam.annotate.chat.client import ChatClient
from lamlam.markup import AnnotatedDocument
from lamlam.text import windows

__all__ = ["Estimate", "estimate"]

_CHARACTERS = 4.0  # of ASCII a token, in English; beyond ASCII about one
_CALLS_A_WORD = 0.05  # as in GPT-4o's seed of the paper
_TOKENS_A_CALL = {"list": 45, "markup": 30}
_A_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Documents, the requests that are still to be made for them, and their tokens; `known` answers cost nothing."""

    documents: int = 0
    requests: int = 0
    known: int = 0
    words: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def price(self, price_in: float, price_out: float) -> float:
        """What the tokens cost at so much a million."""
        return (self.tokens_in * price_in + self.tokens_out * price_out) / _A_MILLION


def estimate(documents: Iterable[AnnotatedDocument], client: ChatClient) -> Estimate:
    """The estimate for documents with a client's settings and cache; nothing is sent."""
    form = client.forms[0]
    count = requests = known = words = tokens_in = tokens_out = 0
    for document in documents:
        count += 1
        words += len(document.text.split())
        for start, end in windows(document.text, client.settings.window):
            piece = replace(document, text=document.text[start:end], calls=())
            if not piece.text.strip():
                continue
            if client.known(piece) is not None:
                known += 1
                continue
            requests += 1
            tokens_in += sum(_tokens(message["content"]) for message in client.request(piece, form)["messages"])
            calls = round(_CALLS_A_WORD * len(piece.text.split()))
            tokens_out += calls * _TOKENS_A_CALL[form] + (_tokens(piece.text) if form == "markup" else 0)
    return Estimate(count, requests, known, words, tokens_in, tokens_out)


def _tokens(text: str) -> int:
    ascii_ = sum(character.isascii() for character in text)
    return round(ascii_ / _CHARACTERS) + len(text) - ascii_
