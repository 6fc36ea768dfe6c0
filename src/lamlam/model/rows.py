"""Trains a few rows of a frozen embedding, and of the output weights, tied to it or not.

peft's `trainable_token_indices` copies the whole table in each pass and computes a gradient for all of its rows; here
the table is frozen, and only the rows have gradients. Trained rows are kept in peft's form all the same.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from lamlam.errors import LamLamError

__all__ = ["train_rows", "trained_output_rows", "trained_rows"]

# V tokens, H wide, R of them trained.


class _Embedding(nn.Embedding):
    """A frozen table [V, H] in which `rows` [R, H] stand in for those at `ids`."""

    _place: Tensor

    def __init__(self, table: nn.Embedding, ids: Sequence[int]) -> None:
        super().__init__(table.num_embeddings, table.embedding_dim, _weight=table.weight.detach())
        self.weight = table.weight.requires_grad_(False)
        self.rows = nn.Parameter(table.weight.detach()[list(ids)].clone())
        place = torch.full((table.num_embeddings,), -1)
        place[list(ids)] = torch.arange(len(ids))
        self.register_buffer("_place", place, persistent=False)  # [V], in `rows`

    def forward(self, input: Tensor) -> Tensor:
        place = self._place[input]
        rows = F.embedding(place.clamp(min=0), self.rows).to(self.weight.dtype)
        return torch.where((place >= 0).unsqueeze(-1), rows, super().forward(input))


class _Head(nn.Linear):
    """Frozen output weights [V, H] in which rows [R, H] stand in for those at `ids`: its own, or an embedding's."""

    _ids: Tensor

    def __init__(self, head: nn.Linear, ids: Sequence[int], tied: _Embedding | None) -> None:
        super().__init__(head.in_features, head.out_features, bias=False, device="meta")
        self.weight = head.weight.requires_grad_(False)
        if tied is None:
            self.rows = nn.Parameter(head.weight.detach()[list(ids)].clone())
        self._tied = [tied]  # in a list it is no module of this one, whose rows would be saved twice
        self.register_buffer("_ids", torch.tensor(ids), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        tied = self._tied[0]
        logits = super().forward(input)
        trained = F.linear(input, (self if tied is None else tied).rows)
        return logits.index_copy_(-1, self._ids, trained.to(logits.dtype))


def train_rows(model: PreTrainedModel, ids: Sequence[int]) -> None:
    """Let the rows at `ids` be trained, of the embedding and of the output weights, and no others of them.

    Raises `LamLamError` when the model computes its embedding or logits in a way of its own.
    """
    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    if type(table) is not nn.Embedding or type(head) is not nn.Linear or head.bias is not None:
        raise LamLamError("the model's embedding or output layer is of a kind of which no rows can be trained alone")
    embedding = _Embedding(table, ids)
    model.set_input_embeddings(embedding)
    model.set_output_embeddings(_Head(head, ids, embedding if head.weight is table.weight else None))


def trained_rows(model: PreTrainedModel) -> dict[str, Tensor]:
    """The rows by the name of the module that they are of; tied ones once."""
    return {name: module.rows for name, module in model.named_modules() if hasattr(module, "rows")}


def trained_output_rows(model: PreTrainedModel) -> tuple[Tensor, Tensor] | None:
    """The ids [R] and weights [R, H] that stand in for rows of the output weights; None where none do."""
    head = model.get_output_embeddings()
    return (head._ids, (head._tied[0] or head).rows) if isinstance(head, _Head) else None
