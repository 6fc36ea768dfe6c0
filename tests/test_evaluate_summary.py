"""The names under which the figures of both arms are known."""

import json
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from fakes_evaluate import FakeEngine, always, never, probe
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import complete
from lamlam.evaluate.results import Proportion, Result, summarise
from lamlam.evaluate.tasks.perplexity import Perplexity
from lamlam.model.losses import Loss
from lamlam.report.run import RunResults
from lamlam.vocab import Arm

PROBES = [probe(n, group="seen" if n % 2 else "unseen") for n in range(10)]


def arm(name: Arm, answer: object) -> dict[str, Any]:
    completion = complete(FakeEngine(PROBES, answer), PROBES, DecodingSettings())  # type: ignore[arg-type]
    groups = {
        f"perplexity_{group}": Perplexity(name, 1, 10, Loss(total, tokens), Loss(2 * total, tokens), {})
        for group, total, tokens in (("seen", 1.0, 1), ("unseen", 0.0, 3))
    }
    results = {"completion": completion, "completion_db_off": completion, "perplexity": reduce(add, groups.values())}
    return {name: each.figures() for name, each in (results | groups).items()}


def both(**more: Any) -> dict[str, Any]:
    return {"lmlm": arm("lmlm", always) | more, "standard": arm("standard", never)}


def test_every_figure_has_its_name() -> None:
    edit = Result("editing", {"success": Proportion(1, 1), "locality": Proportion(9, 9)}, {"facts": 1}).figures()
    run = RunResults(summarise(both(editing=edit), seconds={"editing": 1.26}))
    assert run.number("lmlm.seen.accuracy") == run.number("lmlm.unseen.accuracy") == 1
    assert run.number("standard.seen.accuracy") == run.number("standard.unseen.accuracy") == 0
    assert run.number("lmlm.db_off.accuracy") == run.number("lmlm.db_off.seen.accuracy") == 1
    assert run.number("edit.success") == 1
    assert run.number("seconds.editing") == 1.3
    assert run.figure("forget") is None


def test_perplexity_of_all_documents_is_that_of_all_tokens() -> None:
    run = RunResults(summarise(both()))
    assert run.number("lmlm.perplexity.static") == 2.718281828459045 ** (1 / 4)
    assert run.number("lmlm.perplexity.normalized") == 2.718281828459045 ** (2 / 4)
    assert run.number("standard.perplexity") == run.number("lmlm.perplexity.static")
    assert run.number("standard.perplexity_detail.by_group.unseen.perplexity") == 1


def test_arms_that_were_measured_one_by_one_have_the_same_names_as_a_pair(tmp_path: Path) -> None:
    arms = both(editing={"skipped": "nothing was right"})
    for name, figures in arms.items():
        entries = {task: {"task": task, "figures": each} for task, each in figures.items()}
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(entries), encoding="utf-8")
    found = RunResults.read(tmp_path)
    assert found.results == json.loads(json.dumps(summarise(arms)))
    assert found.number("lmlm.perplexity.by_group.unseen.static") == 1
    assert found.figure("edit") is None


def test_what_was_left_out_has_no_name() -> None:
    skipped = {name: {"skipped": "no ground"} for name in ("completion", "completion_db_off", "perplexity", "editing")}
    assert summarise({"lmlm": skipped, "standard": {}}) == {"lmlm": {}, "standard": {}}
