"""Programs that make one knowledge base at the same time: none loses what another, or it itself, has put there."""

import os
from pathlib import Path

import pytest

from racing import race

ROUNDS = int(os.environ.get("LAMLAM_RACES", "25"))  # 1,000 before a release


@pytest.mark.slow
def test_programs_that_make_one_knowledge_base_at_once_lose_nothing(tmp_path: Path) -> None:
    ended = race(tmp_path, ROUNDS, seed=3)
    assert {"import: done", "bulk_import: done", "annotate: done", "pretrain: done"} <= set(ended)
    assert ended["bad_import: refused"] > 0
