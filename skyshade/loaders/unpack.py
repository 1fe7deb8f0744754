"""Unpack gzip and bzip2 once, streaming, with limits, into an anonymous temporary file."""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, BinaryIO, cast

from isal import igzip, igzip_lib

from skyshade.errors import DataError
from skyshade.storage import ByteFile, RawFile

LIMIT = 4 << 30  # decoded bytes
FREE_SIZE = 256 << 20  # decoded bytes up to which any ratio is taken
RATIO_LIMIT = 200  # decoded / packed bytes, beyond FREE_SIZE
_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)
_DAMAGE: tuple[type[Exception], ...] = (OSError, ValueError, cast("Any", igzip_lib).IsalError)
_GZIP, _BZIP2 = b"\x1f\x8b\x08", b"BZh"


def is_packed(head: bytes) -> bool:
    """Tell gzip and bzip2 by their first bytes."""
    return head.startswith((_GZIP, _BZIP2))


def unpack(file: ByteFile) -> ByteFile:
    """Return the decoded copy of a gzip or bzip2 file; checksums are verified.

    Raises
    ------
    DataError
        Damaged or cut short; more than `LIMIT` bytes; more than `FREE_SIZE` bytes at a ratio above
        `RATIO_LIMIT` (a decompression bomb).
    """
    packed = file.size
    copy, handle = ByteFile.private(file.name, file.version())
    with handle:
        size = 0
        for chunk in _decoded(file):
            size += len(chunk)
            _check(file.name, size, packed)
            _write(handle, chunk)
        handle.truncate(size)
    if not size:
        raise DataError(file.name, "holds 0 bytes when decompressed")
    return copy


def _decoded(file: ByteFile) -> Iterator[bytes]:
    raw = BufferedReader(RawFile(file), _CHUNK)
    reader = igzip.GzipFile(fileobj=raw) if file.read(0, 3) == _GZIP else bz2.BZ2File(raw)
    try:
        with raw, cast("BinaryIO", reader) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except EOFError as error:
        raise DataError(file.name, "truncated: the compressed stream ends early") from error
    except _DAMAGE as error:
        raise DataError(file.name, f"damaged compressed stream: {error}") from error


def _check(name: str, size: int, packed: int) -> None:
    if size > LIMIT:
        raise DataError(name, f"decompresses to more than {LIMIT >> 30} GiB")
    if size > FREE_SIZE and size > RATIO_LIMIT * packed:
        cause = f"decompresses to more than {FREE_SIZE >> 20} MiB at a ratio above {RATIO_LIMIT}"
        raise DataError(name, cause)


def _write(handle: BinaryIO, chunk: bytes) -> None:
    if chunk == _ZEROS[: len(chunk)]:
        handle.seek(len(chunk), 1)  # a hole costs neither disk nor page cache
    else:
        handle.write(chunk)
