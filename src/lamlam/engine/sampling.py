"""Choosing tokens: the likeliest, or one sampled by temperature, top-k and top-p; V is the width of the logits."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lamlam.engine.generation import TokenLogProb
from lamlam.engine.settings import DecodingSettings

__all__ = ["Sampler", "token_log_probs"]


class Sampler:
    """Chooses the tokens of one sequence, by its settings and with a generator of its own."""

    def __init__(self, settings: DecodingSettings, device: torch.device | str = "cpu") -> None:
        self._greedy = settings.temperature == 0
        self._generator = torch.Generator(device).manual_seed(settings.seed)
        self._penalties = LogitsProcessorList()
        if settings.repetition_penalty != 1.0:
            self._penalties.append(RepetitionPenaltyLogitsProcessor(settings.repetition_penalty))
        self._warpers = LogitsProcessorList()
        if not self._greedy:
            self._warpers.append(TemperatureLogitsWarper(float(settings.temperature)))
        if settings.top_k is not None:
            self._warpers.append(TopKLogitsWarper(settings.top_k))
        if settings.top_p is not None:
            self._warpers.append(TopPLogitsWarper(settings.top_p))

    @property
    def takes_likeliest(self) -> bool:
        """Whether the token of the greatest logit is chosen, if it is allowed."""
        return self._greedy and not self._penalties

    def choose(self, logits: Tensor, allowed: Tensor, ids: Sequence[int]) -> int:
        """A token by its `logits` [V], among those that `allowed` [V] (bool) marks, after `ids`."""
        scores = logits.float()
        if self._penalties:
            scores = self._penalties(torch.tensor([ids], device=logits.device), scores[None].clone())[0]  # type: ignore[arg-type]
        scores = scores.masked_fill(~allowed, -torch.inf)
        if self._greedy:
            return int(scores.argmax())
        # Only differences count; with the maximum at 0 the smallest temperature overflows nothing.
        scores = (scores - scores.max())[None]
        no_ids = torch.empty(1, 0, dtype=torch.long, device=scores.device)
        probabilities = self._warpers(no_ids, scores).softmax(dim=-1)  # type: ignore[arg-type]
        return int(torch.multinomial(probabilities[0], 1, generator=self._generator))


def token_log_probs(logits: Tensor, tokens: Sequence[int], top: int) -> list[TokenLogProb]:
    """How likely each token is by its row of the logits [K, V], and the `top` likeliest of the row."""
    log_probs = logits.float().log_softmax(-1)
    chosen = log_probs[range(len(tokens)), tokens].tolist()
    values, ids = log_probs.topk(min(top, log_probs.shape[-1]))
    tops = (tuple(zip(*row, strict=True)) for row in zip(ids.tolist(), values.tolist(), strict=True))
    return [TokenLogProb(*each) for each in zip(tokens, chosen, tops, strict=True)]
