"""What folding names of relations does on the paper's annotated files; nothing is tuned here.

    python experiments/relations.py --data DATA/lmlm --out docs/results/relations.json --sample folds.txt

The thresholds of `kb.folding` were chosen on the passages annotated by GPT-4o; the folds that are counted, and a sample
to judge by eye, are those of the Wikipedia articles. Then lookups: the distinct queries of one annotator about entities
of which the other annotator stated facts, before the folds and after.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lamlam.annotate.forms import spellings
from lamlam.corpus.documents import documents_from_paper
from lamlam.evaluate.results import Provenance
from lamlam.files import atomic_write
from lamlam.kb import KnowledgeBase
from lamlam.kb.folding.decisions import Folding, apply_decisions
from lamlam.kb.folding.encoder import load_encoder
from lamlam.kb.folding.judgement import Decision
from lamlam.kb.folding.proposal import Encoder, propose
from lamlam.text import words

WIKIPEDIA, PASSAGES = "wiki-1k_annotator", "squad-train1k_gpt4o"
RAW_GPT, RAW_8B = "squad-10_gpt4o_raw", "squad-30_annotator_raw"
Triple = tuple[str, str, str]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--sample", type=Path, help="where to write 100 accepted folds, drawn with seed 1")
    options.add_argument("--scale", type=int, default=100_000, help="names of the measurement of speed; 0 for none")
    chosen = options.parse_args()
    read = {name: facts_of(chosen.data / f"{name}.json") for name in (WIKIPEDIA, PASSAGES, RAW_GPT, RAW_8B)}
    encoder = load_encoder("minilm")
    results: dict[str, Any] = {"folds": {}, "lookups": {}}
    for name, with_encoder in ((WIKIPEDIA, None), (WIKIPEDIA, encoder), (PASSAGES, None), (PASSAGES, encoder)):
        key = f"{name}, {'with' if with_encoder else 'without'} encoder"
        results["folds"][key], foldings = folds(read[name], with_encoder)
        if chosen.sample and name == WIKIPEDIA and with_encoder:
            write_sample(foldings, chosen.sample)
    gpt, annotator = [*read[PASSAGES], *read[RAW_GPT]], [*read[RAW_8B], *read[WIKIPEDIA]]
    for label, asked, held in (("8B asks GPT-4o", annotator, gpt), ("GPT-4o asks 8B", gpt, annotator)):
        for named, chosen_encoder in (("without encoder", None), ("with encoder", encoder)):
            results["lookups"][f"{label}, {named}"] = lookups(asked, held, chosen_encoder)
    results["lookups"]["GPT-4o asks GPT-4o, other passages"] = across(chosen.data / f"{PASSAGES}.json", encoder)
    if chosen.scale:
        real = [*read[WIKIPEDIA], *read[PASSAGES]]
        results["scale"] = [scale(names, real) for names in (chosen.scale // 4, chosen.scale)]
    with atomic_write(chosen.out) as out:
        json.dump(
            results | Provenance(seed=0, settings={"scale": chosen.scale}).as_json(), out, indent=1, ensure_ascii=False
        )
        out.write("\n")
    print(json.dumps(results, indent=1, ensure_ascii=False))


def facts_of(path: Path) -> list[Triple]:
    calls = (call for document in documents_from_paper(path) for call in document.calls)
    told = ((call.entity, call.relation, call.value) for call in calls)
    return list(dict.fromkeys(triple for triple in told if all(each.strip() for each in triple)))


def folds(triples: list[Triple], encoder: Encoder | None) -> tuple[dict[str, Any], list[Folding]]:
    with KnowledgeBase.open(":memory:") as kb:
        kb.add(triples)
        started = time.perf_counter()
        found = propose(kb.statements, encoder=encoder)
        seconds = time.perf_counter() - started
    accepted = [each for each in found.foldings if each.decision is Decision.ACCEPT]
    return {
        "names": found.names,
        "compared": found.compared,
        "folded names": len({each.name for each in accepted}),
        "facts in folded names": sum({each.name: each.facts[0] for each in accepted}.values()),
        "facts": len(triples),
        "decisions": Counter(str(each.decision) for each in found.foldings),
        "accepted on the ground": Counter(each.ground for each in accepted),
        "seconds": round(seconds, 2),
    }, accepted


def write_sample(accepted: list[Folding], path: Path, size: int = 100) -> None:
    drawn = random.Random(1).sample(accepted, min(size, len(accepted)))
    with atomic_write(path) as out:
        for at, each in enumerate(drawn, 1):
            out.write(f"{at}. {each.name} = {each.into} ({each.ground}; {each.facts}) {each.values}\n")


def lookups(asked: list[Triple], held: list[Triple], encoder: Encoder | None) -> dict[str, Any]:
    """Distinct queries about entities with facts on the other side; `stated` are those whose value stands there."""
    with KnowledgeBase.open(":memory:") as both, KnowledgeBase.open(":memory:") as kb:
        both.add([*asked, *held])
        kb.add(held)
        found = propose(both.statements, encoder=encoder).foldings
        queries = [triple for triple in asked if list(kb.facts(triple[0]))]
        before = Counter(_outcomes(kb, queries))
        applied = apply_decisions(kb, found)
        after = Counter(_outcomes(kb, queries))
    on_values = sum("values" in each.ground for each in found if each.decision is Decision.ACCEPT)
    return {
        "queries": len(queries),
        "entities": len({entity for entity, _, _ in queries}),
        "before": before,
        "after": after,
        "aliases": applied.added,
        "folds by values": on_values,
    }


def across(path: Path, encoder: Encoder | None) -> dict[str, Any]:
    """One annotator against itself: even passages ask about entities of odd ones."""
    documents = list(documents_from_paper(path))
    halves: list[list[Triple]] = [[], []]
    for at, document in enumerate(documents):
        halves[at % 2] += [(c.entity, c.relation, c.value) for c in document.calls if c.relation.strip()]
    return lookups(*(list(dict.fromkeys(half)) for half in halves), encoder)


def _outcomes(kb: KnowledgeBase, queries: Iterable[Triple]) -> Iterator[str]:
    """right, other or none, and by which kind of match; "stated" where the query's value stands under the entity."""
    for entity, relation, value in queries:
        stated = any(_same(value, fact.value) for fact in kb.facts(entity))
        found = kb.lookup(entity, relation)
        answer = "none" if not found.facts else "right" if any(_same(value, v) for v in found.values) else "other"
        answer = f"{answer}, {found.status}" if found.facts else answer
        yield f"stated, {answer}" if stated else f"not stated, {answer}"


