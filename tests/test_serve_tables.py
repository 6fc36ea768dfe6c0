"""Facts as a table: out, edited, and back in one revision or not at all; on both databases."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from guarded import Guarded
from knowing import knowing
from lamlam.errors import StoreError
from lamlam.kb import Fact, KnowledgeBase
from lamlam.serve.access import Role
from lamlam.serve.facts.table import read_table, written
from lamlam.serve.settings import ServeSettings
from places import Place

HEAD = "id,entity,relation,value\r\n"

EDITED = {"id": 1, "entity": "Ada Lovelace", "relation": "Birth Place", "old": "London", "new": "Piccadilly"}


@pytest.fixture
def server(place: Place, tmp_path: Path) -> Guarded:
    return knowing(place, tmp_path, ServeSettings(max_facts=6))


@pytest.fixture
def client(server: Guarded) -> Iterator[TestClient]:
    """An eraser."""
    with server.client(role=Role.ERASER) as client:
        yield client


def _upload(client: TestClient, table: str | bytes, dry_run: bool = False, **asked: str) -> Any:
    headers = {"Content-Type": "text/csv", **asked.pop("headers", {})}  # type: ignore[dict-item]
    params = {"dry_run": dry_run, **asked}
    return client.post("/kb/facts.csv", content=table, params=params, headers=headers)


def _refusal(answer: Any, status: int) -> tuple[str | None, str]:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["param"], answer.json()["error"]["message"]


def _values(client: TestClient) -> dict[int, str]:
    return {fact["id"]: fact["value"] for fact in client.get("/kb/facts").json()["facts"]}


def _revision(client: TestClient) -> int:
    return int(client.get("/kb").json()["revision"])


# Out


def test_a_table_has_the_facts_that_hold_as_an_attachment(client: TestClient) -> None:
    answer = client.get("/kb/facts.csv", params={"entity": "ada lovelace"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="facts.csv"'
    assert answer.text == HEAD + "1,Ada Lovelace,Birth Place,London\r\n2,Ada Lovelace,Field,mathematics\r\n"
    assert client.get("/kb/facts.csv", params={"relation": "Nothing"}).text == HEAD
    assert client.get("/kb/facts.csv").text.count("\r\n") == 5


def test_more_facts_than_come_back_are_refused(client: TestClient) -> None:
    more = [{"entity": "Many", "relation": "number", "value": str(number)} for number in range(3)]
    client.post("/kb/facts", json={"facts": more})
    assert "more than 6 facts" in _refusal(client.get("/kb/facts.csv"), 422)[1]
    assert client.get("/kb/facts.csv", params={"entity": "Many"}).text.count("\r\n") == 4


def test_cells_that_begin_as_formulas_do_stay_as_they_are(client: TestClient) -> None:
    values = ["=1+1", "+1", "-1", "@SUM(A1)", '"quoted", with a comma', "two\nlines", " spaced ", "\u202eé"]
    table = HEAD + "".join(f',Odd,value,"{value.replace(chr(34), chr(34) * 2)}"\r\n' for value in values[:2])
    assert len(_upload(client, table).json()["added"]) == 2
    for value in values[2:]:
        client.patch("/kb/facts/" + str(max(_values(client))), json={"value": value})
        out = client.get("/kb/facts.csv", params={"entity": "Odd"}).text
        rows = list(csv.reader(io.StringIO(out, newline="")))
        assert rows[-1][3] == value
        assert _upload(client, out.encode()).json()["unchanged"] == 2


@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1), max_size=5)
)
def test_a_table_that_is_written_reads_the_same(texts: list[str]) -> None:
    facts = [Fact(number, f"e{text}", f"r{text}", f"v{text}") for number, text in enumerate(texts, 1)]
    rows = read_table("".join(written(facts)).encode(), 10)
    assert [(row.id, row.entity, row.relation, row.value) for row in rows] == [
        (fact.id, fact.entity, fact.relation, fact.value) for fact in facts
    ]


# In


def test_edits_and_additions_are_one_revision(client: TestClient) -> None:
    table = "1,Ada Lovelace,Birth Place,Piccadilly\n,Emmy Noether,Field,algebra\n3,Alan Turing,Field,logic\n"
    answer = _upload(client, HEAD + table, reason="by hand").json()
    assert answer == {
        "edited": [EDITED],
        "added": [{"entity": "Emmy Noether", "relation": "Field", "value": "algebra"}],
        "unchanged": 1,
        "refused": [],
        "revision": 2,
    }
    told = client.get("/kb/revisions/2").json()
    assert (told["revision"]["actor"], told["revision"]["reason"]) == ("the eraser", "by hand")
    assert [fact["value"] for fact in told["began"]] == ["Piccadilly", "algebra"]
    assert [fact["id"] for fact in told["ended"]] == [1]
    assert client.post("/kb/revisions/2/undo").json()["changed"] == 3


def test_a_dry_run_tells_the_same_and_changes_nothing(client: TestClient) -> None:
    table = HEAD + "1,Ada Lovelace,Birth Place,Piccadilly\n,Emmy Noether,Field,algebra\n"
    before = client.get("/kb/facts").json()
    planned = _upload(client, table, dry_run=True).json()
    assert client.get("/kb/facts").json() == before
    assert _revision(client) == 1
    assert planned == {**_upload(client, table).json(), "revision": None}
    assert _revision(client) == 2


def test_it_is_a_dry_run_unless_it_is_asked_for(client: TestClient) -> None:
    content, headers = HEAD + "1,Ada Lovelace,Birth Place,x\n", {"Content-Type": "text/csv"}
    assert client.post("/kb/facts.csv", content=content, headers=headers).json()["revision"] is None
    assert _values(client)[1] == "London"


def test_a_table_that_changes_nothing_is_no_revision(client: TestClient) -> None:
    answer = _upload(client, client.get("/kb/facts.csv").content).json()
    assert (answer["unchanged"], answer["revision"]) == (4, None)
    assert _upload(client, "entity,relation,value\nAda Lovelace,Field,mathematics\n").json()["unchanged"] == 1
    assert _upload(client, HEAD).json()["unchanged"] == 0
    assert _revision(client) == 1


def test_columns_come_in_any_order_and_the_file_as_spreadsheets_write_it(client: TestClient) -> None:
    table = "\ufeffvalue,id,relation,entity\r\nPiccadilly, 1 ,Birth Place,Ada Lovelace\r\n\r\n"
    assert _upload(client, table.encode()).json()["edited"] == [EDITED]
    table = "entity;relation;value\r\nEmmy Noether;Field;physics, and more\r\n"
    assert _upload(client, table.encode(), dry_run=True).json()["added"][0]["value"] == "physics, and more"
    assert _upload(client, "relation,entity,value\nField,Emmy Noether,algebra\n").json()["revision"] == 3


def test_one_refused_row_keeps_all_from_being_written(client: TestClient) -> None:
    client.post("/kb/facts/3/retract")
    client.post("/kb/forget", json={"fact": 4, "dry_run": False})
    rows = [
        ("1,Ada Lovelace,Birth Place,Piccadilly", None),
        ("1,Ada Lovelace,Birth Place,Chelsea", "fact 1 is already in another row"),
        ("2,Ada King,Field,poetry", "fact 2 has another entity or relation; add a new fact instead"),
        ("3,Alan Turing,Field,logic", "fact 3 ended with revision 2"),
        ("4,Alan Turing,Birth Place,Maida Vale", "there is no fact 4"),
        (",alan turing,birth place,maida vale", "the fact was forgotten"),
    ]
    table = HEAD + "\n".join(row for row, _ in rows)
    planned = _upload(client, table, dry_run=True).json()
    refused = [(number, reason) for number, (_, reason) in enumerate(rows, 2) if reason]
    assert [(row["line"], row["reason"]) for row in planned["refused"]] == refused
    assert [row["id"] for row in planned["edited"]] == [1]
    before = (_revision(client), _values(client))
    told = _refusal(_upload(client, table), 409)[1]
    assert told == "line 3: fact 1 is already in another row; 4 more rows are refused; nothing was written"
    assert (_revision(client), _values(client)) == before


def test_a_fault_of_the_store_is_no_fault_of_a_row(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreError("/home/ada/kb.sqlite", "cannot be written: the disk is full")

    monkeypatch.setattr(KnowledgeBase, "edit", full)
    for dry_run in (True, False):
        answer = _upload(client, f"{HEAD}1,Ada Lovelace,Birth Place,Chelsea", dry_run=dry_run)
        assert (answer.status_code, "kb.sqlite" in answer.text) == (503, False)


ILL_FORMED = [
    ("", None, "the first line must name the columns id, entity, relation, value"),
    ("entity,value\na,b\n", None, "line 1: must name the columns"),
    ("id,entity,relation,value,value\n", None, "line 1: must name the columns"),
    (HEAD + "1,Ada Lovelace,Birth Place\n", None, "line 2: has 3 fields, not 4"),
    (HEAD + "1,Ada Lovelace,Birth Place,a,b\n", None, "line 2: has 5 fields, not 4"),
    (HEAD + "1,Ada Lovelace,Birth Place,x\nx,a,b,c\n", "id", "line 3: is not a fact's id"),
    (HEAD + "0,a,b,c\n", "id", "line 2: is not a fact's id"),
    (HEAD + "-1,a,b,c\n", "id", "line 2: is not a fact's id"),
    (HEAD + "1.0,a,b,c\n", "id", "line 2: is not a fact's id"),
    (HEAD + "٣,a,b,c\n", "id", "line 2: is not a fact's id"),
    (HEAD + f"{2**63},a,b,c\n", "id", "line 2: is not a fact's id"),
    (HEAD + f"{'9' * 5000},a,b,c\n", "id", "line 2: is not a fact's id"),
    (HEAD + "1,,b,c\n", "entity", "line 2: is blank"),
    (HEAD + '1,a,b,"\n\n"\n', "value", "line 2: is blank"),
    (HEAD + f"1,{'x' * 501},b,c\n", "entity", "line 2: is longer than 500 characters"),
    (HEAD + f"1,a,b,{'x' * 2001}\n", "value", "line 2: is longer than 2000 characters"),
    (HEAD + "1,a,b,c\x00d\n", "value", "line 2: holds a NUL"),
    (HEAD + '1,a,b,"c\n', None, "line 2: is not valid CSV"),
    (HEAD + ",a,b,c\n" * 7, None, "a table is limited to 6 rows"),
]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_row_that_is_not_well_formed_is_told_by_line_and_field(client: TestClient) -> None:
    for table, field, reason in ILL_FORMED:
        for dry_run in (True, False):
            told = _refusal(_upload(client, table, dry_run), 422)
            assert told[0] == field, (table[:90], told)
            assert reason in told[1]
    assert _refusal(_upload(client, HEAD, reason="x" * 501), 422)[0] == "reason"
    assert _refusal(_upload(client, HEAD.encode() + b",a,b,\xff\n"), 422)
    assert _revision(client) == 1


def test_a_reader_uploads_nothing_not_even_to_try(server: Guarded) -> None:
    with server.client() as client:
        for dry_run in (True, False):
            assert _upload(client, HEAD, dry_run).status_code == 401
            assert _upload(client, HEAD, dry_run, headers=server.headers(Role.READER)).status_code == 403  # type: ignore[arg-type]
        assert _upload(client, HEAD, headers=server.headers(Role.EDITOR)).status_code == 200  # type: ignore[arg-type]
