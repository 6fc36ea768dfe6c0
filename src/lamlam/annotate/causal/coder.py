"""Prompts and answers as token ids. Text that a document supplies never becomes a control token of the model's."""

from transformers import PreTrainedTokenizerFast

from lamlam.annotate.causal.template import Template
from lamlam.errors import LamLamError
from lamlam.markup import AnnotatedDocument, dblookup
from lamlam.vocab.literal import literal

__all__ = ["Coder"]


class Coder:
    """A tokenizer and a template. Raises `LamLamError` when the tokenizer has no token to end an answer with."""

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
        """What the model is given: the template's words around title and text."""
        title = "" if document.text.startswith(document.title) else f"{document.title}\n\n"
        return [
            *self._start,
            *self._trusted.encode(self._template.before, add_special_tokens=False).ids,
            *self.text(title + document.text),
            *self._trusted.encode(self._template.between, add_special_tokens=False).ids,
        ]

    def answer(self, document: AnnotatedDocument) -> list[int]:
        """What the model is to write: the text with its calls, and the end."""
        return [*self.text(dblookup.render(document)), self.end_id]

    def text(self, text: str) -> list[int]:
        """Ids of plain text."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: list[int]) -> str:
        """The text that a model wrote up to the end, or as far as it came."""
        length = ids.index(self.end_id) if self.end_id in ids else len(ids)
        return str(self._trusted.decode(ids[:length], skip_special_tokens=True))
