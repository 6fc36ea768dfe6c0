"""The Dockerfile and the compose file are checked as far as they can be without an engine that runs them."""

import fnmatch
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE_TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
# Of the compose specification: what these files use, and what a service must not have misspelt.
SERVICE = {"build", "image", "command", "environment", "volumes", "init", "restart", "secrets", "healthcheck", "ports"}
# Variables of PostgreSQL's image and client library, of Python and of libraries: LamLam's server reads none of its own.
KNOWN = {"PATH", "PGPASSWORD", "PYTHONUNBUFFERED", "OMP_WAIT_POLICY", "TOKENIZERS_PARALLELISM"} | {
    f"POSTGRES_{name}" for name in ("USER", "DB", "PASSWORD_FILE", "INITDB_ARGS")
}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split()))
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def of(name: str) -> list[str]:
    return [arguments for word, arguments in instructions() if word == name]


def parsed(words: list[str]) -> dict[str, Any]:
    """The options that `lamlam WORDS` has; raises what a user would be told."""
    from lamlam.cli.app import app

    tree: Any = typer.main.get_command(app)
    context = tree.commands[words[0]].make_context(words[0], list(words[1:]))
    return dict(context.params)


def test_the_dockerfile_has_only_instructions_that_there_are() -> None:
    known = {"FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    words = [word for word, _ in instructions()]
    assert set(words) <= known
    assert words[0] == "FROM"
    assert all(re.fullmatch(r"python:3\.\d+-slim( AS \w+)?", image) for image in of("FROM"))
    assert not re.search(r"index|https?://(?!127\.0\.0\.1)", DOCKERFILE), "where packages come from is pip's to know"


def test_what_is_copied_into_the_image_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    let_in = [name[1:] for name in ignored if name.startswith("!")]
    copied = [words for words in map(str.split, of("COPY")) if not words[0].startswith("--from")]
    assert copied
    for *sources, _ in copied:
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(fnmatch.fnmatch(source, name) for name in let_in), f"{source} is ignored"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {
        project["project"]["readme"],
        *project["project"]["license-files"],
        "pyproject.toml",
        "constraints.txt",
        "src",
    }
    assert needed <= {source for *sources, _ in copied for source in sources}
    [extras] = re.findall(r"'\.\[([\w,]+)\]'", DOCKERFILE)
    assert set(extras.split(",")) <= project["project"]["optional-dependencies"].keys()
    stages = {image.split(" AS ")[1] for image in of("FROM") if " AS " in image}
    assert {words.split()[0].removeprefix("--from=") for words in of("COPY") if words.startswith("--from")} <= stages


def test_the_images_command_serves_to_others_from_its_volume_and_not_as_root() -> None:
    [entry], [command] = of("ENTRYPOINT"), of("CMD")
    assert json.loads(entry) == ["lamlam"]
    options = parsed(json.loads(command))
    assert options["host"] == "0.0.0.0"
    assert [str(options["data"])] == of("VOLUME")
    assert [str(options["port"])] == of("EXPOSE")
    words = [word for word, _ in instructions()]
    assert of("USER") == ["lamlam"]
    assert "useradd --uid 10001 --create-home lamlam" in " ".join(of("RUN"))
    assert words.index("USER") > max(at for at, word in enumerate(words) if word == "RUN")
    assert {pair.partition("=")[0] for pair in shlex.split(of("ENV")[0])} <= KNOWN


def test_the_images_health_is_asked_at_a_route_that_takes_no_token(tmp_path: Path) -> None:
    import threading

    import uvicorn

    from fakes_serve import served
    from lamlam.serve.access import Access
    from lamlam.serve.app import build_app
    from lamlam.serve.listener import Listener

    [health] = of("HEALTHCHECK")
    python, flag, code = json.loads(health.partition("CMD ")[2])
    assert (python, flag) == ("python", "-c")
    listener = Listener("127.0.0.1", 0)
    app = build_app(served(tmp_path / "kb.sqlite"), Access(tmp_path / "tokens.json", open_reads=False))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener._socket],))
    thread.start()
    try:
        exec(compile(code.replace(":8000/", f":{listener.port}/"), "HEALTHCHECK", "exec"))
    finally:
        server.should_exit = True
        thread.join()
    with pytest.raises(OSError, match="refused"):
        exec(compile(code.replace(":8000/", f":{listener.port}/"), "HEALTHCHECK", "exec"))


def test_the_compose_file_is_of_the_form_that_compose_reads() -> None:
    assert COMPOSE.keys() <= {"name", "x-server", "services", "volumes", "secrets"}
    services = COMPOSE["services"]
    assert len(services) == 3
    for name, service in services.items():
        assert service.keys() <= SERVICE | {"depends_on"}, name
        for needed, condition in service.get("depends_on", {}).items():
            assert needed in services
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in services[needed] or services[needed]["image"] == "lamlam", "nobody asks its health"
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        assert set(service["environment"]) <= KNOWN
        if "build" in service:
            assert (ROOT / service["build"] / "Dockerfile").is_file()
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len({port.split(":")[1] for port in published}) == len(published) == 2
    assert all(port.startswith("127.0.0.1:") and port.endswith(f":{of('EXPOSE')[0]}") for port in published)


def test_the_servers_of_the_compose_file_share_one_knowledge_base_and_their_tokens() -> None:
    first, second = COMPOSE["services"]["first"], COMPOSE["services"]["second"]
    options = parsed(first["command"])
    assert parsed(second["command"]) == options
    assert (options["host"], str(options["data"])) == ("0.0.0.0", "/data")
    assert first["volumes"] == second["volumes"] == [f"data:{options['data']}"]
    user, host, database = re.fullmatch(r"postgresql://(\w+)@(\w+)/(\w+)", options["kb"]).groups()  # type: ignore[union-attr]
    settings = COMPOSE["services"][host]["environment"]
    assert (user, database) == (settings["POSTGRES_USER"], settings["POSTGRES_DB"])
    assert "first" in second["depends_on"], "the first makes tokens and facts that the second finds"


def test_no_secret_stands_in_the_files_and_each_is_demanded() -> None:
    asked = re.findall(r"\$\{(\w+)(:\?[^}]+)?\}", COMPOSE_TEXT)
    [secret] = COMPOSE["secrets"].values()
    assert asked
    assert {name for name, _ in asked} == {secret["environment"]}
    assert all(demanded for _, demanded in asked), "an empty password would be taken"
    assert secret["environment"] in PAGE
    assert COMPOSE["services"]["database"]["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/database_password"
    assert "POSTGRES_PASSWORD" not in COMPOSE["services"]["database"]["environment"]
