"""The task `tofu`: models are trained, made to forget, and measured; one arm at a time."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.questions import QuestionAnnotator
from lamlam.corpus import FactRecord
from lamlam.engine.engine import Engine
from lamlam.evaluate.evaluation import Evaluation, Unfit
from lamlam.evaluate.results import Share
from lamlam.evaluate.scratch import scratch_copy
from lamlam.evaluate.tofu.measure import Measured, measure
from lamlam.evaluate.tofu.metrics import NEEDS_EXTRA, forget_quality
from lamlam.evaluate.tofu.models import Workshop, corpus_of
from lamlam.evaluate.tofu.pairs import Pair, TofuSets, read_sets
from lamlam.evaluate.tofu.respondent import ModelRespondent
from lamlam.evaluate.tofu.unlearning import METHODS, UnlearningSettings
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.pretrain.training import Run
from lamlam.vocab import Arm

__all__ = ["Point", "TofuResult", "TofuSizes", "compare", "forget_set", "tofu"]


@dataclass(frozen=True, slots=True)
class TofuSizes:
    """How much of TOFU is taken; None is all. Authors are trained on, pairs asked, tokens answered."""

    forget_authors: int | None = None
    retain_authors: int | None = None
    asked: int | None = None
    epochs: int = 5
    max_tokens: int = 200


FULL, QUICK = TofuSizes(), TofuSizes(forget_authors=2, retain_authors=4, asked=12, epochs=8, max_tokens=64)


@dataclass(frozen=True, slots=True)
class Point:
    """One method on one arm: its place in the figure of forget quality against utility, and what that is made of."""

    method: str
    arm: Arm
    forget_quality: float
    measured: Measured

    def as_json(self) -> dict[str, Any]:
        named = {"method": self.method, "arm": self.arm, "forget_quality": self.forget_quality}
        measured = self.measured
        utility = {"utility": measured.utility, "utility_on_retain": measured.utility_on_retain}
        return named | utility | {"parts": measured.as_json()}


@dataclass(frozen=True, slots=True)
class TofuResult:
    """The points of one arm. `annotated` is how many of the pairs have a call; the standard arm's texts have none."""

    points: tuple[Point, ...]
    sets: TofuSets
    annotated: Share
    settings: dict[str, Any]
    task: str = "tofu"

    def figures(self) -> dict[str, Any]:
        """The points as a list, and their two coordinates by method besides."""
        pairs = {"forget": len(self.sets.forget), "retain": len(self.sets.retain)}
        return {
            "forget_quality": {point.method: point.forget_quality for point in self.points},
            "utility": {point.method: point.measured.utility for point in self.points},
            "utility_on_retain": {point.method: point.measured.utility_on_retain for point in self.points},
            "pairs": pairs,
            "annotated": self.annotated.as_json("share"),
            "points": [point.as_json() for point in self.points],
            "settings": self.settings,
        }


def tofu(evaluation: Evaluation) -> dict[str, TofuResult]:
    """The result of the evaluation's arm.

    Raises `MissingData` without the data, `Unfit` without a run's folder or without the libraries that it takes.
    """
    if any(find_spec(library) is None for library in ("scipy", "rouge_score")):
        raise Unfit(NEEDS_EXTRA)
    sizes = QUICK if evaluation.quick else FULL
    folder = evaluation.workspace("tofu") / ("quick" if evaluation.quick else "full")
    data = evaluation.data_at("tofu", "forget10.jsonl").parent
    sets = read_sets(data, forget=sizes.forget_authors, retain=sizes.retain_authors, asked=sizes.asked)
    return {"tofu": compare(evaluation, sets, sizes, folder)}


def compare(evaluation: Evaluation, sets: TofuSets, sizes: TofuSizes, folder: Path) -> TofuResult:
    """Train models on the sets, in `folder`, forget by each of the arm's methods, and measure.

    Raises `Unfit` for a checkpoint without a run's folder.
    """
    workshop = Workshop(
        evaluation.run_folder, evaluation.checkpoint, evaluation.arm, folder, sizes.epochs, evaluation.seed
    )
    annotator = _annotator(evaluation)
    corpus = corpus_of([*sets.forget, *sets.retain], annotator)
    saw = workshop.fine_tune("finetuned", corpus)
    never_saw = workshop.fine_tune("retain", corpus_of(sets.retain, annotator))
    settings = UnlearningSettings(learning_rate=workshop.learning_rate / 10, seed=evaluation.seed)
    asking = _Asking(evaluation, sets, sizes)
    found = {"finetuned": asking.of(saw.folder, saw), "retain": asking.of(never_saw.folder, never_saw)}
    if evaluation.arm == "lmlm":
        with scratch_copy(saw.knowledge_base) as kb:
            forget_set(kb, corpus.facts, sets.forget)
            found["forget"] = asking.with_facts(saw.folder, kb)
    else:
        for method in METHODS:
            found[method] = asking.of(workshop.unlearn(method, saw, sets.forget, sets.retain, settings), saw)
    reference = found["retain"].forget.ratios
    return TofuResult(
        points=tuple(
            Point(method, evaluation.arm, forget_quality(each.forget.ratios, reference), each)
            for method, each in found.items()
        ),
        sets=sets,
        annotated=Share.of([bool(document.calls) for document in corpus.train]),
        settings={"annotator": annotator.name, **asdict(sizes), "unlearning": settings.model_dump()},
    )


@dataclass(frozen=True, slots=True)
class _Asking:
    """How each model is asked: the LMLM with lookups, a standard model without."""

    evaluation: Evaluation
    sets: TofuSets
    sizes: TofuSizes

    def of(self, folder: Path, run: Run) -> Measured:
        """The figures of the model in `folder`, with the knowledge base of a run."""
        with KnowledgeBase.open(run.knowledge_base) as kb:
            return self.with_facts(folder, kb)

    def with_facts(self, folder: Path, kb: KnowledgeBase) -> Measured:
        evaluation = self.evaluation
        lookups = evaluation.arm == "lmlm"
        settings = evaluation.settings.model_copy(update={"max_tokens": self.sizes.max_tokens, "lookups": lookups})
        model = Checkpoint.load(folder, device=evaluation.checkpoint.model.device)
        engine = Engine(model.model, model.vocabulary, kb, device=model.model.device, batch_size=64)
        return measure(ModelRespondent(engine, settings), self.sets, progress=evaluation.progress)


def forget_set(kb: KnowledgeBase, facts: Sequence[FactRecord], pairs: Sequence[Pair]) -> None:
    """Forget what the documents of these pairs state, by their ids as sources; what others state too stays."""
    stated = {fact.document for fact in facts}
    for pair in pairs:
        if pair.id in stated:
            kb.forget(source=pair.id, reason="TOFU: the author is to be forgotten")


def _annotator(evaluation: Evaluation) -> Annotator:
    """A trained tagger where the data has one, in tofu/tagger; else the one for questions, which needs no training."""
    folder = evaluation.data_at("tofu") / "tagger"
    if folder.is_dir():
        from lamlam.annotate.tagger.tagger import Tagger

        return Tagger.open(folder)
    return QuestionAnnotator()
