"""Perplexity of a run on its held-out documents, by group and on all: the task `perplexity`."""

from dataclasses import replace
from functools import reduce
from operator import add

from lamlam.evaluate.dynamic import dynamic_perplexity
from lamlam.evaluate.evaluation import Evaluation, Unfit
from lamlam.evaluate.perplexity import PerplexityResult, perplexity
from lamlam.kb.store import KnowledgeBase

__all__ = ["perplexities"]


def perplexities(evaluation: Evaluation) -> dict[str, PerplexityResult]:
    """`perplexity` on all held-out documents, and `perplexity_<group>`; of an LMLM the dynamic one too.

    Raises `Unfit` where there are none.
    """
    groups = {group: documents for group, documents in evaluation.corpus.heldout.items() if documents}
    if not groups:
        raise Unfit("the corpus has no held-out documents to measure perplexity on")
    checkpoint, progress = evaluation.checkpoint, evaluation.progress
    results = {
        f"perplexity_{group}": perplexity(
            checkpoint.model, checkpoint.vocabulary, documents, evaluation.arm, progress=progress
        )
        for group, documents in groups.items()
    }
    if evaluation.arm == "lmlm":
        with KnowledgeBase.open(evaluation.kb_path) as kb:
            engine = evaluation.engine_on(kb)
            for group, documents in groups.items():
                dynamic = dynamic_perplexity(
                    engine,
                    documents,
                    evaluation.settings,
                    sample=evaluation.sample,
                    seed=evaluation.seed,
                    progress=progress,
                )
                results[f"perplexity_{group}"] = replace(results[f"perplexity_{group}"], dynamic=dynamic)
    return {"perplexity": reduce(add, results.values())} | results
