from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from skyshade.errors import DataError
from skyshade.loaders import unpack as module
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
    file = packed(tmp_path, gzip.compress(bytes(30 << 20)))
    unpack(file)  # any ratio up to FREE_SIZE
    monkeypatch.setattr(module, "FREE_SIZE", 10 << 20)
    with pytest.raises(DataError, match="ratio above 200"):
        unpack(file)
    monkeypatch.setattr(module, "LIMIT", 1 << 20)
    with pytest.raises(DataError, match="decompresses to more than 0 GiB"):
        unpack(file)
    with pytest.raises(DataError, match="0 bytes when decompressed"):
        unpack(packed(tmp_path, gzip.compress(b"")))


def test_sniffing() -> None:
    assert is_packed(gzip.compress(b"x"))
    assert not is_packed(b"SIMPLE  =")
