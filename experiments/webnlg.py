"""Real text, split by subject: both arms on WebNLG, each constraint of the engine in turn.

    python experiments/webnlg.py --lmlm runs/webnlg --standard runs/webnlg-standard --out docs/results/webnlg.json

Trains what is not trained yet (`lamlam pretrain recipes/webnlg.yaml` and `recipes/webnlg-standard.yaml`), then asks
about subjects that stand in training and about those that are only in the knowledge base.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamlam.corpus import Corpus
from lamlam.corpus.files import load_corpus
from lamlam.corpus.split import NameSearch
from lamlam.engine import DecodingSettings, Engine
from lamlam.evaluate.completion import Completions, ProbeRecord, complete, score, scores_json
from lamlam.evaluate.reading import dynamic_perplexity
from lamlam.evaluate.results import Provenance
from lamlam.evaluate.tasks.perplexity import perplexity
from lamlam.files import atomic_write
from lamlam.kb import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.pretrain.recipe import load_recipe
from lamlam.pretrain.training import Run, pretrain

MAIN = DecodingSettings(max_tokens=16, entities="context", relations="known")
VARIANTS: dict[str, dict[str, Any]] = {
    "entities context, relations known": {},
    "entities context, relations known, call forced": {"force_call": True},
    "entities context, relations free": {"relations": "free"},
    "entities known, relations known": {"entities": "known"},
    "entities free, relations free": {"entities": "free", "relations": "free"},
    "lookups off": {"lookups": False},
}
HEADLINE = "entities context, relations known"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--lmlm", type=Path, default=Path("runs/webnlg"))
    options.add_argument("--standard", type=Path, default=Path("runs/webnlg-standard"))
    options.add_argument("--out", type=Path, default=Path("docs/results/webnlg.json"))
    options.add_argument("--sample", type=int, default=200, help="documents a group for the dynamic perplexity")
    chosen = options.parse_args()
    for recipe, folder in (("webnlg", chosen.lmlm), ("webnlg-standard", chosen.standard)):
        pretrain(load_recipe(f"recipes/{recipe}.yaml"), folder)
    results = measure(Run(chosen.lmlm), Run(chosen.standard), chosen.sample)
    with atomic_write(chosen.out) as out:
        json.dump(results, out, indent=1, ensure_ascii=False)
        out.write("\n")
    for group in ("unseen", "seen"):
        for arm in ("lmlm", "standard"):
            figures = results[group][arm]
            print(
                group, arm, {key: figures[key] for key in ("completion", "right_query", "perplexity") if key in figures}
            )


def measure(lmlm: Run, standard: Run, sample: int) -> dict[str, Any]:
    """Every figure, by group ("unseen", "seen") and arm."""
    corpus = load_corpus(lmlm.corpus)
    results: dict[str, Any] = {group: {"lmlm": {}, "standard": {}} for group in ("unseen", "seen")}
    with KnowledgeBase.open(lmlm.knowledge_base) as kb:
        engine = _engine(lmlm, kb)
        for name, changes in VARIANTS.items():
            answered = complete(engine, corpus.probes, MAIN.model_copy(update=changes), batch_size=64, progress=True)
            for group, scores in _by_group(answered).items():
                results[group]["lmlm"].setdefault("decoding", {})[name] = scores
        for group, documents in corpus.heldout.items():
            gold = perplexity(engine.model, engine.vocabulary, documents, "lmlm", progress=True)
            own = dynamic_perplexity(engine, documents, MAIN, sample=sample, progress=True)
            results[group]["lmlm"]["perplexity"] = replace(gold, dynamic=own).figures()
        _measure_standard(_engine(standard, kb), corpus, results)
        digest = kb.digest()
    for group in results.values():
        group["lmlm"] = group["lmlm"]["decoding"][HEADLINE] | group["lmlm"]
    settings = MAIN.model_dump() | {"headline": HEADLINE}
    training = {arm: json.loads(run.summary.read_text()) for arm, run in (("lmlm", lmlm), ("standard", standard))}
    return results | {"training": training} | Provenance(seed=0, settings=settings, kb_digest=digest).as_json()


def _measure_standard(engine: Engine, corpus: Corpus, results: dict[str, Any]) -> None:
    off = MAIN.model_copy(update={"lookups": False})
    for group, scores in _by_group(complete(engine, corpus.probes, off, batch_size=64, progress=True)).items():
        plain = {key: scores[key] for key in ("completion", "n", "interval", "by_entity", "answer_not_in_prompt")}
        gold = perplexity(engine.model, engine.vocabulary, corpus.heldout[group], "standard", progress=True).figures()
        # Without calls the two are one number: what a reader of the LMLM's row compares either with.
        gold["static"] = gold["normalized"] = gold["perplexity"]
        results[group]["standard"] = plain | {"perplexity": gold}


def _engine(run: Run, kb: KnowledgeBase) -> Engine:
    checkpoint = Checkpoint.load(run.folder)
    return Engine(checkpoint.model, checkpoint.vocabulary, kb, batch_size=64)


def _by_group(answered: Completions) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[ProbeRecord]] = defaultdict(list)
    for record in answered.records:
        groups[record.probe.group].append(record)
    return {group: _scores(records) for group, records in groups.items()}


def _scores(records: list[ProbeRecord]) -> dict[str, Any]:
    """The scores of one group; `by_entity` averages over entities, of which a few have most of the probes."""
    figures = scores_json(score(records))
    figures["completion"] = figures.pop("accuracy")
    entities: dict[str, list[ProbeRecord]] = defaultdict(list)
    for record in records:
        entities[record.probe.entity].append(record)
    shares = {
        "completion": [sum(r.right for r in own) / len(own) for own in entities.values()],
        "right_query": [sum(r.right_query for r in own) / len(own) for own in entities.values()],
    }
    figures["by_entity"] = {name: round(sum(each) / len(each), 6) for name, each in shares.items()}
    figures["by_entity"]["entities"] = len(entities)
    hidden = [r for r in records if not NameSearch(r.probe.answers).found_in(r.probe.prompt)]
    figures["answer_not_in_prompt"] = {
        "completion": score(hidden)["accuracy"].as_json("share")["share"],
        "n": len(hidden),
    }
    return figures


if __name__ == "__main__":
    main()
