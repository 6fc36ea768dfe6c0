"""What a converted model states right, beside its rivals from the same base: docs/results/conversion.json.

    python experiments/conversion.py prepare --out runs/conversion/asked
    python experiments/conversion.py ask RUN --arm converted --asked runs/conversion/asked --out runs/x/arms.json
    python experiments/conversion.py ask BASE --arm rag --asked runs/conversion/asked --out runs/base/arms.json

An arm is one of

    converted   lookups of its own, a call forced at the prompt's end, and lookups forbidden
    plain       a model without lookups: the base, or the base trained further without calls
    rag         the base with retrieved facts and worked examples in its prompt
    rag-tuned   a model trained on texts behind facts, with retrieved facts in its prompt

A model is a run's folder, or a base as `model.path` of a recipe names it. The prompts determine the fact that comes
next: see `evaluate.arms.prompts`.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lamlam.corpus import FactRecord
from lamlam.corpus.files import load_corpus
from lamlam.engine import DecodingSettings, Engine
from lamlam.evaluate.arms.prepared import Prepared, from_probes, prepare
from lamlam.evaluate.arms.prompts import Prompt, sample
from lamlam.evaluate.arms.rag import Rag
from lamlam.evaluate.arms.retrieval import BM25, AllOfEntity, Dense, Retriever
from lamlam.evaluate.arms.rows import Row, answer_in_ways, figures
from lamlam.evaluate.outcome import Outcome
from lamlam.evaluate.results import Provenance
from lamlam.files import atomic_write
from lamlam.kb import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.continuation import load_grown
from lamlam.model.precision import fast_dtype
from lamlam.pretrain.recipe import data_folder
from lamlam.vocab import Vocabulary

SETTINGS = DecodingSettings(max_tokens=16, stop=("\n",), entities="context", relations="known")
ARMS = ("converted", "plain", "rag", "rag-tuned")
RETRIEVERS = ("none", "bm25", "encoder", "entity")


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = options.add_subparsers(dest="command", required=True)
    made = commands.add_parser("prepare", help="make the prompts and the knowledge base from public data")
    made.add_argument("--out", type=Path, required=True)
    asked = commands.add_parser("ask", help="ask one arm everything")
    asked.add_argument("model", type=Path)
    asked.add_argument("--arm", choices=ARMS, required=True)
    asked.add_argument("--asked", type=Path, required=True, help="the folder that `prepare` made")
    asked.add_argument("--out", type=Path, required=True)
    asked.add_argument("--most", type=int, default=300, help="prompts of each group")
    asked.add_argument("--most-webnlg", type=int, default=600)
    asked.add_argument("--facts", type=int, default=10, help="that are retrieved for a prompt")
    asked.add_argument("--groups", nargs="+", default=["text", "question", "webnlg"])
    asked.add_argument("--part", choices=("reported", "calibration"), default="reported")
    asked.add_argument("--ways", nargs="+", default=["own", "forced", "off"], help="of a converted model")
    asked.add_argument("--retrievers", nargs="+", choices=RETRIEVERS, default=list(RETRIEVERS))
    asked.add_argument("--corpus", type=Path, help="with WebNLG's probes and facts  [default: RUN/corpus]")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="decoding settings")
    chosen = options.parse_args(arguments)
    if chosen.command == "prepare":
        prepared = prepare(Path(data_folder()) / "wikipedia", chosen.out)
        print(f"{len(prepared.prompts)} prompts, {len(prepared.facts)} facts in {chosen.out}")
    else:
        ask(chosen)


def ask(chosen: argparse.Namespace) -> None:
    """Ask one arm, and write its figures and rows."""
    prepared = Prepared.read(chosen.asked)
    settings = DecodingSettings.checked(**(SETTINGS.model_dump() | dict(map(_setting, chosen.set))))
    checkpoint = open_checkpoint(chosen.model)
    started, arms = time.monotonic(), {}
    for prompts, kb_path, facts in _sets(chosen, prepared):
        with KnowledgeBase.open(kb_path) as kb:
            engine = Engine(checkpoint.model, checkpoint.vocabulary, kb, dtype=fast_dtype(), batch_size=64)
            examples = prepared.examples if chosen.arm == "rag" else ()
            for name, (rows, seconds) in _answers(engine, chosen, prompts, examples, facts, settings).items():
                told = arms.setdefault(name, {"figures": {}, "answers_a_second": {}, "rows": []})
                told["figures"] |= figures(rows)
                told["answers_a_second"][prompts[0].group] = round(len(rows) / seconds, 2)
                told["rows"] += [row.as_json() for row in rows]
                print(name, *_short(rows, seconds), sep="  ", flush=True)
            digest = kb.digest()
    about = Provenance(seed=chosen.seed, settings=settings.model_dump(), kb_digest=digest).as_json()
    with atomic_write(chosen.out) as out:
        json.dump({"arm": chosen.arm, "seconds": time.monotonic() - started, "arms": arms} | about, out, indent=1)


def open_checkpoint(path: Path) -> Checkpoint:
    """A run's checkpoint; or a base, grown by the control tokens, so that all arms have one vocabulary."""
    if (path / "recipe.yaml").exists():
        return Checkpoint.load(path)
    vocabulary = Vocabulary.extend(path)
    return Checkpoint(load_grown(path, vocabulary), vocabulary)


