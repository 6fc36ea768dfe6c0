"""What a converted model states right, beside its rivals from the same base.

    python experiments/conversion.py prepare --asked runs/asked --base BASE
    python experiments/conversion.py measure RUN --arm converted --asked runs/asked --corpus RUN/corpus
    python experiments/conversion.py measure BASE --arm rag --asked runs/asked --corpus RUN/corpus --out runs/base.json
    python experiments/conversion_page.py --converted RUN/arms.json ... --out docs/results/conversion.json

An arm is one of

    converted   lookups of its own, a call forced at the prompt's end, and lookups forbidden
    plain       a model without lookups: the base, or the base trained further without calls
    rag         the base with retrieved facts and worked examples in its prompt
    rag-tuned   a model trained on texts behind facts (`facts` in a recipe), with retrieved facts in its prompt

What is measured: `prompts` (text and question: they determine the fact that comes next, see `evaluate.arms.prompts`),
`webnlg` (the probes of unseen subjects in RUN/corpus), `calls` (asked and needless, by the bias on calls), `known`
(facts that the base knows), `language` (bits a byte on unseen subjects, BLiMP). A part is written to the file as soon
as it is there, and what is there is not measured again without --again.
"""

import argparse
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from lamlam.corpus import FactRecord
from lamlam.corpus.files import load_corpus
from lamlam.engine import DecodingSettings, Engine
from lamlam.evaluate.arms.calls import asked_and_needless, best_bias, call_margins, curve
from lamlam.evaluate.arms.known import STATES, chosen_rivals, facts_in, knowledge_in, prompts_in
from lamlam.evaluate.arms.prepared import Prepared, from_probes, prepare, prepare_known
from lamlam.evaluate.arms.prompts import Prompt, sample
from lamlam.evaluate.arms.rag import Rag, worked_examples
from lamlam.evaluate.arms.retrieval import BM25, AllOfEntity, Dense, Retriever
from lamlam.evaluate.arms.rows import Row, answer, answer_in_ways, figures
from lamlam.evaluate.outcome import Outcome
from lamlam.evaluate.results import Provenance
from lamlam.evaluate.tasks.blimp import first_pairs, judge_pairs, read_pairs, scorers
from lamlam.evaluate.tasks.perplexity import perplexity
from lamlam.files import atomic_write
from lamlam.kb import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.continuation import load_grown
from lamlam.model.precision import fast_dtype
from lamlam.model.weights import model_digest
from lamlam.pretrain.recipe import data_folder
from lamlam.vocab import Vocabulary

SETTINGS = DecodingSettings(max_tokens=16, stop=("\n",), entities="context", relations="known")
ARMS = ("converted", "plain", "rag", "rag-tuned")
RETRIEVERS = ("none", "bm25", "encoder", "entity")
WAYS = ("own", "forced", "off")
PARTS = ("prompts", "webnlg", "calls", "known", "language")

Answers = dict[str, tuple[list[Row], float]]


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = options.add_subparsers(dest="command", required=True)
    made = commands.add_parser("prepare", help="make prompts and knowledge bases from public data")
    made.add_argument("--asked", type=Path, required=True, help="the folder to make")
    made.add_argument("--base", type=Path, help="the model that is asked what it knows by heart")
    asked = commands.add_parser("measure", help="measure one arm")
    asked.add_argument("model", type=Path)
    asked.add_argument("--arm", choices=ARMS, required=True)
    asked.add_argument("--asked", type=Path, required=True, help="the folder that `prepare` made")
    asked.add_argument("--out", type=Path, help="needed for a file; [default: MODEL/arms.json]")
    asked.add_argument("--corpus", type=Path, help="with WebNLG's probes, facts and texts  [default: MODEL/corpus]")
    asked.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    asked.add_argument("--part", choices=("reported", "calibration"), default="reported", help="of the prompts")
    asked.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="of a converted model")
    asked.add_argument("--retrievers", nargs="+", choices=RETRIEVERS, default=list(RETRIEVERS))
    asked.add_argument("--facts", type=int, default=10, help="that are retrieved for a prompt")
    asked.add_argument("--most", type=int, default=300, help="prompts of each group")
    asked.add_argument("--most-webnlg", type=int, default=600)
    asked.add_argument("--documents", type=int, default=200, help="texts for bits a byte")
    asked.add_argument("--seed", type=int, default=0, help="of what is sampled")
    asked.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="decoding settings")
    asked.add_argument("--again", action="store_true", help="measure what is measured already once more")
    chosen = options.parse_args(arguments)
    if chosen.command == "measure":
        measure(chosen)
        return
    prepared = prepare(Path(data_folder()) / "wikipedia", chosen.asked)
    print(f"{len(prepared.prompts)} prompts, {len(prepared.facts)} facts in {chosen.asked}")
    if chosen.base:
        with KnowledgeBase.open(prepared.kb) as kb:
            known = prepare_known(Path(data_folder()) / "pararel", chosen.asked, _engine(open_model(chosen.base), kb))
        print(f"{len(known)} facts that the base knows")


