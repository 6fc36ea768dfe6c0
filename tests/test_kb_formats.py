"""Readers of facts: what is malformed in each format, what is kept then, packed files, folders, and random bytes."""

import bz2
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.kb.files import export_file, import_file
from lamlam.kb.formats import FORMATS, ImportContext, InputFile, Mapping, format_of

MAPPING = Mapping.model_validate({"entity": ["name"], "skip": ["name"]})
V = b'{"entity": "a", "relation": "r", "value": "v"}\n'
W = b'{"entity": "b", "relation": "r", "value": "w"}\n'
GOOD = {
    "jsonl": V + W,
    "csv": b"entity,relation,value\na,r,v\nb,r,w\n",
    "json": b'{"entities": ["a"], "triplets": [["a", "r", "v"], ["b", "r", "w"]], "return_values": []}',
    "nt": b'<http://x.org/t/a> <http://x.org/t/r> "v" .\n<http://x.org/t/b> <http://x.org/t/r> "w" .\n',
    "nested": b'[{"name": "a", "r": "v"}, {"name": "b", "r": "w"}]',
}


@pytest.fixture
def kb() -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(":memory:") as opened:
        yield opened


def _held(kb: KnowledgeBase) -> list[tuple[str, str, str]]:
    return [(fact.entity, fact.relation, fact.value) for fact in kb.facts()]


def _table(path: Path, **columns: object) -> None:
    parquet.write_table(pyarrow.table(columns), path)


def _parquet_bytes(path: Path) -> bytes:
    _table(path, entity=["a", "b"], relation=["r", "r"], value=["v", "w"])
    return path.read_bytes()


def _mapping(format: str) -> Mapping | None:
    return MAPPING if format == "nested" else None


@pytest.mark.parametrize("format", [*GOOD, "parquet"])
def test_each_format_is_read(kb: KnowledgeBase, tmp_path: Path, format: str) -> None:
    path = tmp_path / f"facts.{format}"
    path.write_bytes(GOOD[format] if format in GOOD else _parquet_bytes(path))
    report = import_file(kb, path, format, mapping=_mapping(format))
    assert (report.added, report.skipped, report.ignored) == (2, 0, {})
    assert _held(kb) == [("a", "r", "v"), ("b", "r", "w")]


TRIPLETS = b'{"triplets": [["a", "r", "v"], %s, ["b", "r", "w"]]}'

