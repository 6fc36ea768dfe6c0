"""Ids and loss mask of an annotated document, from one function.

Each token has a kind, and the kind alone decides whether it carries loss: values and `<|db_end|>` come from the
knowledge base when the model is used, so learning them would teach it to memorise what it should ask for
(arXiv 2505.15962, section 3.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from lamlam.markup import AnnotatedDocument, Call
from lamlam.vocab.vocabulary import Vocabulary

__all__ = ["IGNORE_INDEX", "Arm", "Encoded", "Kind", "encode", "labels", "opened"]

IGNORE_INDEX = -100

Arm = Literal["lmlm", "standard"]


class Kind(IntEnum):
    """What a token is. `CONTROL` is every control token that the model writes itself; `END` is written for it.

    `OPEN` is text before which a fact may be stated that nobody annotated: whether to make a call there isn't trained.
    """

    TEXT = 0
    ENTITY = 1
    RELATION = 2
    VALUE = 3
    CONTROL = 4
    END = 5
    BOS = 6
    EOS = 7
    PAD = 8
    OPEN = 9


_WORD = 24  # tokens of a word that are read at most
_ARTICLES = ("the", "a", "an")
_WITHOUT_LOSS = np.zeros(len(Kind), dtype=bool)
_WITHOUT_LOSS[[Kind.VALUE, Kind.END, Kind.BOS, Kind.PAD]] = True
_NEVER_TRAINED = np.zeros(len(Kind), dtype=bool)
_NEVER_TRAINED[[Kind.BOS, Kind.PAD]] = True


@dataclass(slots=True)
class Encoded:
    """Token ids and their kinds, of the same length."""

    ids: list[int] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)

    def add(self, ids: Sequence[int], kind: Kind) -> None:
        self.ids.extend(ids)
        self.kinds.extend([kind] * len(ids))


def encode(
    document: AnnotatedDocument, vocabulary: Vocabulary, arm: Arm = "lmlm", *, partial: bool = False, given: str = ""
) -> Encoded:
    """`[bos] text and calls [eos]`; the standard arm sees the same text cut at the same places, without the calls.

    A space in front of a call moves behind it, so that words keep their leading space; the text's first word gets one
    too (`opened`), so that a name has the same tokens there, further on and in a call.

    What is `given` stands before the text, in the prompt as it were, and carries no loss, like a value.

    In a `partial` document, where only some facts have calls, the text tokens with which another one may begin are
    `OPEN`: numbers, capitalised words and articles, from the first uncapitalised word on, but for what follows a call.
    """
    out = Encoded()
    out.add([vocabulary.bos_id], Kind.BOS)
    out.add(vocabulary.encode(opened(given)), Kind.VALUE)
    text, position = opened(document.text), 0
    for call in document.calls:
        at = call.at + len(text) - len(document.text)
        cut = max(position, at - 1 if text[at - 1 : at] == " " else at)
        out.add(vocabulary.encode(text[position:cut]), Kind.TEXT)
        position = cut
        if arm == "lmlm":
            encode_call(call, vocabulary, out)
    out.add(vocabulary.encode(text[position:]), Kind.TEXT)
    out.add([vocabulary.eos_id], Kind.EOS)
    if partial and arm == "lmlm":
        _open(out, vocabulary)
    return out


def _open(encoded: Encoded, vocabulary: Vocabulary) -> None:
    """Mark the text tokens before which a call may be missing."""
    subject_named = False
    for place, kind in enumerate(encoded.kinds):
        word = _word_at(encoded, place, vocabulary) if kind is Kind.TEXT else ""
        if word:
            begins = word[0].isupper() or word[0].isdigit() or word in _ARTICLES
            if subject_named and begins and encoded.kinds[place - 1] is not Kind.END:
                encoded.kinds[place] = Kind.OPEN
            subject_named = subject_named or not begins


def _word_at(encoded: Encoded, place: int, vocabulary: Vocabulary) -> str:
    """The word that begins with the token at `place`, behind a space; "" where none does."""
    written = b""
    for token, kind in zip(encoded.ids[place : place + _WORD], encoded.kinds[place : place + _WORD], strict=True):
        piece = vocabulary.token_bytes().get(token, b"")
        if kind is not Kind.TEXT or (written and piece.startswith(b" ")):
            break
        written += piece
        if not written.startswith(b" "):
            return ""
    return written.decode(errors="replace").strip()


def opened(text: str) -> str:
    """A text as it is encoded: with a space in front, as Llama's tokenizers have it; an empty one stays empty."""
    return " " + text if text else text


def encode_call(call: Call, vocabulary: Vocabulary, out: Encoded) -> None:
    """Append a call's tokens; each field has a leading space, as in the paper's files."""
    out.add([vocabulary.entity_id], Kind.CONTROL)
    out.add(vocabulary.encode(" " + call.entity), Kind.ENTITY)
    out.add([vocabulary.relation_id], Kind.CONTROL)
    out.add(vocabulary.encode(" " + call.relation), Kind.RELATION)
    out.add([vocabulary.return_id], Kind.CONTROL)
    out.add(vocabulary.encode(" " + call.value), Kind.VALUE)
    out.add([vocabulary.end_id], Kind.END)


def labels(
    ids: npt.NDArray[np.integer], kinds: npt.NDArray[np.integer], mask_values: bool = True
) -> npt.NDArray[np.int64]:
    """Labels of the shape of `ids`, int64: the ids, with `IGNORE_INDEX` where a token carries no loss.

    With `mask_values` off, values and `<|db_end|>` carry loss like everything else: for comparison.
    """
    without = _WITHOUT_LOSS if mask_values else _NEVER_TRAINED
    return np.where(without[kinds], IGNORE_INDEX, ids).astype(np.int64)
