"""The fast tokenizer of a pretrained model."""

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lamlam.errors import InputError
from lamlam.pretrained import located

__all__ = ["fast_tokenizer"]


def fast_tokenizer(source: str | Path) -> PreTrainedTokenizerFast:
    """The tokenizer in a folder or a GGUF file, or of a name on the hub.

    Raises `InputError` when there is none, or none that is fast.
    """
    arguments = located(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(**arguments, trust_remote_code=False)
    except Exception as error:  # The tokenizers library raises bare exceptions for a broken file.
        kind = "file" if "gguf_file" in arguments else "folder"
        raise InputError(f"the {kind} holds no tokenizer that can be read", path=source) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError("only fast tokenizers (tokenizer.json) can be used", path=source)
    return tokenizer