def _sets(chosen: argparse.Namespace, prepared: Prepared) -> Iterator[tuple[list[Prompt], Path, Sequence[FactRecord]]]:
    """Each group's prompts, the knowledge base to ask and its facts."""
    for group in ("text", "question"):
        prompts = [prompt for prompt in prepared.of(chosen.part) if prompt.group == group]
        if group in chosen.groups:
            yield sample(prompts, chosen.most, chosen.seed), prepared.kb, prepared.facts
    corpus = chosen.corpus or chosen.model / "corpus"
    if "webnlg" in chosen.groups and corpus.is_dir():
        read = load_corpus(corpus)
        prompts = from_probes(read.probes, read.facts, "unseen")
        yield sample(prompts, chosen.most_webnlg, chosen.seed), corpus.parent / "kb.sqlite", read.facts


def _answers(
    engine: Engine,
    chosen: argparse.Namespace,
    prompts: Sequence[Prompt],
    examples: Sequence[Prompt],
    facts: Sequence[FactRecord],
    settings: DecodingSettings,
) -> dict[str, tuple[list[Row], float]]:
    """The rows and seconds of each way in which an arm answers."""
    if chosen.arm == "converted":
        return answer_in_ways(engine, prompts, settings, chosen.ways)
    off = settings.model_copy(update={"lookups": False, "force_call": False})
    if chosen.arm == "plain":
        return answer_in_ways(engine, prompts, off, ["off"])
    found = {}
    for name in chosen.retrievers:
        rag = Rag(_retriever(name, chosen, facts), examples, most=chosen.facts)
        started = time.monotonic()
        rows = rag.answer(engine, prompts, off)
        found[name] = rows, time.monotonic() - started
    return found


def _retriever(name: str, chosen: argparse.Namespace, facts: Sequence[FactRecord]) -> Retriever:
    if name == "bm25":
        return BM25(facts)
    if name == "none":
        return AllOfEntity(())
    return Dense(facts, chosen.asked / "vectors.npy") if name == "encoder" else AllOfEntity(facts)


def _setting(text: str) -> tuple[str, Any]:
    field, _, value = text.partition("=")
    return field, yaml.safe_load(value)


def _short(rows: Sequence[Row], seconds: float) -> Iterator[str]:
    """A line for the screen: of each group the outcomes, the calls and the pace."""
    for group, told in figures(rows).items():
        outcomes = " ".join(f"{each} {100 * told[each]['share']:.1f}%" for each in Outcome)
        calls = " ".join(f"{name} {100 * share['share']:.0f}%" for name, share in told["calls"].items())
        yield f"{group} n={told['n']}: {outcomes} | {calls} | {told['tokens']} tokens, {len(rows) / seconds:.1f}/s"


if __name__ == "__main__":
    main()
