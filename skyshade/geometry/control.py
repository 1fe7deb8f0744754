"""Pixel coordinates of a window: exact at control points, bilinear between where that is enough.

The lattice is cut into cells of 16 x 16 pixels whose corners (nodes) get exact coordinates. Second
differences of the nodes bound the error of bilinear interpolation in a cell: it may reach
(|f_xx| + |f_yy|) h**2 / 8. Their midpoint alone would not do: there the two terms of a conformal
projection cancel. Cells that fail are cut into 4 x 4 parts and tried again, and what still fails
(poles, cuts, limbs) gets exact coordinates pixel by pixel. Every decision depends on the cell only,
so windows agree to the last bit wherever they overlap.

Maps whose x follows RA only and whose y follows Dec only (unrotated cylindrical, ICRS) take one
exact row and one exact column instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from skyshade.geometry.coverage import coverage_of, overlap
from skyshade.geometry.wcs import PixelMap
from skyshade.kernels.sampling import fill_cells
from skyshade.types import AnyArray, Coverage, FloatArray, Grid, Window

CELL, FINE = 16, 4
TOLERANCE = 0.02  # displayed pixels along each axis; curvature may grow within a cell
KEPT_RUNS = 1024  # of 2 kB each
_SEPARABLE = 1e-6  # map pixels


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
    """Pixel coordinates of ``sky`` windows on one map.

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
        rows, cols = overlap(self.coverage, canvas, CELL, margin)
        if not (rows.any() and cols.any()):
            return None
        if self.separable:
            return self._separable(window)
        made = self._cells(canvas, rows[:, None] & cols)
        r, c = window.row - canvas.row, window.col - canvas.col
        part = np.s_[r : r + window.height, c : c + window.width]
        return Coordinates(np.ascontiguousarray(made.x[part]), np.ascontiguousarray(made.y[part]))

    def _separable(self, window: Window) -> Coordinates:
        grid, z = window.grid, window.z
        x: FloatArray = self._columns(grid, z, window.col, window.width)
        y: FloatArray = self._rows(grid, z, window.row, window.height)
        return Coordinates(x, y)

    def _exact_columns(self, grid: Grid, z: int, col: int, width: int) -> FloatArray:
        """Return x of a run of columns, shape (1, width)."""
        ra, _ = _centres(Window(grid, z, col, 0, width, 1), np.zeros(1), col + np.arange(width))
        return self.pixels.sky_to_pixel(ra, np.zeros(ra.shape))[0][None, :]

    def _exact_rows(self, grid: Grid, z: int, row: int, height: int) -> FloatArray:
        """Return y of a run of rows, shape (height, 1)."""
        ra, dec = _centres(Window(grid, z, 0, row, 1, height), row + np.arange(height), np.zeros(1))
        return self.pixels.sky_to_pixel(np.full(dec.shape, ra[0]), dec)[1][:, None]

    def _cells(self, canvas: Window, wanted: AnyArray) -> Coordinates:
        out = Coordinates(np.full(canvas.shape, np.nan), np.full(canvas.shape, np.nan))
        x, y = self._nodes(canvas)
        good = wanted & (_node_errors(x, y, self.pixels.period) < TOLERANCE)
        corners = np.argwhere(good) * CELL
        fill = _quads(x, good), _quads(y, good)
        fill_cells(*fill, corners, CELL, self.pixels.period, out.x, out.y)
        left = self._fine(canvas, np.argwhere(wanted & ~good) * CELL, out)
        self._exact(canvas, left, out)
        height = canvas.grid.lattice_shape(canvas.z)[0]
        rows = np.arange(canvas.row, canvas.row + canvas.height)
        out.x[(rows < 0) | (rows >= height)] = np.nan
        return out

    def _nodes(self, canvas: Window) -> tuple[FloatArray, FloatArray]:
        """Return the coordinates at cell corners, one more ring of nodes around."""
        rows = canvas.row + CELL * np.arange(-1, canvas.height // CELL + 2)
        cols = canvas.col + CELL * np.arange(-1, canvas.width // CELL + 2)
        return self._lattice_points(canvas, rows[:, None], cols)

    def _fine(self, canvas: Window, corners: AnyArray, out: Coordinates) -> AnyArray:
        """Fill cells from 5 x 5 nodes each; return the corners of those that need more."""
        if not len(corners):
            return corners
        at = FINE * np.arange(CELL // FINE + 1)
        rows = canvas.row + corners[:, 0, None, None] + at[:, None]
        cols = canvas.col + corners[:, 1, None, None] + at
        x, y = self._lattice_points(canvas, rows, cols)
        good = _part_errors(x, y, self.pixels.period) < TOLERANCE
        fill = np.ascontiguousarray(x[good]), np.ascontiguousarray(y[good])
        fill_cells(*fill, corners[good], FINE, self.pixels.period, out.x, out.y)
        return corners[~good]

    def _exact(self, canvas: Window, corners: AnyArray, out: Coordinates) -> None:
        if not len(corners):
            return
        rows = corners[:, 0, None, None] + np.arange(CELL)[:, None]
        cols = corners[:, 1, None, None] + np.arange(CELL)
        ra, dec = _centres(canvas, canvas.row + rows, canvas.col + cols)
        ra, dec = np.broadcast_arrays(ra, dec)
        out.x[rows, cols], out.y[rows, cols] = self.pixels.sky_to_pixel(ra, dec)

    def _lattice_points(
        self, window: Window, rows: AnyArray, cols: AnyArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return coordinates of lattice corners; rows beyond a pole come down the other side."""
        height, width = window.grid.lattice_shape(window.z)
        rows, cols = np.broadcast_arrays(rows, cols)
        beyond = (rows < 0) | (rows > height)
        if beyond.any():
            rows = np.where(rows < 0, -rows, np.where(rows > height, 2 * height - rows, rows))
            cols = np.where(beyond, cols + width // 2, cols)
        ra, dec = window.grid.sky_axes(window.z, np.mod(cols, width), np.clip(rows, 0, height))
        return self.pixels.sky_to_pixel(ra, dec)


def _aligned(window: Window) -> Window:
    """Return the smallest window of whole cells around `window`."""
    col, row = window.col // CELL * CELL, window.row // CELL * CELL
    right = -(-(window.col + window.width) // CELL) * CELL
    low = -(-(window.row + window.height) // CELL) * CELL
    return replace(window, col=col, row=row, width=right - col, height=low - row)


def _centres(window: Window, rows: AnyArray, cols: AnyArray) -> tuple[FloatArray, FloatArray]:
    """Return ra and dec at the centres of lattice pixels; NaN dec beyond the poles."""
    height, width = window.grid.lattice_shape(window.z)
    ra, dec = window.grid.sky_axes(window.z, np.mod(cols, width) + 0.5, rows + 0.5)
    return ra, np.where((rows < 0) | (rows >= height), np.nan, dec)


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


def _quads(nodes: FloatArray, good: AnyArray) -> FloatArray:
    """Return the four corners of the chosen cells, shape (n, 2, 2); `nodes` has a ring around."""
    inner = nodes[1:-1, 1:-1]
    four = (inner[:-1, :-1], inner[:-1, 1:], inner[1:, :-1], inner[1:, 1:])
    return np.stack([part[good] for part in four], axis=-1).reshape(-1, 2, 2)


def _steps(nodes: FloatArray, axis: int, period: float) -> FloatArray:
    step = np.diff(nodes, axis=axis)
    return step - period * np.round(step / period) if period else step


def _node_errors(x: FloatArray, y: FloatArray, period: float) -> FloatArray:
    """Bound the error of bilinear cells, in displayed pixels; NaN or huge where unknown.

    `x` and `y`, shape (h + 3, w + 3), are nodes with a ring around; the result has shape (h, w).
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        slopes, bends = [], []
        for nodes, turn in ((x, period), (y, 0.0)):
            along, down = _steps(nodes, 1, turn), _steps(nodes, 0, turn)
            bend = np.abs(np.diff(along, axis=1))[1:-1] + np.abs(np.diff(down, axis=0))[:, 1:-1]
            bends.append(_most(bend) / 8.0)
            a, d = along[1:-1, 1:-1], down[1:-1, 1:-1]
            slopes += [(a[:-1] + a[1:]) / 2.0, (d[:, :-1] + d[:, 1:]) / 2.0]
        return _displayed(slopes, bends, CELL)


def _part_errors(x: FloatArray, y: FloatArray, period: float) -> FloatArray:
    """Bound the error of cells of (n, m + 1, m + 1) nodes, in displayed pixels, shape (n,)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        slopes, bends = [], []
        for nodes, turn in ((x, period), (y, 0.0)):
            along, down = _steps(nodes, 2, turn), _steps(nodes, 1, turn)
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
