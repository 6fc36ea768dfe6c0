"""A knowledge base copied between databases is the same one."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from lamlam.corpus import FactRecord
from lamlam.errors import LamLamError
from lamlam.kb import KnowledgeBase, Status
from lamlam.kb.database import connect
from lamlam.kb.files import copy_database
from places import Place

MakePlace = Callable[[str], Place]


def _fill(place: Place) -> None:
    """Facts, sources, aliases, a past fact, and one that was forgotten last, so that the highest id is gone."""
    with place.open(create=True) as kb:
        kb.add(
            [
                FactRecord("Ada", "Field", "logic", "doc", 3, 8, ("Countess",), ("Subject",)),
                FactRecord("Ada", "Born", "London\t\\N 🧪", "doc"),
                ("Bob", "Field", "botany"),
            ],
            actor="me",
        )
        kb.edit(1, value="poetry", reason="a poet")
        kb.merge("Bob", into="Ada")
        gone = kb.add([("Eve", "Field", "secrets")])
        assert gone.added == 1
        kb.forget(entity="Eve")


def _told(kb: KnowledgeBase) -> list[Any]:
    lookups = [("countess", "subject"), ("Eve", "Field"), ("Bob", "Field"), ("Nobody", "Field")]
    view = kb.at(1)
    return [
        kb.digest(), kb.log(), replace(kb.stats(), bytes=0), kb.lookup_many(lookups), view.lookup_many(lookups),
        list(kb.facts()), kb.history(1), list(kb.aliases()), kb.entities_starting(""), kb.verify(), _settings(kb),
    ]  # fmt: skip


def _settings(kb: KnowledgeBase) -> dict[str, bytes]:
    return {k: v.encode() if isinstance(v, str) else v for k, v in kb._database.rows("SELECT * FROM meta")}


def _copy(source: str | Path, target: str | Path) -> int:
    with closing(connect(source)) as whole, closing(connect(target, create=True)) as empty:
        return copy_database(whole, empty)


def test_there_and_back_nothing_is_changed(make_place: MakePlace) -> None:
    places = [make_place(kind) for kind in ("sqlite", "postgres", "sqlite")]
    _fill(places[0])
    with places[0].open() as kb:
        before = _told(kb)
        assert kb.lookup("Eve", "Field").status is Status.FORGOTTEN
    counts = [_copy(source.address, target.address) for source, target in pairwise(places)]
    assert counts[0] == counts[1] > 30
    for place in places[1:]:
        with place.open() as kb:
            assert _told(kb) == before
            assert kb.add([("Eve", "Field", "secrets")]).refused


@pytest.mark.parametrize(("first", "second"), list(product(["sqlite", "postgres"], repeat=2)))
def test_ids_are_not_given_again_in_a_copy(first: str, second: str, make_place: MakePlace) -> None:
    source, target = make_place(first), make_place(second)
    _fill(source)
    _copy(source.address, target.address)
    numbers = []
    for place in (source, target):
        with place.open() as kb:
            assert kb.add([("New", "Kind", "value")], actor="next").added
            fact = kb.lookup("New", "Kind").facts[0]
            numbers.append((fact.id, fact.since, kb.alias("N", entity="New"), kb.verify()))
    assert numbers[0] == numbers[1]
    assert numbers[0][0] > 5


def test_what_is_there_is_not_written_over(place: Place, tmp_path: Path) -> None:
    _fill(place)
    with KnowledgeBase.open(tmp_path / "other.sqlite", create=True) as other:
        other.add([("a", "b", "c")])
        before = other.digest()
    with place.open() as kb:
        told = _told(kb)
    for source, target in ((place.address, tmp_path / "other.sqlite"), (tmp_path / "other.sqlite", place.address)):
        with pytest.raises(LamLamError, match="not empty"):
            _copy(source, target)
    with place.open() as kb, KnowledgeBase.open(tmp_path / "other.sqlite") as other:
        assert (_told(kb), other.digest(), other.verify()) == (told, before, [])


def test_a_copy_that_fails_leaves_nothing_of_it(place: Place, tmp_path: Path) -> None:
    _fill(place)

    def fail(rows: int) -> None:
        raise KeyboardInterrupt

    with place.fresh() as empty, closing(connect(place.address)) as whole:
        with pytest.raises(KeyboardInterrupt):
            copy_database(whole, empty._database, on_progress=fail)
        assert (empty.stats().facts, empty.log(), empty.verify()) == (0, [], [])
        assert empty.add([("a", "b", "c")]).added == 1
