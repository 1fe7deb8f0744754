"""Pixel coordinates of a window from control points, and sampling of a box of pixels.

``limits = (scale, right, top)``: coordinates of the base image within -0.5..right and -0.5..top lie
on it; ``(coordinate + 0.5) * scale - 0.5`` is the position on the level that the box is cut from.
``place = (x, y, period)``: level column and row of the box's first pixel, and the columns of one
turn (0: not cyclic). In a cyclic map the box may begin before column 0 or run past the last one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel
from skyshade.types import AnyArray, FloatArray, IntArray

Pixels = NDArray[np.float32]
_SAMPLE = (
    "void(float32[:,::1], float64[:,::1], float64[:,::1], float64[::1], int64[::1], float32[:,::1])"
)


@kernel(
    "void(float64[:,:,::1], float64[:,:,::1], int64[:,::1], int64, float64,"
    " float64[:,::1], float64[:,::1])"
)
def fill_cells(
    nodes_x: FloatArray,
    nodes_y: FloatArray,
    corners: IntArray,
    step: int,
    period: float,
    out_x: FloatArray,
    out_y: FloatArray,
) -> None:
    """Fill square cells with coordinates that are bilinear between exact nodes.

    Parameters
    ----------
    nodes_x, nodes_y : ndarray of float64, shape (n, m + 1, m + 1)
        Coordinates at the corners of the m x m parts of every cell.
    corners : ndarray of int64, shape (n, 2)
        (row, column) of a cell's first pixel in `out_x`; cells may reach beyond its edges.
    step : int
        Pixels along a part; pixel centres lie half a pixel from the nodes.
    period : float
        Of x; 0 when it has none. Results lie in -0.5 <= x < period - 0.5.
    out_x, out_y : ndarray of float64, shape (h, w)
        Written where there are cells.
    """
    m = nodes_x.shape[1] - 1
    side = np.arange(m * step)
    part, f = side // step, (side % step + 0.5) / step
    x = nodes_x
    if period > 0.0:
        x = nodes_x - period * np.round((nodes_x - nodes_x[:, :1, :1]) / period)
    filled = _between(x, part, f)
    if period > 0.0:
        filled -= period * np.floor((filled + 0.5) / period)
    put_cells(corners, filled, out_x)
    put_cells(corners, _between(nodes_y, part, f), out_y)


def put_cells(corners: IntArray, values: FloatArray, out: FloatArray) -> None:
    """Write square cells into an array, as far as they lie in it.

    Parameters
    ----------
    corners : ndarray of int64, shape (n, 2)
        (row, column) of a cell's first pixel in `out`; cells may reach beyond its edges.
    values : ndarray of float64, shape (n, side, side)
    out : ndarray of float64, shape (h, w)
        Written where there are cells.
    """
    side = np.arange(values.shape[1])
    rows = corners[:, 0, None, None] + side[:, None]
    cols = corners[:, 1, None, None] + side
    on = (rows >= 0) & (rows < out.shape[0]) & (cols >= 0) & (cols < out.shape[1])
    rows, cols = np.broadcast_arrays(rows, cols)
    out[rows[on], cols[on]] = values[on]


def _between(nodes: FloatArray, part: AnyArray, f: FloatArray) -> FloatArray:
    upper, lower = nodes[:, part], nodes[:, part + 1]
    left = upper + (lower - upper) * f[:, None]
    found: FloatArray = left[:, :, part] + (left[:, :, part + 1] - left[:, :, part]) * f
    return found


@kernel("void(float64[:,::1], float64[:,::1], float64[::1], float64, float64[::1])")
def span(x: FloatArray, y: FloatArray, limits: FloatArray, half: float, out: FloatArray) -> None:
    """Write the bounding box of the coordinates that lie on the image.

    Parameters
    ----------
    x, y : ndarray of float64, shape (h, w)
    limits : ndarray of float64, shape (3,)
    half : float
        Where a cyclic image is cut in two.
    out : ndarray of float64, shape (6,)
        Lowest x, highest x, lowest y, highest y, lowest x of those >= `half`, highest x of those
        below it. Infinite (lowest) and minus infinite (highest) when there are none.
    """
    on = (x >= -0.5) & (x <= limits[1]) & (y >= -0.5) & (y <= limits[2])
    xs, ys = x[on], y[on]
    high, low = xs[xs >= half], xs[xs < half]
    out[0], out[1] = xs.min(initial=np.inf), xs.max(initial=-np.inf)
    out[2], out[3] = ys.min(initial=np.inf), ys.max(initial=-np.inf)
    out[4], out[5] = high.min(initial=np.inf), low.max(initial=-np.inf)


@kernel(_SAMPLE)
def bilinear(
    box: Pixels, x: FloatArray, y: FloatArray, limits: FloatArray, place: IntArray, out: Pixels
) -> None:
    """Sample a box bilinearly; weights are renormalised where neighbours are missing.

    Parameters
    ----------
    box : ndarray of float32, shape (bh, bw)
        Pixels that are not finite are missing. At the image's edges pixels are repeated outwards.
    x, y : ndarray of float64, shape (h, w)
        Coordinates of the base image; what lies off the image or is NaN becomes NaN.
    limits, place : ndarray
        See the module.
    out : ndarray of float32, shape (h, w)
        Written; NaN where valid neighbours have less than half of the weight.
    """
    _sample_four(box, x, y, limits, place, out)


@kernel(
    "void(float32[:,::1], float64[::1], float64[::1], float64[::1], int64[::1], float32[:,::1])"
)
def bilinear_axes(
    box: Pixels, x: FloatArray, y: FloatArray, limits: FloatArray, place: IntArray, out: Pixels
) -> None:
    """Sample a box bilinearly where x depends on the column only and y on the row only.

    Parameters
    ----------
    x : ndarray of float64, shape (w,)
    y : ndarray of float64, shape (h,)
    box, limits, place, out
        As for `bilinear`.
    """
    shape = y.size, x.size
    at = np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape)
    _sample_four(box, *at, limits, place, out)


@kernel(_SAMPLE)
def nearest(
    box: Pixels, x: FloatArray, y: FloatArray, limits: FloatArray, place: IntArray, out: Pixels
) -> None:
    """Sample the pixel of a box that holds each position; arguments as for `bilinear`."""
    on = (x >= -0.5) & (x <= limits[1]) & (y >= -0.5) & (y <= limits[2])
    i = np.floor((np.where(on, x, 0.0) + 0.5) * limits[0]).astype(np.int64)
    j = np.floor((np.where(on, y, 0.0) + 0.5) * limits[0]).astype(np.int64)
    value = _pick(box, j - place[1], _column(i, place))
    out[...] = np.where(on & np.isfinite(value), value, np.nan)


_TOUCHED = "int32[:,::1], int32[:,::1], int32[:,::1], int32[:,::1], int64[::1], float32[:,::1])"


@kernel(f"void(float32[:,::1], {_TOUCHED}")
def touched_max(
    box: Pixels, left: AnyArray, right: AnyArray, low: AnyArray, high: AnyArray,
    place: IntArray, out: Pixels,
) -> None:  # fmt: skip
    """Take the largest of all pixels of a box that a displayed pixel touches.

    Parameters
    ----------
    box : ndarray of float32, shape (bh, bw)
        Pixels that are not finite are missing, and so is what lies beyond the box.
    left, right : ndarray of int32, shape (h, w)
        First and last level column of each displayed pixel; none where `right` is smaller.
    low, high : ndarray of int32, shape (h, w)
        First and last level row.
    place : ndarray
        See the module.
    out : ndarray of float32, shape (h, w)
        Written; NaN where no valid pixel is touched.
    """
    most = np.full(out.shape, -np.inf)
    for on, at in _touched(box.shape, left, right, low, high, place):
        value = np.where(on, box.ravel()[at], -np.inf)
        most = np.maximum(most, np.where(np.isfinite(value), value, -np.inf))
    out[...] = np.where(np.isfinite(most), most, np.nan)


@kernel(f"void(float32[:,::1], float32[:,::1], float32[:,::1], {_TOUCHED}")
def touched_std(
    n: Pixels, mean: Pixels, m2: Pixels,
    left: AnyArray, right: AnyArray, low: AnyArray, high: AnyArray,
    place: IntArray, out: Pixels,
) -> None:  # fmt: skip
    """Write the standard deviation (divided by n) of all pixels that a displayed pixel touches.

    Parameters
    ----------
    n, mean, m2 : ndarray of float32, shape (bh, bw)
        Moments, as for `skyshade.kernels.overview.merge_moments`.
    left, right, low, high, place, out
        As for `touched_max`.
    """
    where = n.shape, left, right, low, high, place
    count, total, spread = np.zeros(out.shape), np.zeros(out.shape), np.zeros(out.shape)
    for on, at in _touched(*where):
        some = np.where(on, n.ravel()[at], 0.0)
        count += some
        total += np.where(some > 0.0, some * mean.ravel()[at].astype(np.float64), 0.0)
    filled = count > 0.0
    middle = total / np.where(filled, count, 1.0)
    for on, at in _touched(*where):
        some = np.where(on, n.ravel()[at], 0.0)
        parts = m2.ravel()[at] + some * (mean.ravel()[at] - middle) ** 2
        spread += np.where(some > 0.0, parts, 0.0)
    out[...] = np.sqrt(np.where(filled, spread / np.where(filled, count, 1.0), np.nan))


def _touched(
    shape: tuple[int, ...], left: AnyArray, right: AnyArray, low: AnyArray, high: AnyArray,
    place: IntArray,
) -> Iterator[tuple[AnyArray, AnyArray]]:  # fmt: skip
    """Yield, pixel after pixel of the ranges, which displayed pixels have it and its flat index."""
    for x in range(int((right - left).max(initial=-1)) + 1):
        cols = _round(left + x - place[0], place[2])
        for y in range(int((high - low).max(initial=-1)) + 1):
            rows = low + y - place[1]
            on = (left + x <= right) & (low + y <= high) & (cols >= 0) & (cols < shape[1])
            on &= (rows >= 0) & (rows < shape[0])
            yield on, np.where(on, rows * shape[1] + cols, 0)


def _round(cols: AnyArray, period: int) -> AnyArray:
    cols = np.where(cols < 0, cols + period, cols)
    return np.where((cols >= period) & (period > 0), cols - period, cols)


def _sample_four(
    box: Pixels, x: FloatArray, y: FloatArray, limits: FloatArray, place: IntArray, out: Pixels
) -> None:
    on = (x >= -0.5) & (x <= limits[1]) & (y >= -0.5) & (y <= limits[2])
    u, v = _level(x, on, limits[0]), _level(y, on, limits[0])
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    fu, fv = u - i, v - j
    i, j = _column(i, place), j - place[1]
    total, weight = np.zeros(x.shape), np.zeros(x.shape)
    for row, wv in ((j, 1.0 - fv), (j + 1, fv)):
        for col, wu in ((i, 1.0 - fu), (i + 1, fu)):
            value = _pick(box, row, col)
            valid = np.isfinite(value)
            total += np.where(valid, value, 0.0) * wu * wv
            weight += np.where(valid, wu * wv, 0.0)
    good = on & (weight >= 0.5)
    out[...] = np.where(good, total / np.where(good, weight, 1.0), np.nan)


def _level(x: FloatArray, on: AnyArray, scale: float) -> FloatArray:
    return (np.where(on, x, 0.0) + 0.5) * scale - 0.5


def _column(i: IntArray, place: IntArray) -> IntArray:
    i = i - place[0]
    return np.where(i < 0, i + place[2], i)


def _pick(box: Pixels, row: IntArray, col: IntArray) -> FloatArray:
    bh, bw = box.shape
    return box[np.clip(row, 0, bh - 1), np.clip(col, 0, bw - 1)].astype(np.float64)
