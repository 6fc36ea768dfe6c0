"""Shares, their intervals, and the file that results stand in."""

import json
import math
import pkgutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_evaluate import probe
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate import completion, results, tasks
from lamlam.evaluate import evaluation as evaluation_module
from lamlam.evaluate.auditing import OracleCaller
from lamlam.evaluate.evaluation import REGISTERED, Evaluation, NotApplicable, task
from lamlam.evaluate.results import Proportion, Provenance, Result, append_results, measure, read_results
from lamlam.evaluate.tasks import run_task
from lamlam.kb.store import KnowledgeBase


def counted(number: float) -> Result:
    return Result("counting", more={"number": number})


def test_an_interval_is_wilsons() -> None:
    low, high = Proportion(8, 10).interval
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Proportion(0, 100).interval[1] == pytest.approx(0.0370, abs=1e-4)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share_and_stays_between_0_and_1(case: tuple[int, int]) -> None:
    share = Proportion(*case)
    low, high = share.interval
    assert 0 <= low <= share.value + 1e-12
    assert share.value - 1e-12 <= high <= 1


def test_a_share_of_nothing_is_no_number() -> None:
    assert math.isnan(Proportion(0, 0).value)
    assert Proportion(0, 0).as_json("accuracy")["accuracy"] is None


def test_more_hits_than_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="3 hits of 2"):
        Proportion(3, 2)


def test_results_of_several_tasks_stand_side_by_side_and_the_newest_wins(tmp_path: Path) -> None:
    append_results(tmp_path, {"counting": counted(1)})
    append_results(tmp_path, {"other": counted(2)})
    append_results(tmp_path, {"counting": counted(3)}, Provenance(seed=7, settings={"n": 5}, kb_digest="abc"))
    written = read_results(tmp_path)
    assert written["counting"]["figures"] == {"number": 3}
    assert written["other"]["figures"] == {"number": 2}
    assert written["counting"]["seed"] == 7
    assert written["counting"]["settings"] == {"n": 5}
    assert written["counting"]["knowledge_base"] == "abc"
    assert "torch" in written["counting"]["versions"]
    assert written["counting"]["code"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_number_that_is_none_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    append_results(tmp_path, {"counting": counted(1)})
    with pytest.raises(ValueError, match="JSON compliant"):
        append_results(tmp_path, {"counting": counted(math.nan)})
    assert read_results(tmp_path)["counting"]["figures"] == {"number": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"[1]", "JSON object"), (b'{"a": ', "whole JSON"), (b"\xff\xfe{}", "not UTF-8")],
)
def test_a_results_file_that_is_none_is_told_by_name(tmp_path: Path, content: bytes, reason: str) -> None:
    assert read_results(tmp_path) == {}  # nothing was measured yet
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_results(tmp_path)
    assert "results.json" in str(caught.value)


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    path = append_results(tmp_path, {"counting": counted(1)})
    assert json.loads(path.read_text(encoding="utf-8"))["counting"]["task"] == "counting"


def test_a_measure_counts_the_cases_that_it_is_about() -> None:
    measures = {"even": lambda n: n % 2 == 0, "large_if_even": lambda n: n > 2 if n % 2 == 0 else None}
    assert measure([1, 2, 3, 4], measures) == {"even": Proportion(2, 4), "large_if_even": Proportion(1, 2)}
    assert measure([], measures)["even"] == Proportion(0, 0)


def test_the_figures_of_a_result_nest_those_of_its_parts() -> None:
    part = Result("part", {"right": Proportion(1, 2)}, {"facts": 2}, [{"prompt": "Ada"}], rows=[object()])
    figures = Result("whole", more={"n": 1}, parts={"seen": part}).figures()
    assert set(figures) == {"n", "seen"}
    assert (figures["seen"]["right"], figures["seen"]["detail"]["right"]["n"], figures["seen"]["facts"]) == (0.5, 2, 2)
    assert figures["seen"]["examples"] == [{"prompt": "Ada"}]
    assert Result.skipped("whole", "no data").figures() == {"skipped": "no data"}
    json.dumps(figures)


def test_a_task_is_registered_by_its_decorator_and_may_return_one_result_or_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @task("one", "a result of its own name")
    def one(evaluation: Evaluation) -> Result:
        return counted(1)

    @task("two", "two results", arms=("lmlm",))
    def two(evaluation: Evaluation) -> dict[str, Result]:
        return {"first": counted(1), "second": counted(2)}

    monkeypatch.setattr(tasks, "TASKS", {name: REGISTERED.pop(name) for name in ("one", "two")})
    lmlm, standard = (SimpleNamespace(arm=arm, lmlm_only=refuse) for arm in ("lmlm", "standard"))
    assert list(run_task("one", standard)) == ["one"]  # type: ignore[arg-type]
    assert list(run_task("two", lmlm)) == ["first", "second"]  # type: ignore[arg-type]
    with pytest.raises(NotApplicable, match="two"):
        run_task("two", standard)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no task 'three'"):
        run_task("three", lmlm)  # type: ignore[arg-type]


def refuse(name: str) -> None:
    raise NotApplicable(name)


def test_the_tasks_of_every_module_are_found_and_those_of_the_demo_come_first() -> None:
    modules = {name for _, name, _ in pkgutil.iter_modules(tasks.__path__)}
    registering = {each.run.__module__.rpartition(".")[2] for each in tasks.TASKS.values()}
    assert registering == modules - {"harness"}, "tasks of the harness are run by name alone"
    assert tuple(tasks.TASKS)[:4] == tasks.LOOP


def test_the_task_that_the_page_shows_runs(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    block = page.partition("## Adding a task")[2].partition("```python\n")[2].partition("```")[0]
    names = {
        name: getattr(module, name) for module in (completion, evaluation_module, results) for name in module.__all__
    }
    exec(block, names)
    probes = [probe(1, relation="Capital"), probe(2)]
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add([(each.entity, each.relation, each.answers[0]) for each in probes])
    evaluation = SimpleNamespace(
        corpus=SimpleNamespace(probes=probes),
        settings=DecodingSettings(),
        kb_path=tmp_path / "kb.sqlite",
        engine_on=lambda kb: OracleCaller(kb, probes),
    )
    result = REGISTERED.pop("kept").run(evaluation)  # type: ignore[arg-type]
    assert result.proportions == {"known": Proportion(2, 2), "kept": Proportion(1, 2)}  # type: ignore[union-attr]
