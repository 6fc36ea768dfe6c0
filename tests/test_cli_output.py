"""Commands print whatever names there are, on any screen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lamlam.kb import KnowledgeBase

NAME = "Łódź 😀"
ARGUMENTS = [
    ("lookup", "KB", NAME, "Country"),
    ("lookup", "KB", "--jsonl", "QUERIES"),
    ("lookup", "KB", "Paris", "Country"),
    ("stats", "KB"),
    ("log", "KB"),
    ("verify", "KB"),
    ("forget", "KB", "--entity", NAME, "--dry-run"),
    ("import", "KB", "BAD", "--on-error", "skip"),
    ("export", "KB", "OUT"),
    ("import", "KB", "BAD"),
    ("split", "KB", NAME),
]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_a_screen_lacks_is_escaped(tmp_path: Path, encoding: str) -> None:
    places = {name: tmp_path / f"{NAME}.{ending}" for name, ending in (("KB", "sqlite"), ("OUT", "jsonl"))}
    places |= {name: tmp_path / name for name in ("QUERIES", "BAD")}
    with KnowledgeBase.open(places["KB"], create=True) as kb:
        kb.add([(NAME, "Country", "Polska"), ("Paris", NAME, "é")], actor=NAME)
    places["QUERIES"].write_text(json.dumps({"entity": NAME, "relation": "Country"}) + "\n")
    places["BAD"] = places["BAD"].with_suffix(".csv")
    places["BAD"].write_text(f"entity,relation,value,{NAME}\na,r,v,w\nb,r\n", encoding="utf-8")
    for given in ARGUMENTS:
        arguments = [str(places.get(each, each)) for each in given]
        command = [sys.executable, "-m", "lamlam", "kb", *arguments]
        done = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding})
        assert b"Traceback" not in done.stderr, given
        assert done.returncode == (2 if given in ARGUMENTS[-2:] else 0), given
        told = (done.stdout + done.stderr).decode(encoding.replace("ascii", "utf-8"))  # typer takes ASCII for no choice
        if "QUERIES" in given:
            assert json.loads(told)["entity"] == NAME
        elif encoding == "utf-8" and NAME in given[2:]:
            assert "Łódź" in told
