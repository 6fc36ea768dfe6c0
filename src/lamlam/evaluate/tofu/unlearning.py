"""Unlearning by gradients, which TOFU's own baselines do: the weights are trained away from the forget set.

Losses as in open-unlearning (`src/trainer/unlearn/{grad_ascent,grad_diff,npo}.py`, `trainer/utils.py`); as there and in
TOFU, only the answers' tokens count, EOS included.

Shapes: B sequences, T tokens.
"""

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import PreTrainedModel

from lamlam.batches import batches
from lamlam.corpus.questions import prompt_of
from lamlam.evaluate.tofu.pairs import Pair
from lamlam.vocab import IGNORE_INDEX, Vocabulary, opened

__all__ = ["METHODS", "Method", "UnlearningSettings", "answer_losses", "examples_of", "npo_loss", "unlearn"]

Method = Literal["gradient_ascent", "gradient_difference", "npo"]
METHODS: tuple[Method, ...] = get_args(Method)


class UnlearningSettings(BaseModel):
    """Passes over the forget set as in TOFU; `beta` as in NPO (arXiv 2404.05868)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=5, ge=1)
    batch: int = Field(default=8, ge=1, description="pairs of each set a step")
    learning_rate: float = Field(default=1e-4, gt=0.0)
    weight_decay: float = Field(default=0.01, ge=0.0)
    beta: float = Field(default=0.1, gt=0.0)
    seed: int = 0


class Example(NamedTuple):
    """The ids of a pair, and where its answer begins."""

    ids: list[int]
    answer_at: int


def unlearn(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    method: Method,
    forget: Sequence[Pair],
    retain: Sequence[Pair],
    settings: UnlearningSettings,
) -> None:
    """Train `model`, which knows both sets, to forget one of them; it is changed in place, in float32.

    gradient_ascent      minus the loss on the forget set
    gradient_difference  the same, plus the loss on the retain set
    npo                  `npo_loss` on the forget set, with the model as it came as reference, plus the loss on retain
    """
    rng = random.Random(settings.seed)
    forgotten, kept = (examples_of(pairs, vocabulary) for pairs in (forget, retain))
    reference = [_no_grad_losses(model, [example], vocabulary.pad_id) for example in forgotten]
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    model.train()
    for _ in range(settings.epochs):
        order = rng.sample(range(len(forgotten)), len(forgotten))
        for chosen in batches(order, settings.batch):
            losses, tokens = answer_losses(model, [forgotten[index] for index in chosen], vocabulary.pad_id)
            if method == "npo":
                loss = npo_loss(losses, torch.cat([reference[index] for index in chosen]), settings.beta)
            else:
                loss = -losses.sum() / tokens
            if method != "gradient_ascent":
                others = rng.sample(kept, min(len(chosen), len(kept)))
                losses, tokens = answer_losses(model, others, vocabulary.pad_id)
                loss = loss + losses.sum() / tokens
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    model.eval()


def examples_of(pairs: Sequence[Pair], vocabulary: Vocabulary) -> list[Example]:
    """Each pair as a model reads it: question and answer as in training, and EOS."""
    examples = []
    for pair in pairs:
        asked = [vocabulary.bos_id, *vocabulary.encode(opened(prompt_of(pair.question)))]
        answer = [*vocabulary.encode(" " + pair.answer.strip()), vocabulary.eos_id]
        examples.append(Example(asked + answer, len(asked)))
    return examples


def npo_loss(losses: Tensor, reference: Tensor, beta: float) -> Tensor:
    """Negative preference optimisation: -2/beta * mean of log sigmoid(beta * (losses - reference)), both [B].

    It falls as the answers grow less likely than the reference finds them, and ever slower (arXiv 2404.05868,
    equation 3; `compute_dpo_loss` without a preferred answer).
    """
    return -2 / beta * logsigmoid(beta * (losses - reference)).mean()


def answer_losses(model: PreTrainedModel, examples: Sequence[Example], pad_id: int) -> tuple[Tensor, int]:
    """Minus log p of each answer, summed over its tokens [B], and how many tokens they have in all."""
    width = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), width), pad_id, device=model.device)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORE_INDEX)
    for row, (tokens, answer_at) in enumerate(examples):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        labels[row, answer_at : len(tokens)] = torch.tensor(tokens[answer_at:])
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    losses = cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORE_INDEX, reduction="none")
    return losses.sum(-1), int((labels != IGNORE_INDEX).sum())


@torch.no_grad()
def _no_grad_losses(model: PreTrainedModel, examples: Sequence[Example], pad_id: int) -> Tensor:
    model.eval()
    return answer_losses(model, examples, pad_id)[0]
