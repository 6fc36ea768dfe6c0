"""Knowing when to ask: how far a model is from a call where a fact comes next, and where none does.

The margin at a text's end is the logit of the token that begins a call, less the greatest of a text token: with a bias
of b on that token (`DecodingSettings.call_bias`) the model asks where the margin is above -b. Thus one reading of each
text tells the share of calls at every bias, at both kinds of places.

    asked      the share of texts that stop before a known fact at which the model calls
    needless   the share of texts that stop where no fact comes next at which it calls
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence

from lamlam.evaluate.results import Proportion
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import opened

__all__ = ["asked_and_needless", "best_bias", "call_margins", "curve"]

Margins = npt.NDArray[np.float64]

_BIASES = tuple(step / 4 for step in range(-16, 49))
_BATCH = 32


@torch.inference_mode()
def call_margins(checkpoint: Checkpoint, texts: Sequence[str]) -> Margins:
    """The margin at the end of each text, white space there left out, in the order of the texts."""
    model, vocabulary = checkpoint.model.eval(), checkpoint.vocabulary
    ids = [[vocabulary.bos_id, *vocabulary.encode(opened(text.rstrip()))] for text in texts]
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    text_tokens = [token for token in range(len(vocabulary)) if token not in vocabulary.control_ids]
    margins = np.empty(len(ids))
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        rows = pad_sequence([torch.tensor(ids[place]) for place in batch], batch_first=True)  # [B, T]
        hidden = model.base_model(input_ids=rows.to(model.device)).last_hidden_state  # causal: what pads do not matter
        last = hidden[torch.arange(len(batch)), [len(ids[place]) - 1 for place in batch]]  # [B, H]
        logits = model.get_output_embeddings()(last).float()  # [B, V]
        margins[batch] = (logits[:, vocabulary.entity_id] - logits[:, text_tokens].amax(-1)).cpu().numpy()
    return margins


def asked_and_needless(facts: Margins, plain: Margins, bias: float) -> dict[str, Any]:
    """Both shares under a bias, with counts and intervals."""
    shares = {"asked": Proportion.of((facts > -bias).tolist()), "needless": Proportion.of((plain > -bias).tolist())}
    return {"bias": bias} | {name: share.as_json("share") for name, share in shares.items()}


def best_bias(facts: Margins, plain: Margins) -> float:
    """The bias at which the model asks for facts and nowhere else (Youden's J); of equal ones the least."""
    gains = [(facts > -bias).mean() - (plain > -bias).mean() for bias in _BIASES]
    best = [bias for bias, gain in zip(_BIASES, gains, strict=True) if gain == max(gains)]
    return min(best, key=abs)


def curve(facts: Margins, plain: Margins) -> list[dict[str, float]]:
    """Both shares at whole biases."""
    return [
        {
            "bias": bias,
            "asked": round(float((facts > -bias).mean()), 4),
            "needless": round(float((plain > -bias).mean()), 4),
        }
        for bias in _BIASES
        if bias.is_integer()
    ]
