"""Files appear whole or not at all."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lamlam.errors import InputError
from lamlam.files import atomic_write, file_digest


def test_file_appears_whole_with_its_folder(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with atomic_write(target) as file:
        file.write("é\r\n")
        assert not target.exists()
    assert target.read_bytes() == b"\xc3\xa9\r\n"
    assert list(target.parent.iterdir()) == [target]


def test_bytes_can_be_written(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.bin", "wb") as file:
        file.write(b"\x00\xff")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff"


def test_failed_block_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_write(target) as file:
        file.write("new" + "\ud800")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"a\.txt: cannot be written"), atomic_write(tmp_path / "file" / "a.txt"):
        pass
    with pytest.raises(InputError, match="cannot be written"), atomic_write(tmp_path):
        pass


def test_a_database_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "any.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (x)")
    before = path.read_bytes()
    with pytest.raises(InputError, match="is a database, which is not written over"), atomic_write(path) as file:
        file.write("text")
    assert path.read_bytes() == before


def test_a_disk_that_fills_up_is_told_and_other_faults_stay_what_they_are(tmp_path: Path) -> None:
    told = pytest.raises(InputError, match=r"out: cannot be written \(No space left on device\)")
    with told, atomic_write(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "out"):
        (tmp_path / "elsewhere").read_text()
    assert list(tmp_path.iterdir()) == []


def test_what_can_be_read_only_once_has_no_digest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: can be read only once"):
        file_digest(tmp_path / "pipe")
