"""FActScore's way to judge open texts (arXiv 2305.14251): biographies, split into claims, each judged by itself.

A prompt is a name: a model that was trained on texts, not on orders, goes on with what it has to say of it. With s of
the n claims of a text supported, over the texts that claim anything:

    score        the mean of s/n
    penalised    the mean of s/n * exp(1 - gamma/n) where n is below gamma = 10, else of s/n: FActScore's own figure
    precision    all supported claims of all texts, by all claims
    responding   the share of texts that claim anything; the others abstain

`said_unknown` are the texts with the word that enters where a lookup finds nothing.
"""

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from lamlam.corpus import Corpus
from lamlam.corpus.lines import read_text
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import Generator
from lamlam.evaluate.evaluation import Evaluation, Unfit
from lamlam.evaluate.factscore.claims import Claim, Judge
from lamlam.evaluate.factscore.knowledge import KnowledgeJudge
from lamlam.evaluate.means import Mean
from lamlam.evaluate.results import Share
from lamlam.kb.store import KnowledgeBase
from lamlam.kb.view import View
from lamlam.markup import UNKNOWN

__all__ = ["GAMMA", "Biography", "FactScoreResult", "factscore", "judged", "scores"]

GAMMA = 10
"""Claims below which a text is penalised for its shortness."""

_FULL, _QUICK = 200, 60  # entities of each group
_LEAST_FACTS = 3  # of an entity, for there to be something to tell
_MAX_TOKENS = 128
_EXAMPLES = 3
_LIST = ("lmlm", "factscore_entities.txt")


@dataclass(frozen=True, slots=True)
class Biography:
    """What was written about an entity of a group, and its claims; None where the judge gave no verdict."""

    entity: str
    group: str
    text: str
    claims: tuple[Claim, ...] | None

    def as_json(self) -> dict[str, Any]:
        claims = None if self.claims is None else [claim.as_json() for claim in self.claims]
        return {"entity": self.entity, "group": self.group, "text": self.text, "claims": claims}


@dataclass(frozen=True, slots=True)
class FactScoreResult:
    """The biographies of each way of writing, and what is known of the question."""

    ways: Mapping[str, Sequence[Biography]]
    about: Mapping[str, Any]
    task: str = "factscore"

    def figures(self) -> dict[str, Any]:
        return dict(self.about) | {way: _figures(biographies) for way, biographies in self.ways.items()}


def factscore(evaluation: Evaluation) -> dict[str, FactScoreResult]:
    """Seen and unseen entities of the corpus, and those of FActScore's list that the reference knows.

    The reference is the run's knowledge base, or the one that the evaluation names. Raises `Unfit` where it knows too
    little of any of them.
    """
    with ExitStack() as stack:
        kb = stack.enter_context(KnowledgeBase.open(evaluation.kb_path))
        reference = stack.enter_context(KnowledgeBase.open(evaluation.reference)) if evaluation.reference else kb
        number, rng = evaluation.size(_FULL, _QUICK), random.Random(evaluation.seed)
        chosen, known = _entities(evaluation.corpus, _listed(evaluation.data), reference, number, rng)
        if not chosen:
            raise Unfit(f"the reference knows no entity of the corpus by {_LEAST_FACTS} facts or more")
        judge: Judge = evaluation.judge.open(reference) if evaluation.judge else KnowledgeJudge(reference)
        ways = {"plain": False} if evaluation.arm == "standard" else {"free": True, "off": False}
        engine = evaluation.engine_on(kb)
        results = {
            way: judged(engine, judge, chosen, _settings(evaluation.settings, lookups), progress=evaluation.progress)
            for way, lookups in ways.items()
        }
    return {"factscore": FactScoreResult(results, {"judge": judge.name, "gamma": GAMMA} | known)}


