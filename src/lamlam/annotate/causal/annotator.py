"""Annotation by a causal model that reads each text twice and branches off the second reading where it makes a call.

Passages of many documents are sorted by length and decoded in batches. A call stands right before its value, and a text
can't change.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field

from lamlam.annotate.causal.decoding import Decoded, Decoder, Inventory
from lamlam.annotate.causal.model import CausalModel
from lamlam.annotate.causal.passage import Passage, PassageCoder
from lamlam.annotate.vetting import Vetting
from lamlam.batches import batches
from lamlam.checked import checked
from lamlam.corpus.lines import read_text
from lamlam.engine.context import context_of
from lamlam.errors import InputError
from lamlam.kb.names import normalise
from lamlam.markup import AnnotatedDocument, Call
from lamlam.model.precision import fast_dtype

__all__ = ["AnnotationSettings", "CausalAnnotator", "Proposal", "open_causal", "select"]

_TOO_LONG, _OVERLAP, _ITSELF = "passages_too_long", "overlaps_a_likelier_call", "value_is_the_entity"
_BATCHES = 8  # of passages that are read ahead, so that similar lengths are batched
_ROOM = 1.5  # columns of the cache a passage may take with its branches, as a multiple of its tokens: a guess


class AnnotationSettings(BaseModel):
    """How a model annotates. `relations` is a file with a name a line, `redocred` for Wikidata's 96 of Re-DocRED."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: str | None = Field(default=None, description="which source's annotation to follow; by default the first")
    threshold: float | None = Field(default=None, ge=0, le=1, description="by default the style's own")
    entities: Literal["text", "free"] = Field(default="text", description="names that title or text have, or any")
    relations: str | None = Field(default=None, description="a closed list of relations; by default any")
    drop: float = Field(default=0.0, ge=0, lt=1, description="share of the least likely calls to drop")


class Proposal(NamedTuple):
    """A call, the end of its value, the probability of a call there, and that of the whole call."""

    call: Call
    end: int
    probability: float
    likelihood: float


class CausalAnnotator:
    """An `Annotator`; `batch` is how many passages are decoded at once. Raises `InputError` for an unknown style."""

    name = "causal"

    def __init__(
        self, model: CausalModel, settings: AnnotationSettings = AnnotationSettings(), *, batch: int = 16
    ) -> None:
        self._vocabulary, self._batch, self._settings = model.vocabulary, batch, settings
        self._style, style = model.manner.style(settings.style)
        self._threshold = style.threshold if settings.threshold is None else settings.threshold
        self._floor = style.floor(settings.drop)
        self._coder = PassageCoder(model.vocabulary, model.manner.window)
        self._most = context_of(model.model.config)
        names = read_relations(settings.relations) if settings.relations else ()
        stop = model.vocabulary.return_id
        inventory = Inventory(map(self._coder.name, names), stop) if names else None
        self._decoder = Decoder(model.model, model.vocabulary, names=settings.entities == "text", inventory=inventory)
        self._told = {"model": model.digest, "style": self._style, "threshold": self._threshold}
        self._told |= {"entities": settings.entities, "relations": list(names), "floor": self._floor}
        self._notes: Counter[str] = Counter()

    @property
    def settings(self) -> Mapping[str, object]:
        return self._told

    def take_notes(self) -> Counter[str]:
        """Return what happened to calls and passages, counted since the last call."""
        notes, self._notes = +self._notes, Counter()
        return notes

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        [annotated] = self.annotate_many([document])
        return annotated

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        """Yield the documents with calls, in order; passages of similar length are decoded together."""
        for group in batches(documents, _BATCHES * self._batch):
            for document, proposals in zip(group, self.propose(group), strict=True):
                vetting = Vetting(document)
                for proposal in select(proposals, self._threshold, self._floor, self._notes):
                    vetting.offer(proposal.call)
                vetted = vetting.result()
                self._notes.update(vetted.dropped)
                yield vetted.document

    def propose(self, documents: Sequence[AnnotatedDocument]) -> list[list[Proposal]]:
        """Return for each document the calls at or above the threshold, before any is dropped."""
        passages = [
            passage
            for number, document in enumerate(documents)
            for passage in self._coder.passages(replace(document, calls=()), self._style, number)
            if self._fits(passage)
        ]
        passages.sort(key=lambda passage: len(passage.ids), reverse=True)
        found: list[list[Proposal]] = [[] for _ in documents]
        for batch in batches(passages, self._batch):
            for passage, calls in zip(batch, self._decoder.decode(batch, self._threshold), strict=True):
                found[passage.document] += [self._proposal(passage, decoded) for decoded in calls]
        return found

    def _fits(self, passage: Passage) -> bool:
        fits = _ROOM * len(passage.prefix) <= self._most
        self._notes[_TOO_LONG] += not fits
        return fits

    def _proposal(self, passage: Passage, decoded: Decoded) -> Proposal:
        start, end = passage.spans[decoded.at][0], passage.spans[decoded.end - 1][1]
        entity, relation = (self._vocabulary.decode(ids).strip() for ids in (decoded.entity, decoded.relation))
        call = Call(entity, relation, passage.text[start:end], passage.start + start)
        return Proposal(call, passage.start + end, decoded.probability, decoded.likelihood)


def select(
    proposals: Iterable[Proposal], threshold: float, floor: float = 0.0, notes: Counter[str] | None = None
) -> list[Proposal]:
    """Return the proposals that are probable and likely enough; where values overlap, the most probable one."""
    notes = Counter() if notes is None else notes
    kept: list[Proposal] = []
    for proposal in sorted(proposals, key=lambda proposal: -proposal.probability):
        if proposal.probability < threshold:
            break
        if any(proposal.call.at < other.end and other.call.at < proposal.end for other in kept):
            notes[_OVERLAP] += 1
        elif normalise(proposal.call.entity) == normalise(proposal.call.value):
            notes[_ITSELF] += 1
        else:
            kept.append(proposal)
    likely = [proposal for proposal in kept if proposal.likelihood >= floor]
    notes["unlikely"] += len(kept) - len(likely)
    return sorted(likely, key=lambda proposal: proposal.call.at)


def read_relations(source: str) -> list[str]:
    """Return the relations of a file with one a line, or of the inventory that comes along by its name.

    Raises `InputError` if it can't be read or has none.
    """
    shipped = resources.files(__package__) / f"{source}.txt"
    path = Path(source)
    text = shipped.read_text(encoding="utf-8") if source.isidentifier() and shipped.is_file() else read_text(path)
    names = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if not names:
        raise InputError("names no relation", path=source)
    return list(dict.fromkeys(names))


class _OpenSettings(AnnotationSettings):
    """`base` replaces the base model that an adapter names; `dtype` auto is the device's fast type."""

    base: str | None = None
    batch: int = Field(default=16, ge=1)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


def open_causal(model: str, given: Mapping[str, str]) -> CausalAnnotator:
    """Open a causal annotator, on a GPU if there is one. Raises `InputError` for an unknown or invalid setting."""
    opening = checked(_OpenSettings, given)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = fast_dtype(device) if opening.dtype == "auto" else getattr(torch, opening.dtype)
    opened = CausalModel.open(model, base=opening.base, device=device, dtype=dtype)
    return CausalAnnotator(opened, opening, batch=opening.batch)
