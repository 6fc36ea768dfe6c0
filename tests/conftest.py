"""What several test modules share."""

import os
from pathlib import Path

import pytest


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
