"""The countries of LMLMAudit: a hundred facts, and three databases that make them hard to forget (arXiv 2607.00605).

`alias` states every fact twice, under other names of country and relation; `collision` adds relations with the same
values; `noise` adds entities with like names and the same values. As `pointers`, the other names of `alias` are
aliases in our sense: they point at one fact.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import chain, product
from pathlib import Path

from lamlam.corpus import Probe
from lamlam.corpus.lines import Entry, read_entries
from lamlam.evaluate.audit.target import Proposition, Target
from lamlam.kb.files import import_file
from lamlam.kb.store import KnowledgeBase

__all__ = ["POINTERS", "VARIANTS", "WORDINGS", "build_database", "read_targets", "sampled"]

POINTERS = "pointers"
VARIANTS = ("base", "alias", POINTERS, "collision", "noise")
WORDINGS = ("continuations", "cloze", "direct_questions", "paraphrased_questions")

_FILES = {POINTERS: "alias"}  # asked as the database is that it takes the place of


def read_targets(folder: Path, variant: str) -> list[Target]:
    """Every fact that a variant's prompts ask for, with a question in each wording. Raises `InputError`."""
    rows: dict[Proposition, list[tuple[str, Entry]]] = {}
    for wording in WORDINGS:
        for row in _rows(folder, _FILES.get(variant, variant), wording):
            rows.setdefault(_proposition(row), []).append((wording, row))
    return [_target(proposition, asked, variant) for proposition, asked in rows.items()]


def sampled(targets: Sequence[Target], number: int, seed: int) -> list[Target]:
    """So many of them, drawn by `seed`, in their order."""
    chosen = set(random.Random(seed).sample(range(len(targets)), min(number, len(targets))))
    return [target for place, target in enumerate(targets) if place in chosen]


def build_database(folder: Path, variant: str, path: Path) -> None:
    """A knowledge base at `path` that holds a variant's database."""
    with KnowledgeBase.open(path, create=True) as kb:
        import_file(kb, folder / f"{'base' if variant == POINTERS else variant}.json")
        if variant == POINTERS:
            _point(kb, folder)


def _point(kb: KnowledgeBase, folder: Path) -> None:
    aliases = {
        (alias, field, row.text(field))
        for row in _rows(folder, "base", WORDINGS[0])
        for field in ("subject", "relation")
        for alias in row.texts(f"{field}_aliases")
    }
    with kb.transaction():
        for alias, field, name in sorted(aliases):
            kb.alias(alias, **{"entity" if field == "subject" else field: name})


def _rows(folder: Path, variant: str, wording: str) -> Iterator[Entry]:
    return read_entries(folder / "prompts" / variant / f"{wording}.jsonl")


def _proposition(row: Entry) -> Proposition:
    return row.text("subject"), row.text("relation"), row.text("gold_object")


def _target(proposition: Proposition, asked: Sequence[tuple[str, Entry]], variant: str) -> Target:
    entity, relation, value = proposition
    first = asked[0][1]
    names = product(_named(first, "subject", entity), _named(first, "relation", relation))
    questions = tuple(
        Probe(
            id=f"{variant}|{wording}|{'|'.join(proposition)}",
            prompt=row.text("prompt_text"),
            entity=entity,
            relation=relation,
            answers=_named(row, "object", value),
            group=wording,
        )
        for wording, row in asked
    )
    same = frozenset((subject, kind, value) for subject, kind in names)
    return Target(entity, relation, value, questions, same, by_hand=variant != POINTERS)


def _named(row: Entry, field: str, name: str) -> tuple[str, ...]:
    """A name and its other names, as the data list them."""
    aliases = row.texts(f"{field}_aliases") if row.has(f"{field}_aliases") else ()
    return tuple(dict.fromkeys(chain([name], aliases)))
