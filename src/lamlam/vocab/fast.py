"""The fast tokenizer of a Hugging Face folder."""

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lamlam.errors import InputError

__all__ = ["fast_tokenizer"]


def fast_tokenizer(path: str | Path) -> PreTrainedTokenizerFast:
    """The tokenizer in a folder. Raises `InputError` when there is none, or none that is fast."""
    if not Path(path).is_dir():
        raise InputError("no such folder", path=path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
    except Exception as error:  # The tokenizers library raises bare exceptions for a broken file.
        raise InputError("the folder holds no tokenizer that can be read", path=path) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError("only fast tokenizers (tokenizer.json) can be used", path=path)
    return tokenizer