@dataclass(frozen=True, slots=True)
class Arm:
    """A model, how it is asked, and what: everything that the parts below need."""

    chosen: argparse.Namespace
    checkpoint: Checkpoint
    prepared: Prepared
    settings: DecodingSettings
    _worked: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def off(self) -> DecodingSettings:
        return self.settings.model_copy(update={"lookups": False, "force_call": False})

    @property
    def corpus(self) -> Path:
        return self.chosen.corpus or self.chosen.model / "corpus"

    def answers(
        self, kb: KnowledgeBase, prompts: Sequence[Prompt], facts: Sequence[FactRecord], ways: Collection[str]
    ) -> Answers:
        """The rows and seconds of each of these ways in which the arm answers."""
        engine = _engine(self.checkpoint, kb)
        if self.chosen.arm == "converted":
            return answer_in_ways(engine, prompts, self.settings, [way for way in self.chosen.ways if way in ways])
        if self.chosen.arm == "plain":
            return {"off": _timed(lambda: answer(engine, prompts, self.off))}
        answered = {}
        for name in (each for each in self.chosen.retrievers if each in ways):
            rag = Rag(self._retriever(name, facts), self._examples(name), most=self.chosen.facts)
            answered[name] = _timed(partial(rag.answer, engine, prompts, self.off))
        return answered

    def _retriever(self, name: str, facts: Sequence[FactRecord]) -> Retriever:
        if name == "bm25":
            return BM25(facts)
        if name == "encoder":
            return Dense(facts, self.prepared.folder / "vectors")
        return AllOfEntity(facts if name == "entity" else ())

    def _examples(self, name: str) -> Mapping[str, str]:
        """Those of the base; a model that was trained to be shown facts needs none."""
        if self.chosen.arm == "rag-tuned":
            return {}
        if name not in self._worked:
            retriever = self._retriever(name, self.prepared.facts)
            self._worked[name] = worked_examples(retriever, self.prepared.examples, most=self.chosen.facts)
        return self._worked[name]


def measure(chosen: argparse.Namespace) -> None:
    """Measure the parts asked for, and write each to the file as it ends."""
    out = chosen.out or chosen.model / "arms.json"
    found = json.loads(out.read_text()) if out.exists() else {}
    settings = DecodingSettings.checked(**(SETTINGS.model_dump() | dict(map(_setting, chosen.set))))
    arm = Arm(chosen, open_model(chosen.model), Prepared.read(chosen.asked), settings)
    digest = model_digest(arm.checkpoint.model)
    for part in chosen.parts:
        if part in found and not chosen.again:
            print(f"{part} was measured before")
            continue
        started = time.monotonic()
        told = _MEASURES[part](arm)
        seconds = round(time.monotonic() - started, 1)
        about = Provenance(seed=chosen.seed, settings=settings.model_dump(mode="json")).as_json()
        found |= {"arm": chosen.arm, "weights": digest, part: told | {"seconds": seconds} | about}
        with atomic_write(out) as file:
            json.dump(found, file, indent=1, ensure_ascii=False)
        print(f"{part}: {seconds} s", flush=True)


def ask_prompts(arm: Arm) -> dict[str, Any]:
    """Text and questions, of the part asked for."""
    prompts = sample(arm.prepared.of(arm.chosen.part), arm.chosen.most, arm.chosen.seed)
    with KnowledgeBase.open(arm.prepared.kb) as kb:
        return _told(arm, kb, prompts, arm.prepared.facts)


def ask_webnlg(arm: Arm) -> dict[str, Any]:
    """The probes of subjects that no training text mentions."""
    corpus = load_corpus(arm.corpus)
    prompts = sample(from_probes(corpus.probes, corpus.facts, "unseen"), arm.chosen.most_webnlg, arm.chosen.seed)
    facts = list({(fact.entity, fact.relation, fact.value): fact for fact in corpus.facts}.values())
    with KnowledgeBase.open(arm.corpus.parent / "kb.sqlite") as kb:
        return _told(arm, kb, prompts, facts)


