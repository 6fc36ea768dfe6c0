"""A tokenizer that encodes a text as it stands, and decodes it likewise.

Llama's tokenizers, and others of SentencePiece's family, put a space of their own in front of every piece of text and
take it off again. What LamLam encodes has its spaces already: a second one would stand in every field of a call.
"""

import json
from typing import Any

from tokenizers import Tokenizer

__all__ = ["literal"]


def literal(tokenizer: Tokenizer) -> Tokenizer:
    """A copy of `tokenizer` that adds no space and takes none off."""
    state = json.loads(tokenizer.to_str())
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        state[part] = _without_added_space(state[part])
    return Tokenizer.from_str(json.dumps(state))


def _without_added_space(part: dict[str, Any] | None) -> dict[str, Any] | None:
    if part is None or (part["type"] == "Prepend" and part["prepend"].strip(" ▁") == ""):
        return None
    if (
        part["type"] == "Strip" and part.get("content", " ") == " "
    ):  # a decoder's; a normalizer's strips all white space
        return None
    for steps in ("normalizers", "pretokenizers", "decoders"):
        if steps in part:
            kept = [step for step in map(_without_added_space, part[steps]) if step is not None]
            return part | {steps: kept}
    if part["type"] == "Metaspace":
        return part | {"prepend_scheme": "never"}
    return part | {"add_prefix_space": False} if "add_prefix_space" in part else part
