"""Documents from the kinds of files that corpora come in, and into them."""

import bz2
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamlam.corpus.documents import read_documents, write_documents
from lamlam.corpus.rows import Columns
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument, Call

DOCUMENTS = [
    AnnotatedDocument("a", "Ada was born in Rome.", (Call("Ada", "Birth Place", "Rome", 16),), "Ada"),
    AnnotatedDocument("b", "No calls, no title: Zürich 🜨.\n"),
]
OTHER = Columns(text="body", id="key", title="head")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.bz2", "a.parquet"])
def test_documents_come_back_from_every_kind_of_file(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_documents(DOCUMENTS, tmp_path / name) == 2
    assert list(read_documents(tmp_path / name)) == DOCUMENTS
    first = (tmp_path / name).read_bytes()
    monkeypatch.setattr("gzip.time.time", lambda: 1.0)  # equal contents give equal bytes at any time
    write_documents(DOCUMENTS, tmp_path / name)
    assert (tmp_path / name).read_bytes() == first


def test_packed_files_are_packed(tmp_path: Path) -> None:
    for name, unpack in (("a.jsonl.gz", gzip.decompress), ("a.jsonl.bz2", bz2.decompress)):
        write_documents(DOCUMENTS, tmp_path / name)
        assert json.loads(unpack((tmp_path / name).read_bytes()).splitlines()[0])["id"] == "a"


DOCUMENT = st.builds(AnnotatedDocument, st.text(min_size=1), st.text(), title=st.text())


@given(st.lists(DOCUMENT, min_size=1, max_size=4, unique_by=lambda document: document.id))
def test_any_text_comes_back_from_a_table(tmp_path_factory: pytest.TempPathFactory, documents: list) -> None:
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    write_documents(documents, path)
    assert list(read_documents(path)) == documents


def test_a_text_is_read_as_it_stands_there(tmp_path: Path) -> None:
    text = "# Rome\r\n\r\nA city.  \n\n\tIn *Italy*.\n"
    (tmp_path / "rome.md").write_bytes(text.encode())
    (document,) = read_documents(tmp_path)
    assert (document.id, document.text) == ("rome.md", text)


def test_fields_of_other_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"key": "k", "body": "Text.", "head": "Title", "id": 3, "text": null}\n{"body": "More."}\n')
    first, second = read_documents(path, OTHER)
    assert (first.id, first.text, first.title) == ("k", "Text.", "Title")
    assert (second.id, second.title) == ("a-2", "")


def table(path: Path, **columns: list) -> Path:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    pyarrow.write_table(pytest.importorskip("pyarrow").table(columns), path)
    return path


