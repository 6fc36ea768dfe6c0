"""Thresholds are found on a knowledge base's own facts, and kept in it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamlam.cli.app import app
from lamlam.errors import InputError
from lamlam.kb import KnowledgeBase
from lamlam.kb.database import set_meta
from lamlam.kb.matching.matcher import Matcher

RELATIONS = ("Birth Year", "Death Year", "Birth Place", "Death Place", "Award", "Award Year", "Team", "Home Town")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add(
            (f"person {i}", relation, f"{at} {relation} {i}")
            for i in range(60)
            for at, relation in enumerate(RELATIONS)
        )
    return tmp_path / "kb.sqlite"


def test_calibration_keeps_to_the_rate_and_is_found_again(file: Path) -> None:
    with KnowledgeBase.open(file) as kb:
        tried = kb.calibrate(0.02, dry_run=True)
        assert kb._resolver.settings().relation == type(tried.settings)().relation
        assert len(kb.log()) == 1
        found = kb.calibrate(0.02, actor="ada", reason="why")
        assert found.settings == tried.settings
        assert found.pairs > 0
        absent = found.answered.values()
        assert sum(hits for hits, _ in absent) <= 0.06 * sum(n for _, n in absent)
        assert found.right["rearranged"][1] > 50
        assert [(each.action, each.actor, each.reason) for each in kb.log()][-1] == ("calibrate", "ada", "why")
    with KnowledgeBase.open(file) as kb:
        assert kb._resolver.settings() == found.settings
        assert kb.verify() == []


def test_a_stricter_rate_has_a_higher_threshold(file: Path) -> None:
    with KnowledgeBase.open(file) as kb:
        strict, loose = (kb.calibrate(rate, dry_run=True).settings.relation for rate in (0.0001, 0.5))
    assert strict >= loose


def test_too_few_facts_or_no_share_are_told(tmp_path: Path) -> None:
    with KnowledgeBase.open(":memory:") as kb:
        kb.add([("a", "b", "c")])
        with pytest.raises(InputError, match="needed"):
            kb.calibrate()
        for rate in (0.0, 1.0, -1.0, float("nan")):
            with pytest.raises(InputError, match="between 0 and 1"):
                kb.calibrate(rate)


def test_settings_that_were_tampered_with_are_told(file: Path) -> None:
    with KnowledgeBase.open(file) as kb:
        set_meta(kb._database, "matching", '{"relation": 7}')
        with pytest.raises(InputError, match="relation"):
            kb.lookup("person 1", "Year of Birth, so to speak")


def test_the_commands_train_and_calibrate(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    facts, table, out = tmp_path / "facts.jsonl", tmp_path / "same.txt", tmp_path / "matcher.json"
    table.write_text("date: birth year | born in\naward | prize\n", encoding="utf-8")
    run = CliRunner()
    assert run.invoke(app, ["kb", "export", str(file), str(facts)]).exit_code == 0
    trained = run.invoke(app, ["kb", "train", str(facts), "--rewordings", str(table), "--out", str(out)])
    assert trained.exit_code == 0, trained.output
    assert Matcher.load(out)
    options = ["--rate", "0.05", "--rewordings", str(table), "--matcher", str(out)]
    done = run.invoke(app, ["kb", "calibrate", str(file), *options])
    assert done.exit_code == 0, done.output
    assert "known: reworded" in done.output
    with KnowledgeBase.open(file) as kb:
        assert kb._reader.setting("matcher") == out.read_text(encoding="utf-8")
        assert kb.lookup("person 3", "Year of Birth").text == "0 Birth Year 3"
    missing = run.invoke(app, ["kb", "calibrate", str(file), "--matcher", str(tmp_path / "none.json")])
    assert missing.exit_code == 2 or isinstance(missing.exception, InputError)
