"""What several test modules share."""

import os
from pathlib import Path

import pytest

SMALL_RECIPE = Path(__file__).with_name("small.yaml")


def data_folder() -> Path:
    """The public data: the folder named in LAMLAM_DATA, or ../shared/data beside the project's root."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    return Path(os.environ.get("LAMLAM_DATA", default))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data; a test that asks for it is skipped where there is none."""
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no public data at {folder} (set LAMLAM_DATA)")
    return folder


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small LMLM that has learnt to look up the facts of sixty people."""
    from lamlam.pretrain.recipe import load_recipe
    from lamlam.pretrain.training import pretrain

    folder = tmp_path_factory.mktemp("runs") / "small"
    pretrain(load_recipe(SMALL_RECIPE), folder)
    return folder
