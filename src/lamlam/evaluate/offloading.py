"""Offloading: perplexity and facts as more and more of the facts are looked up (arXiv 2505.15962).

A model is trained for each share of the facts, which are chosen at random or hardest first; see `pretrain.offloading`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lamlam.corpus.files import load_corpus
from lamlam.evaluate.completion import CompletionResult
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.heldout import perplexities
from lamlam.evaluate.perplexity import PerplexityResult
from lamlam.evaluate.twins import Twins
from lamlam.model.checkpoint import Checkpoint

__all__ = ["OffloadingResult", "OffloadingStep", "offloading"]

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_QUICK_SHARES = (0.0, 0.5, 1.0)
_HELDOUT = (200, 60)
"""Held-out documents of a group, and with `quick`."""


@dataclass(frozen=True, slots=True)
class OffloadingStep:
    """The model that looks up `share` of the facts; its perplexity is on texts with calls for the same facts."""

    policy: str
    share: float
    perplexity: PerplexityResult
    completion: CompletionResult

    def as_json(self) -> dict[str, Any]:
        said = {group: scores.as_json() for group, scores in self.completion.groups().items()}
        return {"policy": self.policy, "share": self.share, "perplexity": self.perplexity.figures()} | said


@dataclass(frozen=True, slots=True)
class OffloadingResult:
    """A step for each policy and share; nothing and everything offloaded are the same for both policies."""

    tokens: int
    steps: tuple[OffloadingStep, ...]
    task: str = "offloading"

    def figures(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "steps": [step.as_json() for step in self.steps]}


def offloading(evaluation: Evaluation) -> dict[str, OffloadingResult]:
    """Train a twin for each share and policy and measure it.

    What is hard is told by the twin that offloads nothing: it has read the same texts without a call.
    """
    twins = Twins(evaluation)
    steps = [_measured(evaluation, policy, share, _twin(twins, policy, share)) for policy, share in _plan(evaluation)]
    return {"offloading": OffloadingResult(twins.tokens, tuple(steps))}


def _plan(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    shares = _QUICK_SHARES if evaluation.quick else _SHARES
    for policy in ("random", "hardest"):
        for share in shares:
            if 0 < share < 1 or policy == "random":
                yield policy, share


def _twin(twins: Twins, policy: str, share: float) -> Path:
    changes: dict[str, Any] = {"offloading.share": share, "offloading.policy": policy}
    if policy == "hardest":
        changes["offloading.reference"] = str(_twin(twins, "random", 0.0))
    return twins.train(f"offloading-{policy}-{round(100 * share)}", changes)


def _measured(evaluation: Evaluation, policy: str, share: float, folder: Path) -> OffloadingStep:
    corpus, most = load_corpus(folder / "corpus"), evaluation.size(*_HELDOUT)
    heldout = {group: documents[:most] for group, documents in corpus.heldout.items()}
    twin = replace(evaluation, checkpoint=Checkpoint.load(folder), corpus=replace(corpus, heldout=heldout))
    return OffloadingStep(policy, share, perplexities(twin)["perplexity"], twin.answered())
