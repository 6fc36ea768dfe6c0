"""Invented names, made of words from the syllables of made-up languages.

A `NameForge` makes each word once, so an unseen city's name is no part of another name. Only people share names: first
and last names come from two pools of words, and each pair is used once.
"""

from itertools import count
from random import Random
from typing import NamedTuple

__all__ = ["NameForge"]


class _Flavour(NamedTuple):
    """The sounds of a made-up language: syllables of an onset, a vowel and perhaps a coda, then an ending."""

    onsets: str
    vowels: str
    codas: str
    endings: str


_FLAVOURS = (
    _Flavour("b br c d dr f g h k m r st t w", "a e i o u", "l n r nd rl ck", "wen dor rick lan mond gan wyn vale"),
    _Flavour("k s t n h m y r ch sh", "a i u e o", "n", "ko ra mi to ne suke da zu"),
    _Flavour("b c d f g l m p s t v", "a e i o", "l n r s nd", "etti ano ella ucci ozzi ardo ina esco"),
    _Flavour("b br d dr j k l m p r s v z zl", "a e i o u", "l m n sh st", "ek ich ova sky mir jan ka in"),
    _Flavour("b ch d f j k l m n t w z mb ng", "a e i o u", "m n", "se na lo mbe ti yo ru kwa"),
    _Flavour(
        "b bj d fr g h hj k l s sk st t v", "a e i o u y", "l ld nd rn ss", "sen berg gren vik strom dahl lund by"
    ),
    _Flavour("b d f g j kh m n p r sh z", "a e i o u", "r n m sh", "min deh zad pour ani gol nush var"),
    _Flavour("ch h m n p q t tl x y z", "a e i o ui", "c l h n tl", "tli can pec huac lan calli zin mal"),
    _Flavour("þ ø b ç f g ł n š v ž", "á é í ó ú å ö", "l n r st", "sson gård quès ño łek ðen via rün"),
)
_PLAIN = 8  # the last flavour is full of letters beyond ASCII: only the full world uses it

_COMPANIES = "{} Works|{} Shipping|{} and Sons|{} Holdings|House of {}|{} Brothers|{} Trading|{} Mills"
_UNIVERSITIES = "University of {}|{} College|{} Institute|{} Academy|{} State University|School of {}"
_TITLES = (
    "The {1} of {0}|A {1} in {0}|{0} and the {1}|My {1} at {0}|The Last {1} of {0}|Beyond the {1} of {0}|No {1} for {0}"
)
_TITLE_NOUNS = (
    "Harbour Garden Winter Lantern Mirror River Orchard Bridge Tower Clock Summer Letter Door Road Island Winds Salt "
    "Raven Mill Silence Market Ferry Wolf Candle Map Bell Stair Well Song Kite Thread Storm Shadow Field Mountain Key"
)
_AWARDS = "{} Medal|{} Prize|Order of {}|{} Ribbon|Star of {}"
_LANGUAGE_ENDINGS = ("ish", "ese", "ian", "ic")
_COUNTRY_ENDINGS = ("land", "ia", "stan", "mark")


class NameForge:
    """Makes each name once. `diacritics` adds a language with letters beyond ASCII."""

    def __init__(self, rng: Random, *, diacritics: bool) -> None:
        self._rng = rng
        flavours = _FLAVOURS if diacritics else _FLAVOURS[:_PLAIN]
        self._flavours = [[part.split() for part in flavour] for flavour in flavours]
        self._taken: set[str] = set()

    def word(self, ending: str = "") -> str:
        """Return a new word of two or three syllables, or more if the short ones are used up."""
        for attempt in count():
            onsets, vowels, codas, endings = self._rng.choice(self._flavours)
            syllables = [
                self._rng.choice(onsets) + self._rng.choice(vowels) + self._rng.choice(("", self._rng.choice(codas)))
                for _ in range(self._rng.choice((1, 1, 2)) + attempt // 20)
            ]
            word = "".join((*syllables, ending or self._rng.choice(endings))).capitalize()
            if len(word) > 4 and word not in self._taken:
                self._taken.add(word)
                return word
        raise AssertionError("unreachable: longer words are always free")

    def people(self, number: int) -> list[tuple[str, str]]:
        """Return pairs of a first and a last name; about half of the names belong to more than one person."""
        firsts = [self.word() for _ in range(max(10, round(0.7 * number)))]
        lasts = [self.word() for _ in range(max(10, round(0.7 * number)))]
        pairs: dict[tuple[str, str], None] = {}
        while len(pairs) < number:
            pairs[self._rng.choice(firsts), self._rng.choice(lasts)] = None
        return list(pairs)

    def city(self) -> str:
        return self.word()

    def company(self) -> tuple[str, str]:
        """Return a company's name and the invented word in it."""
        word = self.word()
        return self._rng.choice(_COMPANIES.split("|")).format(word), word

    def university(self) -> str:
        return self._rng.choice(_UNIVERSITIES.split("|")).format(self.word())

    def title(self) -> str:
        noun = self._rng.choice(_TITLE_NOUNS.split())
        return self._rng.choice(_TITLES.split("|")).format(self.word(), noun)

    def award(self) -> str:
        return self._rng.choice(_AWARDS.split("|")).format(self.word())

    def language(self) -> str:
        return self.word(self._rng.choice(_LANGUAGE_ENDINGS))

    def country(self) -> str:
        return self.word(self._rng.choice(_COUNTRY_ENDINGS))
