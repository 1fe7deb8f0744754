from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from skyshade.errors import ChangedError, DataError, UnsupportedError
from skyshade.storage import ByteFile, RawFile, files


@pytest.fixture(params=["preadv", "pread"])
def _system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pread":
        monkeypatch.setattr(files, "_preadv", files._pread_into)


@pytest.mark.usefixtures("_system")
def test_reads_are_the_bytes_at_their_places(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 256, 10_000).astype(np.uint8)
    data.tofile(tmp_path / "a")
    file = ByteFile.open(tmp_path / "a")
    assert file.read(100, 50) == data[100:150].tobytes()
    assert file.read(9_990, 50) == data[9_990:].tobytes()
    assert file.read(20_000, 5) == b""
    rows = np.empty((4, 30), np.uint8)
    file.read_pieces(rows, 9_700, 95)
    expected = np.zeros(10_400, np.uint8)
    expected[:10_000] = data
    starts = 9_700 + 95 * np.arange(4)
    assert (rows == expected[starts[:, None] + np.arange(30)]).all()


def test_version_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    file = ByteFile.open(path)
    stamp, version = file.stamp(), file.version()
    assert file.version() == version
    path.write_bytes(b"other")
    assert file.version() != version
    with pytest.raises(ChangedError, match=r"a: changed"):
        file.check(stamp)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsupportedError, match="pipe: is not a regular file"):
        ByteFile.open(tmp_path / "pipe")
    with pytest.raises(UnsupportedError, match="is a folder"):
        ByteFile.open(tmp_path)
    with pytest.raises(DataError, match="nope: no such file"):
        ByteFile.open(tmp_path / "nope")
    with pytest.raises(DataError, match="cannot be opened"):
        ByteFile.open(Path("a\0b"))


def test_a_file_is_closed_with_its_last_holder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    file = ByteFile.open(tmp_path / "a")
    fd = file.fd
    raw = RawFile(file)
    del file
    assert raw.read() == b"x"
    del raw
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_raw_file_seeks(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    raw = RawFile(ByteFile.open(tmp_path / "a"))
    assert (raw.seek(-3, 2), raw.read(2), raw.tell()) == (7, b"78", 9)
    assert (raw.seek(-4, 1), raw.read()) == (5, b"56789")


def test_two_writes_within_a_tick_have_two_stamps(tmp_path: Path) -> None:
    """A stamp that was taken between two writes tells them apart, however quick they are."""
    path = tmp_path / "a"
    path.write_bytes(b"1")
    file = ByteFile.open(path)
    for n in range(5):
        before = file.stamp()
        path.write_bytes(b"%d" % n)
        with pytest.raises(ChangedError):
            file.check(before)
