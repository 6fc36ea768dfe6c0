"""The routes that read and change facts: what each does, and what it refuses; on both databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from guarded import Guarded
from knowing import STORY, knowing
from lamlam.serve.access import Role
from lamlam.serve.settings import ServeSettings
from places import Place

in_a_file = pytest.mark.parametrize("place", ["sqlite"], indirect=True)  # what no database is asked about

FACT = {"entity": "Emmy Noether", "relation": "Field", "value": "algebra"}


@pytest.fixture
def server(place: Place, tmp_path: Path) -> Guarded:
    return knowing(place, tmp_path)


@pytest.fixture
def client(server: Guarded) -> Iterator[TestClient]:
    """An editor."""
    with server.client(role=Role.EDITOR) as client:
        yield client


def _facts(client: TestClient, **asked: Any) -> list[tuple[int, str]]:
    return [(fact["id"], fact["value"]) for fact in client.get("/kb/facts", params=asked).json()["facts"]]


def _last(client: TestClient) -> dict[str, Any]:
    """The last entry of the log."""
    entry: dict[str, Any] = client.get("/kb/log", params={"limit": 1}).json()["revisions"][0]
    return entry


def _told(answer: Any, status: int) -> tuple[str | None, str]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == status
    return error["param"], error["message"]


# Reading


def test_what_there_is_is_counted(client: TestClient) -> None:
    counts = client.get("/kb").json()
    assert (counts["facts"], counts["entities"], counts["documents"], counts["revision"]) == (4, 2, 3, 1)
    assert counts["frequent"] == [{"name": "Birth Place", "facts": 2}, {"name": "Field", "facts": 2}]
    client.post("/kb/facts", json={"facts": [FACT]})
    counts = client.get("/kb").json()
    assert (counts["facts"], counts["revision"]) == (5, 2)
    relations = [{"name": "Field", "facts": 3}, {"name": "Birth Place", "facts": 2}]
    assert client.get("/kb/relations").json() == {"relations": relations}


def test_a_lookup_answers_as_the_model_is_answered(client: TestClient) -> None:
    found = client.get("/kb/lookup", params={"entity": "ada_lovelace", "relation": "place of birth"}).json()
    assert (found["entity"], found["status"]) == ("ada_lovelace", "fuzzy")
    assert found["facts"] == [
        {
            "id": 1,
            "entity": "Ada Lovelace",
            "relation": "Birth Place",
            "value": "London",
            "sources": [{"document": "story", "start": 25, "end": 31}],
            "since": 1,
            "until": None,
            "supersedes": None,
        }
    ]
    missed = client.get("/kb/lookup", params={"entity": "Nobody", "relation": "Field"}).json()
    assert (missed["status"], missed["facts"], missed["score"]) == ("unknown_entity", [], 0.0)
    client.post("/kb/aliases", json={"name": "A.", "entity": "Ada Lovelace"})
    client.post("/kb/aliases", json={"name": "A.", "entity": "Alan Turing"})
    ambiguous = client.get("/kb/lookup", params={"entity": "A.", "relation": "Field"}).json()
    assert (ambiguous["status"], ambiguous["candidates"]) == ("ambiguous", ["Ada Lovelace", "Alan Turing"])


def test_a_lookup_can_ask_a_former_revision(client: TestClient) -> None:
    client.patch("/kb/facts/1", json={"value": "Piccadilly"})
    asked = {"entity": "Ada Lovelace", "relation": "Birth Place"}
    for revision, value in ((1, "London"), (2, "Piccadilly")):
        found = client.get("/kb/lookup", params={**asked, "revision": revision}).json()
        assert [fact["value"] for fact in found["facts"]] == [value]
    assert client.get("/kb/lookup", params={**asked, "revision": 0}).json()["facts"] == []
    assert _told(client.get("/kb/lookup", params={**asked, "revision": 3}), 404)[0] == "revision"


def test_names_are_searched_as_they_are_typed(client: TestClient) -> None:
    client.post("/kb/aliases", json={"name": "The Countess", "entity": "Ada Lovelace"})
    assert client.get("/kb/search", params={"q": "A"}).json()["entities"] == [
        {"name": "Ada Lovelace", "entity": "Ada Lovelace"},
        {"name": "Alan Turing", "entity": "Alan Turing"},
    ]
    found = client.get("/kb/search", params={"q": "the c"}).json()
    assert found["entities"] == [{"name": "The Countess", "entity": "Ada Lovelace"}]
    assert client.get("/kb/search", params={"q": "x"}).json() == {"entities": []}
    assert len(client.get("/kb/search", params={"q": "", "limit": 1}).json()["entities"]) == 1


def test_facts_are_listed_by_what_is_asked_page_by_page(client: TestClient) -> None:
    assert _facts(client) == [(1, "London"), (2, "mathematics"), (3, "logic"), (4, "Maida Vale")]
    assert _facts(client, entity="ada lovelace") == [(1, "London"), (2, "mathematics")]
    assert _facts(client, relation="Field") == [(2, "mathematics"), (3, "logic")]
    assert _facts(client, relation="Field", source="other") == [(3, "logic")]
    assert _facts(client, text="LO") == [(1, "London"), (3, "logic")]
    assert _facts(client, entity="Nobody") == _facts(client, after=4) == []
    page = client.get("/kb/facts", params={"limit": 3}).json()
    assert (len(page["facts"]), page["next"]) == (3, 3)
    page = client.get("/kb/facts", params={"limit": 3, "after": 3}).json()
    assert ([fact["id"] for fact in page["facts"]], page["next"]) == ([4], None)


def test_a_fact_and_its_history_are_shown_also_when_it_has_ended(client: TestClient) -> None:
    new = client.patch("/kb/facts/1", json={"value": "Piccadilly"}).json()
    assert (client.get("/kb/facts/1").json()["until"], new["supersedes"]) == (2, 1)
    for number in (1, new["id"]):
        told = client.get(f"/kb/facts/{number}/history").json()["facts"]
        assert [fact["value"] for fact in told] == ["London", "Piccadilly"]


def test_passages_are_the_text_around_a_facts_sources(client: TestClient) -> None:
    [passage] = client.get("/kb/facts/1/passages").json()["passages"]
    assert (passage["document"], passage["start"], passage["end"], passage["found"]) == ("story", 25, 31, True)
    assert (passage["offset"], passage["text"]) == (0, STORY[:631])
    [passage] = client.get("/kb/facts/2/passages").json()["passages"]
    start, end = (passage[name] - passage["offset"] for name in ("start", "end"))
    assert passage["text"][start:end] == "mathematics"
    assert 0 < passage["offset"] < passage["start"]
    assert len(passage["text"]) < 1300 < len(STORY)
    [passage] = client.get("/kb/facts/4/passages").json()["passages"]
    assert (passage["document"], passage["found"], passage["text"]) == ("lost", False, "")


def test_a_source_without_a_span_shows_how_its_document_begins_and_one_beyond_it_nothing(client: TestClient) -> None:
    sources = [{"document": "story"}, {"document": "story", "start": 99_990, "end": 99_999}]
    for source in sources:
        client.post("/kb/facts", json={"facts": [{**FACT, "source": source}]})
    whole, beyond = client.get("/kb/facts/5/passages").json()["passages"]
    assert (whole["start"], whole["offset"], whole["text"]) == (None, 0, STORY[:600])
    assert (beyond["found"], beyond["text"]) == (True, "")


def test_a_document_is_shown_by_way_of_a_fact_alone_and_not_after_it_was_forgotten(server: Guarded) -> None:
    with server.client(role=Role.ERASER) as client:
        assert "logic" in client.get("/kb/facts/3/passages").text
        client.post("/kb/forget", json={"fact": 3, "dry_run": False})
        assert _told(client.get("/kb/facts/3/passages"), 404)[1] == "there is no fact 3"


@pytest.mark.parametrize("path", ["/kb/facts/99", "/kb/facts/99/history", "/kb/facts/99/passages"])
def test_a_fact_that_is_not_there_is_told(client: TestClient, path: str) -> None:
    assert _told(client.get(path), 404) == (None, "there is no fact 99")


ASKED_WRONGLY = [
    ("/kb/facts/0", "fact"),
    ("/kb/facts/x", "fact"),
    (f"/kb/facts/{2**63}", "fact"),
    ("/kb/facts?limit=501", "limit"),
    ("/kb/facts?limit=0", "limit"),
    ("/kb/facts?after=-1", "after"),
    (f"/kb/facts?entity={'x' * 501}", "entity"),
    (f"/kb/facts?text={'x' * 2001}", "text"),
    ("/kb/lookup?entity=Ada", "relation"),
    ("/kb/lookup?entity=Ada&relation=x&revision=-1", "revision"),
    ("/kb/search", "q"),
    ("/kb/search?q=x&limit=101", "limit"),
    ("/kb/aliases", "entity"),
    (f"/kb/log?before={2**70}", "before"),
]


@in_a_file
def test_what_is_asked_wrongly_is_told_by_the_field(client: TestClient) -> None:
    for path, field in ASKED_WRONGLY:
        assert _told(client.get(path), 422)[0] == field


def test_texts_that_no_database_keeps_find_nothing(client: TestClient) -> None:
    for text in ("%00", "Ada%00", "%ff", "%ed%a0%80"):
        for path in (f"/kb/facts?entity={text}", f"/kb/facts?source={text}", f"/kb/facts?text=x{text}"):
            assert client.get(path).json()["facts"] == []
        assert client.get(f"/kb/lookup?entity={text}&relation={text}").json()["facts"] == []
        assert client.get(f"/kb/search?q=x{text}").json() == {"entities": []}
        assert client.get(f"/kb/aliases?entity={text}").json() == {"aliases": []}


# Changing


def test_facts_are_added_in_one_revision_with_who_and_why(client: TestClient) -> None:
    facts = [{**FACT, "source": {"document": "other", "start": 0, "end": 4}}, {**FACT, "value": "physics"}]
    answer = client.post("/kb/facts", json={"facts": facts, "reason": "from her papers"}).json()
    assert answer == {"added": 2, "known": 0, "refused": [], "revision": 2}
    entry = _last(client)
    assert (entry["id"], entry["actor"], entry["action"], entry["reason"]) == (
        2,
        "the editor",
        "add",
        "from her papers",
    )
    assert (entry["began"], entry["undoable"]) == (2, True)
    answer = client.post("/kb/facts", json={"facts": [{**FACT, "source": {"document": "story"}}]}).json()
    assert (answer["added"], answer["known"]) == (0, 1)
    sources = client.get("/kb/facts/5").json()["sources"]
    assert [source["document"] for source in sources] == ["other", "story"]


def test_what_was_forgotten_is_refused_and_the_rest_added(server: Guarded) -> None:
    with server.client(role=Role.ERASER) as client:
        client.post("/kb/forget", json={"fact": 3, "dry_run": False})
        gone = {"entity": "alan turing", "relation": "field", "value": "Logic"}
        answer = client.post("/kb/facts", json={"facts": [gone, FACT]}).json()
        assert (answer["added"], answer["refused"]) == (1, [gone])


def test_an_edit_ends_a_fact_and_begins_another(client: TestClient) -> None:
    asked = {"value": "Piccadilly", "reason": "a letter", "source": {"document": "other", "start": 0, "end": 4}}
    new = client.patch("/kb/facts/1", json=asked).json()
    assert (new["value"], new["supersedes"], new["since"]) == ("Piccadilly", 1, 2)
    assert new["sources"] == [asked["source"]]
    assert (_last(client)["actor"], _last(client)["reason"]) == ("the editor", "a letter")
    assert _told(client.patch("/kb/facts/1", json=asked), 409)[1] == "fact 1 ended with revision 2"


def test_a_retracted_fact_keeps_its_history(client: TestClient) -> None:
    assert client.post("/kb/facts/1/retract", json={"reason": "no"}).json()["until"] == 2
    assert client.post("/kb/facts/2/retract").json()["until"] == 3, "a reason may be left out, with the body"
    assert _facts(client, entity="Ada Lovelace") == []
    assert len(client.get("/kb/facts/1/history").json()["facts"]) == 1
    assert _told(client.post("/kb/facts/1/retract", json={}), 409)[1] == "fact 1 ended with revision 2"


def test_an_alias_stands_for_an_entity_a_relation_or_a_value(client: TestClient) -> None:
    for name, target in (("The Countess", "entity"), ("Subject", "relation"), ("maths", "value")):
        whose = {"entity": "Ada Lovelace", "relation": "Field", "value": "mathematics"}[target]
        asked = {"name": name, target: whose, "reason": "so she is called"}
        assert client.post("/kb/aliases", json=asked).json() == {"added": True}
        assert client.post("/kb/aliases", json=asked).json() == {"added": False}
    found = client.get("/kb/lookup", params={"entity": "The Countess", "relation": "Subject"}).json()
    assert (found["status"], found["facts"][0]["value"]) == ("alias", "mathematics")
    aliases = client.get("/kb/aliases", params={"entity": "Ada Lovelace"}).json()["aliases"]
    assert aliases == [{"name": "The Countess", "since": 2}]
    asked = {"name": "x", "entity": "Nobody"}
    assert _told(client.post("/kb/aliases", json=asked), 422) == ("entity", "there is no entity 'Nobody'")


def test_values_come_back_as_they_were_given(client: TestClient) -> None:
    for value in ("<script>alert(1)</script>", "=1+1", "'; DROP TABLE fact; --", "<|db_end|>", "\u202eevil", "a\nb"):
        client.post("/kb/facts", json={"facts": [{**FACT, "value": value}]})
        assert _facts(client, entity="Emmy Noether")[-1][1] == value
        assert (
            client.patch(f"/kb/facts/{_facts(client)[-1][0]}", json={"value": f"{value}!"}).json()["value"]
            == f"{value}!"
        )


ILL_FORMED = [
        ("POST", "/kb/facts", {"facts": []}, "facts"),
        ("POST", "/kb/facts", {"facts": [FACT], "colour": "red"}, "colour"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "id": 1}]}, "facts.0.id"),
        ("POST", "/kb/facts", {"facts": [FACT, {"entity": "A", "relation": "B"}]}, "facts.1.value"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "entity": " _ "}]}, "facts.0.entity"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "entity": ""}]}, "facts.0.entity"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "relation": "x" * 501}]}, "facts.0.relation"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "value": "x" * 2001}]}, "facts.0.value"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "value": "a\x00b"}]}, "facts.0.value"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "value": 7}]}, "facts.0.value"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "source": {"document": ""}}]}, "facts.0.source.document"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "source": {"document": "d", "start": 1}}]}, "facts.0.source"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "source": {"document": "d", "start": 2, "end": 1}}]},
         "facts.0.source"),
        ("POST", "/kb/facts", {"facts": [{**FACT, "source": {"document": "d", "start": -1, "end": 1}}]},
         "facts.0.source.start"),
        ("POST", "/kb/facts", {"facts": [FACT], "reason": "x" * 501}, "reason"),
        ("POST", "/kb/facts", {"facts": [FACT], "reason": "a\x00"}, "reason"),
        ("PATCH", "/kb/facts/1", {}, "value"),
        ("PATCH", "/kb/facts/1", {"value": "  "}, "value"),
        ("PATCH", "/kb/facts/1", {"value": "x", "entity": "Bob"}, "entity"),
        ("POST", "/kb/facts/1/retract", {"why": "x"}, "why"),
        ("POST", "/kb/aliases", {"name": "x"}, None),
        ("POST", "/kb/aliases", {"name": "x", "entity": "Ada Lovelace", "relation": "Field"}, None),
        ("POST", "/kb/aliases", {"name": " ", "entity": "Ada Lovelace"}, "name"),
        ("POST", "/kb/aliases", {"name": "x" * 501, "entity": "Ada Lovelace"}, "name"),
        ("POST", "/kb/revisions/0/undo", {}, "revision"),
        ("POST", "/kb/revisions/1/undo", {"reason": 1}, "reason"),
    ]  # fmt: skip


@in_a_file
def test_a_change_that_is_not_well_formed_is_told_by_its_field_and_changes_nothing(client: TestClient) -> None:
    for method, path, body, field in ILL_FORMED:
        assert _told(client.request(method, path, json=body), 422)[0] == field
        assert client.get("/kb").json()["revision"] == 1


NOT_THERE = [
    ("PATCH", "/kb/facts/99", {"value": "x"}),
    ("POST", "/kb/facts/99/retract", {}),
    ("POST", "/kb/revisions/99/undo", {}),
]


def test_what_is_not_there_cannot_be_changed(client: TestClient) -> None:
    for method, path, body in NOT_THERE:
        assert "there is no" in _told(client.request(method, path, json=body), 404)[1]
        assert client.get("/kb").json()["revision"] == 1


CHANGES = [
    ("POST", "/kb/facts", {"facts": [FACT]}),
    ("PATCH", "/kb/facts/1", {"value": "x"}),
    ("POST", "/kb/facts/1/retract", {}),
    ("POST", "/kb/aliases", {"name": "x", "entity": "Ada Lovelace"}),
    ("POST", "/kb/revisions/1/undo", {}),
]


@in_a_file
def test_a_reader_changes_nothing(server: Guarded) -> None:
    with server.client() as client:
        for method, path, body in CHANGES:
            _told(client.request(method, path, json=body, headers=server.headers(Role.READER)), 403)
            _told(client.request(method, path, json=body), 401)
        assert client.get("/kb").json()["revision"] == 1


@in_a_file
def test_more_facts_than_a_request_may_write_are_refused(place: Place, tmp_path: Path) -> None:
    server = knowing(place, tmp_path, ServeSettings(max_facts=2))
    with server.client(role=Role.EDITOR) as client:
        assert _told(client.post("/kb/facts", json={"facts": [FACT] * 3}), 422) == (
            "facts",
            "a request may add at most 2 facts",
        )
        assert client.post("/kb/facts", json={"facts": [FACT] * 2}).status_code == 200


# The log


def test_the_log_has_the_newest_first_page_by_page(client: TestClient) -> None:
    client.patch("/kb/facts/1", json={"value": "Piccadilly"})
    client.post("/kb/facts/3/retract", json={"reason": "no"})
    page = client.get("/kb/log", params={"limit": 2}).json()
    assert [entry["id"] for entry in page["revisions"]] == [3, 2]
    assert page["next"] == 2
    assert (page["revisions"][1]["began"], page["revisions"][1]["ended"]) == (1, 1)
    page = client.get("/kb/log", params={"limit": 2, "before": 2}).json()
    assert ([entry["actor"] for entry in page["revisions"]], page["next"]) == (["import"], None)
    assert page["revisions"][0]["undoable"] is False
    assert client.get("/kb/log", params={"before": 1}).json() == {"revisions": [], "next": None}


def test_a_revision_is_shown_with_its_facts(client: TestClient) -> None:
    client.patch("/kb/facts/1", json={"value": "Piccadilly", "reason": "a letter"})
    told = client.get("/kb/revisions/2").json()
    assert (told["revision"]["id"], told["revision"]["reason"]) == (2, "a letter")
    assert [[fact["value"] for fact in told[which]] for which in ("began", "ended")] == [["Piccadilly"], ["London"]]
    assert _told(client.get("/kb/revisions/3"), 404)[1] == "there is no revision 3"


def test_a_revision_is_undone_by_another(client: TestClient) -> None:
    client.patch("/kb/facts/1", json={"value": "Piccadilly"})
    assert client.post("/kb/revisions/2/undo", json={"reason": "a slip"}).json() == {"changed": 2, "revision": 3}
    assert _facts(client, entity="Ada Lovelace", relation="Birth Place")[0][1] == "London"
    assert (_last(client)["action"], _last(client)["actor"]) == ("undo", "the editor")
    assert _last(client)["reason"] == "a slip"
    assert "was changed by revision" in _told(client.post("/kb/revisions/2/undo"), 409)[1]