# The format, the file, what is told (line, field, reason), and how many rows are good.
BAD = [
    ("jsonl", V + b"nonsense\n" + W,
     2, None, "is no whole JSON object", 2),
    ("jsonl", V + b"\xff\n" + W,
     2, None, "is not UTF-8", 2),
    ("jsonl", V + b"[1, 2, 3]\n", 2, None, "is no JSON object", 1),
    ("jsonl", V + b'{"entity": "a", "relation": "r", "value": "\\u0000"}\n',
     2, "value", "holds a NUL character", 1),
    ("jsonl", V + b'{"entity": "\\ud800", "relation": "r", "value": "w"}\n',
     2, "entity", "surrogate", 1),
    ("jsonl", V + b'{"entity": "a", "relation": "r", "value": 7}\n',
     2, "value", "must be text", 1),
    ("jsonl", V + b'{"entity": "a", "relation": "r", "val": "w"}\n',
     2, "value", "is missing", 1),
    ("jsonl", V + b'{"entity": "a", "relation": "r", "value": "v", "source": '
     b'{"document": "d", "start": 1, "end": 99999999999999999999}}\n', 2, "source.end", "is not a valid span", 1),
    ("csv", b"entity,relation,value\na,r,v\nb,r\nb,r,w\n", 3, None, "has 2 fields, not 3", 2),
    ("csv", b"entity,relation,value\na,r,v\n\xff,r,v\nb,r,w\n", 3, None, "is not UTF-8", 2),
    ("csv", b"entity,relation,value\na,r,v\n__,r,v\nb,r,w\n", 3, "entity", "is blank", 2),
    ("csv", b'entity,relation,value\na,r,v\nb,"r"x,w\nb,r,w\n', 3, None, "is not valid CSV", 2),
    ("csv", b'entity,relation,value\na,r,v\nb,r,"w\n', 3, None, "is not valid CSV", 1),
    ("csv", b"entity,value\na,v\n", 1, None, "must name the columns", 0),
    ("csv", b"entity,relation,value,value\na,r,v,w\n", 1, "value", "names several columns", 0),
    ("jsonl", V + b'{"entity": "a", "entity": "b", "relation": "r", "value": "w"}\n',
     2, "entity", "is given twice", 1),
    ("jsonl", V + b'{"entity": "a", "relation": "r", "value": "w", "value": "x", "aliases": {"entity": ["b"]}}\n',
     2, "value", "is given twice", 1),
    ("jsonl", V + b'{"entity": "a", "relation": "r", "value": "w", "alias": {"entity": ["b"]}}\n',
     2, "alias", "must be called 'aliases'", 1),
    ("jsonl", V + b'{"entity": "a", "relation": "r", "value": "w", "Source": {"document": "d"}}\n',
     2, "Source", "must be called 'source'", 1),
    ("jsonl", V + b'{"entity": "a", "relation": "r", "value": "w", "source": {"document": "d", "strat": 1}}\n',
     2, "source.strat", "must be called 'start'", 1),
    ("jsonl", V + b'{"entity": "a", "relation": "r", "value": "w", "aliases": {"entities": ["b"]}}\n',
     2, "aliases.entities", "must be called 'entity'", 1),
    ("json", TRIPLETS % b'["a", "r"]', None, "triplets[1]", "must be [entity", 2),
    ("json", TRIPLETS % b'{"x": [1]}', None, "triplets[1]", "must be [entity", 2),
    ("json", TRIPLETS % b'["a", ["r"], "v"]', None, "triplets[1].relation",
     "must be text", 2),
    ("json", TRIPLETS % b'["a", " ", "v"]', None, "triplets[1].relation",
     "is blank", 2),
    ("json", TRIPLETS % b'["a", "r", "\\ud83d"]', None, "triplets[1]", "half of a surrogate pair", 2),
    ("json", b'{"triplets": [["a", "r", "v"],\n\n ["b", "r"', 3, None, "is no whole JSON", 1),
    ("json", b'{"triplets": [["a", "r", "v"],\n["b", nonsense]]}\n\n', 2, None, "is no whole JSON", 1),
    ("json", b'{"triplets": {"item": ["a", "r", "v"]}}', None, "triplets", "must be a list", 0),
    ("json", b'{"entities": []}', None, "triplets", "must be a list", 0),
    ("json", b'[["a", "r", "v"]]', None, None, "is no JSON object", 0),
    ("json", b"", 1, None, "is no whole JSON", 0),
    ("nt", b'<http://x.org/t/a> <http://x.org/t/r> "v" .\n<http://x.org/t/a <oops> .\n<http://x.org/t/b> '
     b'<http://x.org/t/r> "w" .\n', 2, None, "is not a valid N-Triple", 2),
    ("nt", b'<http://x.org/t/a> <http://x.org/t/r> "v" .\n# remark\n<http://x.org/t/a> <http://x.org/t/r> "\xff" .\n',
     3, None, "is not a valid N-Triple", 1),
    ("nt", b'<http://x.org/t/a> <http://x.org/t/r> "v" .\n<http://x.org/t/a> <http://x.org/t/r> " " .\n', 2, "value",
     "is blank", 1),
    ("nt", b'<http://x.org/t/a> <http://x.org/t/r> "v" .\n<http://x.org/t/a> <http://x.org/t/r> "cut', 2, None,
     "is not a valid N-Triple", 1),
    ("nested", b'[{"name": "a", "r": "v"}, 7, {"name": "b", "r": "w"}]', None, "[1]", "is no JSON object", 2),
    ("nested", b'[{"name": "a", "r": "v"}, {"r": "w"}]', None, "[1]", "names no entity: nothing at name", 1),
    ("nested", b'[{"name": "a", "r": "v"}, {"name": "b", "r": "\\u0000"}]', None, "/1/r: value", "NUL character", 1),
    ("nested", b'{"name": "a", "r": {"s": "v", "s": "w"}}', None, "s", "is given twice", 0),
    ("nested", b'{"name": "a",\n"r": ', 2, None, "is no whole JSON", 0),
    ("nested", b'{"name":\n"\xff"}', 2, None, "is not UTF-8", 0),
]  # fmt: skip


