"""FActScore's way to judge open texts (arXiv 2305.14251): biographies, split into claims, each judged by itself.

A prompt is a name: a model that was trained on texts, not on instructions, continues with what it has to say about it.
With s of the n claims of a text supported, over the texts that claim anything:

    score        the mean of s/n
    penalised    the mean of s/n * exp(1 - gamma/n) if n is below gamma = 10, else of s/n: FActScore's own figure
    precision    all supported claims of all texts, by all claims
    responding   the share of texts that claim anything; the others abstain

`said_unknown` are the texts with the word that is inserted when a lookup finds nothing.
"""

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.corpus import Corpus
from lamlam.corpus.lines import read_text
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import Generator, tracked
from lamlam.evaluate.evaluation import Evaluation, NotApplicable, task
from lamlam.evaluate.judges import Claim, Judge, KnowledgeJudge
from lamlam.evaluate.results import EXAMPLES, Mean, Proportion, Result
from lamlam.kb.store import KnowledgeBase
from lamlam.kb.view import View
from lamlam.markup import UNKNOWN

__all__ = ["GAMMA", "Biography", "factscore", "judged", "scores"]

GAMMA = 10
"""Texts with fewer claims are penalised for their brevity."""

_FULL, _QUICK = 200, 60  # entities of each group
_LEAST_FACTS = 3  # of an entity, for there to be something to say
_MAX_TOKENS = 128
_LIST = ("lmlm", "factscore_entities.txt")


@dataclass(frozen=True, slots=True)
class Biography:
    """What was written about an entity of a group, and its claims; None if the judge gave no verdict."""

    entity: str
    group: str
    text: str
    claims: tuple[Claim, ...] | None

    def as_json(self) -> dict[str, Any]:
        claims = None if self.claims is None else [claim.as_json() for claim in self.claims]
        return {"entity": self.entity, "group": self.group, "text": self.text, "claims": claims}


@task("factscore", "open texts about entities, claim by claim")
def factscore(evaluation: Evaluation) -> Result:
    """Seen and unseen entities of the corpus, and those on FActScore's list that the reference knows.

    The reference is the run's knowledge base, or the one that the evaluation names. Raises `NotApplicable` if it knows
    too little about all of them.
    """
    with ExitStack() as stack:
        kb = stack.enter_context(KnowledgeBase.open(evaluation.kb_path))
        reference = stack.enter_context(KnowledgeBase.open(evaluation.reference)) if evaluation.reference else kb
        number, listed = evaluation.size(_FULL, _QUICK), _listed(evaluation.data)
        known = [name for name in listed if _is_known(name, reference)]
        chosen = _entities(evaluation.corpus, reference, number, random.Random(evaluation.seed))
        chosen += [(name, "listed") for name in known[:number]]
        if not chosen:
            raise NotApplicable(f"the reference knows no entity of the corpus by {_LEAST_FACTS} facts or more")
        judge: Judge = evaluation.judge.open(reference) if evaluation.judge else KnowledgeJudge(reference)
        ways = {"plain": False} if evaluation.arm == "standard" else {"free": True, "off": False}
        engine, common = evaluation.engine_on(kb), {"max_tokens": _MAX_TOKENS, "force_call": False}
        parts = {}
        for way, lookups in ways.items():
            settings = evaluation.settings.model_copy(update=common | {"lookups": lookups})
            parts[way] = _result(judged(engine, judge, chosen, settings, progress=evaluation.progress))
    about = {"judge": judge.name, "gamma": GAMMA, "listed": len(listed), "listed_known": len(known)}
    return Result("factscore", more=about, parts=parts)


def judged(
    engine: Generator,
    judge: Judge,
    entities: Sequence[tuple[str, str]],
    settings: DecodingSettings,
    *,
    progress: bool = False,
) -> list[Biography]:
    """Write and judge the biographies of entities, given as (name, group)."""
    generations = engine.generate([entity for entity, _ in entities], settings)
    texts = [entity + generation.text for (entity, _), generation in zip(entities, generations, strict=True)]
    biographies = []
    for (entity, group), text in tracked(list(zip(entities, texts, strict=True)), "claims", progress):
        claims = judge.judge(entity, text)
        biographies.append(Biography(entity, group, text, None if claims is None else tuple(claims)))
    return biographies


def scores(biographies: Sequence[Biography]) -> dict[str, Any]:
    """The figures of some biographies; those without a verdict count as `unjudged`, and in nothing else."""
    verdicts = [biography.claims for biography in biographies if biography.claims is not None]
    claiming = [claims for claims in verdicts if claims]
    supported = [sum(claim.supported for claim in claims) for claims in claiming]
    shares = [hits / len(claims) for hits, claims in zip(supported, claiming, strict=True)]
    penalties = [math.exp(min(0.0, 1 - GAMMA / len(claims))) for claims in claiming]
    penalised = [share * penalty for share, penalty in zip(shares, penalties, strict=True)]
    unknown = [UNKNOWN in biography.text[len(biography.entity) :] for biography in biographies]
    measured = {
        "score": Mean.of(shares).as_json("mean"),
        "penalised": Mean.of(penalised).as_json("mean"),
        "claims_per_text": Mean.of(len(claims) for claims in claiming).as_json("mean"),
    }
    counted = {
        "precision": Proportion(sum(supported), sum(map(len, claiming))).as_json("share"),
        "responding": Proportion(len(claiming), len(verdicts)).as_json("share"),
        "said_unknown": Proportion.of(unknown).as_json("share"),
    }
    plain = {name: mean["mean"] for name, mean in measured.items()}
    plain |= {name: proportion["share"] for name, proportion in counted.items()}
    counts = {"texts": len(biographies), "unjudged": len(biographies) - len(verdicts)}
    return plain | counts | {"detail": measured | counted}


def _result(biographies: Sequence[Biography]) -> Result:
    groups: dict[str, list[Biography]] = defaultdict(list)
    for biography in biographies:
        groups[biography.group].append(biography)
    by_group = {group: scores(groups[group]) for group in sorted(groups)}
    examples = [biography.as_json() for group in groups.values() for biography in group[:EXAMPLES]]
    return Result("factscore", more=scores(biographies) | by_group, examples=examples, rows=biographies)


def _entities(corpus: Corpus, reference: View, number: int, rng: random.Random) -> list[tuple[str, str]]:
    """(name, group) of at most `number` entities of each group of probes that the reference knows."""
    groups: dict[str, set[str]] = defaultdict(set)
    for probe in corpus.probes:
        groups[probe.group].add(probe.entity)
    chosen: list[tuple[str, str]] = []
    for group in sorted(groups):
        names = sorted(groups[group])
        rng.shuffle(names)
        chosen += [(name, group) for name in names if _is_known(name, reference)][:number]
    return chosen


def _is_known(name: str, reference: View) -> bool:
    facts = reference.facts(name)
    return sum(1 for _ in zip(range(_LEAST_FACTS), facts, strict=False)) == _LEAST_FACTS


def _listed(data: Path | None) -> list[str]:
    """FActScore's people, if the list is there."""
    path = data.joinpath(*_LIST) if data is not None else None
    return [line.strip() for line in read_text(path).splitlines() if line.strip()] if path and path.exists() else []
