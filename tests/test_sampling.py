"""Every parameter of sampling has an effect, and none where it must not."""

import pytest
import torch

from lamlam.engine import DecodingSettings
from lamlam.engine.sampling import Sampler

LOGITS = torch.tensor([3.0, 2.0, 1.0, 0.0, -1.0, 9.0])
ALLOWED = torch.tensor([True, True, True, True, True, False])


def _drawn(count: int = 300, ids: tuple[int, ...] = (), **settings: object) -> list[int]:
    sampler = Sampler(DecodingSettings(seed=5, **settings))  # type: ignore[arg-type]
    return [sampler.choose(LOGITS, ALLOWED, ids) for _ in range(count)]


def test_what_is_not_allowed_is_never_chosen() -> None:
    assert set(_drawn(temperature=2.0)) == {0, 1, 2, 3, 4}
    assert set(_drawn(count=1)) == {0}


def test_top_k_keeps_the_k_likeliest() -> None:
    assert set(_drawn(temperature=2.0, top_k=2)) == {0, 1}


def test_top_p_keeps_the_likeliest_mass() -> None:
    assert set(_drawn(temperature=1.0, top_p=0.8)) == {0, 1}
    assert set(_drawn(temperature=1.0, top_p=1e-9)) == {0}


@pytest.mark.parametrize("temperature", [1e-30, 1e-3])
def test_a_small_temperature_is_greedy(temperature: float) -> None:
    assert set(_drawn(temperature=temperature)) == {0}


def test_a_higher_temperature_spreads() -> None:
    assert _drawn(temperature=0.5).count(0) > _drawn(temperature=4.0).count(0)


def test_a_penalty_avoids_what_was_said() -> None:
    assert _drawn(count=1, ids=(0,), repetition_penalty=1.4) == [0]
    assert _drawn(count=1, ids=(0,), repetition_penalty=2.0) == [1]


def test_what_is_drawn_depends_on_the_seed_alone() -> None:
    first, second, other = (
        [sampler.choose(LOGITS, ALLOWED, ()) for _ in range(20)]
        for sampler in (Sampler(DecodingSettings(temperature=1.0, seed=seed)) for seed in (1, 1, 2))
    )
    assert first == second != other
