"""numba loops of `skyshade.kernels.files`; their arguments are described there."""

from __future__ import annotations

from typing import Any

from numba import types

from skyshade.kernels.loops.jit import jit

# ssize_t pread(int, void *, size_t, off_t) of the C library, found by its name when linked: code
# that calls it can be cached, which it could not through a ctypes pointer.
_pread = types.ExternalFunction(
    "pread", types.int64(types.int32, types.uintp, types.uint64, types.int64)
)


@jit
def read_rows(fd: int, offset: int, pitch: int, out: Any) -> int:
    """Read row by row until one comes up short."""
    rows, width = out.shape
    start = out.ctypes.data
    for row in range(rows):
        if _pread(fd, start + row * width, width, offset + row * pitch) < width:
            return row
    count: int = rows
    return count


@jit
def read_pieces(fd: int, offsets: Any, sizes: Any, out: Any) -> int:
    """Read piece by piece; a short read is tried once more from where it ended."""
    start, at, filled = out.ctypes.data, 0, 0
    for n in range(offsets.size):
        size = sizes[n]
        got = max(_pread(fd, start + at, size, offsets[n]), 0)
        if 0 < got < size:
            got += max(_pread(fd, start + at + got, size - got, offsets[n] + got), 0)
        out[at + got : at + size] = 0
        at += size
        filled += 1 if got == size else 0
    count: int = filled
    return count
