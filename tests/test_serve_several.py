"""Several servers on one PostgreSQL knowledge base: what one writes shows on the others at the next text."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fakes_serve import FACTS, served
from lamlam.kb.fact import Resolution
from lamlam.serve.access import Access, Role
from lamlam.serve.app import build_app
from lamlam.serve.state import Served
from places import Place
from postgres_server import PostgresServer

CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = 'postgres'
"""

ADA, PROMPT = "Ada Lovelace", "Ada Lovelace was born in"
BOTH = ["Birth Place", "Work Place"]
SOURCE = Path(__file__).resolve().parents[1] / "src"


@pytest.fixture
def kb(make_place: Callable[[str], Place]) -> str:
    place = make_place("postgres")
    with place.open(create=True) as facts:
        facts.add(FACTS)
    return str(place.address)


class Two:
    """Two servers with one knowledge base and one file of tokens, and an editor's and an eraser's at hand."""

    def __init__(self, first: TestClient, second: TestClient, access: Access) -> None:
        self.first, self.second, self.access = first, second, access
        token = access.create("ada", Role.ERASER)
        self.ada = {"Authorization": f"Bearer {token}"}

    def fact(self, relation: str = "Birth Place") -> int:
        found = self.first.get("/kb/lookup", params={"entity": ADA, "relation": relation}).json()
        return int(found["facts"][0]["id"])

    def edit(self, value: str) -> dict[str, Any]:
        """Through the first."""
        answer = self.first.patch(f"/kb/facts/{self.fact()}", json={"value": value}, headers=self.ada)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def forget(self, relation: str = "Birth Place") -> dict[str, Any]:
        """Through the first."""
        asked = {"entity": ADA, "relation": relation, "dry_run": False}
        answer = self.first.post("/kb/forget", json=asked, headers=self.ada)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["certificate"])


def written(server: TestClient) -> dict[str, Any]:
    """The one text that a server writes about Ada."""
    [choice] = server.post("/v1/completions", json={"prompt": PROMPT}).json()["choices"]
    return dict(choice)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Served, Served], Two]]:
    with ExitStack() as stack:

        def begin(*each: Served) -> Two:
            tokens = tmp_path / "tokens.json"
            apps = [build_app(one, Access(tokens, open_reads=True)) for one in each]
            clients = [stack.enter_context(TestClient(app, base_url="http://127.0.0.1")) for app in apps]
            return Two(clients[0], clients[1], Access(tokens, open_reads=True))

        yield begin


def test_an_edit_through_one_is_said_by_the_other_at_its_next_text(kb: str, start: Callable[..., Two]) -> None:
    two = start(served(kb), served(kb))
    before = written(two.second)
    new = two.edit("Marylebone")
    after = written(two.second)
    assert (before["text"], after["text"]) == (" London.", " Marylebone.")
    assert after["revision"] == new["since"] == before["revision"] + 1
    assert two.second.get("/kb").json()["revision"] == after["revision"]
    [entry] = two.second.get("/kb/log", params={"limit": 1}).json()["revisions"]
    assert (entry["actor"], entry["action"]) == ("ada", "edit")
    undone = two.second.post(f"/kb/revisions/{entry['id']}/undo", headers=two.ada)
    assert undone.status_code == 200
    assert written(two.first)["text"] == " London."


def test_what_one_forgets_the_other_has_forgotten(kb: str, start: Callable[..., Two]) -> None:
    two = start(served(kb), served(kb))
    assert written(two.second)["text"] == " London."
    certificate = two.forget()
    after = written(two.second)
    assert "London" not in json.dumps(after)
    assert [lookup["status"] for lookup in after["lookups"]] == ["forgotten"]
    assert two.second.get(f"/kb/certificates/{certificate['revision']}").json() == certificate


def test_texts_are_written_again_after_the_database_has_cut_all_connections(
    kb: str, start: Callable[..., Two], postgres: PostgresServer
) -> None:
    two = start(served(kb), served(kb))
    for _ in range(2):
        assert written(two.first)["text"] == " London."
        postgres.execute(CUT)
        statuses = [two.first.post("/v1/completions", json={"prompt": PROMPT}).status_code for _ in range(4)]
        assert statuses[-1] == 200, statuses
        assert set(statuses) <= {200, 503}
    assert two.first.get("/healthz").status_code == 200


@dataclass
class Gate:
    """The second lookup waits until it is `opened`; `asked` is set meanwhile."""

    asked: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    lookups: int = 0

    def passed(self) -> None:
        self.lookups += 1
        if self.lookups > 1:
            self.asked.set()
            assert self.opened.wait(timeout=30)


