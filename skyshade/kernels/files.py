"""Many small reads at once: the rows of a box in a wide image."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel


@kernel("int64(int64, int64, int64, uint8[:, ::1])")
def read_rows(fd: int, offset: int, pitch: int, out: NDArray[np.uint8]) -> int:
    """Fill the rows of `out` from places `pitch` bytes apart, one ``pread`` a row.

    Compiled, the whole box is read without the GIL: 170 system calls that each give it up and
    take it back cost more than the reading.

    Parameters
    ----------
    fd : int
        Open file descriptor.
    offset : int
        Place of the first row in the file, bytes.
    pitch : int
        Bytes from the beginning of a row to that of the next.
    out : ndarray of uint8, shape (rows, width)

    Returns
    -------
    int
        Rows that were filled; fewer than asked for when a read came up short.
    """
    width = out.shape[1]
    for row in range(out.shape[0]):
        data = os.pread(fd, width, offset + row * pitch)
        if len(data) < width:
            return row
        out[row] = np.frombuffer(data, np.uint8)
    return len(out)


@kernel("int64(int64, int64[::1], int64[::1], uint8[::1])")
def read_pieces(
    fd: int, offsets: NDArray[np.int64], sizes: NDArray[np.int64], out: NDArray[np.uint8]
) -> int:
    """Fill `out` with pieces of a file, one after the other, one ``pread`` a piece.

    Parameters
    ----------
    fd : int
        Open file descriptor.
    offsets, sizes : ndarray of int64, shape (pieces,)
        Bytes.
    out : ndarray of uint8
        As long as all pieces together; zeros where a read came up short.

    Returns
    -------
    int
        Pieces that were filled.
    """
    at = filled = 0
    for offset, size in zip(offsets.tolist(), sizes.tolist(), strict=True):
        data = os.pread(fd, size, offset)
        out[at : at + len(data)] = np.frombuffer(data, np.uint8)
        out[at + len(data) : at + size] = 0
        at, filled = at + size, filled + (len(data) == size)
    return filled
