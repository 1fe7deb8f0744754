"""Folders: local and of fsspec behave alike, and files appear whole."""

from __future__ import annotations

import os
import pickle
import uuid
from pathlib import Path

import pytest

from skyshade.errors import DataError, InputError
from skyshade.storage import Folder


@pytest.fixture(params=["local", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "memory":
        return Folder(f"memory://{uuid.uuid4().hex}/deep")
    return Folder(tmp_path / "a b" if request.param == "local" else (tmp_path / "c d").as_uri())


def test_what_is_written_is_read(folder: Folder) -> None:
    folder.write("sub/one.bin", b"0123456789")
    folder.write("sub/one.bin", b"abcdefghij")
    folder.write("two.bin", memoryview(b"x"))
    assert folder.read("sub/one.bin") == b"abcdefghij"
    assert folder.read_range("sub/one.bin", 2, 3) == b"cde"
    assert folder.exists("two.bin")
    assert not folder.exists("three.bin")
    assert list(folder.list()) == ["sub/one.bin", "two.bin"]
    assert list(folder.sub("sub").list()) == ["one.bin"]
    with folder.open("sub/one.bin") as file:
        file.seek(8)
        assert file.read() == b"ij"


def test_deleting(folder: Folder) -> None:
    folder.write("sub/one.bin", b"1")
    folder.write("two.bin", b"2")
    folder.delete("sub")
    folder.delete("two.bin")
    folder.delete("never.bin")
    assert list(folder.list()) == []


def test_what_is_not_there(folder: Folder) -> None:
    folder.write("short.bin", b"123")
    for call in (
        lambda: folder.read("no.bin"),
        lambda: folder.read_range("no.bin", 0, 4),
        lambda: folder.open("no.bin"),
    ):
        with pytest.raises(DataError, match=r"no\.bin cannot be read"):
            call()
    with pytest.raises(DataError, match=r"short\.bin is cut: 2 of 4 bytes at 1"):
        folder.read_range("short.bin", 1, 4)
    assert folder.version("no.bin") == ""


def test_version_changes_with_the_file(folder: Folder) -> None:
    folder.write("one.bin", b"1")
    before = folder.version("one.bin")
    assert before
    assert folder.version("one.bin") == before
    folder.write("one.bin", b"22")
    assert folder.version("one.bin") != before


def test_finished_files_are_moved_in(folder: Folder, tmp_path: Path) -> None:
    made = tmp_path / "made.bin"
    made.write_bytes(b"made")
    folder.put("deep/made.bin", made)
    assert folder.read("deep/made.bin") == b"made"
    assert not made.exists()


def test_folders_travel(folder: Folder) -> None:
    folder.write("one.bin", b"1")
    assert pickle.loads(pickle.dumps(folder)).read("one.bin") == b"1"


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    folder.write("one.bin", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write("one.bin", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["one.bin"]
    assert folder.read("one.bin") == b"old"


def test_unknown_kinds_of_url() -> None:
    with pytest.raises(InputError, match=r"nope://x cannot be used: .*"):
        Folder("nope://x")


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        Folder(tmp_path).write("one.bin", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "one.bin").stat().st_mode & 0o777 == 0o644
