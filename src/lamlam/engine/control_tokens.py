"""The text tokens as bytes, and sets of tokens as masks over a model's logits.

V is the width of the logits, which may exceed the number of tokens.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from lamlam.vocab import Vocabulary

__all__ = ["ControlTokens"]


class ControlTokens:
    """Tokens by their bytes, without control and special tokens."""

    def __init__(self, vocabulary: Vocabulary, width: int, device: torch.device) -> None:
        tokenizer = vocabulary.tokenizer
        added = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        special = sorted(added | {*tokenizer.all_special_ids} | vocabulary.control_ids)
        self.vocabulary = vocabulary
        self.special = dict(zip(special, tokenizer.convert_ids_to_tokens(special), strict=True))
        self.bytes_of = {i: text for i, text in vocabulary.token_bytes().items() if text and i not in self.special}
        self._ids_of: dict[bytes, list[int]] = {}
        for index, text in self.bytes_of.items():
            self._ids_of.setdefault(text, []).append(index)
        self._longest = max(map(len, self._ids_of), default=0)
        self._nothing = torch.zeros(width, dtype=torch.bool, device=device)
        self._text_and: dict[tuple[int, ...], Tensor] = {(): self.mask(self.bytes_of)}

    def beginning(self, rest: bytes) -> Iterator[int]:
        """The tokens with which `rest` can begin."""
        for length in range(1, min(len(rest), self._longest) + 1):
            yield from self._ids_of.get(rest[:length], ())

    def mask(self, ids: Iterable[int]) -> Tensor:
        """A mask [V] of these tokens."""
        mask = self._nothing.clone()
        mask[list(ids)] = True
        return mask

    def text_and(self, *ids: int) -> Tensor:
        """A mask [V] of all text tokens and these, not to be written to."""
        if ids not in self._text_and:
            mask = self._text_and[()].clone()
            mask[list(ids)] = True
            self._text_and[ids] = mask
        return self._text_and[ids]
