"""What `lamlam annotate clean` drops, and whether it finds faults that were planted.

    python experiments/cleaning.py --data DATA/lmlm --out docs/results/cleaning.json

In one call of ten of one document in five a fault is planted: another document's value, another document's entity, or
a relation with its words garbled. `--sample` writes dropped calls of the whole files, to judge by eye.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamlam.annotate.clean import Cleaner, CleaningTally
from lamlam.corpus.documents import documents_from_paper
from lamlam.corpus.split import hold_out_documents
from lamlam.evaluate.results import Provenance
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument, Call

FILES = ("squad-train1k_gpt4o", "wiki-1k_annotator")
EVERY = 5
RATE = 0.1
KINDS = ("value", "entity", "relation")
Place = tuple[str, int]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--sample", type=Path, help="where to write 50 dropped calls of both files, drawn with seed 0")
    chosen = options.parse_args()
    results: dict[str, Any] = {"dropped": {}, "planted": {}}
    samples = []
    for name in FILES:
        documents = list(documents_from_paper(chosen.data / f"{name}.json"))
        tally, _ = cleaned(documents, sample=10**6)
        results["dropped"][name] = {"calls": tally.calls, "dropped": tally.dropped.total(), **tally.dropped}
        samples += [each for part in tally.samples.values() for each in part]
        heldout = hold_out_documents(documents, every=EVERY).heldout["heldout"]
        results["planted"][name] = planted_faults(heldout)
    if chosen.sample:
        with atomic_write(chosen.sample) as out:
            for at, each in enumerate(random.Random(0).sample(samples, 50), 1):
                call = (each.call.entity, each.call.relation, each.call.value)
                out.write(f"{at}. {each.reason} {call}\n   {each.before!r} ## {each.after!r}\n")
    with atomic_write(chosen.out) as out:
        json.dump(
            results | Provenance(seed=0, settings={"planted": RATE, "held out": f"one in {EVERY}"}).as_json(),
            out,
            indent=1,
            ensure_ascii=False,
        )
        out.write("\n")
    print(json.dumps(results, indent=1, ensure_ascii=False))


def cleaned(documents: Sequence[AnnotatedDocument], sample: int = 0) -> tuple[CleaningTally, list[AnnotatedDocument]]:
    tally = CleaningTally()
    return tally, list(Cleaner(sample=sample).clean(lambda: documents, tally))


def planted_faults(documents: Sequence[AnnotatedDocument]) -> dict[str, Any]:
    """Recall of each kind of fault, and how much of what was dropped was planted."""
    faulty, planted = plant(documents)
    calls, by_kind = sum(len(document.calls) for document in faulty), Counter(planted.values())
    _, left = cleaned(faulty)
    dropped = [place for before, after in zip(faulty, left, strict=True) for place in gone(before, after)]
    hits = Counter(planted[place] for place in dropped if place in planted)
    return {
        "calls": calls,
        "planted": by_kind,
        "rules": {
            "dropped": len(dropped),
            "planted among them": hits.total(),
            "precision": round(hits.total() / max(1, len(dropped)), 3),
            "recall": round(hits.total() / len(planted), 3),
            "recall by kind": {kind: round(hits[kind] / by_kind[kind], 3) for kind in KINDS},
            "dropped of the calls as they were": round((len(dropped) - hits.total()) / (calls - len(planted)), 3),
        },
    }


def gone(before: AnnotatedDocument, after: AnnotatedDocument) -> list[Place]:
    """The numbers of the calls that are not there any more; those left are the same objects in the same order."""
    kept = {id(call) for call in after.calls}
    return [(before.id, number) for number, call in enumerate(before.calls) if id(call) not in kept]


def plant(documents: Sequence[AnnotatedDocument]) -> tuple[list[AnnotatedDocument], dict[Place, str]]:
    """The documents with a fault in one call of ten, kinds in turn, and where which stands."""
    rng, planted, faulty = random.Random(0), {}, []
    pool = [(document.id, call) for document in documents for call in document.calls]
    for document in documents:
        calls = list(document.calls)
        for number, call in enumerate(calls):
            if rng.random() < RATE:
                kind = KINDS[len(planted) % len(KINDS)]
                calls[number] = _spoilt(call, kind, rng, [each for id, each in pool if id != document.id])
                planted[document.id, number] = kind
        faulty.append(replace(document, calls=tuple(calls)))
    return faulty, planted


def _spoilt(call: Call, kind: str, rng: random.Random, others: Sequence[Call]) -> Call:
    other = rng.choice(others)
    if kind != "relation":
        return replace(call, **{kind: getattr(other, kind)})
    words = [*call.relation.split(), *rng.choice(others).relation.split(), *call.value.split()[:1]]
    rng.shuffle(words)
    return replace(call, relation=" ".join(words))


if __name__ == "__main__":
    main()
