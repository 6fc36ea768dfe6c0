"""A tokenizer with the four control tokens.

Text that a user or a document supplies is encoded by `Vocabulary.encode`, which never yields a control token: the
string `<|db_return|>` in a prompt becomes plain characters.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from lamlam.errors import InputError, LamLamError
from lamlam.markup.tokens import END, ENTITY, RELATION, RETURN
from lamlam.vocab.fast import fast_tokenizer
from lamlam.vocab.literal import literal

__all__ = ["CONTROL_TOKENS", "Vocabulary"]

CONTROL_TOKENS = (ENTITY, RELATION, RETURN, END)
_BOS, _EOS, _PAD = "<|bos|>", "<|eos|>", "<|pad|>"


class Vocabulary:
    """Ids of text and of the control tokens, over a fast Hugging Face tokenizer.

    Raises `LamLamError` when the tokenizer has no control tokens, no EOS, or neither PAD nor UNK nor BOS apart from
    EOS, with which to pad.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        known = tokenizer.get_vocab()
        missing = [token for token in CONTROL_TOKENS if token not in known]
        if missing:
            raise LamLamError(f"the tokenizer has no control tokens ({', '.join(missing)} missing)")
        if tokenizer.eos_token_id is None:
            raise LamLamError("the tokenizer has no EOS token")
        usable = (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id)
        pads = [index for index in usable if index not in (None, tokenizer.eos_token_id)]
        if not pads:
            raise LamLamError("the tokenizer has no PAD token apart from EOS")
        self.tokenizer = tokenizer
        self.entity_id, self.relation_id, self.return_id, self.end_id = (known[token] for token in CONTROL_TOKENS)
        self.eos_id: int = tokenizer.eos_token_id
        self.bos_id: int = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else self.eos_id
        self.pad_id: int = pads[0]  # Llama's tokenizers have no PAD; what is never written will do
        self.control_ids = frozenset((self.entity_id, self.relation_id, self.return_id, self.end_id))
        self._special_ids = self.control_ids | {self.eos_id, self.bos_id, self.pad_id}
        self._backend = literal(tokenizer.backend_tokenizer)
        # Without this the library turns "<|db_return|>" typed by a user into the control token itself; it holds for
        # special tokens alone, which those of a checkpoint need not be.
        self._backend.add_special_tokens(list(CONTROL_TOKENS))
        self._backend.encode_special_tokens = True
        self._backend.no_truncation()
        self._backend.no_padding()

    def __len__(self) -> int:
        return len(self.tokenizer)

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> "Vocabulary":
        """A byte-level BPE of at most `size` tokens, control and special tokens included; deterministic.

        Raises `LamLamError` when `size` has no room for the 256 bytes and these tokens.
        """
        special = [_PAD, _BOS, _EOS, *CONTROL_TOKENS]
        if size < 256 + len(special):
            raise LamLamError(f"a vocabulary needs at least {256 + len(special)} tokens, not {size}")
        bpe = Tokenizer(models.BPE())
        # One digit a token: numbers are copied into calls and texts, not memorised as whole tokens.
        bpe.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        bpe.train_from_iterator(texts, trainer)
        return cls(_fast(bpe, bos_token=_BOS, eos_token=_EOS, pad_token=_PAD))

    @classmethod
    def extend(cls, path: str | Path) -> "Vocabulary":
        """A Hugging Face fast tokenizer by path, with the control tokens, EOS and a PAD of its own added where missing.

        Raises `InputError` when `path` holds no fast tokenizer.
        """
        tokenizer = fast_tokenizer(path)
        tokenizer.add_special_tokens({"extra_special_tokens": list(CONTROL_TOKENS)})
        if tokenizer.eos_token_id is None:
            tokenizer.add_special_tokens({"eos_token": _EOS})
        if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
            tokenizer.add_special_tokens({"pad_token": _PAD})
        return cls(tokenizer)

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """The tokenizer of a checkpoint. Raises `InputError` when it is missing or has no control tokens."""
        try:
            return cls(fast_tokenizer(path))
        except InputError:
            raise
        except LamLamError as error:
            raise InputError(str(error), path=path) from error

    def save(self, path: str | Path) -> None:
        self.tokenizer.save_pretrained(str(path))

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; never a control or special token."""
        return self._backend.encode(text, add_special_tokens=False).ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The same ids, and for each the characters [start, end) of the text that it stands for."""
        encoding = self._backend.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def encode_template(self, text: str) -> list[int]:
        """Token ids of text that the checkpoint brings along, as the frame of a chat: special tokens are themselves.

        Never for what a user or a document supplies.
        """
        return self._template_backend.encode(text, add_special_tokens=False).ids

    @cached_property
    def _template_backend(self) -> Tokenizer:
        backend = literal(self.tokenizer.backend_tokenizer)
        backend.no_truncation()
        backend.no_padding()
        return backend

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, control and special tokens left out."""
        return self._backend.decode([i for i in ids if i not in self._special_ids], skip_special_tokens=False)

    def token_bytes(self) -> dict[int, bytes]:
        """Each text token's bytes, for byte-level tokenizers and those with `▁` and `<0xNN>`; made out once."""
        return self._token_bytes

    @cached_property
    def _token_bytes(self) -> dict[int, bytes]:
        from_unicode = {char: byte for byte, char in _byte_alphabet().items()}
        byte_level = "ByteLevel" in str(self._backend.decoder)
        table = {}
        for token, index in self.tokenizer.get_vocab().items():
            if index in self._special_ids:
                continue
            if byte_level and all(char in from_unicode for char in token):
                table[index] = bytes(from_unicode[char] for char in token)
            elif len(token) == 6 and token.startswith("<0x"):
                table[index] = bytes([int(token[3:5], 16)])
            else:
                table[index] = token.replace("▁", " ").encode()
        return table


def _fast(backend: Tokenizer, **special: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        clean_up_tokenization_spaces=False,
        extra_special_tokens=list(CONTROL_TOKENS),
        **special,
    )


def _byte_alphabet() -> dict[int, str]:
    """GPT-2's map of bytes to printable characters."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(rest)}
