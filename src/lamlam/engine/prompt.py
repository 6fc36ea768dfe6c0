"""What a sequence begins with: the text that a reader sees, and the token ids by which a model reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamlam.errors import LamLamError
from lamlam.vocab import Vocabulary, opened

__all__ = ["Prompt"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text as it was given, and the ids that a model reads of it, `[bos]` not among them.

    `ids` are what is continued: without the white space at the end, since words bring the space in front of them along.
    `whole` are those of all the text, by which its likelihood is reported.
    """

    text: str
    ids: tuple[int, ...]
    whole: tuple[int, ...]

    @classmethod
    def of(cls, text: str, vocabulary: Vocabulary, *, cut: bool = False) -> "Prompt":
        """A text as documents are encoded; one that was `cut` out of a longer one may begin with a space of its own.

        Raises `LamLamError` when it is not valid Unicode.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise LamLamError(f"the prompt is not valid Unicode at character {error.start}") from error
        begin = str if cut and text[:1].isspace() else opened
        read = text.rstrip()
        ids = tuple(vocabulary.encode(begin(read)))
        whole = ids if read == text else tuple(vocabulary.encode(begin(text)))
        return cls(text, ids, whole)

    @classmethod
    def of_ids(cls, text: str, ids: Sequence[int]) -> "Prompt":
        """Ids that are read as they are; `text` is what a reader sees of them."""
        return cls(text, tuple(ids), tuple(ids))
