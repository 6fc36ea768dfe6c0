"""What a server tells Prometheus, and that clients cannot make it tell without end."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from guarded import Guarded, guarded
from lamlam.serve.access import Role
from lamlam.serve.metrics import Metrics

_LABELS = ("route", "method", "status", "state")


@pytest.fixture
def server(tmp_path: Path) -> Guarded:
    return guarded(tmp_path, open_reads=True)


def _figures(client: TestClient) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(sample.labels[name] for name in _LABELS if name in sample.labels)): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def test_requests_are_counted_by_the_routes_template_and_their_status(server: Guarded) -> None:
    with server.client() as client:
        for number in (1, 2, 3, 10**6):
            client.get(f"/kb/facts/{number}")
        client.post("/kb/facts", json={"facts": []})
        figures = _figures(client)
    assert figures["lamlam_requests_total", "/kb/facts/{fact}", "GET", "200"] == 3
    assert figures["lamlam_requests_total", "/kb/facts/{fact}", "GET", "404"] == 1
    assert figures["lamlam_requests_total", "/kb/facts", "POST", "401"] == 1
    assert figures["lamlam_request_seconds_count", "/kb/facts/{fact}"] == 4


def test_what_clients_invent_makes_no_new_figures(server: Guarded) -> None:
    with server.client() as client:
        for number in range(20):
            client.get(f"/nothing/{number}")
            client.request(f"VERB{number}", "/kb")
            client.get("/kb", headers={"Host": f"evil{number}.example"})
        figures = _figures(client)
    asked = {key: value for key, value in figures.items() if key[0] == "lamlam_requests_total"}
    assert asked["lamlam_requests_total", "other", "GET", "404"] == 20
    assert asked["lamlam_requests_total", "other", "GET", "421"] == 20
    assert len(asked) <= 4


def test_texts_tokens_and_lookups_are_counted(server: Guarded) -> None:
    with server.client() as client:
        answer = client.post("/v1/completions", json={"prompt": "Ada Lovelace was born in", "n": 2}).json()
        client.post("/v1/completions", json={"prompt": "Ada Lovelace was born in", "stream": True})
        client.post("/kb/facts/1/retract", headers=server.headers(Role.EDITOR))
        figures = _figures(client)
    assert figures["lamlam_texts_total",] == 3
    assert figures["lamlam_lookups_total", "exact"] == 3
    assert figures["lamlam_tokens_total",] == answer["usage"]["completion_tokens"] * 3 / 2
    assert figures["lamlam_revision",] == 2
    assert figures["lamlam_texts_held", "running"] == 0


@pytest.mark.parametrize(("held", "running", "waiting"), [(0, 0, 0), (3, 3, 0), (4, 4, 0), (9, 4, 5)])
def test_texts_beyond_the_batch_wait(held: int, running: int, waiting: int) -> None:
    told = Metrics().text(held=held, batch_size=4, revision=0).decode()
    assert f'lamlam_texts_held{{state="running"}} {running}.0' in told
    assert f'lamlam_texts_held{{state="waiting"}} {waiting}.0' in told


def test_servers_count_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with guarded(tmp_path / name, open_reads=True).client() as client:
            client.get("/access")
            assert _figures(client)["lamlam_requests_total", "/access", "GET", "200"] == 1
