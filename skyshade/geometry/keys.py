"""Z-order keys of the ``sky`` lattice: rows sorted by key make every tile a contiguous range.

The key of a position interleaves the bits of its (column, row) on the lattice of level 22, which
has 2**31 columns and 2**30 rows (0.3 milliarcseconds): column bits in the even places, row bits in
the odd ones. Dropping 2 n bits gives the key of the position on level 22 - n.
"""

from __future__ import annotations

import math

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry.grids import MAX_ZOOM, SKY, TILE_SIZE
from skyshade.kernels.binning import gather, interleave
from skyshade.types import AnyArray, Coverage, IntArray, Tile, Window

KEY_ZOOM = MAX_ZOOM
MAX_CELLS = 16


def encode(cols: AnyArray, rows: AnyArray) -> IntArray:
    """Return the keys of lattice positions of one level (at most level 23), shape (n,)."""
    cols = np.ascontiguousarray(cols, np.int64)
    rows = np.ascontiguousarray(rows, np.int64)
    keys = np.empty(cols.shape, np.int64)
    interleave(cols, rows, keys)
    return keys


def decode(keys: AnyArray) -> tuple[IntArray, IntArray]:
    """Return the lattice (columns, rows) of keys, of the level that the keys have."""
    keys = np.asarray(keys, np.int64)
    return gather(keys), gather(keys >> 1)


def keys_of(ra: AnyArray, dec: AnyArray, z: int = KEY_ZOOM) -> IntArray:
    """Return the keys of valid ICRS positions in degrees on the lattice of level `z`."""
    return encode(*SKY.lattice(ra, dec, z))


def key_shift(z: int) -> int:
    """Return the number of bits by which a key is shifted to be one of lattice level `z`."""
    return 2 * (KEY_ZOOM - z)


def tile_key_range(tile: Tile) -> tuple[int, int]:
    """Return the keys [first, end) of a ``sky`` tile (level 22 or above)."""
    z, x, y = tile
    bits = key_shift(z) + 2 * (TILE_SIZE.bit_length() - 1)
    cell = int(encode(np.array([x]), np.array([y]))[0])
    return cell << bits, (cell + 1) << bits


def window_key_ranges(window: Window, max_cells: int = MAX_CELLS) -> IntArray:
    """Return the key ranges of aligned cells that cover a window of ``sky``.

    An aligned tile is one range that holds its rows only; other windows get a cover of at most
    `max_cells` cells (or of one cell along the shorter side), which holds some rows beside.

    Parameters
    ----------
    window : Window
        Level 22 at the deepest; columns are periodic, rows beyond the lattice are left out.
    max_cells : int

    Returns
    -------
    ndarray of int64, shape (n, 2)
        [first, end) of keys, in order, neither overlapping nor touching.
    """
    if window.z > KEY_ZOOM:
        msg = f"level {window.z} is beyond the keys' lattice: allowed are levels up to {KEY_ZOOM}"
        raise InputError(msg)
    height, width = SKY.lattice_shape(window.z)
    row0, row1 = max(window.row, 0), min(window.row + window.height, height)
    if row0 >= row1 or window.width <= 0:
        return np.empty((0, 2), np.int64)
    col0, col1 = window.col, window.col + min(window.width, width)
    bits = _cell_bits(col0, col1, row0, row1, max_cells)
    cols = np.arange(col0 >> bits, ((col1 - 1) >> bits) + 1) & (max(width >> bits, 1) - 1)
    rows = np.arange(row0 >> bits, ((row1 - 1) >> bits) + 1)
    cells = np.unique(encode(np.tile(cols, rows.size), np.repeat(rows, cols.size)))
    return _merged(cells) << (2 * bits + key_shift(window.z))


def coverage_window(coverage: Coverage) -> Window:
    """Return the window of the keys' own lattice around a sky rectangle, two pixels too large."""
    height, width = SKY.lattice_shape(KEY_ZOOM)
    dec = np.clip([coverage.dec_max, coverage.dec_min], -90.0, 90.0)
    cols, rows = SKY.lattice(np.full(2, coverage.ra_east), dec, KEY_ZOOM)
    turn = min((coverage.ra_east - coverage.ra_west) / 360.0, 1.0)
    columns = min(math.ceil(turn * width) + 5, width)
    top, bottom = max(int(rows[0]) - 2, 0), min(int(rows[1]) + 3, height)
    return Window(SKY, KEY_ZOOM, int(cols[0]) - 2, top, columns, bottom - top)


def _cell_bits(col0: int, col1: int, row0: int, row1: int, max_cells: int) -> int:
    """Return log2 of the side of the smallest cells of which few enough cover the rectangle."""
    together = col0 | col1 | row0 | row1
    bits = (together & -together).bit_length() - 1
    while bits < KEY_ZOOM + 9:
        across = ((col1 - 1) >> bits) - (col0 >> bits) + 1
        down = ((row1 - 1) >> bits) - (row0 >> bits) + 1
        if across * down <= max_cells:
            break
        bits += 1
    return bits


def _merged(cells: IntArray) -> IntArray:
    """Return [first, end) of the runs of consecutive sorted cells."""
    breaks = np.flatnonzero(np.diff(cells) > 1)
    first = cells[np.concatenate([[0], breaks + 1])]
    last = cells[np.concatenate([breaks, [cells.size - 1]])]
    return np.stack([first, last + 1], axis=1)
