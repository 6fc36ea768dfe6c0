"""Facts from files and into files: round trips, what is refused, and what is malformed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamlam.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.kb import KnowledgeBase, Source
from lamlam.kb.files import export_file, import_file
from lamlam.kb.names import normalise
from places import Place

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8).filter(
    normalise
)
SPAN = st.one_of(st.just((None, None)), st.tuples(st.integers(0, 50), st.integers(50, 90)))
PLACE = st.one_of(st.just((None, None, None)), st.tuples(TEXT, SPAN).map(lambda place: (place[0], *place[1])))
RECORD = st.builds(
    lambda e, r, v, place, names, kinds: FactRecord(e, r, v, *place, tuple(names), tuple(kinds)),
    TEXT, TEXT, TEXT, PLACE, st.lists(TEXT, max_size=2), st.lists(TEXT, max_size=2),
)  # fmt: skip


@pytest.fixture
def kb(place: Place) -> Iterator[KnowledgeBase]:
    with place.fresh() as opened:
        yield opened


def _imported(place: Place, path: Path) -> tuple[str, list]:
    with place.fresh() as kb:
        import_file(kb, path)
        return kb.digest(), [(fact.entity, fact.relation, fact.value, fact.sources) for fact in kb.facts()]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(RECORD, max_size=6))
def test_json_lines_and_parquet_bring_back_facts_sources_and_aliases(
    place: Place, tmp_path: Path, ending: str, records: list[FactRecord]
) -> None:
    path = tmp_path / f"facts.{ending}"
    with place.fresh() as kb:
        kb.add(records)
        assert export_file(kb, path) == kb.stats().facts
        held = [(fact.entity, fact.relation, fact.value, fact.sources) for fact in kb.facts()]
        assert _imported(place, path) == (kb.digest(), held)


@pytest.mark.parametrize("ending", ["csv", "json"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(triples=st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=6))
def test_csv_and_the_papers_json_bring_back_propositions(
    place: Place, tmp_path: Path, ending: str, triples: list[tuple[str, str, str]]
) -> None:
    path = tmp_path / f"facts.{ending}"
    with place.fresh() as kb:
        kb.add(triples)
        export_file(kb, path)
        assert _imported(place, path)[0] == kb.digest()


@pytest.mark.parametrize("ending", ["jsonl", "csv", "json", "parquet"])
def test_a_long_value_comes_back_whole(place: Place, kb: KnowledgeBase, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"facts.{ending}"
    kb.add([("Ulysses", "Text", "Stately, plump " * 20_000), ("Ulysses", "Year", "1922")])
    assert export_file(kb, path) == 2
    assert _imported(place, path)[0] == kb.digest()


def test_only_what_holds_is_exported(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.add([("a", "r", "1"), ("b", "r", "2"), ("c", "r", "3")], source=Source("d", 0, 4))
    kb.edit(1, value="new")
    kb.retract(2)
    kb.forget(3)
    kb.alias("alpha", entity="a")
    assert export_file(kb, tmp_path / "facts.jsonl") == 1
    line = json.loads((tmp_path / "facts.jsonl").read_text())
    assert line == {"entity": "a", "relation": "r", "value": "new", "aliases": {"entity": ["alpha"]}}


def test_the_papers_own_database_comes_in_and_goes_out(kb: KnowledgeBase, shared_data: Path, tmp_path: Path) -> None:
    paper = shared_data / "lmlm" / "wiki-100_database.json"
    theirs = json.loads(paper.read_text())
    report = import_file(kb, paper)
    plain = {tuple(part.replace("\\'", "'") for part in triplet) for triplet in theirs["triplets"]}
    assert report.added == len(plain)
    assert report.added + report.known == len(theirs["triplets"])
    export_file(kb, tmp_path / "out.json")
    ours = json.loads((tmp_path / "out.json").read_text())
    assert set(ours) == set(theirs)
    assert {tuple(triplet) for triplet in ours["triplets"]} == plain


def test_forgotten_rows_are_refused_and_the_rest_comes_in(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.add([("a", "r", "secret"), ("b", "r", "2")])
    export_file(kb, tmp_path / "facts.csv")
    kb.forget(entity="a")
    report = import_file(kb, tmp_path / "facts.csv")
    assert (report.added, report.known) == (0, 1)
    assert [fact.value for fact in report.refused] == ["secret"]
    assert kb.verify() == []


@pytest.mark.parametrize(
    ("name", "content", "line", "field"),
    [
        ("f.jsonl", b'{"entity": "a", "relation": "r", "value": "v"}\n\n{"entity": "a", "value": "v"}', 3, "relation"),
        ("f.jsonl", b'\n{"entity": "a", "relation": "_", "value": "v"}', 2, "relation"),
        ("f.jsonl", b'{"entity": "a", "relation": "r", "value": 7}\n', 1, "value"),
        ("f.jsonl", b'{"entity": "a", "relation": "r", "value": "v", "source": {"document": "d", "start": 3}}', 1,
         "source.end"),
        ("f.jsonl", b'{"entity": "a", "relation": "r", "value": "v", "aliases": {"entity": [" "]}}', 1,
         "aliases.entity"),
        ("f.jsonl", b'{"entity": "a", "relation": "r", "value": "v"}\n{"entity": "b", "rel', 2, None),
        ("f.jsonl", b'{"entity": "a", "relation": "r", "value": "v"}\n\xff\n', 2, None),
        ("f.csv", b'entity,relation,value\na,r,"two\nlines"\nb,r\n', 4, None),
        ("f.csv", b"entity,relation,value\na,r,v\nb,,v\n", 3, "relation"),
        ("f.csv", b'entity,relation,value\na,r,"open\n', 2, None),
        ("f.csv", b"entity,relation,value\na,r,\xff\n", None, None),
        ("f.csv", b"entity,value\na,r\n", 1, None),
        ("f.csv", b"", 1, None),
        ("f.json", b'{"triplets": [["a", "r", "v"], ["a", "r"]]}', None, "triplets[1]"),
        ("f.json", b'{"triplets": [["a", "r", "v"], ["a", "r", 3]]}', None, "triplets[1].value"),
        ("f.json", b'{"triplets": [["a", "_", "v"]]}', None, "triplets[0].relation"),
        ("f.json", b'{"entities": []}', None, "triplets"),
        ("f.json", b'{"triplets": [\n["a"', 2, None),
    ],
)  # fmt: skip
def test_a_malformed_file_is_told_and_nothing_is_imported(
    kb: KnowledgeBase, tmp_path: Path, name: str, content: bytes, line: int | None, field: str | None
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        import_file(kb, path)
    error = raised.value
    assert (error.path, error.field) == (path, field)
    if line is not None:
        assert error.line == line
    assert "\n" not in str(error)
    assert (kb.stats().facts, kb.log()) == (0, [])


def test_a_csv_from_a_spreadsheet_comes_in(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    path.write_bytes("\ufeffvalue,entity,relation\r\nv,é,r\r\n\r\n".encode())
    import_file(kb, path)
    assert kb.lookup("é", "r").values == ("v",)


def test_the_format_is_told_by_the_ending_or_given(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.add([("a", "r", "v")])
    for call in (import_file, export_file):
        with pytest.raises(InputError, match=r"must end in \.jsonl"):
            call(kb, tmp_path / "facts.txt")
        with pytest.raises(InputError, match="unknown format 'xml'"):
            call(kb, tmp_path / "facts.txt", "xml")
    export_file(kb, tmp_path / "facts.txt", "csv")
    assert import_file(kb, tmp_path / "facts.txt", "csv").known == 1
    with pytest.raises(InputError, match="no such file"):
        import_file(kb, tmp_path / "nowhere.csv")
