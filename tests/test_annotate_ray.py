"""The same work on Ray, where it is installed: it is no part of what the tests need."""

import json
from pathlib import Path

import pytest

from lamlam.annotate.align import AlignAnnotator
from lamlam.annotate.corpus import annotate_corpus
from lamlam.annotate.shards import find_shards
from lamlam.errors import InputError

pytest.importorskip("ray", reason="Ray is not installed (the extra 'ray')")


@pytest.fixture
def web(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    folder.mkdir()
    for name in "abc":
        rows = [{"text": f"Ada {n} lives in Rome.", "triples": [[f"Ada {n}", "livesIn", "Rome"]]} for n in range(100)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_ray_leaves_the_same_bytes(web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shards, annotator = find_shards("web"), AlignAnnotator()
    one = annotate_corpus(shards, Path("one"), annotator)
    many = annotate_corpus(shards, Path("many"), annotator, engine="ray", workers=2)
    assert written(tmp_path / "one") == written(tmp_path / "many")
    assert one == many


@pytest.mark.slow
def test_what_a_worker_cannot_read_is_told_in_one_sentence(web: Path, tmp_path: Path) -> None:
    (web / "d.jsonl").write_text('{"id": "d"}\n')
    with pytest.raises(InputError, match=r"d\.jsonl:1: field 'text': is missing"):
        annotate_corpus(find_shards(str(web)), tmp_path / "out", AlignAnnotator(), engine="ray")
