"""Offloading: which facts a corpus looks up, and which its text states without a call, for the weights to learn.

All are looked up unless a recipe says otherwise. A fact is an entity and a relation: it is looked up everywhere or
nowhere, so that no text teaches what another asks for. Facts of dropped calls stay in the knowledge base.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lamlam.corpus import Corpus
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.losses import Loss, call_losses

__all__ = ["OffloadingSettings", "offload"]

_Pair = tuple[str, str]


class OffloadingSettings(BaseModel):
    """`share` of the facts are looked up: drawn by hash, or those that the model `reference` finds hardest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(default=1.0, ge=0.0, le=1.0, description="share of the training texts' facts that have calls")
    policy: Literal["random", "hardest"] = "random"
    reference: str | None = Field(default=None, description="run of the standard arm that says what is hard")


def offload(corpora: Sequence[Corpus], settings: OffloadingSettings, seed: int) -> list[Corpus]:
    """The corpora with calls for a share of their facts, training and held-out texts alike.

    The policy "hardest" (arXiv 2505.15962) keeps the facts whose values the reference model, which has
    read the same texts without calls, finds least likely: it has learnt the others already. The threshold is set on
    the training texts; a fact that only held-out texts state is looked up when it is above it. Raises `InputError` when
    the reference is missing.
    """
    if settings.share == 1.0:
        return list(corpora)
    keeps = _drawn(settings.share, seed) if settings.policy == "random" else _hardest(corpora, settings)
    return [_kept(corpus, keeps) for corpus in corpora]


def _drawn(share: float, seed: int) -> Callable[[_Pair], bool]:
    """By a hash of the fact, so that every share holds those of the smaller ones."""

    def keeps(pair: _Pair) -> bool:
        digest = hashlib.sha256(f"{seed}\x1f{pair[0]}\x1f{pair[1]}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < share * 2**64

    return keeps


def _hardest(corpora: Sequence[Corpus], settings: OffloadingSettings) -> Callable[[_Pair], bool]:
    if settings.reference is None:
        raise InputError("a run of the standard arm must be named for the policy 'hardest'", field="reference")
    reference = Checkpoint.load(settings.reference)
    train = _losses(reference, (document for corpus in corpora for document in corpus.train))
    heldout = _losses(reference, (d for corpus in corpora for documents in corpus.heldout.values() for d in documents))
    least = float(np.quantile(list(train.values()), 1 - settings.share)) if train and settings.share else np.inf
    losses = heldout | train
    return lambda pair: losses.get(pair, -np.inf) >= least


def _losses(reference: Checkpoint, documents: Iterable[AnnotatedDocument]) -> dict[_Pair, float]:
    """Mean loss of each fact's value, in nats a token, over all places that state it."""
    with_calls = [document for document in documents if document.calls]
    rows = call_losses(reference.model, reference.vocabulary, with_calls, "standard", progress=True)
    sums: dict[_Pair, Loss] = defaultdict(Loss)
    for document, losses in zip(with_calls, rows, strict=True):
        for call, loss in zip(document.calls, losses, strict=True):
            sums[call.entity, call.relation] += loss
    return {pair: loss.mean for pair, loss in sums.items() if loss.tokens}


def _kept(corpus: Corpus, keeps: Callable[[_Pair], bool]) -> Corpus:
    def kept(document: AnnotatedDocument) -> AnnotatedDocument:
        calls = tuple(call for call in document.calls if keeps((call.entity, call.relation)))
        return replace(document, calls=calls)

    heldout = {group: [kept(document) for document in documents] for group, documents in corpus.heldout.items()}
    return replace(corpus, train=[kept(document) for document in corpus.train], heldout=heldout)