@pytest.mark.parametrize(("format", "content", "line", "field", "reason", "good"), BAD)
def test_a_bad_row_stops_an_import_or_is_passed_over(
    kb: KnowledgeBase, tmp_path: Path, format: str, content: bytes, line: int | None, field: str | None, reason: str,
    good: int,
) -> None:  # fmt: skip
    path = tmp_path / "facts"
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        import_file(kb, path, format, mapping=_mapping(format))
    assert (raised.value.path, raised.value.line, raised.value.field) == (path, line, field)
    assert reason in raised.value.reason
    assert "\n" not in str(raised.value)
    assert (_held(kb), kb.log()) == ([], [])
    report = import_file(kb, path, format, on_error="skip", mapping=_mapping(format))
    assert (report.added, report.skipped, [str(error) for error in report.bad]) == (good, 1, [str(raised.value)])
    assert _held(kb) == [("a", "r", "v"), ("b", "r", "w")][:good]
    assert kb.verify() == []


def test_a_bad_row_of_parquet_is_told_by_its_number(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "facts.parquet"
    _table(path, entity=["a", None, "b"], relation=["r", "r", "r"], value=["v", "v", "w"])
    with pytest.raises(InputError, match=r"facts\.parquet:2: field 'entity': must be text"):
        import_file(kb, path)
    report = import_file(kb, path, on_error="skip")
    assert (report.added, report.skipped) == (2, 1)
    raw = pyarrow.array([b"v", b"\xff", b"w"])
    text = pyarrow.Array.from_buffers(pyarrow.string(), 3, raw.buffers())
    _table(path, entity=["a", "a", "c"], relation=["r", "r", "r"], value=text)
    report = import_file(kb, path, on_error="skip")
    assert [(error.line, error.field) for error in report.bad] == [(2, "value")]
    assert kb.lookup("c", "r").values == ("w",)


@pytest.mark.parametrize(
    ("columns", "field", "reason"),
    [
        ({"entity": ["a"], "relation": ["r"]}, "value", "has no column"),
        ({"entity": ["a"], "relation": ["r"], "value": ["v"], "Document": ["d"]}, "Document", "called 'document'"),
        (
            {"entity": ["a"], "relation": ["r"], "value": ["v"], "aliases_entity": ["d"], "entity_alias": [["b"]]},
            "entity_alias",
            "called 'entity_aliases'",
        ),
        ({"entity": ["a"], "relation": ["r"], "value": [7]}, "value", "is a column of int64"),
        ({"entity": ["a"], "relation": ["r"], "value": [["v"]]}, "value", "is a column of list"),
        ({"entity": ["a"], "relation": ["r"], "value": ["v"], "start": ["x"]}, "start", "is a column of string"),
        ({"entity": ["a"], "relation": ["r"], "value": ["v"], "start": [3]}, "source.document", "is missing"),
        (
            {"entity": ["a"], "relation": ["r"], "value": ["v"], "document": ["d"], "start": [3]},
            "source.end",
            "missing",
        ),
        (
            {"entity": ["a"], "relation": ["r"], "value": ["v"], "entity_aliases": [["b", None]]},
            "entity_aliases",
            "text",
        ),
    ],
)
def test_columns_of_parquet_are_checked(
    kb: KnowledgeBase, tmp_path: Path, columns: dict[str, list], field: str, reason: str
) -> None:
    path = tmp_path / "facts.parquet"
    _table(path, **columns)
    with pytest.raises(InputError, match=reason) as raised:
        import_file(kb, path)
    assert raised.value.field == field
    assert _held(kb) == []


def test_a_column_that_is_there_twice_is_told(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "facts.parquet"
    names = ["entity", "entity", "relation", "value"]
    parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 4, names=names), path)
    with pytest.raises(InputError, match="names several columns") as raised:
        import_file(kb, path)
    assert raised.value.field == "entity"
    names = ["entity", "relation", "value", "other", "other"]
    parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 5, names=names), path)
    assert import_file(kb, path).ignored == {"the field 'other'": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfentity;relation;value\na;r;v, and more\n",
        b"Entity\tRelation\tValue\na\tr\tv, and more\n",
        b'\n\nsep=;\r\n"entity";"relation";"value"\r\na;r;v, and more\r\n',
        b'"a, b, c, d";entity;relation;value\n;a;r;v, and more\n',
        b',entity,relation,value\n0,a,r,"v, and more"\n',
    ],
)
def test_tables_of_spreadsheets_and_of_pandas_are_read(kb: KnowledgeBase, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "facts.csv"
    path.write_bytes(content)
    import_file(kb, path)
    assert _held(kb) == [("a", "r", "v, and more")]


def test_the_lines_of_a_table_are_told_rightly_behind_blank_ones(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    path.write_bytes(b"\nsep=;\nentity;relation;value\na;r;v\na;r\n")
    with pytest.raises(InputError, match=r"facts\.csv:5: has 2 fields, not 3"):
        import_file(kb, path)


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("csv", b",entity,note,relation,value\n0,a,x,r,v\n1,b,y,r,w\n"),
        ("jsonl", b'{"": 0, "entity": "a", "relation": "r", "value": "v", "note": 1}\n'
         b'{"": 1, "entity": "b", "relation": "r", "value": "w", "note": null}\n'),
    ],
)  # fmt: skip
def test_fields_that_are_no_part_of_a_fact_are_passed_over_and_told(
    kb: KnowledgeBase, tmp_path: Path, format: str, content: bytes
) -> None:
    path = tmp_path / f"facts.{format}"
    path.write_bytes(content)
    report = import_file(kb, path)
    assert report.ignored == {"a field without a name": 2, "the field 'note'": 2}
    assert _held(kb) == [("a", "r", "v"), ("b", "r", "w")]


