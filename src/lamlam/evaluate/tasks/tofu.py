"""The task `tofu`: is a set of invented authors forgotten, and is everything else still known? (arXiv 2401.06121)

Models are trained, made to forget, and measured; one arm at a time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.questions import QuestionAnnotator
from lamlam.corpus import FactRecord
from lamlam.engine.engine import Engine
from lamlam.evaluate.evaluation import Evaluation, NotApplicable, scratch_copy, task
from lamlam.evaluate.results import Proportion, Result
from lamlam.evaluate.tofu import (
    NEEDS_EXTRA,
    ModelRespondent,
    QuestionPair,
    TofuScores,
    TofuSets,
    forget_quality,
    read_sets,
    score_sets,
    utility,
)
from lamlam.evaluate.unlearning import METHODS, ModelCache, UnlearningSettings, corpus_of
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint

__all__ = ["TofuSizes", "compare", "forget_set"]


@dataclass(frozen=True, slots=True)
class TofuSizes:
    """How much of TOFU is taken; None is all. Authors are trained on, pairs asked, tokens answered."""

    forget_authors: int | None = None
    retain_authors: int | None = None
    asked: int | None = None
    epochs: int = 5
    max_tokens: int = 200


FULL, QUICK = TofuSizes(), TofuSizes(forget_authors=2, retain_authors=4, asked=12, epochs=8, max_tokens=64)


@task("tofu", "a set of authors unlearnt, and what is still known (TOFU)")
def tofu(evaluation: Evaluation) -> Result:
    """Raises `MissingData` without the data, `NotApplicable` without a run's folder or the libraries that it takes."""
    if any(find_spec(library) is None for library in ("scipy", "rouge_score")):
        raise NotApplicable(NEEDS_EXTRA)
    sizes = QUICK if evaluation.quick else FULL
    folder = evaluation.workspace("tofu") / ("quick" if evaluation.quick else "full")
    data = evaluation.data_at("tofu", "forget10.jsonl").parent
    sets = read_sets(data, forget=sizes.forget_authors, retain=sizes.retain_authors, asked=sizes.asked)
    return compare(evaluation, sets, sizes, folder)


def compare(evaluation: Evaluation, sets: TofuSets, sizes: TofuSizes, folder: Path) -> Result:
    """Train models on the sets, in `folder`, forget by each of the arm's methods, and measure.

    A point is a method's place in the figure of forget quality against utility. `annotated` is how many of the pairs
    have a call; the standard arm's texts have none. Raises `NotApplicable` for a checkpoint without a run's folder.
    """
    cache = ModelCache(
        evaluation.run_folder, evaluation.checkpoint, evaluation.arm, folder, sizes.epochs, evaluation.seed
    )
    annotator = _annotator(evaluation)
    corpus = corpus_of([*sets.forget, *sets.retain], annotator)
    saw = cache.fine_tune("finetuned", corpus)
    never_saw = cache.fine_tune("retain", corpus_of(sets.retain, annotator))
    settings = UnlearningSettings(learning_rate=cache.learning_rate / 10, seed=evaluation.seed)

    def scores(model: Path, facts: Path) -> TofuScores:
        with KnowledgeBase.open(facts) as kb:
            return _scores(evaluation, sets, sizes, model, kb)

    found = {
        "finetuned": scores(saw.folder, saw.knowledge_base),
        "retain": scores(never_saw.folder, never_saw.knowledge_base),
    }
    if evaluation.arm == "lmlm":
        with scratch_copy(saw.knowledge_base) as kb:
            forget_set(kb, corpus.facts, sets.forget)
            found["forget"] = _scores(evaluation, sets, sizes, saw.folder, kb)
    else:
        for method in METHODS:
            unlearnt = cache.unlearn(method, saw, sets.forget, sets.retain, settings)
            found[method] = scores(unlearnt, saw.knowledge_base)
    reference = found["retain"]["forget"].ratios
    points = [
        {
            "method": method,
            "arm": evaluation.arm,
            "forget_quality": forget_quality(by_set["forget"].ratios, reference),
            "utility": utility(by_set),
            "utility_on_retain": utility(by_set, ["retain"]),
            "parts": {name: scored.as_json() for name, scored in by_set.items()}
            | {"examples": list(by_set["forget"].examples)},
        }
        for method, by_set in found.items()
    ]
    coordinates = ("forget_quality", "utility", "utility_on_retain")
    figures: dict[str, Any] = {name: {point["method"]: point[name] for point in points} for name in coordinates}
    figures |= {
        "pairs": {"forget": len(sets.forget), "retain": len(sets.retain)},
        "annotated": Proportion.of(bool(document.calls) for document in corpus.train).as_json("share"),
        "points": points,
        "settings": {"annotator": annotator.name, **asdict(sizes), "unlearning": settings.model_dump()},
    }
    return Result("tofu", more=figures)


def _scores(evaluation: Evaluation, sets: TofuSets, sizes: TofuSizes, folder: Path, kb: KnowledgeBase) -> TofuScores:
    """The scores of the model in `folder` with the facts of `kb`; a standard model makes no lookups."""
    lookups = evaluation.arm == "lmlm"
    settings = evaluation.settings.model_copy(update={"max_tokens": sizes.max_tokens, "lookups": lookups})
    model = Checkpoint.load(folder, device=evaluation.checkpoint.model.device)
    engine = Engine(model.model, model.vocabulary, kb, device=model.model.device, batch_size=64)
    return score_sets(ModelRespondent(engine, settings), sets, progress=evaluation.progress)


def forget_set(kb: KnowledgeBase, facts: Sequence[FactRecord], pairs: Sequence[QuestionPair]) -> None:
    """Forget what the documents of these pairs state, by their ids as sources; what others state too stays."""
    sources = {fact.document for fact in facts}
    for pair in pairs:
        if pair.id in sources:
            kb.forget(source=pair.id, reason="TOFU: the author is to be forgotten")


def _annotator(evaluation: Evaluation) -> Annotator:
    """A trained tagger if the data has one, in tofu/tagger; else the one for questions, which needs no training."""
    folder = evaluation.data_at("tofu") / "tagger"
    if folder.is_dir():
        from lamlam.annotate.tagger.tagger import Tagger

        return Tagger.open(folder)
    return QuestionAnnotator()
