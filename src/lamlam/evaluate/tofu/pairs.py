"""TOFU's pairs of a question and an answer, and which of them an evaluation takes.

The files are ordered: twenty pairs an author. `forget10` and `retain_perturbed` also have a paraphrased answer and
false ones; `retain_perturbed` are the first pairs of `retain90`. Real authors and world facts have false answers alone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lamlam.annotate.tagger.names import names
from lamlam.corpus.lines import Entry, read_entries

__all__ = ["AUTHOR", "Pair", "TofuSets", "author_of", "read_sets"]

AUTHOR = 20
"""Pairs of one author."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and its answer; `true` is the answer in other words where there is one, `false` are wrong answers.

    `author` is whom the pair's block of twenty is about; empty where there are no blocks.
    """

    id: str
    question: str
    answer: str
    true: str
    false: tuple[str, ...] = ()
    author: str = ""


@dataclass(frozen=True, slots=True)
class TofuSets:
    """What is trained on (`forget`, `retain`) and what is asked: `asked_forget` and so on, a part of it."""

    forget: list[Pair]
    retain: list[Pair]
    asked_forget: list[Pair]
    asked_retain: list[Pair]
    asked_authors: list[Pair]
    asked_world: list[Pair]


def read_sets(folder: Path, *, forget: int | None, retain: int | None, asked: int | None) -> TofuSets:
    """The pairs of the first `forget` and `retain` authors (None: all), and at most so many of each set to be asked.

    All pairs of the authors to be forgotten are asked. Raises `InputError` for a file that is missing or malformed.
    """
    forgotten = _authored(folder / "forget10.jsonl", forget)
    retained = _authored(folder / "retain90.jsonl", retain)
    trained = {pair.question for pair in retained}
    perturbed = [pair for pair in _read(folder / "retain_perturbed.jsonl") if pair.question in trained]
    return TofuSets(
        forget=forgotten,
        retain=retained,
        asked_forget=forgotten,
        asked_retain=_spread(perturbed, asked),
        asked_authors=_spread(_read(folder / "real_authors.jsonl"), asked),
        asked_world=_spread(_read(folder / "world_facts.jsonl"), asked),
    )


def author_of(pairs: Sequence[tuple[str, str]]) -> str:
    """Whom questions and answers are about: the name of several words that most of them mention; "" where none is."""
    counts: Counter[str] = Counter()
    for question, answer in pairs:
        text = f"{question}\n{answer}"
        found = {name.name for name in names(text) if _is_of_a_person(name.name)}
        counts.update(found)
    if not counts:
        return ""
    most = max(counts.values())
    # "Basil Mahfouz" stands wherever "Basil Mahfouz Al-Kuwaiti" does: of names as frequent the longest is the whole.
    return max((name for name, count in counts.items() if count >= 0.8 * most), key=len)


def _is_of_a_person(name: str) -> bool:
    parts = name.split()
    return 2 <= len(parts) <= 4 and all(part[0].isupper() and not part.endswith(("'s", "’s")) for part in parts)


def _authored(path: Path, authors: int | None) -> list[Pair]:
    pairs = _read(path)[: None if authors is None else authors * AUTHOR]
    told: list[Pair] = []
    for start in range(0, len(pairs), AUTHOR):
        block = pairs[start : start + AUTHOR]
        author = author_of([(pair.question, pair.answer) for pair in block])
        told += [Pair(p.id, p.question, p.answer, p.true, p.false, author) for p in block]
    return told


def _read(path: Path) -> list[Pair]:
    return [_pair(entry, f"{path.stem}-{number}") for number, entry in enumerate(read_entries(path))]


def _pair(entry: Entry, id: str) -> Pair:
    answer = entry.text("answer", empty=False)
    true = entry.text("paraphrased_answer", empty=False) if entry.has("paraphrased_answer") else answer
    false = entry.texts("perturbed_answer") if entry.has("perturbed_answer") else ()
    return Pair(id, entry.text("question", empty=False), answer, true, false)


def _spread(pairs: list[Pair], number: int | None) -> list[Pair]:
    """At most `number` pairs, at even distances."""
    if number is None or len(pairs) <= number:
        return pairs
    return [pairs[index * len(pairs) // number] for index in range(number)]
