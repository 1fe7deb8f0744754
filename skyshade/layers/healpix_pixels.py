"""Reading the HEALPix pixels that a window needs: runs of the file's order, never all of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skyshade.geometry.healpix import order_of
from skyshade.kernels.healpix import child_rings, mark, pick, renumber
from skyshade.layers.healpix_overview import checked
from skyshade.layers.healpix_states import Kind, State, state_of
from skyshade.layers.states import as_pixels
from skyshade.types import AnyArray, IntArray, SphereReader

Pixels = NDArray[np.float32]

MAX_READ = 1 << 23  # pixels read at once for one window
_FLAGS = 20  # log2 of the most blocks that are told apart
_BLOCK = 6  # log2 of the pixels in a block, at least
_GAP = 2048  # pixels between two runs that are read with them
_SPARSE = 0.5  # blocks for a pixel, beyond which single pixels are read
_PATCH = 8  # log2 of the pixels in a block that is merged from the base


def read_pixels(reader: SphereReader, pixels: IntArray) -> Pixels:
    """Return the values of base pixels.

    Parameters
    ----------
    reader : SphereReader
    pixels : ndarray of int64, shape (h, w)
        Numbers in the order of the file; negative: none.

    Returns
    -------
    ndarray of float32, shape (h, w)
        NaN where there is no value.
    """
    bits = max(_BLOCK, order_of(reader.nside) * 2 + 4 - _FLAGS)
    count = 12 << 2 * order_of(reader.nside)
    blocks = _marked(pixels, bits, -(-count >> bits))
    if blocks.size > max(_SPARSE * pixels.size, 1 << 10):
        return _single(reader, pixels)
    runs, where = _runs(blocks, bits, count)
    if int((runs[:, 1] - runs[:, 0]).sum()) > MAX_READ and len(pixels) > 1:
        halves = np.array_split(pixels, 2)
        return np.concatenate([read_pixels(reader, np.ascontiguousarray(h)) for h in halves])
    values = as_pixels(read_runs(reader, runs)) if len(runs) else np.full(1, np.nan, np.float32)
    return _picked(values, where, bits, pixels)


def read_level(
    reader: SphereReader, cells: IntArray, k: int, kind: Kind, show: Callable[[State], Pixels]
) -> Pixels:
    """Return the numbers of coarser pixels, merged from their base pixels.

    Parameters
    ----------
    reader : SphereReader
    cells : ndarray of int64, shape (h, w)
        NESTED numbers, `k` orders coarser than the map; negative: none.
    k : int
    kind : {"mean", "std", "extremes"}
    show : callable
        The numbers that are wanted of a state.

    Returns
    -------
    ndarray of float32, shape (h, w)
    """
    count = 12 << 2 * (order_of(reader.nside) - k)
    bits = _PATCH if reader.nested or k == 1 else 2  # RING: fewer cells, each read by itself
    bits = min(bits, count.bit_length() - 1)
    blocks = _marked(cells, bits, -(-count >> bits))
    if (blocks.size << bits + 2 * k) > MAX_READ and len(cells) > 1:
        halves = [np.ascontiguousarray(half) for half in np.array_split(cells, 2)]
        return np.concatenate([read_level(reader, half, k, kind, show) for half in halves])
    runs, where = _runs(blocks, bits, count, gap=0)
    if not len(runs):
        return np.full(cells.shape, np.nan, np.float32)
    base = _children(reader, runs, k)
    return _picked(show(state_of(kind, base, k)), where, bits, cells)


def read_kept(values: Pixels, cells: IntArray) -> Pixels:
    """Return the numbers of coarser pixels out of those of a whole level, NESTED."""
    return _picked(values, np.zeros(1, np.int64), 62, cells)


def read_middles(reader: SphereReader, cells: IntArray, k: int) -> Pixels:
    """Return, for coarser pixels, one base pixel in the middle of each: a preview.

    Parameters
    ----------
    reader : SphereReader
    cells : ndarray of int64, shape (h, w)
        NESTED numbers, `k` orders coarser than the map (1 at least); negative: none.
    k : int
    """
    order = order_of(reader.nside)
    found = _marked(cells, 0, 12 << 2 * (order - k))
    if not found.size:
        return np.full(cells.shape, np.nan, np.float32)
    where = np.zeros(12 << 2 * (order - k), np.int64)
    where[found] = np.arange(found.size)
    middles = (found << 2 * k) + (3 << 2 * (k - 1))
    return _picked(_at(reader, _file_numbers(reader, middles)), where, 0, cells)


def read_runs(reader: SphereReader, runs: IntArray) -> AnyArray:
    """Return the pixels of runs, one after the other.

    Raises
    ------
    DataError
        The reader gave another number of pixels.
    """
    if hasattr(reader, "read_runs"):
        found = reader.read_runs(runs)
    else:
        parts = [reader.read(int(start), int(stop)) for start, stop in runs]
        found = np.concatenate(parts) if parts else np.empty(0, reader.dtype)
    return checked(found, int((runs[:, 1] - runs[:, 0]).sum()))


def _children(reader: SphereReader, runs: IntArray, k: int) -> Pixels:
    """Return the base pixels of runs of coarser ones, in NESTED order."""
    if reader.nested:
        return as_pixels(read_runs(reader, runs << 2 * k))
    lengths = runs[:, 1] - runs[:, 0]
    cells = np.repeat(runs[:, 0] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    numbers = np.empty((cells.size, 1 << 2 * k), np.int64)
    child_rings(cells, order_of(reader.nside), k, numbers)
    return read_pixels(reader, numbers).ravel()


def _file_numbers(reader: SphereReader, nested: IntArray) -> IntArray:
    if reader.nested:
        return nested
    out = np.empty(nested.size, np.int64)
    renumber(nested, order_of(reader.nside), True, out)
    return out


def _single(reader: SphereReader, pixels: IntArray) -> Pixels:
    """Read every pixel by itself, where they are strewn over the sphere."""
    found, which = np.unique(pixels, return_inverse=True)
    some = found >= 0
    values = np.full(found.size, np.nan, np.float32)
    if some.any():
        values[some] = _at(reader, found[some])
    values[np.isinf(values)] = np.nan
    return values[which].reshape(pixels.shape)


def _at(reader: SphereReader, pixels: IntArray) -> Pixels:
    return as_pixels(read_runs(reader, np.stack([pixels, pixels + 1], axis=1)))


def _marked(pixels: IntArray, bits: int, count: int) -> IntArray:
    """Return the blocks of ``2**bits`` pixels that are needed, sorted."""
    flags = np.zeros(count + 1, np.uint8)
    mark(pixels, bits, flags)
    return np.flatnonzero(flags.view(np.bool_))


def _runs(blocks: IntArray, bits: int, count: int, gap: int = _GAP) -> tuple[IntArray, IntArray]:
    """Return runs of pixels that hold blocks, and where each block begins in them."""
    where = np.zeros((count >> bits) + 1, np.int64)
    if not blocks.size:
        return np.empty((0, 2), np.int64), where
    new = np.append(True, np.diff(blocks) > 1 + (gap >> bits))
    first = np.flatnonzero(new)
    last = np.append(first[1:], blocks.size) - 1
    runs = np.stack([blocks[first] << bits, np.minimum((blocks[last] + 1) << bits, count)], axis=1)
    lengths = runs[:, 1] - runs[:, 0]
    shift = np.cumsum(lengths) - lengths - runs[:, 0]
    where[blocks] = (blocks << bits) + shift[np.cumsum(new) - 1]
    return runs, where


def _picked(values: Pixels, where: IntArray, bits: int, pixels: IntArray) -> Pixels:
    out = np.empty(pixels.shape, np.float32)
    pick(values, where, bits, pixels, out)
    return out