def _same(a: str, b: str) -> bool:
    """Whether two values are one by their words in some spelling, or the words of one are all in the other."""
    keys_a, keys_b = ({tuple(w.key for w in words(form)) for form in (value, *spellings(value))} for value in (a, b))
    if keys_a & keys_b:
        return True
    first, second = ({word.key for word in words(value)} for value in (a, b))
    return bool(first and second) and (first <= second or second <= first)


def scale(names: int, real: list[Triple]) -> dict[str, Any]:
    """Time and memory for so many names: real ones, and compounds of two, with the frequencies and values of real ones.

    An entity has six relations, as in the paper's database.
    """
    import resource

    rng = random.Random(0)
    made = dict.fromkeys(relation for _, relation, _ in real)
    pool = list(made)
    while len(made) < names:
        made[f"{rng.choice(pool)} {rng.choice(pool).split()[-1]}"] = None
    facts = []
    for at, relation in enumerate(made):
        for _ in range(min(200, int(rng.paretovariate(1.0)))):
            facts.append((f"E{rng.randrange(len(made) // 3)}", relation, rng.choice(real)[2]))
        facts.append((f"E{at // 6}", relation, rng.choice(real)[2]))
    with KnowledgeBase.open(":memory:") as kb:
        kb.add(facts)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        found = propose(kb.statements)
        seconds = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"names": found.names, "facts": len(facts), "compared": found.compared, "seconds": round(seconds, 1),
            "peak grown by MB": round(grown)}  # fmt: skip


if __name__ == "__main__":
    main()
