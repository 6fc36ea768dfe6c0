"""Forgetting over HTTP: shown first, then erased for good while others read, with a certificate that is kept."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from guarded import Guarded, listening
from knowing import knowing
from lamlam.serve.access import Role
from places import Place

SECRETS = ("Maida Vale", "lost")


@pytest.fixture
def server(place: Place, tmp_path: Path) -> Guarded:
    return knowing(place, tmp_path)


@pytest.fixture
def client(server: Guarded) -> Iterator[TestClient]:
    """An eraser."""
    with server.client(role=Role.ERASER) as client:
        yield client


def _forget(client: TestClient, **asked: Any) -> Any:
    answer = client.post("/kb/forget", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_dry_run_shows_what_would_go_and_why_and_changes_nothing(client: TestClient) -> None:
    client.patch("/kb/facts/4", json={"value": "Paddington"})
    client.post("/kb/facts", json={"facts": [
        {"entity": "alan turing", "relation": "Place of Birth", "value": "Paddington"},
        {"entity": "Alan Turing", "relation": "Home", "value": "Paddington"},
    ]})  # fmt: skip
    planned = _forget(client, fact=5)
    assert [(fact["id"], fact["value"], fact["why"]) for fact in planned["facts"]] == [
        (4, "Maida Vale", "superseded by one of these"),
        (5, "Paddington", "asked"),
        (6, "Paddington", "states the same"),
    ]
    assert [fact["relation"] for fact in planned["related"]] == ["Home"]
    certificate = planned["certificate"]
    assert (certificate["dry_run"], certificate["revision"], certificate["facts"]) == (True, None, [4, 5, 6])
    assert client.get("/kb").json()["revision"] == 3
    assert client.get("/kb/certificates").json() == {"certificates": [], "next": None}


def test_what_tells_of_an_entity_is_shown_with_the_reason_and_can_be_included(client: TestClient) -> None:
    client.post("/kb/facts", json={"facts": [
        {"entity": "King's College", "relation": "Fellow", "value": "alan\u00a0turing"},
        {"entity": "King's College", "relation": "History", "value": "Alan Turing read mathematics there"},
    ]})  # fmt: skip
    planned = _forget(client, entity="Alan Turing")
    assert {fact["relation"]: fact["why"] for fact in planned["related"]} == {
        "Fellow": "names it as its value", "History": "mentions it in its value",
    }  # fmt: skip
    assert planned["certificate"]["left"] == {"names it as its value": 1, "mentions it in its value": 1}
    done = _forget(client, entity="Alan Turing", include=["values"], dry_run=False)
    assert (done["certificate"]["included"], done["certificate"]["left"]) == (
        ["values"], {"mentions it in its value": 1},
    )  # fmt: skip
    found = client.get("/kb/lookup", params={"entity": "King's College", "relation": "Fellow"}).json()
    assert found["status"] == "forgotten"
    for wrong in ({"fact": 1, "include": ["values"]}, {"entity": "Ada", "include": ["all"]}):
        assert client.post("/kb/forget", json=wrong).status_code == 422


@pytest.mark.parametrize(
    ("asked", "facts"),
    [
        ({"fact": 4}, [4]),
        ({"entity": "alan turing"}, [3, 4]),
        ({"entity": "Alan Turing", "relation": "Birth Place"}, [4]),
        ({"value": "Maida Vale"}, [4]),
        ({"source": "lost"}, [4]),
    ],
)
def test_what_is_forgotten_is_gone_for_good(
    server: Guarded, place: Place, asked: dict[str, Any], facts: list[int]
) -> None:
    with server.client(role=Role.ERASER) as client:
        done = _forget(client, **asked, dry_run=False, reason="Maida Vale must go")
        certificate = done["certificate"]
        assert (certificate["facts"], certificate["clean"], certificate["revision"]) == (facts, True, 2)
        assert (done["facts"], done["related"]) == ([], [])
        assert not any(secret in str(done) for secret in (*SECRETS, "Turing"))
        found = client.get("/kb/lookup", params={"entity": "Alan Turing", "relation": "Birth Place"}).json()
        assert (found["status"], found["facts"]) == ("forgotten", [])
        for number in facts:
            for path in ("", "/history", "/passages"):
                assert client.get(f"/kb/facts/{number}{path}").status_code == 404
        [entry, _] = client.get("/kb/log").json()["revisions"]
        assert (entry["action"], entry["actor"], entry["reason"], entry["undoable"]) == (
            "forget", "the eraser", "[erased]", False,
        )  # fmt: skip
        undone = client.post("/kb/revisions/2/undo")
        assert (undone.status_code, "cannot be brought back" in undone.text) == (409, True)
    assert place.left(*SECRETS) == set()
    with place.open() as kb:
        assert kb.verify() == []


def test_certificates_are_kept_listed_and_downloaded(client: TestClient) -> None:
    given = [_forget(client, fact=number, dry_run=False)["certificate"] for number in (4, 3, 2)]
    page = client.get("/kb/certificates", params={"limit": 2}).json()
    assert (page["certificates"], page["next"]) == ([given[2], given[1]], 3)
    page = client.get("/kb/certificates", params={"limit": 2, "before": 3}).json()
    assert (page["certificates"], page["next"]) == ([given[0]], None)
    answer = client.get("/kb/certificates/3")
    assert answer.json() == given[1]
    assert answer.headers["content-disposition"] == 'attachment; filename="certificate-3.json"'
    for revision in (1, 99):
        told = client.get(f"/kb/certificates/{revision}")
        assert (told.status_code, f"certificate for revision {revision}" in told.text) == (404, True)


def test_only_an_eraser_erases_and_an_editor_may_see_what_would_go(server: Guarded) -> None:
    with server.client() as client:
        for role, planned, erased in ((None, 401, 401), (Role.READER, 403, 403), (Role.EDITOR, 200, 403)):
            headers = server.headers(role) if role else {}
            for dry_run, status in ((True, planned), (False, erased)):
                answer = client.post("/kb/forget", json={"fact": 1, "dry_run": dry_run}, headers=headers)
                assert answer.status_code == status, (role, dry_run)
        assert client.get("/kb").json()["revision"] == 1


ILL_FORMED = [
    ({}, 422, None),
    ({"fact": 1, "entity": "Ada Lovelace"}, 422, None),
    ({"fact": 1, "source": "story"}, 422, None),
    ({"fact": 0}, 422, "fact"),
    ({"fact": "one"}, 422, "fact"),
    ({"fact": 99}, 404, None),
    ({"entity": " "}, 422, "entity"),
    ({"entity": "Nobody"}, 422, "entity"),
    ({"entity": "Ada Lovelace", "relation": "Spouse"}, 422, None),
    ({"source": "nowhere"}, 422, None),
    ({"value": "x" * 2001}, 422, "value"),
    ({"fact": 1, "dry_run": "perhaps"}, 422, "dry_run"),
    ({"fact": 1, "reason": "x" * 501}, 422, "reason"),
    ({"fact": 1, "colour": "red"}, 422, "colour"),
]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_what_cannot_be_forgotten_is_told_and_changes_nothing(client: TestClient) -> None:
    for asked, status, field in ILL_FORMED:
        for dry_run in (True, False):
            answer = client.post("/kb/forget", json={"dry_run": dry_run, **asked})
            assert (answer.status_code, answer.json()["error"]["param"]) == (status, field), asked
    assert client.get("/kb").json()["revision"] == 1
    assert client.get("/kb/certificates").json()["certificates"] == []


def test_forgetting_is_clean_while_readers_hammer_the_server(server: Guarded, place: Place) -> None:
    stop = threading.Event()
    answered: list[int] = []

    def hammer(url: str) -> None:
        with httpx2.Client() as reader:
            while not stop.is_set():
                answered.append(reader.get(url).status_code)

    paths = ["/kb/lookup?entity=Ada%20Lovelace&relation=Field", "/kb/facts?text=a", "/kb/facts/1/history"]
    with listening(server.app) as port, httpx2.Client(headers=server.headers(Role.ERASER), timeout=60) as eraser:
        base = f"http://127.0.0.1:{port}"
        readers = [threading.Thread(target=hammer, args=(base + path,)) for path in paths * 2]
        for reader in readers:
            reader.start()
        try:
            asked = [{"fact": 4, "dry_run": False}, {"fact": 3, "dry_run": False}]
            certificates = [eraser.post(f"{base}/kb/forget", json=each).json()["certificate"] for each in asked]
        finally:
            stop.set()
            for reader in readers:
                reader.join()
    assert [certificate["clean"] for certificate in certificates] == [True, True]
    assert len(answered) > 10
    assert set(answered) == {200}
    assert place.left(*SECRETS) == set()