def judged(
    engine: Generator,
    judge: Judge,
    entities: Sequence[tuple[str, str]],
    settings: DecodingSettings,
    *,
    progress: bool = False,
) -> list[Biography]:
    """The biographies of entities, given as (name, group), written and judged."""
    generations = engine.generate([entity for entity, _ in entities], settings)
    texts = [entity + generation.text for (entity, _), generation in zip(entities, generations, strict=True)]
    pairs = list(zip(entities, texts, strict=True))
    console = Console(stderr=True)
    biographies = []
    for (entity, group), text in track(pairs, "claims", console=console, transient=True, disable=not progress):
        claims = judge.judge(entity, text)
        biographies.append(Biography(entity, group, text, None if claims is None else tuple(claims)))
    return biographies


def scores(biographies: Sequence[Biography]) -> dict[str, Any]:
    """The figures of some biographies; those without a verdict are counted as `unjudged`, and in nothing else."""
    verdicts = [biography.claims for biography in biographies if biography.claims is not None]
    claiming = [claims for claims in verdicts if claims]
    supported = [sum(claim.supported for claim in claims) for claims in claiming]
    shares = [hits / len(claims) for hits, claims in zip(supported, claiming, strict=True)]
    penalised = [share * _penalty(len(claims)) for share, claims in zip(shares, claiming, strict=True)]
    measured = {
        "score": Mean.of(shares).as_json("mean"),
        "penalised": Mean.of(penalised).as_json("mean"),
        "claims_per_text": Mean.of(len(claims) for claims in claiming).as_json("mean"),
    }
    counted = {
        "precision": Share(sum(supported), sum(map(len, claiming))).as_json("share"),
        "responding": Share(len(claiming), len(verdicts)).as_json("share"),
        "said_unknown": Share.of([UNKNOWN in each.text[len(each.entity) :] for each in biographies]).as_json("share"),
    }
    plain = {name: each["mean"] for name, each in measured.items()}
    plain |= {name: each["share"] for name, each in counted.items()}
    counts = {"texts": len(biographies), "unjudged": len(biographies) - len(verdicts)}
    return plain | counts | {"detail": measured | counted}


def _penalty(claims: int) -> float:
    return 1.0 if claims >= GAMMA else math.exp(1 - GAMMA / claims)


def _figures(biographies: Sequence[Biography]) -> dict[str, Any]:
    groups: dict[str, list[Biography]] = defaultdict(list)
    for biography in biographies:
        groups[biography.group].append(biography)
    by_group = {group: scores(groups[group]) for group in sorted(groups)}
    examples = [each for group in groups.values() for each in group[:_EXAMPLES]]
    return scores(biographies) | by_group | {"examples": [each.as_json() for each in examples]}


def _entities(
    corpus: Corpus, listed: Sequence[str], reference: View, number: int, rng: random.Random
) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """(name, group) of at most `number` entities of each group of probes, and of the list's that are known."""
    groups: dict[str, set[str]] = defaultdict(set)
    for probe in corpus.probes:
        groups[probe.group].add(probe.entity)
    chosen: list[tuple[str, str]] = []
    for group in sorted(groups):
        names = sorted(groups[group])
        rng.shuffle(names)
        chosen += [(name, group) for name in names if _is_known(name, reference)][:number]
    known = [name for name in listed if _is_known(name, reference)]
    return chosen + [(name, "listed") for name in known[:number]], {"listed": len(listed), "listed_known": len(known)}


def _is_known(name: str, reference: View) -> bool:
    facts = reference.facts(name)
    return sum(1 for _ in zip(range(_LEAST_FACTS), facts, strict=False)) == _LEAST_FACTS


def _listed(data: Path | None) -> list[str]:
    """FActScore's people, where the list is there."""
    path = data.joinpath(*_LIST) if data is not None else None
    return [line.strip() for line in read_text(path).splitlines() if line.strip()] if path and path.exists() else []


def _settings(settings: DecodingSettings, lookups: bool) -> DecodingSettings:
    return settings.model_copy(update={"max_tokens": _MAX_TOKENS, "lookups": lookups, "force_call": False})
