"""Numbers of a catalogue on one window: counts, densities and column reductions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError
from skyshade.geometry.coverage import window_coverage
from skyshade.geometry.grids import SKY
from skyshade.geometry.keys import (
    KEY_ZOOM,
    coverage_window,
    encode,
    key_shift,
    keys_of,
    window_key_ranges,
)
from skyshade.kernels.binning import (
    MAX,
    MIN,
    MOMENTS,
    SUM,
    bin_categories,
    bin_count,
    bin_values,
)
from skyshade.layers.catalog_index import View
from skyshade.layers.reductions import Reduction
from skyshade.types import ALL_SKY, AnyArray, Coverage, FloatArray, IntArray, Window

MAX_CELLS = 64  # of the index, around what is no aligned tile
_STATES = {"sum": SUM, "mean": SUM, "count": SUM, "min": MIN, "max": MAX, "std": MOMENTS}


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a view: their sorted keys and where they are in the view's arrays."""

    keys: IntArray
    rows: slice | IntArray


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a view near a window, as the kernels take them."""

    parts: tuple[Part, ...]
    shift: int
    frame: IntArray


def reduce_window(
    view: View, window: Window, reduction: Reduction
) -> tuple[AnyArray, tuple[str, ...]]:
    """Reduce the rows of a view in every pixel of a window of a sky grid.

    Parameters
    ----------
    view : View
    window : Window
        Up to the lattice of 512 px tiles of the last level; what lies beyond it is empty.
    reduction : Reduction
        Any but "canvas".

    Returns
    -------
    values : ndarray, shape (height, width) or (height, width, categories)
        uint32 for counts, float32 (NaN: no rows) for density, float64 (NaN: no values) otherwise.
    categories : tuple of str
    """
    columns = window.grid.lattice_shape(window.z)[1]
    if window.grid.periodic and window.width > columns:  # more than once round: repeat them
        values, names = reduce_window(view, replace(window, width=columns), reduction)
        return np.take(values, np.arange(window.width) % columns, axis=1), names
    rows = rows_near(view, window)
    if reduction.name == "count_cat":
        return _count_categories(view, rows, window, reduction.column)
    if reduction.column:
        return _reduce_column(view, rows, window, reduction), ()
    counts = _count(rows, window)
    return (counts if reduction.name == "count" else density(counts, window)), ()


def rows_near(view: View, window: Window) -> Rows:
    """Return the rows of a window, on ``sky`` those in the aligned cells that cover it."""
    deepest = window.grid.max_zoom + 1
    if window.z > deepest:
        msg = f"level {window.z} is too deep for a catalogue: the lattice ends at {deepest}"
        raise InputError(msg)
    if window.grid.id != SKY.id:
        return Rows((_part_elsewhere(view, window),), 0, np.array([0, 0, 1 << 32], np.int64))
    frame = np.array([window.col, window.row, SKY.lattice_shape(window.z)[1]], np.int64)
    if window.z > KEY_ZOOM:
        return Rows((_finer_part(view, window),), 0, frame)
    parts = tuple(Part(view.keys[rows], rows) for rows in spans(view, window_key_ranges(window)))
    return Rows(parts, key_shift(window.z), frame)


def spans(view: View, ranges: IntArray) -> list[slice]:
    """Return where the rows of key ranges lie in a view; empty ranges are left out."""
    ends = np.searchsorted(view.keys, ranges.ravel()).reshape(-1, 2)
    return [slice(int(a), int(b)) for a, b in ends if b > a]


def _finer_part(view: View, window: Window) -> Part:
    """Return rows with keys of the window's own level, which is finer than the view's."""
    half = replace(
        window,
        z=KEY_ZOOM,
        col=window.col >> 1,
        row=window.row >> 1,
        width=(window.width >> 1) + 1,
        height=(window.height >> 1) + 1,
    )
    found = [np.arange(s.start, s.stop) for s in spans(view, window_key_ranges(half))]
    rows = np.concatenate(found) if found else np.empty(0, np.int64)
    ra, dec = (values[view.order[rows]] for values in view.index.positions())
    keys = keys_of(ra, dec, window.z)
    sort = np.argsort(keys, kind="stable")
    return Part(keys[sort], rows[sort])


def _part_elsewhere(view: View, window: Window) -> Part:
    """Return the rows in a window of a grid that the index was not made for.

    Found through the sky rectangle around the window, placed by the grid's own formula; keys are
    of positions within the window.
    """
    coverage = window_coverage(window)
    ranges = [] if coverage is None else spans(view, _ranges_over(coverage))
    found = [np.arange(s.start, s.stop) for s in ranges]
    rows = np.concatenate(found) if found else np.empty(0, np.int64)
    ra, dec = (values[view.order[rows]] for values in view.index.positions())
    x, y = offsets(window, ra, dec)
    inside = (x >= 0) & (x < window.width) & (y >= 0) & (y < window.height)
    keys, rows = encode(x[inside], y[inside]), rows[inside]
    sort = np.argsort(keys, kind="stable")
    return Part(keys[sort], rows[sort])


def _ranges_over(coverage: Coverage) -> IntArray:
    if coverage == ALL_SKY:
        return np.array([[0, np.iinfo(np.int64).max]])
    return window_key_ranges(coverage_window(coverage), MAX_CELLS)


def offsets(window: Window, ra: AnyArray, dec: AnyArray) -> tuple[IntArray, IntArray]:
    """Return columns and rows of positions from a window's upper left pixel, maybe outside it.

    What the window's grid does not show gets a negative column.
    """
    height, width = window.grid.lattice_shape(window.z)
    cols, rows = window.grid.lattice(ra, dec, window.z)
    x = cols - window.col
    if window.grid.periodic:
        x = np.mod(x, width)
    shown = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    return np.where(shown, x, -1), rows - window.row


def _count(rows: Rows, window: Window) -> NDArray[np.uint32]:
    out = np.zeros(window.shape, np.uint32)
    for part in rows.parts:
        bin_count(part.keys, rows.shift, rows.frame, out)
    return out


def _count_categories(
    view: View, rows: Rows, window: Window, column: str
) -> tuple[NDArray[np.uint32], tuple[str, ...]]:
    codes, names = view.codes(column)
    out = np.zeros((*window.shape, len(names)), np.uint32)
    for part in rows.parts:
        bin_categories(part.keys, codes[part.rows], rows.shift, rows.frame, out)
    return out, names


def _reduce_column(view: View, rows: Rows, window: Window, reduction: Reduction) -> AnyArray:
    """Return one of count, sum, mean, min, max, std of a column; NaN values are left out."""
    name, column = reduction.name, reduction.column
    values = view.present(column) if name == "count" else view.values(column)
    state = _STATES[name]
    n = np.zeros(window.shape, np.uint32)
    a = np.full(window.shape, np.nan if state in (MIN, MAX) else 0.0)
    b = np.zeros(window.shape if state == MOMENTS else (1, 1))
    with np.errstate(all="ignore"):  # infinite values, and 0 / 0 where there is none
        for part in rows.parts:
            bin_values(part.keys, values[part.rows], rows.shift, rows.frame, state, n, a, b)
        return n if name == "count" else _result(name, n, a, b)


def _result(name: str, n: NDArray[np.uint32], a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the reduction from the state of every pixel."""
    if name == "sum":
        a[n == 0] = np.nan
        return a
    if name == "mean":
        return a / n
    return np.sqrt(b / n) if name == "std" else a


def density(counts: NDArray[np.uint32], window: Window) -> NDArray[np.float32]:
    """Return counts as rows per square degree, NaN where there are none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = window.row + np.arange(window.height)[:, None]
        areas = window.grid.pixel_areas(window.z, window.col + np.arange(window.width), rows)
        values = counts.astype(np.float32)
        values *= (1.0 / areas).astype(np.float32)
    values[counts == 0] = np.nan
    return values
