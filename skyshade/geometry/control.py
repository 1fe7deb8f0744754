"""Pixel coordinates of a window: exact at control points, bilinear between where that is enough.

The lattice is cut into cells of 16 x 16 pixels whose corners (nodes) get exact coordinates. Second
differences of the nodes bound the error of bilinear interpolation in a cell: it may reach
(|f_xx| + |f_yy|) h**2 / 8. Their midpoint alone would not do: there the two terms of a conformal
projection cancel. Cells that fail may take cubic interpolation, whose error fourth differences
bound, 3 |f_xxxx| h**4 / 128; but where these are not much smaller than second differences the
projection has an edge, which they say little of. The rest is cut into 4 x 4 parts and tried again,
and what still fails (poles, cuts, limbs) gets exact coordinates pixel by pixel. Every decision
depends on the cell only, so windows agree to the last bit wherever they overlap.

Maps whose x follows RA only and whose y follows Dec only (unrotated cylindrical, ICRS) take one
exact row and one exact column instead, on grids of the same kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skyshade.geometry.coverage import coverage_of, overlap
from skyshade.geometry.wcs import PixelMap
from skyshade.kernels.cubic import cubic_weights, fill_cubic
from skyshade.kernels.sampling import fill_cells, put_cells
from skyshade.types import AnyArray, Coverage, FloatArray, Grid, Window

CELL, FINE = 16, 4
RING = 2  # nodes around a window
TOLERANCE = 0.02  # displayed pixels along each axis; curvature may grow within a cell
KEPT_RUNS = 1024  # of 2 kB each
_SEPARABLE = 1e-6  # map pixels
_SMOOTH = 0.1  # fourth differences for second ones, above which there may be an edge
_WEIGHTS = cubic_weights(CELL)


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """Base pixel coordinates of a window's pixel centres; NaN where the map is not.

    Parameters
    ----------
    x, y : ndarray of float64
        Both of shape (height, width), or (1, width) and (height, 1) for a separable map.
    """

    x: FloatArray
    y: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.y.shape[0], self.x.shape[1]

    @property
    def separable(self) -> bool:
        """Whether x is one row and y one column."""
        return self.x.shape != self.y.shape

    def full(self) -> Coordinates:
        """Return the same with both arrays of shape (height, width)."""
        if not self.separable:
            return self
        x, y = np.broadcast_arrays(self.x, self.y)
        return Coordinates(np.ascontiguousarray(x), np.ascontiguousarray(y))


class ControlGrid:
    """Pixel coordinates of windows of any sky grid on one map.

    Parameters
    ----------
    pixels : PixelMap

    Attributes
    ----------
    pixels : PixelMap
    coverage : Coverage
    separable : bool
        Whether x depends on RA only and y on Dec only.
    """

    def __init__(self, pixels: PixelMap) -> None:
        self.pixels = pixels
        self.coverage: Coverage = coverage_of(pixels)
        self.separable = _is_separable(pixels)
        # tiles above and beside one another share their columns or rows
        self._columns: Any = lru_cache(KEPT_RUNS)(self._exact_columns)
        self._rows: Any = lru_cache(KEPT_RUNS)(self._exact_rows)

    def coordinates(self, window: Window) -> Coordinates | None:
        """Return the coordinates of a window's pixel centres; None when the map is elsewhere.

        Off by less than 0.05 displayed pixel from wcslib's. Neighbouring windows agree.
        """
        canvas = _aligned(window)
        margin = 2.0 * self.pixels.resolution
        wanted = overlap(self.coverage, canvas, CELL, margin)
        if not wanted.any():
            return None
        if self.separable and window.grid.separable:
            return self._separable(window)
        return self._cells(window, canvas, wanted)

    def _separable(self, window: Window) -> Coordinates:
        grid, z = window.grid, window.z
        x: FloatArray = self._columns(grid, z, window.col, window.width)
        y: FloatArray = self._rows(grid, z, window.row, window.height)
        return Coordinates(x, y)

    def _exact_columns(self, grid: Grid, z: int, col: int, width: int) -> FloatArray:
        """Return x of a run of columns, shape (1, width)."""
        ra, _ = grid.sky(z, col + np.arange(width) + 0.5, 0.5)
        return self.pixels.sky_to_pixel(ra, np.zeros(ra.shape))[0][None, :]

    def _exact_rows(self, grid: Grid, z: int, row: int, height: int) -> FloatArray:
        """Return y of a run of rows, shape (height, 1)."""
        _, dec = grid.sky(z, 0.5, row + np.arange(height) + 0.5)
        return self.pixels.sky_to_pixel(np.full(dec.shape, 180.0), dec)[1][:, None]

    def _cells(self, window: Window, canvas: Window, wanted: AnyArray) -> Coordinates:
        """Fill a window with the wanted cells of `canvas`, which may reach beyond it."""
        out = _empty(window, wanted)
        first = np.array([canvas.row - window.row, canvas.col - window.col])
        x, y = self._nodes(canvas)
        straight, curved = (wanted & fits for fits in _fits(x, y, self.pixels))
        for chosen, size in ((straight, 2), (curved, 4)):
            corners = first + CELL * np.argwhere(chosen)
            self._fill(_around(x, chosen, size), _around(y, chosen, size), corners, out)
        left = first + CELL * np.argwhere(wanted & ~straight & ~curved)
        self._exact(window, self._fine(window, left, out), out)
        out = Coordinates(*self.pixels.nearest_copy(out.x, out.y))
        _clear_beyond(window, out.x)
        return out

    def _nodes(self, canvas: Window) -> tuple[FloatArray, FloatArray]:
        """Return the coordinates at cell corners, with `RING` more nodes around."""
        rows = canvas.row + CELL * np.arange(-RING, canvas.height // CELL + RING + 1)
        cols = canvas.col + CELL * np.arange(-RING, canvas.width // CELL + RING + 1)
        return self._lattice_points(canvas, rows[:, None], cols)

    def _fine(self, window: Window, corners: AnyArray, out: Coordinates) -> AnyArray:
        """Fill cells from 5 x 5 nodes each; return the corners of those that need more."""
        if not len(corners):
            return corners
        at = FINE * np.arange(CELL // FINE + 1)
        rows = window.row + corners[:, 0, None, None] + at[:, None]
        cols = window.col + corners[:, 1, None, None] + at
        x, y = self._lattice_points(window, rows, cols)
        good = _part_errors(x, y, self.pixels) < TOLERANCE
        nodes = self._unturned(x[good], y[good])
        fill_cells(*nodes, corners[good], FINE, self.pixels.period, out.x, out.y)
        return corners[~good]

    def _fill(self, x: FloatArray, y: FloatArray, corners: AnyArray, out: Coordinates) -> None:
        """Fill cells from 2 x 2 nodes each, bilinear, or from 4 x 4, cubic."""
        if not len(corners):
            return
        nodes = self._unturned(x, y)
        if x.shape[1] == 2:
            fill_cells(*nodes, corners, CELL, self.pixels.period, out.x, out.y)
        else:
            fill_cubic(*nodes, corners, _WEIGHTS, self.pixels.period, out.x, out.y)

    def _unturned(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the nodes of cells, shape (n, m, m), without turns of native longitude between."""
        x0, y0 = x[:, :1, :1], y[:, :1, :1]
        dx, dy = self.pixels.unturned(x - x0, y - y0)
        return np.ascontiguousarray(x0 + dx), np.ascontiguousarray(y0 + dy)

    def _exact(self, window: Window, corners: AnyArray, out: Coordinates) -> None:
        if not len(corners):
            return
        rows = window.row + corners[:, 0, None, None] + np.arange(CELL)[:, None]
        cols = window.col + corners[:, 1, None, None] + np.arange(CELL)
        x, y = self.pixels.sky_to_pixel(*window.grid.sky(window.z, cols + 0.5, rows + 0.5))
        put_cells(corners, x, out.x)
        put_cells(corners, y, out.y)

    def _lattice_points(
        self, window: Window, rows: AnyArray, cols: AnyArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return coordinates of lattice corners, which go on beyond the lattice."""
        return self.pixels.sky_to_pixel(*window.grid.sky(window.z, cols, rows, beyond=True))


def _aligned(window: Window) -> Window:
    """Return the smallest window of whole cells around `window`."""
    col, row = window.col // CELL * CELL, window.row // CELL * CELL
    right = -(-(window.col + window.width) // CELL) * CELL
    low = -(-(window.row + window.height) // CELL) * CELL
    return replace(window, col=col, row=row, width=right - col, height=low - row)


def _clear_beyond(window: Window, x: FloatArray) -> None:
    """Put NaN where a window lies beyond its grid's lattice."""
    height, width = window.grid.lattice_shape(window.z)
    rows = np.arange(window.row, window.row + window.height)
    cols = np.arange(window.col, window.col + window.width)
    x[(rows < 0) | (rows >= height)] = np.nan
    if not window.grid.periodic:
        x[:, (cols < 0) | (cols >= width)] = np.nan


def _is_separable(pixels: PixelMap) -> bool:
    """Return whether x follows RA only and y Dec only, tried with wcslib at 512 positions."""
    if not pixels.period or pixels.frame != "icrs":
        return False
    ra, dec = np.meshgrid(np.linspace(1.0, 359.0, 32), np.linspace(-89.0, 89.0, 16))
    x, y = pixels.sky_to_pixel(ra, dec)
    x1, _ = pixels.sky_to_pixel(ra[0], np.zeros(ra.shape[1]))
    _, y1 = pixels.sky_to_pixel(np.full(dec.shape[0], ra[0, 0]), dec[:, 0])
    turns = (x - x1) / pixels.period
    off = np.abs(turns - np.round(turns)) * pixels.period
    return bool(np.all(off < _SEPARABLE) and np.all(np.abs(y - y1[:, None]) < _SEPARABLE))


def _empty(window: Window, wanted: AnyArray) -> Coordinates:
    """Return the arrays for a window: NaN, unless every cell of it will be written.

    They are halves of one: the system is asked for new memory less often.
    """
    both = np.empty((2, *window.shape))
    if not wanted.all():
        both[:] = np.nan
    return Coordinates(both[0], both[1])


def _around(nodes: FloatArray, chosen: AnyArray, size: int) -> FloatArray:
    """Return the size x size nodes around the chosen cells, shape (n, size, size)."""
    skip = RING + 1 - size // 2
    views = sliding_window_view(nodes[skip:-skip, skip:-skip], (size, size))
    found: FloatArray = views[chosen]
    return found


def _steps(x: FloatArray, y: FloatArray, axis: int, pixels: PixelMap) -> tuple[Any, Any]:
    """Return differences between neighbouring nodes, the short way round."""
    return pixels.unturned(np.diff(x, axis=axis), np.diff(y, axis=axis))


def _fits(x: FloatArray, y: FloatArray, pixels: PixelMap) -> tuple[AnyArray, AnyArray]:
    """Return which cells bilinear interpolation serves, and which of the others cubic does.

    `x` and `y` are nodes of shape (h + 5, w + 5), a ring of two around the cells' corners.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        slopes, seconds, fourths = [], [], []
        steps = zip(_steps(x, y, 1, pixels), _steps(x, y, 0, pixels), strict=True)
        for along, down in steps:
            a, d = along[RING:-RING, RING:-RING], down[RING:-RING, RING:-RING]
            slopes += [(a[:-1] + a[1:]) / 2.0, (d[:, :-1] + d[:, 1:]) / 2.0]
            across, up = _bends(along[RING:-RING], 1), _bends(down[:, RING:-RING], 0)
            seconds.append(_most(across[0] + up[0]))
            fourths.append(_most(across[1] + up[1]))
        bent, twisted = _displayed(slopes, seconds, CELL), _displayed(slopes, fourths, CELL)
        straight = bent / 8.0 < TOLERANCE
        curved = (twisted * 3.0 / 128.0 < TOLERANCE) & (twisted < _SMOOTH * bent)
        known = sliding_window_view(np.isfinite(x[1:-1, 1:-1]), (4, 4)).all(axis=(2, 3))
        return straight, curved & known & ~straight


def _bends(steps: FloatArray, axis: int) -> tuple[FloatArray, FloatArray]:
    """Return the sizes of second and fourth differences at the corners of cells."""
    second = np.diff(steps, axis=axis)
    inner = np.s_[:, 1:-1] if axis else np.s_[1:-1]
    return np.abs(second[inner]), np.abs(np.diff(second, 2, axis=axis))


def _part_errors(x: FloatArray, y: FloatArray, pixels: PixelMap) -> FloatArray:
    """Bound the error of cells of (n, m + 1, m + 1) nodes, in displayed pixels, shape (n,)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        slopes, bends = [], []
        steps = zip(_steps(x, y, 2, pixels), _steps(x, y, 1, pixels), strict=True)
        for along, down in steps:
            bend = np.abs(np.diff(along, axis=2)).max(axis=(1, 2))
            bend += np.abs(np.diff(down, axis=1)).max(axis=(1, 2))
            bends.append(bend[:, None, None] / 8.0)
            slopes += [(along[:, :-1] + along[:, 1:]) / 2, (down[:, :, :-1] + down[:, :, 1:]) / 2]
        worst: FloatArray = _displayed(slopes, bends, FINE).max(axis=(1, 2))
    return worst


def _most(nodes: FloatArray) -> FloatArray:
    """Return the largest value at the four corners of every cell."""
    rows = np.maximum(nodes[:-1], nodes[1:])
    return np.maximum(rows[:, :-1], rows[:, 1:])


def _displayed(slopes: list[FloatArray], bends: list[FloatArray], step: int) -> FloatArray:
    """Turn errors in map pixels into displayed pixels, with the inverse of the slopes.

    `slopes` are dx/dcol, dx/drow, dy/dcol, dy/drow over `step` displayed pixels.
    """
    a, b, c, d = (slope / step for slope in slopes)
    ex, ey = bends
    det = np.abs(a * d - b * c)
    along = (np.abs(d) * ex + np.abs(b) * ey) / det
    down = (np.abs(c) * ex + np.abs(a) * ey) / det
    return np.maximum(along, down)
