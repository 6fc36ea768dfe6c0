"""Annotation by a causal model that was fine-tuned to copy a text with calls in it.

Windows of many documents are sorted by length and decoded in batches, greedily. Only the calls are read from what the
model writes; they are moved onto the documents.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from transformers import GenerationConfig

from lamlam.annotate.causal.model import CausalModel, PromptCoder
from lamlam.annotate.transfer import propose_copied
from lamlam.annotate.vetting import Vetting
from lamlam.batches import batches
from lamlam.checked import checked
from lamlam.markup import AnnotatedDocument
from lamlam.model.precision import fast_dtype
from lamlam.text import windows

__all__ = ["CausalAnnotator", "open_causal"]

_UNFINISHED, _TOO_LONG = "windows_without_an_end", "windows_too_long"
_BATCHES = 16  # of documents read ahead, so that similar lengths are batched
_LONGER, _SPARE = 3, 32  # an answer has at most this many times the text's tokens, and some more


@dataclass(frozen=True, slots=True)
class _Piece:
    document: int
    start: int
    text: str
    prompt: list[int]
    longest: int  # tokens of an answer


class CausalAnnotator:
    """An `Annotator`; `batch` is how many windows are decoded at once."""

    name = "causal"

    def __init__(self, model: CausalModel, *, batch: int = 8) -> None:
        self._model, self._template, self._batch = model.model, model.template, batch
        self._digest = model.digest
        self._coder = PromptCoder(model.tokenizer, model.template)
        self._most = getattr(model.model.config.get_text_config(), "max_position_embeddings", 1 << 30)
        self._notes: Counter[str] = Counter()

    @property
    def settings(self) -> Mapping[str, object]:
        return {"model": self._digest, "window": self._template.window}

    def take_notes(self) -> Counter[str]:
        """Return what happened to calls and windows, counted since the last call."""
        notes, self._notes = self._notes, Counter()
        return notes

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        [annotated] = self.annotate_many([document])
        return annotated

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        """Yield the documents with calls, in order; windows of similar length are decoded together."""
        for group in batches(documents, _BATCHES * self._batch):
            yield from self._annotated(group)

    def _annotated(self, documents: list[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        vettings = [Vetting(document) for document in documents]
        pieces = [piece for number, document in enumerate(documents) for piece in self._pieces(number, document)]
        pieces.sort(key=lambda piece: len(piece.prompt), reverse=True)
        for batch in batches(pieces, self._batch):
            for piece, copy in zip(batch, self._copies(batch), strict=True):
                propose_copied(vettings[piece.document], piece.text, copy, piece.start)
        for vetting in vettings:
            vetted = vetting.result()
            self._notes.update(vetted.dropped)
            yield vetted.document

    def _pieces(self, number: int, document: AnnotatedDocument) -> Iterator[_Piece]:
        for start, end in windows(document.text, self._template.window):
            text = document.text[start:end]
            if not text.strip():
                continue
            prompt = self._coder.prompt(replace(document, text=text, calls=()))
            longest = _LONGER * len(self._coder.text(text)) + _SPARE
            if len(prompt) + longest // _LONGER > self._most:
                self._notes[_TOO_LONG] += 1
            else:
                yield _Piece(number, start, text, prompt, min(longest, self._most - len(prompt)))

    def _copies(self, batch: list[_Piece]) -> Iterator[str]:
        """Yield what the model writes for each piece."""
        ids, mask = self._padded([piece.prompt for piece in batch])
        longest = min(max(piece.longest for piece in batch), self._most - ids.shape[1])
        greedy = GenerationConfig(
            max_new_tokens=longest, do_sample=False, eos_token_id=self._coder.end_id, pad_token_id=self._coder.pad_id
        )
        with torch.inference_mode():
            written = self._model.generate(ids, attention_mask=mask, generation_config=greedy)  # type: ignore[operator]
        for row in written[:, ids.shape[1] :].tolist():
            self._notes[_UNFINISHED] += self._coder.end_id not in row
            yield self._coder.decode(row)

    def _padded(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Return ids and mask [B, T], padded in front, so that all rows end where they are to be continued."""
        width = max(map(len, prompts))
        ids = [[self._coder.pad_id] * (width - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        device = self._model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


class _OpenSettings(BaseModel):
    """`base` replaces the base model that an adapter names; `dtype` auto is the device's fast type."""

    model_config = ConfigDict(extra="forbid")

    base: str | None = None
    batch: int = Field(default=8, ge=1)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


def open_causal(model: str, given: Mapping[str, str]) -> CausalAnnotator:
    """Open a causal annotator, on a GPU if there is one. Raises `InputError` for an unknown or invalid setting."""
    opening = checked(_OpenSettings, given)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = fast_dtype(device) if opening.dtype == "auto" else getattr(torch, opening.dtype)
    opened = CausalModel.open(model, base=opening.base, device=device, dtype=dtype)
    return CausalAnnotator(opened, batch=opening.batch)