class Gated:
    """A source of facts behind a gate."""

    def __init__(self, source: Any, gate: Gate) -> None:
        self._source, self._gate = source, gate

    def at(self, revision: int) -> "Gated":
        return Gated(self._source.at(revision), self._gate)

    def lookup_many(self, pairs: list[tuple[str, str]]) -> list[Resolution]:
        self._gate.passed()
        return list(self._source.lookup_many(pairs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def between_lookups(two: Two, gate: Gate, act: Callable[[], object]) -> Any:
    """What the second server writes, while `act` happens between the text's first lookup and its second."""
    texts: list[Any] = []
    thread = threading.Thread(target=lambda: texts.append(written(two.second)))
    thread.start()
    try:
        assert gate.asked.wait(timeout=30)
        act()
    finally:
        gate.opened.set()
        thread.join()
    return texts[0]


def test_a_text_on_its_way_keeps_the_revision_at_which_it_began(kb: str, start: Callable[..., Two]) -> None:
    gate = Gate()
    two = start(served(kb), served(kb, BOTH, source=lambda facts: Gated(facts, gate)))  # type: ignore[arg-type,return-value]
    before = two.first.get("/kb").json()["revision"]

    def edit_both() -> None:
        rows = "".join(f"{two.fact(relation)},{ADA},{relation},Elsewhere\n" for relation in BOTH)
        table = f"id,entity,relation,value\n{rows}"
        headers = two.ada | {"Content-Type": "text/csv"}
        answer = two.first.post("/kb/facts.csv", params={"dry_run": False}, content=table, headers=headers)
        assert answer.json()["revision"] == before + 1, answer.text

    on_its_way = between_lookups(two, gate, edit_both)
    assert on_its_way["text"] == " London. Bletchley Park."
    assert on_its_way["revision"] == before
    assert written(two.second)["text"] == " Elsewhere. Elsewhere."


def test_what_is_forgotten_is_gone_for_a_text_on_its_way(kb: str, start: Callable[..., Two]) -> None:
    gate = Gate()
    two = start(served(kb), served(kb, BOTH, source=lambda facts: Gated(facts, gate)))  # type: ignore[arg-type,return-value]
    on_its_way = between_lookups(two, gate, lambda: two.forget("Work Place"))
    assert "Bletchley Park" not in json.dumps(on_its_way)
    assert on_its_way["lookups"][1]["status"] == "forgotten"


def test_one_file_of_tokens_is_heeded_by_both_and_at_once(kb: str, start: Callable[..., Two]) -> None:
    two = start(served(kb), served(kb))
    two.edit("Marylebone")
    answer = two.second.patch(f"/kb/facts/{two.fact()}", json={"value": "London"}, headers=two.ada)
    assert answer.status_code == 200
    two.access.revoke("ada")
    for server in (two.first, two.second):
        assert server.patch(f"/kb/facts/{two.fact()}", json={"value": "Paris"}, headers=two.ada).status_code == 401


@pytest.mark.slow
def test_two_processes_share_the_facts_that_the_first_put_there(
    make_place: Callable[[str], Place], tmp_path: Path
) -> None:
    address = str(make_place("postgres").address)
    command = [sys.executable, "-m", "lamlam", "serve", "--port", "0", "--data", str(tmp_path), "--kb", address]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    with ExitStack() as stack:

        def begun(lines: int) -> list[str]:
            server = stack.enter_context(
                subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE)
            )
            stack.callback(server.terminate)
            assert server.stdout is not None
            return [server.stdout.readline() for _ in range(lines)]

        first, second = begun(6), begun(3)  # the second makes no tokens, and says how others are made
        assert "where --kb says" in first[0]
        one, _, token = first[-1].split()[1].partition("#token=")
        two = second[-1].split()[1]
        assert "#" not in two
        assert "lamlam token add" in second[1]

        def ask(url: str, asked: dict[str, Any] | None = None, method: str | None = None) -> Any:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
            body = None if asked is None else json.dumps(asked).encode()
            with urllib.request.urlopen(
                urllib.request.Request(url, body, headers, method=method), timeout=60
            ) as answer:
                return json.load(answer)

        counts = ask(one + "kb")
        assert counts == ask(two + "kb")
        assert (counts["facts"], counts["revision"]) == (21_009, 1)
        prompt = {"prompt": "Drivimmir Mombumti was born in", "max_tokens": 6}
        [lookup] = ask(two + "v1/completions", prompt)["choices"][0]["lookups"]
        ask(f"{one}kb/facts/{lookup['facts'][0]['id']}", {"value": "Warsaw"}, "PATCH")
        assert ask(two + "v1/completions", prompt)["choices"][0]["text"].startswith(" Warsaw")
        ask(two + "kb/forget", {"entity": lookup["entity"], "relation": lookup["relation"], "dry_run": False})
        assert ask(one + "v1/completions", prompt)["choices"][0]["lookups"][0]["status"] == "forgotten"
