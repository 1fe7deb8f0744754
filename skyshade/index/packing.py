"""Packed planes: the arrays of a state of one tile, as few bytes.

Counts are stored in the smallest unsigned type that holds them, floats as float64 in byte planes
(all first bytes, then all second ones: the exponents of neighbours are alike); then zstd.
A packed plane begins with one letter an array; an array that is wholly zero has no bytes.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

import numpy as np

from skyshade.errors import DataError
from skyshade.types import AnyArray, StateArrays

SIDE = 256
LEVEL = 1  # of zstd: higher ones are three times slower and 5 % smaller
_TYPES = {"1": "u1", "2": "u2", "4": "u4", "8": "u8", "f": "f8"}
_HEAD = struct.Struct("<cHI")  # letter, depth, bytes


@cache
def _codec() -> Any:
    import pyarrow as pa  # noqa: PLC0415 (60 ms)

    return pa.Codec("zstd", LEVEL)


def pack(arrays: StateArrays) -> bytes:
    """Return the bytes of the state of a tile of 256 x 256 pixels."""
    return b"".join(_pack(array) for array in (arrays.n, arrays.a, arrays.b) if array is not None)


def unpack(data: bytes, name: str = "index") -> StateArrays:
    """Return what `pack` was given; DataError names `name` where the bytes are damaged."""
    arrays: list[AnyArray] = []
    at = 0
    try:
        while at < len(data):
            letter, depth, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            arrays.append(_unpack(letter.decode(), depth, data[at : at + size]))
            at += size
        n, a, b = (*arrays, None, None, None)[:3] if len(arrays) <= 3 else ()
    except (ValueError, KeyError, struct.error, OSError) as error:
        raise DataError(name, f"a plane of the index is damaged: {error}") from error
    if n is None:
        raise DataError(name, "a plane of the index is empty")
    return StateArrays(n, a, b)


def _pack(array: AnyArray) -> bytes:
    depth = array.shape[2] if array.ndim == 3 else 0
    if array.dtype.kind == "f":
        letter, plain = b"f", _byte_planes(np.ascontiguousarray(array, "<f8"))
    else:
        top = int(array.max()) if array.size else 0
        size = next(s for s in (1, 2, 4, 8) if top < 1 << (8 * s))
        letter = str(size).encode()
        plain = np.ascontiguousarray(array, f"<u{size}").view(np.uint8)
    body = _codec().compress(plain, asbytes=True) if plain.any() else b""
    return _HEAD.pack(letter, depth, len(body)) + body


def _unpack(letter: str, depth: int, body: bytes) -> AnyArray:
    kind = _TYPES[letter]
    shape = (SIDE, SIDE, depth) if depth else (SIDE, SIDE)
    if not body:
        return np.zeros(shape, kind)
    count = SIDE * SIDE * max(depth, 1)
    size = count * np.dtype(kind).itemsize
    plain = np.frombuffer(_codec().decompress(body, size), np.uint8)
    if kind == "f8":
        return np.ascontiguousarray(plain.reshape(8, count).T).view("<f8").reshape(shape)
    return plain.view(f"<{kind}").reshape(shape)


def _byte_planes(array: AnyArray) -> AnyArray:
    planes: AnyArray = np.ascontiguousarray(array.view(np.uint8).reshape(-1, 8).T)
    return planes
