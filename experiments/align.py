"""How well `align` places the facts that WebNLG's texts state: the share, the speed, and a sample to judge by eye.

    python experiments/align.py --data DATA/webnlg --out docs/results/align.json --sample sample.txt

Nothing is tuned on the dev split, which these figures are of. Precision is judged by people: the sample shows placed
calls, drawn by `--seed`, with the marked span in its text. "As candidates" gives the texts all facts of the split, of
which those of entities that a text names are tried; what is placed though it is not among a text's triples may still be
stated by it, so that a second sample is of those.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lamlam.annotate.align import Aligner, CandidateFacts
from lamlam.corpus import FactRecord
from lamlam.corpus.split import StatedDocument, read_webnlg
from lamlam.evaluate.results import Provenance
from lamlam.files import atomic_write

Placed = tuple[StatedDocument, FactRecord]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--out", type=Path)
    options.add_argument("--split", choices=("train", "dev"), default="dev")
    options.add_argument("--sample", type=Path, help="where to write the calls to judge")
    options.add_argument("--size", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    documents = list(read_webnlg(chosen.data / f"{chosen.split}.jsonl"))
    results: dict[str, Any] = {"split": chosen.split, "texts": len(documents)}
    results["stated"], placed = stated(documents)
    results["as candidates"], unlisted = as_candidates(documents)
    if chosen.sample:
        with atomic_write(chosen.sample) as out:
            for title, calls, size in (("STATED", placed, chosen.size), ("NOT LISTED", unlisted, chosen.size // 2)):
                out.write(f"{title}\n")
                drawn = random.Random(chosen.seed).sample(calls, min(size, len(calls)))
                out.writelines(f"{at}. {shown(*each)}\n" for at, each in enumerate(drawn, 1))
    if chosen.out:
        with atomic_write(chosen.out) as out:
            json.dump(results | Provenance(seed=0, settings={"split": chosen.split}).as_json(), out, indent=1)
            out.write("\n")
    print(json.dumps(results, indent=1))


def stated(documents: Sequence[StatedDocument]) -> tuple[dict[str, Any], list[Placed]]:
    """Texts with their own triples."""
    aligner, counts, placed = Aligner(), Counter[str](), []
    started = time.perf_counter()
    for document in documents:
        found = aligner.annotate(document.text, document.facts, document.id)
        placed += [(document, fact) for fact in found.placed]
        counts.update(str(reason) for _, reason in found.unplaced)
    seconds = time.perf_counter() - started
    triples = len(placed) + counts.total()
    figures = {
        "triples": triples,
        "placed": len(placed),
        "share": round(len(placed) / triples, 4),
        "not placed": counts,
    }
    return figures | {"documents a second": round(len(documents) / seconds)}, placed


def as_candidates(documents: Sequence[StatedDocument]) -> tuple[dict[str, Any], list[Placed]]:
    """Texts with the facts of all: which are placed that the text's triples list, with this or another relation."""
    aligner = Aligner(stated=False)
    candidates = CandidateFacts(fact for document in documents for fact in document.facts)
    counts, unlisted = Counter[str](), []
    started = time.perf_counter()
    for document in documents:
        listed = {(fact.entity, fact.relation, fact.value) for fact in document.facts}
        pairs = {(entity, value) for entity, _, value in listed}
        tried = candidates.mentioned_in(document.text)
        for fact in aligner.annotate(document.text, tried, document.id).placed:
            if (fact.entity, fact.relation, fact.value) in listed:
                counts["listed"] += 1
            else:
                counts["listed by another relation" if (fact.entity, fact.value) in pairs else "not listed"] += 1
                unlisted.append((document, fact))
    seconds = time.perf_counter() - started
    figures: dict[str, Any] = {
        "triples": sum(len(document.facts) for document in documents),
        "placed": counts,
        "share listed": round(counts["listed"] / counts.total(), 4),
    }
    return figures | {"documents a second": round(len(documents) / seconds)}, unlisted


def shown(document: StatedDocument, fact: FactRecord) -> str:
    text, start, end = document.text, fact.start or 0, fact.end or 0
    marked = f"{text[:start]}<<{text[start:end]}>>{text[end:]}".replace("\n", " ")
    return f"{fact.entity} | {fact.relation} | {fact.value} || {marked}"


if __name__ == "__main__":
    main()
