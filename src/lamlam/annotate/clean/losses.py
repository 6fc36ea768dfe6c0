"""How little a causal language model expects each call, given the text to its left: the paper's Corrector.

A checkpoint of ours reads control tokens, and is asked for entity and relation, which it was trained on; any other
causal model reads the calls as the text that `dblookup` writes, values too. What becomes of the losses is left to
`cleaner`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from transformers import AutoTokenizer

from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument, dblookup
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.likelihood import token_log_probs
from lamlam.model.weights import load_model
from lamlam.vocab import Kind, Vocabulary, encode

__all__ = ["CallScorer", "ContextScorer", "load_scorer"]


class CallScorer(Protocol):
    def losses(self, documents: Sequence[AnnotatedDocument]) -> list[list[float]]:
        """For each document the mean loss of each of its calls, in nats a token."""
        ...


def load_scorer(path: str | Path, device: str = "cpu") -> CallScorer:
    """A scorer by the model in a folder. Raises `InputError` where there is none."""
    try:
        Vocabulary.load(path)
    except InputError:
        return _TextScorer(Path(path), device)
    return _TokenScorer(Checkpoint.load(path, device=device))


class ContextScorer:
    """How little the text to the left helps a model to make a call: its loss there, less its loss on the call alone.

    A rare name is unlikely anywhere, but should be likelier where the text has just told it.
    """

    def __init__(self, scorer: CallScorer) -> None:
        self._scorer = scorer

    def losses(self, documents: Sequence[AnnotatedDocument]) -> list[list[float]]:
        calls = [replace(call, at=0) for document in documents for call in document.calls]
        alone = iter([row[0] for row in self._scorer.losses([AnnotatedDocument("", "", (call,)) for call in calls])])
        return [[loss - next(alone) for loss in row] for row in self._scorer.losses(documents)]


class _TokenScorer:
    def __init__(self, checkpoint: Checkpoint) -> None:
        self._model, self._vocabulary = checkpoint.model, checkpoint.vocabulary

    def losses(self, documents: Sequence[AnnotatedDocument]) -> list[list[float]]:
        encoded = [encode(document, self._vocabulary) for document in documents]
        log_probs = token_log_probs(self._model, [each.ids for each in encoded], self._vocabulary.pad_id)
        return [_by_call(each.kinds, row) for each, row in zip(encoded, log_probs, strict=True)]


def _by_call(kinds: Sequence[Kind], log_probs: np.ndarray) -> list[float]:
    """Calls end with a token of their own, so that two that stand together are told apart."""
    every = np.array(kinds)
    asked = np.isin(every, (Kind.ENTITY, Kind.RELATION))
    call = np.cumsum(every == Kind.END)  # [T], of the call that a token belongs to
    found = []
    for number in range(int((every == Kind.END).sum())):
        mine = log_probs[asked & (call == number)]
        found.append(-float(mine.mean()) if len(mine) else 0.0)
    return found


class _TextScorer:
    def __init__(self, path: Path, device: str) -> None:
        self._model = load_model(path).to(device)  # type: ignore[arg-type]
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise InputError("holds no tokenizer that can be read", path=path) from error
        if not self._tokenizer.is_fast:
            raise InputError("its tokenizer does not tell where tokens stand", path=path)

    def losses(self, documents: Sequence[AnnotatedDocument]) -> list[list[float]]:
        written = [_written(document) for document in documents]
        encoded = [self._tokenizer(text, return_offsets_mapping=True) for text, _ in written]
        pad = self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0
        log_probs = token_log_probs(self._model, [each["input_ids"] for each in encoded], pad)
        return [
            list(_within(each["offset_mapping"], row, spans))
            for each, row, (_, spans) in zip(encoded, log_probs, written, strict=True)
        ]


def _written(document: AnnotatedDocument) -> tuple[str, list[tuple[int, int]]]:
    """The text with its calls, and the characters [start, end) of each call."""
    pieces, spans, length, position = [], [], 0, 0
    for call in document.calls:
        plain = document.text[position : call.at]
        shown = dblookup.render(AnnotatedDocument("", "", (replace(call, at=0),)))
        spans.append((length + len(plain), length + len(plain) + len(shown)))
        pieces += [plain, shown, " "]
        length += len(plain) + len(shown) + 1
        position = call.at
    return "".join([*pieces, document.text[position:]]), spans


def _within(
    offsets: Sequence[tuple[int, int]], log_probs: np.ndarray, spans: Sequence[tuple[int, int]]
) -> Iterator[float]:
    starts = np.array([start for start, _ in offsets])
    for start, end in spans:
        mine = log_probs[(starts >= start) & (starts < end)]
        yield -float(mine.mean()) if len(mine) else 0.0
