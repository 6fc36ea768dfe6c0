"""Entities that may be several people of one name are told when they are imported."""

from pathlib import Path

import pytest

from lamlam.kb import KnowledgeBase
from lamlam.kb.files import import_file
from lamlam.kb.verify import Namesakes
from places import Place

SMITH = Namesakes("John Smith", "Birth Date", ("1 May 1950", "1970-06-03"))


def _told(kb: KnowledgeBase, path: Path, *rows: tuple[str, str, str]) -> tuple[Namesakes, ...]:
    path.write_text("entity,relation,value\n" + "".join(f'{e},{r},"{v}"\n' for e, r, v in rows), encoding="utf-8")
    return import_file(kb, path).namesakes


def test_two_times_of_birth_under_one_name_are_told(place: Place, tmp_path: Path) -> None:
    rows = [("John Smith", "Birth Date", "1 May 1950"), ("John Smith", "Birth Date", "1970-06-03")]
    with place.fresh() as kb:
        assert _told(kb, tmp_path / "a.csv", *rows, ("John Smith", "Field", "painting")) == (SMITH,)
        assert _told(kb, tmp_path / "a.csv", ("Ada", "Field", "1815"), ("Ada", "Field", "1816")) == ()


def test_a_later_import_tells_of_namesakes_that_were_there(place: Place, tmp_path: Path) -> None:
    with place.fresh() as kb:
        assert _told(kb, tmp_path / "a.csv", ("John Smith", "Birth Date", "1 May 1950")) == ()
        assert _told(kb, tmp_path / "b.csv", ("John Smith", "Birth Date", "1970-06-03")) == (SMITH,)
        kb.retract(kb.lookup("John Smith", "Birth Date").facts[0].id)
        assert _told(kb, tmp_path / "c.csv", ("John Smith", "born on", "1970")) == ()


def test_an_import_in_bulk_tells_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamlam.kb.files._LARGE", 1)
    rows = [("John Smith", "Birth Date", value) for value in SMITH.values]
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        assert _told(kb, tmp_path / "a.csv", *rows) == (SMITH,)


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        ("1815", "10 December 1815", False),
        ("December 1815", "December 10th, 1815", False),
        ("1815-12-10", "Dec. 10, 1815, London", False),
        ("10 December 1815", "the 10th of December 1815", False),
        ("London", "Paris", False),
        ("London", "1815", False),
        ("1815", "1816", True),
        ("10 December 1815", "11 December 1815", True),
        ("November 1815", "1815-12-10", True),
        ("15 March 44 BC", "15 March 44", True),
    ],
)
def test_times_contradict_each_other_in_what_both_say(tmp_path: Path, one: str, other: str, contradict: bool) -> None:
    with KnowledgeBase.open(":memory:") as kb:
        assert bool(_told(kb, tmp_path / "a.csv", ("Ada", "Died", one), ("Ada", "date of death", other))) is contradict
