"""What several test modules share."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from places import FilePlace, Place, PostgresPlace
from postgres_server import PostgresServer, find_binaries

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


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server for this session. A test that asks for it is skipped where PostgreSQL is missing, but never in CI."""
    binaries = find_binaries()
    if binaries is None:
        told = "PostgreSQL is not installed (Debian: apt-get install postgresql-15)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    folder = Path(tempfile.mkdtemp(prefix="lamlam-postgres-"))  # pytest's own folders are closed to other users
    try:
        server = PostgresServer(binaries, folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def make_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Makes places for knowledge bases, each apart, which go when the test ends."""
    made: list[Place] = []

    def make(kind: str) -> Place:
        if kind == "sqlite":
            folder = tmp_path / f"place-{len(made)}"
            folder.mkdir()
            made.append(FilePlace(folder))
        else:
            made.append(PostgresPlace(request.getfixturevalue("postgres")))
        return made[-1]

    try:
        yield make
    finally:
        for place in made:
            place.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, make_place: Callable[[str], Place]) -> Place:
    """A place for a knowledge base: the tests of its contract are run against both databases."""
    return make_place(request.param)
