"""One spelling for the many ways to write a name.

What it leaves to others: names that mean the same but are spelled differently (`kb.similarity`, aliases).
"""

import unicodedata

from lamlam.errors import InputError

__all__ = ["checked", "normalise", "normalise_prefix"]

_BLANK = "_ \t\n\v\f\r\x1c\x1d\x1e\x1f"


def normalise(name: str) -> str:
    """The form under which names are compared: NFKC, casefolded, underscores and runs of white space as one space."""
    folded = name.casefold()
    if not name.isascii():
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.replace("_", " ").split())


def normalise_prefix(prefix: str) -> str:
    """Like `normalise`, but a space at the end counts: "New " begins "New York" and not "Newton"."""
    norm = normalise(prefix)
    return norm + " " if norm and normalise(prefix[-1]) == "" else norm


def checked(text: str, field: str) -> str:
    """`text` as it may be stored. Raises `InputError` when it is blank or not valid Unicode."""
    if isinstance(text, str) and text.isascii() and "\x00" not in text and text.strip(_BLANK):
        return text  # the most frequent case by far
    if not isinstance(text, str):
        raise InputError(f"expected text, not {type(text).__name__}", field=field)
    if not normalise(text):
        raise InputError("is blank", field=field)
    if "\x00" in text:
        raise InputError("holds a NUL character, which no database keeps", field=field)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError("holds a lone surrogate, which is not valid Unicode", field=field) from None
    return text
