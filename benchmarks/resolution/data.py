"""The facts of the resolution benchmark, what of them is imported, and how they are split.

Facts: the calls of both annotators of the paper's released files, and the audit's countries. Of some entities nothing
is imported, and of some one relation is not: what is asked of these must not be answered. The split goes by a hash of
the entity, and that of rewordings by a hash of the meaning as well; a query is of a part only if both are.
"""

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from lamlam.corpus.documents import documents_from_paper
from lamlam.kb.matching.mining import read_rewordings
from lamlam.kb.names import normalise
from lamlam.kb.similarity import relation_key

__all__ = ["REWORDINGS", "Benchmark", "Triple", "data_folder", "hash_share", "load", "part_of"]

FILES = {"gpt4o": "lmlm/squad-train1k_gpt4o.json", "annotator": "lmlm/wiki-1k_annotator.json"}
REWORDINGS = Path(__file__).parent / "rewordings.txt"
COUNTRIES = "audit/countries"
SAME_FACT = Path(__file__).parent / "same_fact.txt"
PARTS = {
    "part": (("train", 0.4), ("calibration", 0.6), ("test", 1.0)),
    "meaning": (("train", 0.5), ("calibration", 0.6), ("test", 1.0)),
}
ENTITIES_LEFT_OUT, RELATIONS_LEFT_OUT = 0.06, 0.5

Triple = tuple[str, str, str]


@dataclass(slots=True)
class Benchmark:
    """Facts by entity: those that are imported, and those that are not. `groups` are the meanings of relations.

    `restated` has, by entity, a relation that is not imported and one that is and states the same.
    """

    held: dict[str, list[Triple]] = field(default_factory=lambda: defaultdict(list))
    left_out: dict[str, list[Triple]] = field(default_factory=lambda: defaultdict(list))
    missing: dict[str, list[Triple]] = field(default_factory=lambda: defaultdict(list))
    groups: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    restated: dict[str, tuple[str, str]] = field(default_factory=dict)
    origin: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def same_meaning(self, a: str, b: str) -> bool:
        """Whether two names of relations are known to say the same: by the table of meanings, or by their words."""
        a, b = normalise(a), normalise(b)
        return a == b or relation_key(a) == relation_key(b) or bool(self.groups[a] & self.groups[b])


def data_folder() -> Path:
    """Where the public data stands: LAMLAM_DATA, or `shared/data` beside the project."""
    return Path(os.environ.get("LAMLAM_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


def hash_share(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest()) / 2**48


def part_of(name: str, kind: str = "part") -> str:
    """Which part an entity belongs to, or (`kind` "meaning") a meaning by its first name."""
    return next(part for part, end in PARTS[kind] if hash_share(f"{kind}:{normalise(name)}") < end)


def load(folder: Path | None = None) -> Benchmark:
    """The facts, as they are split."""
    folder = folder or data_folder()
    loaded = Benchmark()
    for meaning in read_rewordings(REWORDINGS):
        for name in meaning.names:
            loaded.groups[name].add(meaning.names[0])
    facts: dict[str, dict[Triple, None]] = defaultdict(dict)
    for origin, file in FILES.items():
        for document in documents_from_paper(folder / file):
            for call in document.calls:
                if not (normalise(call.entity) and normalise(call.relation) and normalise(call.value)):
                    continue
                facts[call.entity][call.entity, call.relation, call.value] = None
                loaded.origin[normalise(call.relation)].add(origin)
    for triple in json.loads((folder / COUNTRIES / "base.json").read_text(encoding="utf-8"))["triplets"]:
        facts[triple[0]][tuple(triple)] = None
    for entity, triples in facts.items():
        _place(loaded, entity, list(triples))
    return loaded


def _place(loaded: Benchmark, entity: str, triples: list[Triple]) -> None:
    if hash_share(f"entity:{normalise(entity)}") < ENTITIES_LEFT_OUT:
        loaded.missing[entity] = triples
        return
    relations = sorted({normalise(relation) for _, relation, _ in triples})
    out = None
    if pair := _restated(triples):
        loaded.restated[entity] = pair
        out = pair[0]
    elif len(relations) > 1 and hash_share(f"relation:{normalise(entity)}") < RELATIONS_LEFT_OUT:
        out = relations[int(hash_share(f"which:{normalise(entity)}") * len(relations))]
    for triple in triples:
        (loaded.left_out if normalise(triple[1]) == out else loaded.held)[entity].append(triple)


def _restated(triples: list[Triple]) -> tuple[str, str] | None:
    """Two relations that state one value, and mean the same by the table."""
    values: dict[str, set[str]] = defaultdict(set)
    for _, relation, value in triples:
        values[normalise(relation)].add(normalise(value))
    pairs = (tuple(part.strip() for part in line.split("|")) for line in _lines(SAME_FACT))
    return next(((a, b) for a, b in pairs if values.get(a, set()) & values.get(b, set())), None)


@lru_cache(maxsize=2)
def _lines(path: Path) -> tuple[str, ...]:
    return tuple(line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#")
