"""One spelling for the many ways to write a name.

A name is kept in its canonical form: what nobody sees makes no other name. Names are compared in a form that folds
more, such as case. What it leaves to others: names that mean the same but are spelled differently (`kb.similarity`,
aliases).
"""

import re
import unicodedata

from lamlam.errors import InputError

__all__ = ["canonical", "checked", "former", "forms", "normalise", "normalise_prefix"]

_BLANK = "_ \t\n\v\f\r\x1c\x1d\x1e\x1f"
# What Unicode calls default ignorable: characters without width, marks of direction, selectors of variants.
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_JOINERS = "\u200c\u200d"
_JOINED = "\u0600-\u109f"  # scripts from Arabic to Myanmar, in which a joiner between two letters does show
_INVISIBLE = re.compile(f"[{_UNSEEN}]|(?<![{_JOINED}])[{_JOINERS}]|[{_JOINERS}](?![{_JOINED}])")
_IGNORABLE = re.compile(f"[{_UNSEEN}{_JOINERS}]")


def canonical(name: str) -> str:
    """The form in which a name is kept: NFC, without characters that do not show, its words a space apart."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", _INVISIBLE.sub("", name))
    return " ".join(name.split())


def normalise(name: str) -> str:
    """The form in which names are compared: what does not show left out, NFKC, casefolded, underscores and white space
    as one space."""
    return former(name if name.isascii() else _IGNORABLE.sub("", name))


def former(name: str) -> str:
    """`normalise` as it was when characters that do not show still told names apart."""
    folded = name.casefold()
    if not name.isascii():
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.replace("_", " ").split())


def forms(name: str) -> tuple[str, ...]:
    """The normalised form, and the former one where it is another."""
    norm = normalise(name)
    return (norm,) if name.isascii() or (old := former(name)) == norm else (norm, old)


def normalise_prefix(prefix: str) -> str:
    """Like `normalise`, but a space at the end counts: "New " begins "New York" and not "Newton"."""
    norm, shown = normalise(prefix), _IGNORABLE.sub("", prefix)
    return norm + " " if norm and normalise(shown[-1]) == "" else norm


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
