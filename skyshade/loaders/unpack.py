"""Unpack gzip and bzip2 once, streaming, with a cap, into an anonymous temporary file."""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, BinaryIO, cast

from isal import igzip, igzip_lib

from skyshade.errors import DataError
from skyshade.loaders.private import MAX_DECODED, check_room, in_words
from skyshade.storage import ByteFile, RawFile

_CHUNK = 1 << 20
_STRIDE = 64 << 20  # bytes written between two looks at the free space of the disk
_ZEROS = bytes(_CHUNK)
_DAMAGE: tuple[type[Exception], ...] = (OSError, ValueError, cast("Any", igzip_lib).IsalError)
_GZIP, _BZIP2 = b"\x1f\x8b\x08", b"BZh"


def is_packed(head: bytes) -> bool:
    """Tell gzip and bzip2 by their first bytes."""
    return head.startswith((_GZIP, _BZIP2))


def unpack(file: ByteFile, limit: int = MAX_DECODED) -> ByteFile:
    """Return the decoded copy of a gzip or bzip2 file; checksums are verified.

    There is a cap on the size only, none on the ratio: real masks shrink by a factor of 840. Long
    runs of zeros become holes, which take no disk.

    Raises
    ------
    DataError
        Damaged or cut short; more than `limit` bytes; no room on the disk.
    """
    copy, handle = ByteFile.private(file.name, file.version())
    with handle:
        size, checked = 0, 0
        for chunk in _decoded(file):
            size += len(chunk)
            if size > limit:
                cause = f"decodes to more than {in_words(limit)} (max_decoded)"
                raise DataError(file.name, cause)
            if _write(handle, chunk):
                checked -= len(chunk)
            if checked < 0:
                check_room(file.name, _STRIDE)
                checked = _STRIDE
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


def _write(handle: BinaryIO, chunk: bytes) -> bool:
    """Write a chunk, or leave a hole for zeros; tell whether it took room."""
    if chunk == _ZEROS[: len(chunk)]:
        handle.seek(len(chunk), 1)
        return False
    handle.write(chunk)
    return True
