"""The loss of chosen positions, in one with the output layer, has the values and gradients of the plain one."""

import pytest
import torch
from torch.nn import functional as F

from lamlam.pretrain import kernels
from lamlam.pretrain.kernels import linear_cross_entropy, masked_cross_entropy

N, H, V, TOKEN = 41, 8, 50, 7


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So that the positions fill several, the last of them in part."""
    monkeypatch.setattr(kernels, "_BLOCK", 16)
    monkeypatch.setattr(kernels, "_SLICE", 5)


@pytest.fixture
def given():
    torch.manual_seed(0)
    hidden, weight = torch.randn(N, H, requires_grad=True), torch.randn(V, H, requires_grad=True)
    targets = torch.randint(V, (N,))
    targets[targets == TOKEN] = TOKEN + 1
    return hidden, weight, targets, torch.rand(N) < 0.4


def gradients(value, *of):
    return value, *torch.autograd.grad(value, of)


def assert_close(ours, theirs, tolerance=1e-4):
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=tolerance, rtol=tolerance)


def test_it_is_the_cross_entropy_of_the_logits(given):
    hidden, weight, targets, _ = given
    plain = F.cross_entropy(hidden @ weight.T, targets, reduction="sum") * 0.3
    ours = linear_cross_entropy(hidden, weight, targets, scale=0.3)
    assert_close(gradients(ours * 5, hidden, weight), gradients(plain * 5, hidden, weight))


@pytest.mark.parametrize("way", ["linear", "logits"])
def test_a_banned_token_is_left_out_of_the_softmax_where_it_is_banned(given, way):
    hidden, weight, targets, banned = given
    others = torch.arange(V) != TOKEN
    logits = hidden @ weight.T
    short = F.cross_entropy(
        logits[banned][:, others], targets[banned] - (targets[banned] > TOKEN).long(), reduction="sum"
    )
    plain = short + F.cross_entropy(logits[~banned], targets[~banned], reduction="sum")
    if way == "linear":
        ours = linear_cross_entropy(hidden, weight, targets, banned, token=TOKEN)
    else:
        ours = masked_cross_entropy(hidden @ weight.T, targets, banned, token=TOKEN)
    assert_close(gradients(ours, hidden, weight), gradients(plain, hidden, weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_token_that_is_banned_everywhere_has_no_gradient_at_all(given, dtype):
    hidden, weight, targets, _ = given
    hidden, weight = (each.detach().to(dtype).requires_grad_() for each in (hidden, weight))
    ours = linear_cross_entropy(hidden, weight, targets, torch.ones(N, dtype=torch.bool), token=TOKEN)
    _, _, of_weight = gradients(ours, hidden, weight)
    assert not of_weight[TOKEN].any()
    assert of_weight[torch.arange(V) != TOKEN].any(-1).all()
    assert of_weight.isfinite().all()


def test_rows_stand_in_for_those_of_a_frozen_table(given):
    hidden, weight, targets, banned = given
    ids, rows = torch.tensor([3, TOKEN, 11]), torch.randn(3, H, requires_grad=True)
    frozen = weight.detach()
    whole = frozen.index_copy(0, ids, rows)
    plain = masked_cross_entropy(hidden @ whole.T, targets, banned, token=TOKEN)
    ours = linear_cross_entropy(hidden, frozen, targets, banned, token=TOKEN, rows=(ids, rows))
    assert_close(gradients(ours, hidden, rows), gradients(plain, hidden, rows))


def test_bfloat16_has_the_loss_of_its_logits_in_float32(given):
    hidden, weight, targets, _ = given
    hidden, weight = (each.detach().bfloat16().requires_grad_() for each in (hidden, weight))
    plain = F.cross_entropy((hidden @ weight.T).float(), targets, reduction="sum")
    ours = linear_cross_entropy(hidden, weight, targets)
    assert ours.dtype == torch.float32
    assert ours.item() == pytest.approx(plain.item(), rel=1e-6)


def test_unlikely_targets_have_a_finite_loss():
    weight = torch.tensor([[300.0], [-300.0]])
    ours = linear_cross_entropy(torch.ones(1, 1), weight, torch.tensor([1]))
    assert ours.item() == pytest.approx(600.0)
