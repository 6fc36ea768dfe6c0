"""A server that is killed again and again while several write, and what must be true of its knowledge base each time.

A forked child serves: the process that it is forked from has imported all, so that a server stands in a moment.
"""

import json
import multiprocessing
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
import uvicorn

from fakes_serve import served
from lamlam.kb import KnowledgeBase, Status
from lamlam.serve.access import Access, Role
from lamlam.serve.app import build_app
from lamlam.serve.settings import ServeSettings
from places import Place

__all__ = ["Tally", "kill_again_and_again"]

WRITERS = 4
BULK = 20  # facts of a table
_FORGOTTEN = frozenset({"(forgotten)"})  # in the place of values
_LIMITS = ServeSettings(requests_a_minute=10_000_000)

Values = frozenset[str]


@dataclass
class Tally:
    """How many writes of each kind were acknowledged, and what had become of those that were not."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    carried_out: int = 0
    lost: int = 0


def kill_again_and_again(place: Place, folder: Path, kills: int, seed: int) -> Tally:
    """Serve, write, kill, serve again, and check; raises `AssertionError`."""
    place.open(create=True).close()
    access = Access(folder / "tokens.json", open_reads=True)
    token = access.create("eve", Role.ERASER)
    rng, tally = random.Random(seed), Tally()
    writers = [_Writer(number, rng.randrange(2**32), token, tally) for number in range(WRITERS)]
    for _ in range(kills):
        with _serving(place, access) as (port, server):
            _check(place, writers, tally)
            threads = [threading.Thread(target=writer.write, args=(port,)) for writer in writers]
            before = sum(tally.acknowledged.values())
            for thread in threads:
                thread.start()
            wanted = before + rng.randrange(25)  # however slow the machine is
            while sum(tally.acknowledged.values()) < wanted:
                time.sleep(0.001)
            time.sleep(rng.expovariate(1 / 0.01))
            server.kill()
            server.join()
            for thread in threads:
                thread.join()
    with _serving(place, access):
        _check(place, writers, tally)
    return tally


# The server


@contextmanager
def _serving(place: Place, access: Access) -> Iterator[tuple[int, Any]]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killing"])
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(place.address, access.path, theirs))
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):  # else it cannot import what it is to
        server.start()
    theirs.close()
    try:
        assert ours.poll(60)
        yield ours.recv(), server
    finally:
        server.kill()
        server.join()


def _serve(address: str | Path, tokens: Path, told: Connection) -> None:
    app = build_app(served(address), Access(tokens, open_reads=True), _LIMITS)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    listener = socket.create_server(("127.0.0.1", 0))
    told.send(listener.getsockname()[1])
    server.run(sockets=[listener])


# Writing


class _Writer:
    """Writes about entities of its own, one request after the other, and notes what was acknowledged.

    `pending` is what the request says that was not answered: for each entity, the values that it will have.
    """

    def __init__(self, number: int, seed: int, token: str, tally: Tally) -> None:
        self.number, self._rng, self._tally = number, random.Random(seed), tally
        self._headers = {"Authorization": f"Bearer {token}"}
        self._made = 0
        self.values: dict[str, Values] = {}
        self.pending: dict[str, Values] = {}
        self.certificates: dict[int, dict[str, Any]] = {}
        self.revisions: list[int] = []

    def write(self, port: int) -> None:
        """Until the server is gone."""
        kinds = (self._add, self._add_table, self._edit, self._retract, self._forget)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}/kb", headers=self._headers, timeout=60) as client:
            try:
                while True:
                    kind = self._rng.choices(kinds, (4, 2, 4, 2, 2))[0]
                    if kind(client):
                        self._acknowledge(kind.__name__)
            except httpx2.TransportError:
                return

    def _acknowledge(self, kind: str) -> None:
        self.values |= self.pending
        self.pending = {}
        self._tally.acknowledged[kind] = self._tally.acknowledged.get(kind, 0) + 1

    def _add(self, client: httpx2.Client) -> bool:
        name, values = self._new(self._rng.randint(1, 5))
        facts = [{"entity": name, "relation": "has", "value": value, "source": {"document": f"of {name}"}}
                 for value in values]  # fmt: skip
        self.pending = {name: frozenset(values)}
        answer = _said(client.post("/facts", json={"facts": facts, "reason": f"for {name}"}))
        assert (answer["added"], answer["refused"]) == (len(values), [])
        self.revisions.append(answer["revision"])
        return True

    def _add_table(self, client: httpx2.Client) -> bool:
        """A new entity, and the facts of another one edited, all by one table."""
        name, values = self._new(BULK)
        rows = [f",{name},has,{value}" for value in values]
        pending = {name: frozenset(values)}
        if (known := self._some()) is not None:
            facts = self._facts(client, known)
            edited = {fact["id"]: self._value() for fact in facts}
            rows += [f"{number},{known},has,{value}" for number, value in edited.items()]
            pending[known] = frozenset(edited.values())
        self.pending = pending
        table = "id,entity,relation,value\n" + "\n".join(rows)
        asks = {"Content-Type": "text/csv"}
        answer = _said(client.post("/facts.csv", content=table, params={"dry_run": False}, headers=asks))
        assert len(answer["added"]) == BULK
        self.revisions.append(answer["revision"])
        return True

    def _edit(self, client: httpx2.Client) -> bool:
        if (name := self._some()) is None:
            return False
        fact, value = self._rng.choice(self._facts(client, name)), self._value()
        self.pending = {name: self.values[name] - {fact["value"]} | {value}}
        self.revisions.append(_said(client.patch(f"/facts/{fact['id']}", json={"value": value}))["since"])
        return True

    def _retract(self, client: httpx2.Client) -> bool:
        if (name := self._some()) is None:
            return False
        fact = self._rng.choice(self._facts(client, name))
        self.pending = {name: self.values[name] - {fact["value"]}}
        self.revisions.append(_said(client.post(f"/facts/{fact['id']}/retract"))["until"])
        return True

    def _forget(self, client: httpx2.Client) -> bool:
        if (name := self._some()) is None:
            return False
        self.pending = {name: _FORGOTTEN}
        asked = {"entity": name, "dry_run": False, "reason": f"{name} must go"}
        certificate = _said(client.post("/forget", json=asked))["certificate"]
        self.certificates[certificate["revision"]] = certificate
        return True

    def _some(self) -> str | None:
        """An entity that has facts."""
        names = [name for name, values in self.values.items() if values and values != _FORGOTTEN]
        return self._rng.choice(names) if names else None

    def _facts(self, client: httpx2.Client, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = _said(client.get("/facts", params={"entity": name, "limit": 500}))["facts"]
        assert {fact["value"] for fact in found} == self.values[name], "what was acknowledged can be read"
        return found

    def _new(self, facts: int) -> tuple[str, list[str]]:
        return f"{self._value()} entity", [self._value() for _ in range(facts)]

    def _value(self) -> str:
        """A word that stands nowhere else, nor within another."""
        self._made += 1
        return f"w{self.number}n{self._made}x"


def _said(answer: httpx2.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


# Checking


def _check(place: Place, writers: list[_Writer], tally: Tally) -> None:
    """All that was acknowledged is there; what was not is there whole, or not at all; and the file is sound."""
    with place.open() as kb:
        assert kb.verify() == []
        log = {entry.id: entry for entry in kb.log()}
        assert {entry.id for entry in log.values() if entry.action == "forget"} == set(kb.certified())
        for writer in writers:
            _check_writer(kb, writer, tally)
            assert {log[number].actor for number in writer.revisions} <= {"eve"}
            for number, certificate in writer.certificates.items():
                assert kb.certificate(number) == certificate
                assert certificate["clean"]
    _check_bytes(place, writers)


def _check_writer(kb: KnowledgeBase, writer: _Writer, tally: Tally) -> None:
    if writer.pending:
        now = {name: _held(kb, name) for name in writer.pending}
        before = {name: writer.values.get(name, frozenset()) for name in writer.pending}
        assert now in (writer.pending, before), "whole or not at all"
        done = now == writer.pending
        tally.carried_out, tally.lost = tally.carried_out + done, tally.lost + (not done)
        writer.values |= now
        writer.pending = {}
    for name, values in writer.values.items():
        assert _held(kb, name) == values


def _held(kb: KnowledgeBase, name: str) -> Values:
    found = kb.lookup(name, "has")
    return _FORGOTTEN if found.status is Status.FORGOTTEN else frozenset(found.values)


def _check_bytes(place: Place, writers: list[_Writer]) -> None:
    forgotten = [name for writer in writers for name, values in writer.values.items() if values == _FORGOTTEN]
    assert place.left(*forgotten[-40:]) == set()
    assert not any(name in json.dumps(writer.certificates) for writer in writers for name in forgotten)