def test_columns_of_other_names_are_read_and_ids_may_be_numbers(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", key=[7, None], body=["Text.", "More."], head=["Title", None], year=[1, 2])
    first, second = read_documents(path, OTHER)
    assert (first.id, first.title, second.id, second.title) == ("7", "Title", "t-2", "")


def told(source: object, columns: Columns = OTHER) -> str:
    with pytest.raises(InputError) as caught:
        list(read_documents(source, columns))  # type: ignore[arg-type]
    return str(caught.value)


def test_bad_tables_are_told_by_file_row_and_column(tmp_path: Path) -> None:
    assert "t.parquet: field 'body': there is no such column" in told(table(tmp_path / "t.parquet", text=["a"]))
    assert "t.parquet:2: field 'body': must be text" in told(table(tmp_path / "t.parquet", body=["a", None]))
    assert "t.parquet:1: field 'body': must be text" in told(table(tmp_path / "t.parquet", body=[3]))
    assert "t.parquet:1: field 'key': must be text" in told(table(tmp_path / "t.parquet", body=["a"], key=[1.5]))
    (tmp_path / "t.parquet").write_bytes(b"no table")
    assert "t.parquet: is not valid Parquet" in told(tmp_path / "t.parquet")


def test_calls_under_another_name_are_not_lost_in_silence(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a", "text": "Ada.", "Calls": []}\n')
    assert "a.jsonl:1: field 'Calls': is not known: it must be called 'calls'" in told(tmp_path / "a.jsonl", Columns())


def test_an_id_that_comes_twice_is_told_by_both_places(tmp_path: Path) -> None:
    row = '{"id": "a", "text": "One."}\n'
    (tmp_path / "a.jsonl").write_text(row + "\n" + row)
    assert f"a.jsonl:3: field 'id': 'a' is the id of {tmp_path / 'a.jsonl'}:1 already" in told(
        tmp_path / "a.jsonl", Columns()
    )
    (tmp_path / "a.jsonl").write_text('{"text": "One."}\n{"id": "a-1", "text": "Two."}\n')  # a made-up one, too
    assert "a.jsonl:2: field 'id': 'a-1' is the id of" in told(tmp_path / "a.jsonl", Columns())
    table(tmp_path / "t.parquet", key=[7, 8, 7], body=["a", "b", "c"])
    assert "t.parquet:3: field 'key': '7' is the id of" in told(tmp_path / "t.parquet")
    (tmp_path / "p.json").write_text('{"examples": [{"id": "a", "text": "One."}, {"id": "a", "text": "Two."}]}')
    assert "p.json: field 'examples[1].id': 'a' is the id of another document" in told(tmp_path / "p.json", Columns())
    folder = tmp_path / "folder"
    for name in ("a.jsonl", "b.jsonl"):
        write_documents(DOCUMENTS, folder / name)
    assert f"b.jsonl:1: field 'id': 'a' is the id of {folder / 'a.jsonl'}:1 already" in told(folder, Columns())


def test_a_column_that_is_there_twice_is_told(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = arrow.Table.from_arrays([arrow.array(["a"])] * 3, names=["text", "id", "text"])
    parquet.write_table(columns, tmp_path / "t.parquet")
    assert "t.parquet: field 'text': names several columns" in told(tmp_path / "t.parquet", Columns())


def test_torn_packed_files_are_told(tmp_path: Path) -> None:
    write_documents(DOCUMENTS, tmp_path / "a.jsonl.gz")
    whole = (tmp_path / "a.jsonl.gz").read_bytes()
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    assert "a.jsonl.gz: is no whole packed file" in told(tmp_path / "a.jsonl.gz", Columns())


def test_a_folder_is_its_texts_or_else_its_shards(tmp_path: Path) -> None:
    write_documents(DOCUMENTS[:1], tmp_path / "below" / "a.jsonl.gz")
    write_documents(DOCUMENTS[1:], tmp_path / "b.parquet")
    write_documents(DOCUMENTS, tmp_path / ".hidden.jsonl")
    assert [document.id for document in read_documents(tmp_path)] == ["b", "a"]
    (tmp_path / "c.txt").write_text("A text.")
    assert [document.id for document in read_documents(tmp_path)] == ["c.txt"]


def test_the_bytes_read_are_told(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.jsonl.gz", "a.txt"):
        path = tmp_path / name
        if name == "a.txt":
            path.write_text("Zürich")
        else:
            write_documents(DOCUMENTS, path)
        seen: list[int] = []
        list(read_documents(path, on_progress=seen.append))
        assert sum(seen) == path.stat().st_size


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is a dataset with two splits."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "small"
    folder.mkdir()
    for split, count in (("train", 3), ("test", 1)):
        rows = [{"key": n, "body": f"{split} {n}", "head": "Title"} for n in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_dataset_is_read_by_split(dataset: Path) -> None:
    train, test = (list(read_documents(f"hf:{dataset}{split}", OTHER)) for split in ("", ":test"))
    assert [(each.id, each.text, each.title) for each in train] == [(str(n), f"train {n}", "Title") for n in range(3)]
    assert [each.text for each in test] == ["test 0"]
    assert [each.id for each in read_documents(f"hf:{dataset}:test", Columns(text="body"))] == ["small-test-1"]


def test_a_dataset_that_cannot_be_read_is_told_in_one_sentence(dataset: Path) -> None:
    assert "field 'text': there is no such column" in told(f"hf:{dataset}", Columns())
    for address in (f"hf:{dataset}:validation", f"hf:{dataset.parent / 'none'}", "hf:"):
        message = told(address)
        assert message.startswith(address)
        assert "\n" not in message
