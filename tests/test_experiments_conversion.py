"""The page of a converted model and its rivals: what is met, what is missed, what was not measured."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from experiments.conversion_page import AIMS, main, told

from lamlam.evaluate.arms.rows import Row, figures
from lamlam.evaluate.outcome import Outcome


def way(group: str, right: int, n: int = 100) -> dict[str, Any]:
    rows = [
        Row(str(i), group, Outcome.RIGHT if i < right else Outcome.FALSE, "x", 30, i < right, called=True)
        for i in range(n)
    ]
    return {"figures": figures(rows), "answers_a_second": 5.0, "rows": [row.as_json() for row in rows]}


def run(right: int, **parts: Any) -> dict[str, Any]:
    ways = {name: way("text", right) for name in ("own", "forced")}
    return {"arm": "converted", "prompts": {"ways": ways, "knowledge_base": "d"}} | parts


def aim(label: str) -> Any:
    return next(each for each in AIMS if each.label == label)


TEXTS = "texts that determine the fact, right, own call"


def test_an_aim_is_met_or_missed_by_the_mean_over_runs() -> None:
    met = told(aim(TEXTS), {"converted": [run(60), run(72), run(69)]})
    assert (met["by_run"], met["mean"], met["met"]) == ([0.6, 0.72, 0.69], 0.67, True)
    assert met["interval"][0] < 0.6
    assert told(aim(TEXTS), {"converted": [run(60)]})["met"] is False


def test_a_difference_needs_both_arms() -> None:
    over = next(each for each in AIMS if each.over and each.over[0] == "rag")
    rag = {"prompts": {"ways": {"entity": way("text", 40)}}}
    assert told(over, {"converted": [run(70)]})["met"] is None
    assert told(over, {"converted": [run(70)], "rag": [rag]})["mean"] == pytest.approx(0.3)


def test_the_page_says_what_was_not_measured_and_keeps_no_rows(tmp_path: Path) -> None:
    known = {state: {"ways": {"forced": way("known", 3)}} for state in ("swapped", "forgotten")}
    calls = {
        name: {"bias": bias, "asked": _share(80), "needless": _share(5)}
        for name, bias in (("without_bias", 0.0), ("calibrated", 1.5))
    }
    language = {
        "perplexity": {"static_bits_per_byte": 0.9, "normalized_bits_per_byte": 1.0},
        "blimp": {"detail": {"text": _share(75)}},
    }
    path = tmp_path / "arms.json"
    path.write_text(json.dumps(run(90, known=known, calls=calls, language=language)))
    main(["--converted", str(path), "--out", str(tmp_path / "conversion.json")])
    page = (tmp_path / "conversion.md").read_text()
    assert f"| {TEXTS} | ≥ 65% | 90.0% | met |" in page
    assert "| swapped values followed, forced | ≥ 96% | 3.0% | missed |" in page
    assert "| BLiMP, less the base's | within 1 point | not measured | |" in page
    assert "| converted | 1.5 (calibrated) | 80.0% (71–87) | 5.0% (2–11) |" in page
    assert '"rows"' not in (tmp_path / "conversion.json").read_text()


def _share(hits: int) -> dict[str, Any]:
    from lamlam.evaluate.results import Proportion

    return Proportion(hits, 100).as_json("share")
