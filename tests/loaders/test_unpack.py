from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from skyshade.errors import DataError
from skyshade.loaders import private
from skyshade.loaders.unpack import is_packed, unpack
from skyshade.storage import ByteFile


def packed(tmp_path: Path, data: bytes) -> ByteFile:
    (tmp_path / "a.gz").write_bytes(data)
    return ByteFile.open(tmp_path / "a.gz")


def test_holes_are_zeros(tmp_path: Path) -> None:
    data = b"x" * 5 + bytes(5 << 20) + b"y" * 5 + bytes(3 << 20)
    copy = unpack(packed(tmp_path, gzip.compress(data)))
    assert copy.size == len(data)
    assert copy.read(0, copy.size) == data


def test_damage_is_found(tmp_path: Path) -> None:
    good = gzip.compress(bytes(range(256)) * 1000)
    wrong = bytearray(good)
    wrong[-6] ^= 255
    for data, cause in ((good[:-9], "truncated"), (bytes(wrong), "CRC"), (good[:12], "truncated")):
        with pytest.raises(DataError, match=rf"a\.gz: .*{cause}"):
            unpack(packed(tmp_path, data))


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = packed(tmp_path, gzip.compress(bytes(30 << 20)))  # 1,000 to 1: a ratio is no reason
    assert unpack(file, 30 << 20).size == 30 << 20
    with pytest.raises(DataError, match=r"decodes to more than 20 MiB \(max_decoded\)"):
        unpack(file, 20 << 20)
    with pytest.raises(DataError, match="0 bytes when decompressed"):
        unpack(packed(tmp_path, gzip.compress(b"")))
    usage = type("Usage", (), {"free": 200 << 20})
    monkeypatch.setattr(private.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"a\.gz: needs 64 MiB in .*, where 200 MiB are free"):
        unpack(packed(tmp_path, gzip.compress(b"x")))


def test_a_hole_takes_no_disk(tmp_path: Path) -> None:
    copy = unpack(packed(tmp_path, gzip.compress(bytes(64 << 20))))
    assert os.fstat(copy.fd).st_blocks * 512 < 1 << 20


def test_sniffing() -> None:
    assert is_packed(gzip.compress(b"x"))
    assert not is_packed(b"SIMPLE  =")
