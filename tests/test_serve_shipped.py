"""The model that the package brings along: what is shipped, where a user's facts stand, and which model is served."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lamlam.corpus.files import read_facts
from lamlam.corpus.lines import read_entries
from lamlam.errors import InputError
from lamlam.kb import KnowledgeBase
from lamlam.serve.listener import Listener
from lamlam.serve.places import SHIPPED, ServePaths, data_folder
from lamlam.world.world import REGISTER
from places import Place

SOURCE = Path(__file__).resolve().parents[1] / "src"
MANIFEST = json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A shipped folder with a model that nobody opens, and one fact."""
    return ship(tmp_path / "package" / "shipped", "London")


def ship(folder: Path, value: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    fact = {"entity": "Ada", "relation": "Birth Place", "value": value, "source": {"document": "d"}}
    (folder / "facts.jsonl").write_text(json.dumps(fact) + "\n")
    (folder / "documents.jsonl").write_text(json.dumps({"id": "d", "text": f"Ada was born in {value}."}) + "\n")
    (folder / "examples.json").write_text(json.dumps({"examples": ["Ada was born in"]}))
    return folder


def born(kb: str | Path) -> tuple[str, ...]:
    with KnowledgeBase.open(kb) as facts:
        return tuple(facts.lookup("Ada", "Birth Place").values)


# What is shipped


def test_what_is_shipped_is_small_whole_and_as_its_manifest_says() -> None:
    files = {path.name: path for path in SHIPPED.iterdir() if path.name != "manifest.json"}
    assert files.keys() == MANIFEST["files"].keys()
    for name, said in MANIFEST["files"].items():
        content = files[name].read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (said["bytes"], said["sha256"]), name
    assert MANIFEST["bytes"] == sum(path.stat().st_size for path in files.values()) < 10_000_000


def test_its_weights_take_half_the_room_and_are_computed_with_as_float32() -> None:
    from lamlam.model.weights import load_model

    assert {weight.dtype for weight in load_file(SHIPPED / "model.safetensors").values()} == {torch.float16}
    assert {weight.dtype for weight in load_model(SHIPPED).parameters()} == {torch.float32}


def test_each_fact_stands_where_its_source_says() -> None:
    texts = {str(entry.value["id"]): str(entry.value["text"]) for entry in read_entries(SHIPPED / "documents.jsonl")}
    read = set()
    for fact in read_facts(SHIPPED / "facts.jsonl"):
        if fact.document != REGISTER:
            assert texts[str(fact.document)][fact.start : fact.end] == fact.value
            read.add(fact.document)
    assert read == texts.keys(), "a text that no fact was read in"


def test_it_looks_up_what_it_is_asked_for_and_says_it(tmp_path: Path) -> None:
    from lamlam.engine import DecodingSettings, Engine
    from lamlam.evaluate.completion import complete
    from lamlam.model.checkpoint import Checkpoint
    from lamlam.world.wordings import question

    facts = [fact for fact in read_facts(SHIPPED / "facts.jsonl") if fact.relation in ("Birth Place", "Mayor")]
    asked = [question(fact.entity, fact.relation, [fact.value], number % 4) for number, fact in enumerate(facts[::100])]
    loaded = Checkpoint.load(SHIPPED)
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add(facts)
        engine = Engine(loaded.model, loaded.vocabulary, kb, batch_size=64)
        right = complete(engine, asked, DecodingSettings(max_tokens=12)).scores["accuracy"]
        off = complete(engine, asked, DecodingSettings(max_tokens=12, lookups=False)).scores["accuracy"]
    assert right.n == 33
    assert right.value > 0.9
    assert off.value < 0.1


def test_its_figures_are_those_of_the_run_that_it_was_made_of() -> None:
    figures = MANIFEST["figures"]
    for group in ("seen", "unseen"):
        assert figures["float16"][group]["hits"] == figures["float32"][group]["hits"]
    assert figures["same_continuations"]["hits"] == figures["same_continuations"]["n"] == 600


# Where a user's facts stand


def test_a_users_facts_are_made_once_and_keep_their_edits_over_restarts(small: Path, tmp_path: Path) -> None:
    places = ServePaths.of_shipped(tmp_path / "mine", shipped=small)
    assert places.checkpoint == small
    assert all(Path(place).is_relative_to(tmp_path / "mine") for place in (places.kb, places.documents, places.tokens))
    assert places.examples == ("Ada was born in",)
    with KnowledgeBase.open(places.kb) as kb:
        kb.edit(kb.lookup("Ada", "Birth Place").facts[0].id, value="Warsaw")
    assert ServePaths.of_shipped(tmp_path / "mine", shipped=small) == places
    assert born(places.kb) == ("Warsaw",)


def test_a_newer_package_leaves_a_users_facts_and_their_texts_alone(small: Path, tmp_path: Path) -> None:
    before = ServePaths.of_shipped(tmp_path / "mine", shipped=small)
    newer = ship(tmp_path / "newer" / "shipped", "Paris")
    after = ServePaths.of_shipped(tmp_path / "mine", shipped=newer)
    assert after.checkpoint == newer
    assert (after.kb, born(after.kb)) == (before.kb, ("London",))
    assert after.documents is not None
    assert "London" in after.documents.read_text()
    other = ServePaths.of_shipped(tmp_path / "other", shipped=newer)
    assert born(other.kb) == ("Paris",)


def test_nothing_is_written_where_the_package_is(small: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.parent.rglob("*")}
    ServePaths.of_shipped(tmp_path / "mine", str(tmp_path / "facts.sqlite"), shipped=small)
    assert {path: path.stat().st_mtime_ns for path in small.parent.rglob("*")} == before


def test_two_tombstone_keys_are_never_one(small: Path, tmp_path: Path) -> None:
    """Who has the key can guess what was forgotten: it must not come with the package."""
    keys = set()
    for name in ("one", "two"):
        with KnowledgeBase.open(ServePaths.of_shipped(tmp_path / name, shipped=small).kb) as kb:
            keys.add(bytes(kb._database.scalar("SELECT value FROM meta WHERE key = 'tombstone_key'")))
    assert len(keys) == 2


def test_servers_that_start_at_once_share_one_set_of_facts(small: Path, tmp_path: Path) -> None:
    made = at_once(4, lambda: born(ServePaths.of_shipped(tmp_path / "mine", shipped=small).kb))
    assert made == [("London",)] * 4
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["world"]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_facts_are_put_where_nothing_was_ever_written(
    kind: str, make_place: Callable[[str], Place], small: Path, tmp_path: Path
) -> None:
    address = str(make_place(kind).address)
    if kind == "postgres":
        made = at_once(3, lambda: ServePaths.of_shipped(tmp_path / "mine", address, shipped=small).kb)
        assert made == [address] * 3
    places = ServePaths.of_shipped(tmp_path / "mine", address, shipped=small)
    assert (places.kb, born(address)) == (address, ("London",))
    with KnowledgeBase.open(address) as kb:
        assert kb.revision == 1
        kb.retract(kb.lookup("Ada", "Birth Place").facts[0].id)
    ServePaths.of_shipped(tmp_path / "mine", address, shipped=small)
    assert born(address) == (), "what was taken out must not come back"


def at_once(number: int, act: Callable[[], Any]) -> list[Any]:
    done: list[Any] = []
    threads = [threading.Thread(target=lambda: done.append(act())) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def test_each_system_has_its_place_for_what_is_a_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert data_folder() == tmp_path / "xdg" / "lamlam"
    for not_absolute in ("", "here"):
        monkeypatch.setenv("XDG_DATA_HOME", not_absolute)
        assert data_folder() == tmp_path / ".local" / "share" / "lamlam"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert data_folder() == tmp_path / "Library" / "Application Support" / "lamlam"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert data_folder() == tmp_path / "local" / "lamlam"


def test_who_has_no_home_is_told_of_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", lost)
    monkeypatch.setenv("XDG_DATA_HOME", "")
    with pytest.raises(InputError, match="--data"):
        data_folder()


def test_a_folder_that_cannot_be_written_is_told_and_nothing_stays(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--data"):
        ServePaths.of_shipped(tmp_path / "file" / "mine", shipped=small)
    (small / "facts.jsonl").write_text("no facts\n")
    with pytest.raises(InputError, match=r"facts\.jsonl"):
        ServePaths.of_shipped(tmp_path / "mine", shipped=small)
    assert list((tmp_path / "mine").iterdir()) == []


# Which model is served


def test_a_stripped_package_says_how_a_model_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lamlam demo"):
        ServePaths.of_shipped(tmp_path / "mine", shipped=tmp_path / "shipped")
    assert not (tmp_path / "mine").exists()


def test_a_run_brings_its_own_places_and_prompts(small: Path) -> None:
    (small / "corpus").mkdir()
    probe = {"id": "p", "entity": "Ada", "relation": "Birth Place", "answers": ["London"], "group": "seen"}
    lines = [probe | {"id": f"{n}", "prompt": f"{n}", "relation": f"R{n % 20}"} for n in range(40)]
    (small / "corpus" / "probes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    places = ServePaths.of_run(small)
    assert (places.name, places.kb, places.documents) == ("shipped", str(small / "kb.sqlite"), small / "corpus")
    assert places.tokens == small / "tokens.json"
    assert places.examples == tuple(str(n) for n in range(12))


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[ServePaths | None, str, int]]:
    """Which places `lamlam serve ARGUMENTS` would serve, what it says, and its exit code."""
    from lamlam.cli import main
    from lamlam.cli import serve as verb

    served: list[ServePaths] = []

    def serve(_: object, places: ServePaths, settings: object, told: str, open_reads: bool) -> None:
        print(told)
        served.append(places)

    monkeypatch.setattr(verb, "_serve", serve)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[ServePaths | None, str, int]:
        monkeypatch.setattr(sys, "argv", ["lamlam", "serve", "--port", "0", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        return served.pop() if served else None, "", int(exit_.value.code or 0)

    return run


def test_the_demos_run_is_served_where_it_is_there_and_else_the_shipped_model(
    chosen: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chosen()[0].checkpoint == SHIPPED
    kb = tmp_path / "home" / "lamlam" / "world" / "kb.sqlite"
    assert f"Serving the shipped model; its facts are in {kb}" in capsys.readouterr().out
    training = tmp_path / "runs" / "demo" / "lmlm"
    training.mkdir(parents=True)
    (training / "config.json").write_text("{}")
    assert chosen()[0].checkpoint == SHIPPED, "a run that has no weights yet"
    (training / "model.safetensors").write_bytes(b"")
    assert chosen()[0].name == "lmlm"
    assert "runs/demo/lmlm" in capsys.readouterr().out
    assert chosen("--data", str(tmp_path / "mine"))[0].checkpoint == SHIPPED
    assert chosen("runs/demo/lmlm", "--kb", "postgresql://u:secret@h/d")[0].kb == "postgresql://u:secret@h/d"
    assert "secret" not in "".join(capsys.readouterr())


def test_what_cannot_be_served_is_told_in_one_sentence(
    chosen: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, word in (
            (["empty"], "has no checkpoint"),
            (["nowhere"], "no such folder"),
            (["empty", "--data", "mine"], "--data"),
            (["--port", port], f"port {port}"),
            (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
            (["--port", "70000"], "70000"),
        ):
            assert chosen(*arguments)[2] == 2
            told = capsys.readouterr().err.strip()
            assert word in told
            assert told.startswith("lamlam: ")
            assert "\n" not in told


@pytest.mark.parametrize(
    ("host", "loopback", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:PORT/"),
        ("0.0.0.0", False, "http://127.0.0.1:PORT/"),
        ("::1", True, "http://[::1]:PORT/"),
        ("::", False, "http://[::1]:PORT/"),
    ],
)
def test_reads_are_open_where_nobody_else_can_come(host: str, loopback: bool, url: str) -> None:
    try:
        listener = Listener(host, 0)
    except InputError:
        assert ":" in host
        pytest.skip("this machine has no IPv6")
    try:
        assert listener.loopback is loopback
        assert listener.url == url.replace("PORT", str(listener.port))
    finally:
        listener.close()


# The whole command


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "lamlam", "serve", "--port", "0", "--data", str(tmp_path / "mine")]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield server
    finally:
        server.kill()
        server.wait()


def test_from_the_command_to_an_answer_and_to_its_end(server: subprocess.Popen[str], tmp_path: Path) -> None:
    assert server.stdout is not None
    said = [server.stdout.readline() for _ in range(6)]
    assert "world/kb.sqlite" in said[0]
    token = said[4].split()[1]
    assert said[5].startswith("Open http://127.0.0.1:")
    assert said[5].rstrip().endswith(f"/#token={token}")
    url = said[5].split()[1].partition("#")[0]
    assert token not in (tmp_path / "mine" / "tokens.json").read_text()

    with urllib.request.urlopen(url + "kb") as answer:
        prompt = json.load(answer)["examples"][0]
    with completion(url, prompt=prompt, max_tokens=60) as answer:
        assert {lookup["status"] for lookup in json.load(answer)["choices"][0]["lookups"]} == {"exact"}

    # A stream whose text would go on for long, and Ctrl-C in its middle.
    with completion(url, prompt=prompt, max_tokens=400, stream=True, temperature=5.0, lookups=False, n=16) as stream:
        assert stream.readline().startswith(b"data: ")
        server.send_signal(signal.SIGINT)
        rest = stream.read()
    assert server.wait(timeout=30) == 0
    last = json.loads(rest.strip().rpartition(b"\n")[2].removeprefix(b"data: "))
    assert last["error"]["code"] == 503, "the stream was let run to its end"
    assert server.stderr is not None
    assert server.stderr.read() == ""


def completion(url: str, **asked: Any) -> Any:
    request = urllib.request.Request(
        url + "v1/completions", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    return urllib.request.urlopen(request, timeout=60)