def test_of_many_fields_that_are_passed_over_the_first_are_named(kb: KnowledgeBase, tmp_path: Path) -> None:
    rows = [{"entity": "a", "relation": "r", "value": "v", f"f{number}": 1} for number in range(1000)]
    (tmp_path / "facts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ignored = import_file(kb, tmp_path / "facts.jsonl").ignored
    assert (len(ignored), ignored["other fields"], sum(ignored.values())) == (21, 980, 1000)


def test_the_papers_json_is_spelt_as_its_calls_are(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    triplets = [["Ada\\'s Band", 'A \\"b\\"', "\\[REC\\]"], ["Ada's Band", "path", "C:\\new\\\\x"]]
    path.write_text(json.dumps({"triplets": triplets}))
    import_file(kb, path)
    held = [("Ada's Band", 'A "b"', "[REC]"), ("Ada's Band", "path", "C:\\new\\x")]
    assert _held(kb) == held
    kb.add([("a\\", "\\\\'", "\\[\\\\")])
    export_file(kb, path)
    with KnowledgeBase.open(":memory:") as again:
        import_file(again, path)
        assert _held(again) == [*held, ("a\\", "\\\\'", "\\[\\\\")]


def test_parquet_of_dictionaries_and_nulls_is_read(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "facts.parquet"
    text = pyarrow.array(["a", "b"]).dictionary_encode()
    large = pyarrow.array(["v", "w"], pyarrow.large_string())
    _table(path, more=[1, 2], value=large, entity=text, relation=["r", "r"], document=[None, "d"], start=[None, 1],
           end=[None, 2])  # fmt: skip
    assert import_file(kb, path).added == 2
    assert [str(source) for source in kb.fact(2).sources] == ["d:1-2"]


@pytest.mark.parametrize(
    ("module", "ending", "extra"), [("pyarrow", "parquet", "parquet"), ("pyoxigraph", "nt", "rdf")]
)
def test_a_library_that_is_not_there_is_named_with_its_extra(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, ending: str, extra: str
) -> None:
    path = tmp_path / f"facts.{ending}"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LamLamError, match=rf"the extra '{extra}'"):
        import_file(kb, path, on_error="skip")


@pytest.mark.parametrize("format", ["jsonl", "csv", "json", "nt"])
@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_packed_files_are_unpacked_as_they_are_read(
    kb: KnowledgeBase, tmp_path: Path, format: str, ending: str, pack: object
) -> None:
    path = tmp_path / f"facts.{format}.{ending}"
    path.write_bytes(pack(GOOD[format]))
    assert import_file(kb, path).added == 2
    path.write_bytes(pack(GOOD[format])[:-9])
    with pytest.raises(InputError, match="is no whole packed file"):
        import_file(kb, path)
    path.write_bytes(b"not packed at all")
    with pytest.raises(InputError, match=r"no whole packed file|cannot be read"):
        import_file(kb, path)


def test_a_folder_and_several_files_are_one_import_with_one_count_of_bytes(kb: KnowledgeBase, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "b.csv").write_bytes(b"entity,relation,value\nb,r,w\n")
    (folder / "a.jsonl").write_bytes(b'{"entity": "a", "relation": "r", "value": "v"}\n')
    (folder / "notes.md").write_text("not facts")
    (folder / ".hidden.csv").write_text("not facts")
    single = tmp_path / "c.nt"
    single.write_bytes(b'<http://x.org/t/c> <http://x.org/t/r> "x" .\n')
    told: list[tuple[int, int]] = []
    report = import_file(kb, [folder, single], on_progress=lambda done, total: told.append((done, total)))
    assert report.added == 3
    assert [fact.entity for fact in kb.facts()] == ["a", "b", "c"]
    assert len(kb.log()) == 1
    assert told == sorted(told)
    size = sum(path.stat().st_size for path in (folder / "a.jsonl", folder / "sub" / "b.csv"))
    assert told[-1] == (size + 2 * single.stat().st_size,) * 2  # names are read first, and then facts
    with pytest.raises(InputError, match="holds no file that can be read"):
        import_file(kb, folder, "parquet")


def test_a_bad_file_among_several_is_passed_over_alone(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"nonsense")
    (tmp_path / "b.csv").write_bytes(GOOD["csv"])
    with pytest.raises(InputError, match=r"a\.csv:1"):
        import_file(kb, tmp_path)
    report = import_file(kb, tmp_path, on_error="skip")
    assert (report.added, report.skipped) == (2, 1)
    with pytest.raises(InputError, match="no such file"):
        import_file(kb, [tmp_path, tmp_path / "c.csv"], on_error="skip")
    with pytest.raises(InputError, match="stop or skip"):
        import_file(kb, tmp_path, on_error="shrug")


def test_names_in_a_torn_file_do_not_keep_other_files_from_being_read(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "a.nt.gz").write_bytes(gzip.compress(GOOD["nt"])[:-9])
    (tmp_path / "b.nt").write_bytes(GOOD["nt"])
    report = import_file(kb, tmp_path, on_error="skip")
    assert (report.added, report.skipped) == (2, 1)
    assert "a.nt.gz: is no whole packed file" in str(report.bad[0])


def test_only_the_first_of_many_bad_rows_are_kept_in_the_report(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("nonsense\n" * 1000)
    report = import_file(kb, tmp_path / "a.jsonl", on_error="skip")
    assert report.skipped == 1000
    assert [error.line for error in report.bad] == list(range(1, 21))


def test_a_record_that_forgetting_refuses_is_no_bad_row(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(GOOD["csv"])
    import_file(kb, path)
    kb.forget(entity="a")
    report = import_file(kb, path, on_error="skip")
    assert (report.added, report.known, len(report.refused), report.skipped) == (0, 1, 1, 0)


def test_the_papers_json_is_read_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    with path.open("w") as file:
        json.dump({"entities": ["e" * 100] * 20_000}, file)
        file.seek(file.tell() - 1)
        file.write(', "triplets": [' + '["a", "r", "v"], ' * 50_000)
    read = 0

    def seen(count: int) -> None:
        nonlocal read
        read += count

    file = InputFile(path, path.name, "json")
    rows = FORMATS["json"].read(file, ImportContext([file], on_progress=seen))
    assert next(rows)[1].entity == "a"
    assert read < path.stat().st_size * 0.9, "the first triplet came before the last was read"
    assert isinstance(next(rows), tuple)


@pytest.mark.parametrize("before", range(65536 - 40, 65536 + 4))
def test_escapes_of_the_papers_json_are_whole_wherever_blocks_of_the_file_end(tmp_path: Path, before: int) -> None:
    start = b'{"triplets": [["a", "r", "'
    path = tmp_path / "facts.json"
    path.write_bytes(start + b"x" * (before - len(start)) + b'?\\ud83d\\ude00\\\\ud83d"]]}')
    file = InputFile(path, path.name, "json")
    [row] = FORMATS["json"].read(file, ImportContext([file]))
    assert isinstance(row, tuple)
    assert row[1].value.endswith("x?😀\\ud83d")
    path.write_bytes(start + b"x" * (before - len(start)) + b'\\ud83d"]]}')
    [row] = FORMATS["json"].read(file, ImportContext([file]))
    assert isinstance(row, InputError)


@pytest.mark.parametrize("format", ["json", "jsonl", "nested"])
@pytest.mark.parametrize("opening", [b"[", b'{"triplets":[', b'{"triplets":[[', b'{"name":'])
def test_deep_nesting_takes_neither_the_memory_nor_the_stack(
    kb: KnowledgeBase, tmp_path: Path, format: str, opening: bytes
) -> None:
    path = tmp_path / "facts"
    path.write_bytes(opening + b"[" * 100_000)
    with pytest.raises(InputError):
        import_file(kb, path, format, mapping=_mapping(format))
    path.write_bytes(b'{"name": "a", "triplets": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    with pytest.raises(InputError):
        import_file(kb, path, format, mapping=_mapping(format))


@pytest.mark.parametrize("format", [*GOOD, "parquet"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_make_a_reader_fail_otherwise_than_it_says(tmp_path: Path, format: str, data: st.DataObject) -> None:
    path = tmp_path / "facts"
    good = GOOD[format] if format in GOOD else _parquet_bytes(tmp_path / "good")
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, len(good)))
    path.write_bytes(good[:begin] + data.draw(st.binary(max_size=40)) + good[end:])
    with KnowledgeBase.open(":memory:") as kb:
        report = import_file(kb, path, format, on_error="skip", mapping=_mapping(format))
        kept = _held(kb)
    with KnowledgeBase.open(":memory:") as kb:
        if report.skipped:
            with pytest.raises(InputError) as raised:
                import_file(kb, path, format, mapping=_mapping(format))
            assert str(raised.value) == str(report.bad[0])
            assert "\n" not in str(raised.value)
            assert _held(kb) == []
        else:
            import_file(kb, path, format, mapping=_mapping(format))
            assert _held(kb) == kept


def test_formats_that_cannot_be_written_are_told(kb: KnowledgeBase, tmp_path: Path) -> None:
    for format in ("nt", "nested"):
        with pytest.raises(InputError, match="unknown format"):
            export_file(kb, tmp_path / "facts", format)
    with pytest.raises(InputError, match=r"must end in \.jsonl, \.csv, \.json, \.parquet"):
        export_file(kb, tmp_path / "facts.jsonl.gz")
    assert format_of(Path("facts.NT.gz")) == "nt"
    (tmp_path / "facts").write_bytes(b"{}")
    with pytest.raises(InputError, match="needs a mapping"):
        import_file(kb, tmp_path / "facts", "nested")
