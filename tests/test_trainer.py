"""The Trainer's loss, by the step of a lone CPU and by the plain one."""

import pytest
import torch

from lamlam.model.presets import build_model
from lamlam.pretrain import trainer
from lamlam.pretrain.packing import pack
from lamlam.pretrain.recipe import Recipe
from lamlam.vocab import Encoded, Kind, Vocabulary

SHAPE = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
SHAPE |= {"num_key_value_heads": 2}


def gradient_of_the_entity_token(kind: Kind, folder, lone: bool, monkeypatch) -> torch.Tensor:
    """Of its row in the output weights, from texts of which every token is of this kind."""
    monkeypatch.setattr(trainer, "_is_alone_on_a_cpu", lambda training: lone)
    vocabulary = Vocabulary.train(["a b c"], 300)
    training = {"batch": 2, "context": 16, "bf16": lone}
    recipe = Recipe.model_validate({"name": "x", "corpora": [{"kind": "world"}], "training": training})
    documents = [Encoded([vocabulary.bos_id, *range(20, 32)], [Kind.BOS, *[kind] * 12]) for _ in range(2)]
    packed = pack(documents, folder / f"{kind.name}-{lone}", context=16, pad_id=vocabulary.pad_id)
    model = build_model("nano", vocabulary, overrides=SHAPE)
    entity = vocabulary.entity_id
    made = trainer.PackedTrainer(model, recipe, packed, folder / "state", [], entity_id=entity)
    batch = {key: torch.stack([packed[row][key] for row in range(2)]) for key in packed[0]}
    made.compute_loss(made.model, batch).backward()
    return model.get_output_embeddings().weight.grad[entity]


@pytest.mark.parametrize("lone", [True, False])
def test_not_calling_is_trained_in_text_but_not_where_calls_are_open(tmp_path, lone, monkeypatch):
    assert gradient_of_the_entity_token(Kind.TEXT, tmp_path, lone, monkeypatch).abs().max() > 0
    assert not gradient_of_the_entity_token(Kind.OPEN, tmp_path, lone, monkeypatch).any()
