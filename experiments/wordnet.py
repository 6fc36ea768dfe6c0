"""Read WordNet's database files: which words mean nearly the same, and what nouns stand for.

Format: the manual pages wndb(5) and lexnames(5). Debian's package `wordnet-base` has the files. Words are linked over
their lemmas and commonest senses: as forms of one lemma, in one set of synonyms, derived from one another (found,
founder), one the direct kind of the other (wife, spouse), or over two such steps.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["WordNet"]

_FOLDER = Path("/usr/share/wordnet")
_SENSES = 4
_STEPS = {"+": 0.9, "\\": 0.85, "@": 0.6, "&": 0.7, "=": 0.6}
_DETACHED = {
    "noun": (("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
             ("ies", "y")),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}  # fmt: skip
_LETTER = {"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}

Sense = tuple[str, int]


class WordNet:
    """Lemmas, senses and the pointers between them."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self.index: dict[tuple[str, str], list[int]] = {}
        self.members: dict[Sense, list[str]] = {}
        self.field: dict[Sense, int] = {}
        self.pointers: dict[Sense, list[tuple[str, Sense, int, int]]] = {}
        self.irregular: dict[tuple[str, str], list[str]] = {}
        for kind in _DETACHED:
            for line in _lines(folder / f"index.{kind}"):
                parts = line.split()
                self.index[kind, parts[0]] = [int(at) for at in parts[-int(parts[2]) :]]
            for line in _lines(folder / f"data.{kind}"):
                self._read_sense(kind, line.split(" | ")[0].split())
            for line in _lines(folder / f"{kind}.exc"):
                self.irregular[kind, line.split()[0]] = line.split()[1:]

    def lemmas(self, word: str) -> Iterator[tuple[str, str]]:
        """(part of speech, lemma) of a word."""
        for kind, endings in _DETACHED.items():
            forms = [word, *self.irregular.get((kind, word), [])]
            forms += [
                word[: -len(old)] + new for old, new in endings if word.endswith(old) and len(word) > len(old) + 1
            ]
            yield from ((kind, form) for form in dict.fromkeys(forms) if (kind, form) in self.index)

    def noun_field(self, word: str) -> int:
        """The number of the field (lexnames) that a word's commonest sense as a noun belongs to; 0 for none."""
        lemma = next((form for kind, form in self.lemmas(word) if kind == "noun"), None)
        return 0 if lemma is None else self.field["noun", self.index["noun", lemma][0]]

    def links(self, words: Iterable[str]) -> dict[str, dict[str, float]]:
        """For each word the words that are near it in meaning, and how near, up to 1."""
        reach: dict[str, dict[object, float]] = {word: self._reach(word) for word in words}
        holders: dict[object, list[tuple[str, float]]] = defaultdict(list)
        for word, points in reach.items():
            for point, weight in points.items():
                holders[point].append((word, weight))
        found: dict[str, dict[str, float]] = {}
        for word, points in reach.items():
            near: dict[str, float] = {}
            for point, weight in points.items():
                for other, far in holders[point]:
                    if other != word and weight * far > near.get(other, 0.0):
                        near[other] = weight * far
            found[word] = near
        return found

    def opposites(self, word: str) -> set[str]:
        """The lemmas that WordNet has as antonyms of a word's commonest senses."""
        found = set()
        for kind, lemma in self.lemmas(word):
            for at in self.index[kind, lemma][:_SENSES]:
                for sign, target, source, goal in self.pointers[kind, at]:
                    if sign == "!" and (not source or self.members[kind, at][source - 1] == lemma):
                        found.add(self.members[target][goal - 1 if goal else 0])
        return found

    def _reach(self, word: str) -> dict[object, float]:
        """What a word leads to: its lemmas, their senses, and the senses one step from these."""
        points: dict[object, float] = {}
        for kind, lemma in self.lemmas(word):
            points[lemma] = 1.0
            for rank, at in enumerate(self.index[kind, lemma][:_SENSES]):
                weight = 0.97 * 0.9**rank
                points[kind, at] = max(points.get((kind, at), 0.0), weight)
                for sign, target, source, _ in self.pointers[kind, at]:
                    own = not source or self.members[kind, at][source - 1] == lemma
                    if sign in _STEPS and own:
                        points[target] = max(points.get(target, 0.0), weight * _STEPS[sign])
        return points

    def _read_sense(self, kind: str, parts: list[str]) -> None:
        key = (kind, int(parts[0]))
        count = int(parts[3], 16)
        self.field[key] = int(parts[1])
        self.members[key] = [parts[4 + 2 * at].split("(")[0].lower() for at in range(count)]
        at = 4 + 2 * count
        pointers = []
        for start in range(at + 1, at + 1 + 4 * int(parts[at]), 4):
            sign, offset, letter, ends = parts[start : start + 4]
            pointers.append((sign, (_LETTER[letter], int(offset)), int(ends[:2], 16), int(ends[2:], 16)))
        self.pointers[key] = pointers


def _lines(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from (line for line in file if not line.startswith("  "))
