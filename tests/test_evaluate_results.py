"""Shares, their intervals, and the file that results stand in."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamlam.errors import InputError
from lamlam.evaluate.results import Provenance, Share, append_results, read_results


@dataclass
class Counted:
    number: int
    task: str = "counting"

    def figures(self) -> dict[str, int]:
        return {"number": self.number}


def test_an_interval_is_wilsons() -> None:
    low, high = Share(8, 10).interval
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Share(0, 100).interval[1] == pytest.approx(0.0370, abs=1e-4)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share_and_stays_between_0_and_1(case: tuple[int, int]) -> None:
    share = Share(*case)
    low, high = share.interval
    assert 0 <= low <= share.value + 1e-12
    assert share.value - 1e-12 <= high <= 1


def test_a_share_of_nothing_is_no_number() -> None:
    assert math.isnan(Share(0, 0).value)
    assert Share(0, 0).as_json("accuracy")["accuracy"] is None


def test_more_hits_than_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="3 hits of 2"):
        Share(3, 2)


def test_results_of_several_tasks_stand_side_by_side_and_the_newest_wins(tmp_path: Path) -> None:
    append_results(tmp_path, {"counting": Counted(1)})
    append_results(tmp_path, {"other": Counted(2)})
    append_results(tmp_path, {"counting": Counted(3)}, Provenance(seed=7, settings={"n": 5}, kb_digest="abc"))
    results = read_results(tmp_path)
    assert results["counting"]["figures"] == {"number": 3}
    assert results["other"]["figures"] == {"number": 2}
    assert results["counting"]["seed"] == 7
    assert results["counting"]["settings"] == {"n": 5}
    assert results["counting"]["knowledge_base"] == "abc"
    assert "torch" in results["counting"]["versions"]
    assert results["counting"]["code"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_number_that_is_none_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    append_results(tmp_path, {"counting": Counted(1)})
    with pytest.raises(ValueError, match="JSON compliant"):
        append_results(tmp_path, {"counting": Counted(math.nan)})  # type: ignore[dict-item]
    assert read_results(tmp_path)["counting"]["figures"] == {"number": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"[1]", "JSON object"), (b'{"a": ', "not JSON"), (b"\xff\xfe{}", "not UTF-8")],
)
def test_a_results_file_that_is_none_is_told_by_name(tmp_path: Path, content: bytes, reason: str) -> None:
    assert read_results(tmp_path) == {}  # nothing was measured yet
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_results(tmp_path)
    assert "results.json" in str(caught.value)


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    path = append_results(tmp_path, {"counting": Counted(1)})
    assert json.loads(path.read_text(encoding="utf-8"))["counting"]["task"] == "counting"
