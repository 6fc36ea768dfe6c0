"""`kill -9` in the middle of writes: nothing that was acknowledged is lost, nothing else is there by half."""

from pathlib import Path

import pytest

from killing import kill_again_and_again
from places import Place


@pytest.mark.slow
def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(place: Place, tmp_path: Path) -> None:
    tally = kill_again_and_again(place, tmp_path, kills=10, seed=7)
    assert set(tally.acknowledged) == {"_add", "_add_table", "_edit", "_retract", "_forget"}
    assert tally.carried_out + tally.lost > 0
