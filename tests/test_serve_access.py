"""Who may do what on a server: tokens, roles, what is open on loopback, and pages of other origins."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guarded import ROUTES_WITHOUT_A_TOKEN, Guarded, ask, guarded, routes
from lamlam.cli.app import app as lamlam
from lamlam.errors import InputError
from lamlam.serve.access import Access, Role
from lamlam.serve.middleware import is_loopback

READS_BY_POST = {("POST", "/v1/completions"), ("POST", "/v1/chat/completions")}


@pytest.fixture
def closed(tmp_path: Path) -> Guarded:
    return guarded(tmp_path, open_reads=False)


@pytest.fixture
def open_(tmp_path: Path) -> Guarded:
    return guarded(tmp_path, open_reads=True)


# The file of tokens


def test_a_token_is_kept_as_a_digest_in_a_file_for_its_owner_alone_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def dump(*arguments: object, **named: object) -> None:
        [temporary] = [file for file in tmp_path.iterdir() if file.name.endswith(".tmp")]
        seen.append(stat.S_IMODE(temporary.stat().st_mode))
        original(*arguments, **named)  # type: ignore[arg-type]

    original = json.dump
    monkeypatch.setattr(json, "dump", dump)
    access = Access(tmp_path / "tokens.json", open_reads=False)
    tokens = [access.create(f"one {number}", Role.EDITOR) for number in range(2)]
    assert seen == [0o600, 0o600]
    assert stat.S_IMODE(access.path.stat().st_mode) == 0o600
    assert tokens[0] != tokens[1]
    assert not any(token in access.path.read_text() for token in tokens)
    assert [access.actor(f"Bearer {token}") for token in tokens] == access.actors


@pytest.mark.parametrize("name", ["", " ", " ada", "a\nb", "\x1b[31m", "\ud800", "a" * 101, "taken"])
def test_a_name_that_is_none_or_taken_is_refused(name: str, tmp_path: Path) -> None:
    access = Access(tmp_path / "tokens.json", open_reads=False)
    access.create("taken", Role.READER)
    with pytest.raises(InputError):
        access.create(name, Role.READER)
    assert len(access.actors) == 1


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"tokens": [{}]}', '{"tokens": [{"name": "a", "role": "god", "sha256": "0"}]}',
                '{"tokens": [{"name": "a", "role": "reader", "sha256": "é"}]}', "\udcff"],
)  # fmt: skip
def test_what_is_no_file_of_tokens_opens_nothing(content: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    access = Access(path, open_reads=False)
    token = access.create("ada", Role.ERASER)
    path.write_text(content, errors="surrogateescape")
    assert access.actor(f"Bearer {token}") is None
    with pytest.raises(InputError, match=r"tokens\.json: is not a valid token file"):
        Access(path, open_reads=False)


def test_a_file_that_is_gone_takes_its_tokens_along(tmp_path: Path) -> None:
    access = Access(tmp_path / "tokens.json", open_reads=False)
    token = access.create("ada", Role.ERASER)
    access.path.unlink()
    assert access.actor(f"Bearer {token}") is None


def test_tokens_are_made_listed_and_revoked_while_a_server_runs(closed: Guarded, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(lamlam, ["token", words[0], str(tmp_path), *words[1:]], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output.strip()

    with closed.client() as client:
        token = run("add", "grace", "--role", "editor")
        asks = {"Authorization": f"Bearer {token}"}
        assert client.get("/access", headers=asks).json() == {"name": "grace", "role": "editor", "open_reads": False}
        assert client.get("/kb", headers=asks).status_code == 200
        assert "editor   grace" in run("list").splitlines()
        run("revoke", "grace")
        assert client.get("/kb", headers=asks).status_code == 401
        assert "grace" not in run("list")
        assert client.get("/kb", headers=closed.headers(Role.READER)).status_code == 200


def test_faults_of_the_command_are_told(tmp_path: Path) -> None:
    for words in (
        ["add", str(tmp_path), "ada", "--role", "god"],
        ["revoke", str(tmp_path), "ada"],
        ["list", str(tmp_path / "nowhere")],
    ):
        with pytest.raises(InputError):
            CliRunner().invoke(lamlam, ["token", *words], catch_exceptions=False)


# Routes


def test_every_route_takes_a_token_where_reading_is_not_open(closed: Guarded) -> None:
    found = routes(closed.app)
    assert len(found) >= 8
    wrong = [
        {}, {"Authorization": "Bearer "}, {"Authorization": "Bearer lamlam-eraser-forged"}, {"Authorization": "Bearer"},
        {"Authorization": "Basic " + closed.tokens[Role.ERASER]}, {"Authorization": closed.tokens[Role.ERASER]},
        {"Authorization": f"Bearer {closed.tokens[Role.ERASER]}x"}, {"Authorization": "Bearer " + "x" * 60_000},
        {"Authorization": b"Bearer \xff\xfe\xc3\xa9"}, {"Authorization": "\t"}, {"Cookie": closed.tokens[Role.ERASER]},
        {"Authorization": f"Bearer {next(iter(closed.access._tokens))}"},
    ]  # fmt: skip
    with closed.client() as client:
        for method, path in set(found) - ROUTES_WITHOUT_A_TOKEN:
            for headers in wrong:
                answer = client.request(method, path, headers=headers, **_body(method))  # type: ignore[arg-type]
                assert answer.status_code == 401, (method, path, headers)
                assert answer.json()["error"]["code"] == 401
                assert answer.headers["www-authenticate"] == "Bearer"


def test_every_route_that_writes_takes_more_than_a_reader(closed: Guarded) -> None:
    with closed.client(role=Role.READER) as client:
        for method, path in set(routes(closed.app)) - READS_BY_POST:
            answer = client.request(method, path, **_body(method))  # type: ignore[arg-type]
            assert (answer.status_code == 403) == (method != "GET"), (method, path, answer.text)


def test_only_an_eraser_forgets(closed: Guarded) -> None:
    if ("POST", "/kb/forget") not in routes(closed.app):
        pytest.skip("nothing can be forgotten here")
    asked = {"entity": "Ada Lovelace", "relation": "Birth Place", "value": "London", "dry_run": False}
    with closed.client(role=Role.EDITOR) as client:
        assert client.post("/kb/forget", json=asked).status_code == 403
    assert b"Ada Lovelace" in (closed.access.path.parent / "kb.sqlite").read_bytes()


def test_reading_is_open_and_writing_is_not(open_: Guarded) -> None:
    with open_.client() as client:
        for method, path in routes(open_.app):
            for headers in ({}, {"Authorization": "Bearer unknown"}):
                answer = client.request(method, path, headers=headers, **_body(method))  # type: ignore[arg-type]
                closed = method != "GET" and (method, path) not in READS_BY_POST
                assert (answer.status_code == 401) == closed, (method, path, answer.text)


def test_the_description_says_which_routes_take_a_token_and_what_they_refuse(closed: Guarded) -> None:
    with closed.client(role=Role.READER) as client:
        described = client.get("/openapi.json").json()
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            assert ("security" in route) == (path != "/healthz")
            assert route["summary"]
            assert {"401", "403", "422", "429", "503"} <= set(route["responses"]), (method, path)


def test_a_server_says_who_asks(closed: Guarded, tmp_path: Path) -> None:
    with closed.client() as client:
        nobody = {"name": "", "role": None, "open_reads": False}
        assert client.get("/access").json() == nobody
        assert client.get("/access", headers={"Authorization": "Bearer unknown"}).json() == nobody
        for role in Role:
            told = client.get("/access", headers=closed.headers(role)).json()
            assert told == {"name": role, "role": role, "open_reads": False}
    (tmp_path / "open").mkdir()
    with guarded(tmp_path / "open", open_reads=True).client() as client:
        assert client.get("/access").json() == {"name": "", "role": "reader", "open_reads": True}


def test_the_page_needs_no_token_and_holds_no_facts(closed: Guarded) -> None:
    with closed.client() as client:
        answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "London" not in answer.text


# Pages of other origins


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "localhost:8000", "127.0.0.1:80", "[::1]:8000",
                                  "LOCALHOST:1", "127.0.0.5:8000"])  # fmt: skip
def test_this_machines_own_names_are_answered_to(host: str, open_: Guarded) -> None:
    assert ask(open_.app, "/access", headers=[("host", host)])[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "evil@localhost",
             "localhost@evil.example", "localhost/", "localhost:evil", "localhost:1:2", "localhost,evil.example", "",
             " ", "0.0.0.0", "192.168.0.1", "[::]", "::1", "[::1", "[evil]", "localhost#", "localhost?", "127.1",
             "2130706433", "localhost\\@evil.example", "\xe9"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/kb", "/", "/v1/completions", "/healthz", "/nothing"])
def test_another_name_that_points_here_is_not_answered_to(path: str, host: str, open_: Guarded) -> None:
    for method in ("GET", "POST"):
        status, _, told = ask(open_.app, path, method=method, headers=[("host", host)])
        assert (status, told["error"]["code"]) == (421, 421)


@pytest.mark.parametrize("names", [[], ["localhost", "evil.example"], ["localhost", "localhost"]])
def test_no_name_and_two_names_are_not_answered_to(names: list[str], open_: Guarded) -> None:
    assert ask(open_.app, "/kb", headers=[("host", name) for name in names])[0] == 421


def test_any_name_is_answered_to_where_a_token_is_needed(closed: Guarded) -> None:
    asked = [("host", "facts.example"), ("authorization", f"Bearer {closed.tokens[Role.READER]}")]
    with closed.client():
        assert ask(closed.app, "/access", headers=asked)[2]["role"] == "reader"


@pytest.mark.parametrize("method", ["POST", "PATCH", "GET"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:8000"])
def test_other_origins_are_allowed_nothing(method: str, origin: str, open_: Guarded) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip
    with open_.client() as client:
        for _, path in routes(open_.app):
            preflight = client.options(path, headers=asks)
            assert preflight.status_code == 405
            answer = client.get(path, headers={"Origin": origin})
            for each in (preflight, answer):
                assert not [name for name in each.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", None, "",
             "text/plain; application/json", "application/json-patch+json", "application/xml", "text/json"],
)  # fmt: skip
def test_what_a_form_of_another_page_can_post_is_not_taken(kind: str | None, open_: Guarded) -> None:
    headers = [("host", "localhost"), *([("content-type", kind)] if kind is not None else [])]
    for path in ("/v1/completions", "/kb/facts", "/kb/forget"):
        status, _, told = ask(open_.app, path, method="POST", headers=headers, body=[b'{"prompt": "Ada"}'])
        assert (status, told["error"]["code"]) == (415, 415)


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
     ("example.org", False), ("localhost.example.org", False), ("", False)],
)  # fmt: skip
def test_what_is_bound_elsewhere_is_known(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def _body(method: str) -> dict[str, object]:
    return {} if method in ("GET", "HEAD") else {"json": {}}
