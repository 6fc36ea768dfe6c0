"""Keys under which a misspelt name meets the name that was meant.

A name is stored under a few 32-bit digests of its parts; a query is probed under the same ones, so that candidates cost
a few index probes whatever the number of names. A part survives what the others do not: the sorted words, another
order, accents and signs; each half of the letters, a slip in the other half; surname and initial, a shortened given
name. How alike the candidates really are is left to `kb.similarity`.
"""

import re
import unicodedata
from zlib import crc32

from lamlam.kb.lexicon import LETTERS_BEYOND_ACCENTS
from lamlam.kb.names import normalise

__all__ = ["digest", "probed_keys", "stored_keys", "value_key"]

_WORD = re.compile(r"[^\W_]+")
_SHORTEST_HALVED = 6
_MIDDLE = 1 << 31


def digest(text: str) -> int:
    """32 bits of a text, signed, as databases store them: CRC-32. Not unique: it finds candidates."""
    return crc32(text.encode("utf-8", "surrogatepass")) - _MIDDLE


def value_key(value: str) -> int:
    """The key of a value: 24 bits, signed, of its normalised form, since a byte for every fact counts."""
    return digest(normalise(value)) >> 8


def stored_keys(norm: str) -> set[int]:
    """The keys of a normalised name, one to four."""
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
    """The keys under which the names may stand that a normalised query means, the most telling first."""
    orders = [_words(norm)]
    if norm.count(",") == 1:
        surname, given = norm.split(",")
        orders.append(_words(given) + _words(surname))
    parts = [_whole(orders[0])]
    for words in orders:
        letters = "".join(words)
        for size in (len(letters), len(letters) - 1, len(letters) + 1):
            middle = size // 2
            if size >= _SHORTEST_HALVED:
                parts += [_start(letters[:middle], size), _end(letters[-(size - middle) :], size)]
    parts += [_initial(words) for words in orders if len(words) > 1]
    return list(dict.fromkeys(digest(part) for part in parts))


def _words(norm: str) -> list[str]:
    """The words of a name without accents, signs and a leading "the"."""
    if not norm.isascii():
        plain = unicodedata.normalize("NFD", norm)
        norm = "".join(sign for sign in plain if unicodedata.category(sign) != "Mn").translate(LETTERS_BEYOND_ACCENTS)
    words = _WORD.findall(norm.replace("'", "").replace("’", ""))
    return words[1:] if len(words) > 1 and words[0] == "the" else words or [norm]


def _whole(words: list[str]) -> str:
    return "=" + "".join(sorted("".join(words)))


def _start(letters: str, size: int) -> str:
    return f"<{size}{letters}"


def _end(letters: str, size: int) -> str:
    return f">{size}{letters}"


def _initial(words: list[str]) -> str:
    return f".{words[-1]} {words[0][:1]}"
