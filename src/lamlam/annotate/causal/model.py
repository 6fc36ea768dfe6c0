"""A fine-tuned causal model with the prompt it was trained on: an adapter on a base model, or a merged model.

Weights are safetensors alone, and no code in a folder is run. The text of a document never becomes a control token.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from lamlam.corpus.lines import read_object
from lamlam.errors import InputError, LamLamError
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument, dblookup
from lamlam.model.folder import is_adapter
from lamlam.model.lora import base_of, merged
from lamlam.model.weights import load_model
from lamlam.vocab.fast import fast_tokenizer
from lamlam.vocab.literal import literal

__all__ = ["CausalModel", "PromptCoder", "Template"]

_CHUNK = 1 << 20
_FILE = "annotator.json"
_BEFORE = """\
Copy the text below letter by letter. Before each value of a fact that it states about something named by then, insert \
[dblookup('Entity', 'Relation') -> Value].

### Text
"""
_BETWEEN = """

### Copy with calls
"""


@dataclass(frozen=True, slots=True)
class Template:
    """The prompt: what precedes the text, and what separates text and answer; only these may name control tokens.

    It is stored with the model, so that a model is always asked as it was trained. `end` is the token that ends an
    answer (default: the tokenizer's EOS), `window` how many characters of a document are asked about at once.
    """

    before: str = _BEFORE
    between: str = _BETWEEN
    end: str | None = None
    window: int = 1600

    def save(self, folder: str | Path) -> None:
        with atomic_write(Path(folder) / _FILE) as file:
            json.dump(asdict(self), file, indent=1, ensure_ascii=False)

    @classmethod
    def remove(cls, folder: str | Path) -> None:
        """Remove the template of a model, which can't be opened after that."""
        (Path(folder) / _FILE).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | Path) -> "Template":
        """Load a model's template. Raises `InputError` if it is missing or invalid."""
        entry = read_object(Path(folder) / _FILE)
        unknown = sorted(entry.value.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise InputError("is not a field of an annotator's template", path=entry.path, field=unknown[0])
        end = entry.text("end", empty=False) if entry.has("end") else None
        return cls(entry.text("before"), entry.text("between"), end, entry.number("window", least=200))


class PromptCoder:
    """Prompts and answers as token ids. Raises `LamLamError` if the tokenizer has no token to end an answer with."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, template: Template) -> None:
        known = tokenizer.get_vocab()
        end = known.get(template.end) if template.end is not None else tokenizer.eos_token_id
        if end is None:
            raise LamLamError(f"the tokenizer has no token {template.end or 'EOS'} to end an answer with")
        self.end_id: int = end
        pad = tokenizer.pad_token_id
        self.pad_id: int = end if pad is None else pad
        self._start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        self._template = template
        self._trusted = literal(tokenizer.backend_tokenizer)
        self._plain = literal(tokenizer.backend_tokenizer)
        self._plain.add_special_tokens(list(tokenizer.get_added_vocab()))
        self._plain.encode_special_tokens = True
        for backend in (self._trusted, self._plain):
            backend.no_truncation()
            backend.no_padding()

    def prompt(self, document: AnnotatedDocument) -> list[int]:
        """Return the model's input: the template around title and text."""
        title = "" if document.text.startswith(document.title) else f"{document.title}\n\n"
        return [
            *self._start,
            *self._trusted.encode(self._template.before, add_special_tokens=False).ids,
            *self.text(title + document.text),
            *self._trusted.encode(self._template.between, add_special_tokens=False).ids,
        ]

    def answer(self, document: AnnotatedDocument) -> list[int]:
        """Return what the model should write: the text with its calls, and the end."""
        return [*self.text(dblookup.render(document)), self.end_id]

    def text(self, text: str) -> list[int]:
        """Return the ids of plain text."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: list[int]) -> str:
        """Return the text that a model wrote, up to the end token if there is one."""
        length = ids.index(self.end_id) if self.end_id in ids else len(ids)
        return str(self._trusted.decode(ids[:length], skip_special_tokens=True))


@dataclass(frozen=True, slots=True)
class CausalModel:
    """A model that is ready to use, its tokenizer and template, and a digest of its weights."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    template: Template
    digest: str

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        base: str | Path | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> "CausalModel":
        """Open the model in a folder. An adapter's base model is the one that it names, or `base`.

        Raises `InputError` if a folder or a part of it is missing or cannot be read.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise InputError("no such folder", path=path)
        template, tokenizer = Template.load(folder), fast_tokenizer(folder)
        folders = [folder]
        if is_adapter(folder):
            folders.append(Path(base) if base is not None else Path(base_of(folder)))
            model = merged(load_model(folders[-1]), folder)
        else:
            model = load_model(folder)
        placed = model.to(torch.device(device), dtype)  # type: ignore[arg-type]
        return cls(placed.eval(), tokenizer, template, _digest(folders))

    def save(self, path: str | Path) -> None:
        """Write the merged model into a folder that needs no other. Raises `InputError` if it cannot be written."""
        try:
            self.model.save_pretrained(str(path))
            self.tokenizer.save_pretrained(str(path))
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", path=path) from error
        self.template.save(path)


def _digest(folders: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for chunk in (chunk for folder in folders for chunk in _contents(folder)):
        digest.update(chunk)
    return digest.hexdigest()[:16]


def _contents(folder: Path) -> Iterator[bytes]:
    for path in (*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("annotator.json"))):
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
