"""Names of entities as people miswrite them, and names of nobody that look like theirs."""

import random
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from lamlam.kb.names import normalise

__all__ = ["PERTURBATIONS", "lookalikes"]

_ACCENTS = {"a": "á", "e": "é", "i": "í", "o": "ö", "u": "ü", "n": "ñ", "c": "ç"}
_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
_PERSON = re.compile(r"[A-Z][a-zà-ÿ]+( [A-Z][a-zà-ÿ]+){1,2}")

Known = Mapping[str, object]


def _case(name: str, rng: random.Random, known: Known) -> str:
    return rng.choice((name.upper(), name.lower(), name.swapcase()))


def _accents_dropped(name: str, rng: random.Random, known: Known) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFD", name) if unicodedata.category(sign) != "Mn")


def _accent_added(name: str, rng: random.Random, known: Known) -> str:
    places = [at for at, sign in enumerate(name) if sign in _ACCENTS]
    if not places:
        return ""
    at = rng.choice(places)
    return name[:at] + _ACCENTS[name[at]] + name[at + 1 :]


def _slip(make: Callable[[str, int, random.Random], str]) -> Callable[[str, random.Random, Known], str]:
    """A slip in a word of four letters or more of a name of six or more, after the word's first letter."""

    def perturb(name: str, rng: random.Random, known: Known) -> str:
        words = list(re.finditer(r"[^\W\d_]{4,}", name))
        if not words or sum(map(str.isalpha, name)) < 6:
            return ""
        word = rng.choice(words)
        return make(name, rng.randrange(word.start() + 1, word.end() - 1), rng)

    return perturb


def _letter(rng: random.Random, but: str) -> str:
    return rng.choice([letter for letter in string.ascii_lowercase if letter != but.casefold()])


def _order(name: str, rng: random.Random, known: Known) -> str:
    words = name.split()
    return " ".join((*words[1:], words[0])) if len(words) in (2, 3) else ""


def _surname_first(name: str, rng: random.Random, known: Known) -> str:
    words = name.split()
    return f"{words[-1]}, {' '.join(words[:-1])}" if _PERSON.fullmatch(name) else ""


def _initials(name: str, rng: random.Random, known: Known) -> str:
    """The given names as initials, where no other name has the same ones and the same last word."""
    if not _PERSON.fullmatch(name):
        return ""
    words = name.split()
    alike = _by_surname(tuple(known)).get(normalise(words[-1]), [])
    if sum(other.split()[0][:1].casefold() == name[:1].casefold() for other in alike if other.split()) > 1:
        return ""
    return " ".join((*(f"{word[0]}." for word in words[:-1]), words[-1]))


@lru_cache(maxsize=2)
def _by_surname(names: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        for word in set(normalise(name).split()):
            found.setdefault(word, []).append(name)
    return found


def _article(name: str, rng: random.Random, known: Known) -> str:
    return name[4:] if name.casefold().startswith("the ") else f"The {name}"


PERTURBATIONS: dict[str, Callable[[str, random.Random, Known], str]] = {
    "case": _case,
    "accents dropped": _accents_dropped,
    "accent added": _accent_added,
    "transposed letters": _slip(lambda name, at, rng: name[:at] + name[at + 1] + name[at] + name[at + 2 :]),
    "letter dropped": _slip(lambda name, at, rng: name[:at] + name[at + 1 :]),
    "letter added": _slip(lambda name, at, rng: name[:at] + _letter(rng, name[at]) + name[at:]),
    "letter replaced": _slip(lambda name, at, rng: name[:at] + _letter(rng, name[at]) + name[at + 1 :]),
    "word order": _order,
    "surname, given": _surname_first,
    "initials": _initials,
    "article": _article,
}


def lookalikes(name: str, rng: random.Random, known: Known) -> Iterator[tuple[str, str]]:
    """What was done to a name, and the name of nobody that it made."""
    words = name.split()
    for at, word in enumerate(words):
        if word in _NUMERALS and len(words) > 1:
            other = rng.choice([numeral for numeral in _NUMERALS if numeral != word])
            yield "numeral", " ".join((*words[:at], other, *words[at + 1 :]))
        if word.isdigit():
            yield "number", " ".join((*words[:at], str(int(word) + rng.choice((1, 2, 10))), *words[at + 1 :]))
    if _PERSON.fullmatch(name):
        persons = _persons(tuple(known))
        other = rng.choice(persons).split()
        yield "given name", " ".join((other[0], *words[1:]))
        yield "surname", " ".join((*words[:-1], other[-1]))
        near = _nearest_given(words[0], persons)
        if near:
            yield "similar given name", " ".join((near, *words[1:]))
        yield "generation", f"{name} {rng.choice(('II', 'III', 'Jr.'))}"
    elif len(words) > 1:
        yield "word added", f"{rng.choice(('North', 'New', 'Old', 'Upper', 'Second'))} {name}"


@lru_cache(maxsize=2)
def _persons(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if _PERSON.fullmatch(name)]


def _nearest_given(given: str, persons: Iterable[str]) -> str:
    """Another given name of the data that begins alike and is as long, give or take one: Mary for Marie."""
    others = sorted({person.split()[0] for person in persons} - {given})
    near = [o for o in others if o[:3] == given[:3] and abs(len(o) - len(given)) <= 1]
    return near[0] if near else ""
