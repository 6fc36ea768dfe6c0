"""docs/serving.md does what it says, against a server that is started as it tells."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamlam.serve.access import Role
from lamlam.serve.settings import ServeSettings

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
PORT = "http://127.0.0.1:8000/"
SHELL = f"""
set -e
lamlam() {{ '{sys.executable}' -m lamlam "$@"; }}
"""


def blocks(language: str, *words: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [block for block in found if any(word in block for word in words)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a user who has nothing yet."""
    home = {"HOME": str(tmp_path_factory.mktemp("home")), "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return {name: value for name, value in os.environ.items() if not name.startswith("XDG_")} | home


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[str]:
    """The address of `lamlam serve`; the eraser's token is in the environment from then on."""
    command = [sys.executable, "-m", "lamlam", "serve", "--port", "0"]
    started = subprocess.Popen(command, cwd=environment["HOME"], env=environment, text=True, stdout=subprocess.PIPE)
    try:
        assert started.stdout is not None
        said = [started.stdout.readline() for _ in range(6)]
        [shown] = blocks("text", "Serving the shipped model")
        for line, told in zip(shown.splitlines(), said, strict=True):
            told = told.replace(environment["HOME"], "~").strip()
            assert re.fullmatch(re.escape(line.strip()).replace("…", r"\S+").replace(":8000", r":\d+"), told)
        url, _, environment["TOKEN"] = said[-1].split()[1].partition("#token=")
        yield url
    finally:
        started.kill()
        started.wait()


@pytest.mark.slow
def test_the_commands_of_the_page_do_what_is_said(server: str, environment: dict[str, str], tmp_path: Path) -> None:
    if not shutil.which("curl"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("curl is not installed")
    run = blocks("sh", "curl", "lamlam token", "kb copy ~")
    assert len(run) == 9
    for block in run:
        script = SHELL + block.replace(PORT, server)
        ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
        told = " ".join((ran.stdout + ran.stderr).split())
        assert ran.returncode == 0, (block, told)
        for said in re.findall(r"# says: (.*)", block):
            for words in said.split(", "):
                assert words.strip() in told, (words, told)
    assert '"clean":true' in (tmp_path / "erased.json").read_text()


def test_openais_client_gets_what_is_said(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    [snippet] = blocks("python", "OpenAI")
    exec(compile(snippet.replace(PORT, server), "serving.md", "exec"), {})
    told = capsys.readouterr().out
    assert "Dimkonmbe | Country -> " in told
    assert "exact" in told
    assert told.rstrip().endswith(".")


def test_every_limit_is_described_with_its_default() -> None:
    rows = {name: rest for name, *rest in re.findall(r"^\| `([a-z_]+)` \| `([\d.]+)` \| (.+) \|$", PAGE, re.MULTILINE)}
    told = {name: [str(field.default), field.description] for name, field in ServeSettings.model_fields.items()}
    assert rows == told


def test_every_role_is_described() -> None:
    section = PAGE[PAGE.index("## Tokens") : PAGE.index("## Limits")]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Role)