def ask_calls(arm: Arm) -> dict[str, Any]:
    """Whether it asks at once where a fact comes next, and where none does.

    The bias on calls is chosen on the calibration part, and both are told of the reported part.
    """
    if arm.chosen.arm != "converted":
        return {"skipped": "the arm makes no calls"}
    model = Checkpoint(arm.checkpoint.model.to(fast_dtype()), arm.checkpoint.vocabulary)
    margins = {
        (part, kind): call_margins(model, texts)
        for part in ("calibration", "reported")
        for kind, texts in (
            ("text", [prompt.text for prompt in arm.prepared.of(part) if prompt.group == "text"]),
            ("plain", [text for text, own in arm.prepared.plain if own == part][: arm.chosen.most]),
        )
    }
    bias = best_bias(margins["calibration", "text"], margins["calibration", "plain"])
    text, plain = margins["reported", "text"], margins["reported", "plain"]
    return {
        "without_bias": asked_and_needless(text, plain, 0.0),
        "calibrated": asked_and_needless(text, plain, bias),
        "curve": curve(text, plain),
    }


def ask_known(arm: Arm) -> dict[str, Any]:
    """Facts that the base knows, under each state of the knowledge base."""
    prompts, facts = arm.prepared.known()
    rivals = chosen_rivals(prompts, facts, arm.chosen.seed)
    told: dict[str, Any] = {}
    for state in STATES:
        asked = prompts_in(state, prompts, rivals)
        with knowledge_in(state, arm.prepared.known_kb, rivals) as kb:
            ways = ("own", "forced", "bm25", "entity") if state != "whole" else (*WAYS, "bm25", "entity")
            told[state] = _told(arm, kb, asked, facts_in(state, facts, rivals), ways)
        if arm.chosen.arm == "plain":
            break  # it reads no knowledge base
    return told


def ask_language(arm: Arm) -> dict[str, Any]:
    """Bits a byte on texts about unseen subjects, and minimal pairs of English."""
    model, vocabulary = arm.checkpoint.model.to(fast_dtype()), arm.checkpoint.vocabulary
    documents = sorted(load_corpus(arm.corpus).heldout["unseen"], key=lambda document: document.id)
    kind = "lmlm" if arm.chosen.arm == "converted" else "standard"
    read = perplexity(model, vocabulary, documents[:: max(1, len(documents) // arm.chosen.documents)], kind)
    pairs = first_pairs(read_pairs(Path(data_folder()) / "blimp" / "pairs.jsonl"), 30)
    raw, text = scorers(Checkpoint(model, vocabulary))
    judged = judge_pairs(pairs, raw, text).figures()
    return {"perplexity": read.figures(), "blimp": {name: judged[name] for name in ("raw", "text", "detail", "pairs")}}


_MEASURES: Mapping[str, Callable[[Arm], dict[str, Any]]] = {
    "prompts": ask_prompts,
    "webnlg": ask_webnlg,
    "calls": ask_calls,
    "known": ask_known,
    "language": ask_language,
}


def open_model(path: Path) -> Checkpoint:
    """A run's checkpoint; or a base, grown by the control tokens, so that all arms have one vocabulary."""
    if (path / "recipe.yaml").exists():
        return Checkpoint.load(path)
    vocabulary = Vocabulary.extend(path)
    return Checkpoint(load_grown(path, vocabulary), vocabulary)


def _engine(checkpoint: Checkpoint, kb: KnowledgeBase) -> Engine:
    return Engine(checkpoint.model, checkpoint.vocabulary, kb, dtype=fast_dtype(), batch_size=64)


def _told(
    arm: Arm,
    kb: KnowledgeBase,
    prompts: Sequence[Prompt],
    facts: Sequence[FactRecord],
    ways: Collection[str] = (*WAYS, *RETRIEVERS),
) -> dict[str, Any]:
    """Figures and rows of every way in which an arm answers."""
    told: dict[str, Any] = {"knowledge_base": kb.digest(), "ways": {}}
    for way, (rows, seconds) in arm.answers(kb, prompts, facts, ways).items():
        told["ways"][way] = {
            "figures": figures(rows),
            "answers_a_second": round(len(rows) / seconds, 2),
            "rows": [row.as_json() for row in rows],
        }
        print(*_short(way, rows, seconds), sep="\n", flush=True)
    return told


def _timed(answered: Callable[[], list[Row]]) -> tuple[list[Row], float]:
    started = time.monotonic()
    return answered(), time.monotonic() - started


def _setting(text: str) -> tuple[str, Any]:
    field, _, value = text.partition("=")
    return field, yaml.safe_load(value)


def _short(way: str, rows: Sequence[Row], seconds: float) -> Iterator[str]:
    """A line for the screen for each group: the outcomes, the calls and the pace."""
    for group, told in figures(rows).items():
        outcomes = " ".join(f"{each} {100 * told[each]['share']:.1f}%" for each in Outcome)
        calls = " ".join(f"{name} {100 * share['share']:.0f}%" for name, share in told["calls"].items())
        yield (
            f"{way:8} {group} n={told['n']}: {outcomes}, strict {100 * told['strict']['share']:.1f}% | {calls} | "
            f"{told['tokens']} tokens, {len(rows) / seconds:.1f}/s"
        )


if __name__ == "__main__":
    main()
