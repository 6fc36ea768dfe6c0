"""Which facts are looked up: a share of them, at random or hardest first, each fact everywhere or nowhere."""

from pathlib import Path

import pytest
import torch

from fakes_model import tiny_llama
from lamlam.corpus import Corpus, FactRecord
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument, Call
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.losses import call_losses, losses_by_class
from lamlam.pretrain.data import offload
from lamlam.pretrain.recipe import OffloadingSettings
from lamlam.vocab import Vocabulary


def document(number: int) -> AnnotatedDocument:
    text = f"Person {number} was born in Town {number}. Person {number} lives in Village."
    born = Call(f"Person {number}", "Birth Place", f"Town {number}", text.index("Town"))
    lives = Call(f"Person {number}", "Residence", "Village", text.index("Village"))
    return AnnotatedDocument(f"d{number}", text, (born, lives))


def corpus(size: int = 300) -> Corpus:
    documents = [document(number) for number in range(size)]
    facts = [FactRecord(call.entity, call.relation, call.value) for each in documents for call in each.calls]
    return Corpus([*documents, *documents], {"seen": documents[:20]}, facts)


def kept(given: Corpus) -> set[tuple[str, str]]:
    return {(call.entity, call.relation) for each in given.train for call in each.calls}


def test_everything_is_looked_up_unless_told_otherwise() -> None:
    given = corpus(5)
    assert offload([given], OffloadingSettings(), 0) == [given]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.75])
def test_a_share_of_the_facts_is_looked_up_and_each_everywhere_or_nowhere(share: float) -> None:
    (less,) = offload([corpus()], OffloadingSettings(share=share), 0)
    facts = kept(less)
    assert len(facts) / 600 == pytest.approx(share, abs=0.06)
    counts = [sum((c.entity, c.relation) == fact for d in less.train for c in d.calls) for fact in list(facts)[:20]]
    assert set(counts) <= {2}
    assert all((call.entity, call.relation) in facts for each in less.heldout["seen"] for call in each.calls)
    assert [each.text for each in less.train] == [each.text for each in corpus().train]
    assert len(less.facts) == 600


def test_a_larger_share_holds_the_smaller_one() -> None:
    small, large = (kept(offload([corpus()], OffloadingSettings(share=share), 3)[0]) for share in (0.25, 0.5))
    assert small < large
    assert small != kept(offload([corpus()], OffloadingSettings(share=0.25), 4)[0])


def untrained(folder: Path, documents: list[AnnotatedDocument]) -> Checkpoint:
    vocabulary = Vocabulary.train([each.text for each in documents], 400)
    checkpoint = Checkpoint(tiny_llama(vocabulary, context=2048), vocabulary)
    checkpoint.save(folder)
    return checkpoint


def test_the_hardest_facts_are_those_whose_values_the_reference_finds_least_likely(tmp_path: Path) -> None:
    given = corpus(20)
    checkpoint = untrained(tmp_path, given.train)
    # The reference knows one word by heart: what it finds easy is said without a call.
    village = checkpoint.vocabulary.encode(" Village")
    with torch.no_grad():
        checkpoint.model.lm_head.weight.zero_()
        checkpoint.model.lm_head.weight[village] = 0.0
    model = checkpoint.model

    class Knowing(torch.nn.Module):
        config, device = model.config, model.device

        def forward(self, input_ids: torch.Tensor, **more: object) -> object:
            out = model(input_ids=input_ids)
            out.logits[..., village] += 9.0
            return out

    checkpoint.model = Knowing()  # type: ignore[assignment]
    import lamlam.pretrain.data as module

    settings = OffloadingSettings(share=0.5, policy="hardest", reference=str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Checkpoint, "load", lambda _: checkpoint)
        (less,) = offload([given], settings, 0)
    assert {relation for _, relation in kept(less)} == {"Birth Place"}
    assert len(kept(less)) == 20


def test_the_losses_of_calls_add_up_to_that_of_the_stated_values(tmp_path: Path) -> None:
    documents = [document(number) for number in range(4)]
    checkpoint = untrained(tmp_path, documents)
    for arm in ("standard", "lmlm"):
        rows = call_losses(checkpoint.model, checkpoint.vocabulary, documents, arm)
        whole = losses_by_class(checkpoint.model, checkpoint.vocabulary, documents, arm)["stated"]
        assert sum(loss.tokens for row in rows for loss in row) == whole.tokens
        assert sum(loss.total for row in rows for loss in row) == pytest.approx(whole.total)


def test_without_a_reference_nothing_can_be_called_hard() -> None:
    with pytest.raises(InputError, match="reference"):
        offload([corpus(3)], OffloadingSettings(share=0.5, policy="hardest"), 0)
