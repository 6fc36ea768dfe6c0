"""One spelling for the many ways to write a name, and the keys that lead from a misspelt name to the right one.

A name is kept in its canonical form: invisible characters make no other name. Names are compared in a form that folds
more, such as case. A name is stored under a few 32-bit digests of its parts, and a query is probed under the same ones,
so that candidates cost a few index probes whatever the number of names. A part survives what the others don't: the
sorted words, another order, accents and signs; each half of the letters, a slip in the other half; surname and initial,
a shortened given name. How alike the candidates really are is left to `kb.similarity`.
"""

import re
import unicodedata
from zlib import crc32

from lamlam.errors import InputError
from lamlam.text import LETTERS_BEYOND_ACCENTS, WORD

__all__ = [
    "canonical",
    "checked",
    "digest",
    "former",
    "forms",
    "normalise",
    "normalise_prefix",
    "probed_keys",
    "stored_keys",
    "value_key",
]

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
_SHORTEST_HALVED = 6
_MIDDLE = 1 << 31


def canonical(name: str) -> str:
    """Return the form in which a name is kept: NFC, no invisible characters, one space between words."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", _INVISIBLE.sub("", name))
    return " ".join(name.split())


def normalise(name: str) -> str:
    """Return the form in which names are compared: no invisible characters, NFKC, casefolded, underscores and white
    space as one space."""
    return former(name if name.isascii() else _IGNORABLE.sub("", name))


def former(name: str) -> str:
    """Normalise as it was done when invisible characters still told names apart."""
    folded = name.casefold()
    if not name.isascii():
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.replace("_", " ").split())


def forms(name: str) -> tuple[str, ...]:
    """Return the normalised form, and the former one if it differs."""
    norm = normalise(name)
    return (norm,) if name.isascii() or (old := former(name)) == norm else (norm, old)


def normalise_prefix(prefix: str) -> str:
    """Normalise, but keep a space at the end: "New " begins "New York" and not "Newton"."""
    norm, shown = normalise(prefix), _IGNORABLE.sub("", prefix)
    return norm + " " if norm and normalise(shown[-1]) == "" else norm


def checked(text: str, field: str) -> str:
    """Return `text` if it may be stored. Raises `InputError` if it is blank or not valid Unicode."""
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


def digest(text: str) -> int:
    """Return 32 bits of a text, signed, as databases store them: CRC-32. Not unique: it finds candidates."""
    return crc32(text.encode("utf-8", "surrogatepass")) - _MIDDLE


def value_key(value: str) -> int:
    """Return the key of a value: 24 bits, signed, of its normalised form, since a byte for every fact counts."""
    return digest(normalise(value)) >> 8


def stored_keys(norm: str) -> set[int]:
    """Return the keys under which a normalised name is stored, one to four."""
    words = _words(norm)
    letters = "".join(words)
    size, middle = len(letters), len(letters) // 2
    parts = [_whole(words)]
    if size >= _SHORTEST_HALVED:
        parts += [_start(letters[:middle], size), _end(letters[middle:], size)]
    if len(words) > 1:
        parts.append(_initial(words))
    return {digest(part) for part in parts}


def probed_keys(norm: str) -> list[int]:
    """Return the keys under which the names may be stored that a normalised query means, the most telling first."""
    orders = [_words(norm)]
    if norm.count(",") == 1:
        surname, given = norm.split(",")
        orders.append(_words(given) + _words(surname))
    if len(orders[0]) > 1 and orders[0][-1] == "the":
        orders.append(orders[0][:-1])
    parts = [_whole(words) for words in orders]
    for words in orders:
        letters = "".join(words)
        for size in (len(letters), len(letters) - 1, len(letters) + 1):
            middle = size // 2
            if size >= _SHORTEST_HALVED:
                parts += [_start(letters[:middle], size), _end(letters[-(size - middle) :], size)]
    parts += [_initial(words) for words in orders if len(words) > 1]
    return list(dict.fromkeys(digest(part) for part in parts))


def _words(norm: str) -> list[str]:
    """Return the words of a name without accents, signs and a leading "the"."""
    if not norm.isascii():
        plain = unicodedata.normalize("NFD", norm)
        norm = "".join(sign for sign in plain if unicodedata.category(sign) != "Mn").translate(LETTERS_BEYOND_ACCENTS)
    words = WORD.findall(norm.replace("'", "").replace("’", ""))
    return words[1:] if len(words) > 1 and words[0] == "the" else words or [norm]


def _whole(words: list[str]) -> str:
    return "=" + "".join(sorted("".join(words)))


def _start(letters: str, size: int) -> str:
    return f"<{size}{letters}"


def _end(letters: str, size: int) -> str:
    return f">{size}{letters}"


def _initial(words: list[str]) -> str:
    return f".{words[-1]} {words[0][:1]}"
