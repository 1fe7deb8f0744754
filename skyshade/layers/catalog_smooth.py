"""The surface density of a catalogue where pixels hold too few rows to tell it: smoothed a little.

Rows are counted on the lattice and spread by a triangle (two boxes of the same width) along rows
and columns. Towards the poles, where pixels are narrow, the triangle is as much wider along rows,
so it is round on the sky and the grid cannot be seen. Counts are summed as integers and everything
else in a fixed order: neighbouring tiles join exactly.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from skyshade.geometry.grids import SKY
from skyshade.index.states import COUNT
from skyshade.layers.catalog_bins import state_on
from skyshade.types import (
    AnyArray,
    FloatArray,
    IntArray,
    Quality,
    RowView,
    State,
    StateArrays,
    Window,
)

WIDTHS = np.array([1, 3, 5, 7, 9, 13, 17, 25, 33, 49, 65])  # pixels, of boxes along rows


def box_width(levels: int) -> int:
    """Return the width of the boxes, pixels, so many levels below the sampling level.

    1, 3, 5, 11 ...: each pixel then stands for some 30 rows, whatever the level.
    """
    return 1 if levels <= 0 else 2 * round(2.0**levels * 0.65) + 1


def smoothed_density(view: RowView, window: Window, width: int) -> tuple[AnyArray, Quality]:
    """Return rows per square degree on a window of ``sky``, float32, NaN where there are none.

    Parameters
    ----------
    view : RowView
    window : Window
    width : int
        Odd; pixels of a box on the equator, see `box_width`.

    Returns
    -------
    density : ndarray of float32, shape (height, width)
    quality : {"exact", "sample", "approximate"}
    """
    found = _counted(view, window, width, COUNT, 0)
    values = _smoothed(found.n, window, width)
    values[values == 0.0] = np.nan
    return values.astype(np.float32), found.quality


def smoothed_classes(
    view: RowView, window: Window, width: int, column: str
) -> tuple[AnyArray, Quality]:
    """Return rows of every class in a pixel as large as one of the sampling level, smoothed.

    Parameters
    ----------
    view, window, width
        As for `smoothed_density`.
    column : str

    Returns
    -------
    rows : ndarray of float32, shape (height, width, classes)
        NaN where there is no row of any class.
    quality : {"exact", "sample", "approximate"}
    """
    classes = len(view.categories(column))
    found = _counted(view, window, width, State("category", column), classes)
    values = np.zeros((*window.shape, classes), np.float32)
    height = SKY.lattice_shape(max(view.level, 0))[0]
    pixel = float(SKY.pixel_areas(max(view.level, 0), 0, height // 2))
    pixel *= 4.0 ** (max(view.level, 0) - view.level)
    for i in range(classes):
        values[..., i] = _smoothed(found.n[..., i], window, width) * pixel
    values[~(values > 0.0).any(axis=2)] = np.nan
    return values, found.quality


def _rows_around(window: Window, width: int) -> IntArray:
    """Return the lattice rows that a window's smoothed rows are made of."""
    return np.arange(window.row - width + 1, window.row + window.height + width - 1)


def _counted(view: RowView, window: Window, width: int, state: State, classes: int) -> StateArrays:
    """Return the rows counted on a window and as far around it as the smoothing reaches."""
    rows = _rows_around(window, width)
    side = int(_widths(window.z, rows, width).max()) - 1
    around = replace(
        window,
        row=int(rows[0]),
        height=rows.size,
        col=window.col - side,
        width=window.width + 2 * side,
    )
    found = state_on(view, once(around), state, classes)
    if found.n.shape[1] == around.width:
        return found
    return replace(found, n=np.take(found.n, np.arange(around.width) % found.n.shape[1], axis=1))


def _smoothed(counts: AnyArray, window: Window, width: int) -> FloatArray:
    """Return rows per square degree on a window from the counts around it."""
    rows = _rows_around(window, width)
    widths = _widths(window.z, rows, width)
    means = _along_rows(counts.astype(np.int64), widths, int(widths.max()) - 1)
    return _down(means, _areas(window.z, rows), width, window.height)


def once(window: Window) -> Window:
    """Return a window of ``sky`` that goes round the sky once at most."""
    return replace(window, width=min(window.width, SKY.lattice_shape(window.z)[1]))


def _areas(z: int, rows: IntArray) -> FloatArray:
    """Return the areas of the pixels of lattice rows, square degrees; 0 beyond the poles."""
    height = SKY.lattice_shape(z)[0]
    inside = (rows >= 0) & (rows < height)
    return np.where(inside, SKY.pixel_areas(z, 0, np.clip(rows, 0, height - 1)), 0.0)


def _widths(z: int, rows: IntArray, width: int) -> IntArray:
    """Return the width of the box of every lattice row: as wide on the sky as on the equator."""
    height = SKY.lattice_shape(z)[0]
    middle = (np.clip(rows, 0, height - 1) + 0.5) * (math.pi / height)
    wide = width / np.sin(middle)
    return np.asarray(WIDTHS[np.searchsorted(WIDTHS, wide, side="right").clip(1) - 1])


def _along_rows(counts: IntArray, widths: IntArray, side: int) -> FloatArray:
    """Return rows spread by a triangle of their own width, without `side` columns at both ends."""
    out = np.empty((counts.shape[0], counts.shape[1] - 2 * side))
    for width in np.unique(widths):
        which = np.flatnonzero(widths == width)
        lines = counts[which]
        for _ in range(2 if width > 1 else 0):
            total = np.cumsum(np.pad(lines, ((0, 0), (1, 0))), axis=1)
            lines = total[:, width:] - total[:, :-width]
        left = side - (int(width) - 1)
        out[which] = lines[:, left : left + out.shape[1]] / float(width) ** 2
    return out


def _down(means: FloatArray, areas: FloatArray, width: int, height: int) -> FloatArray:
    """Return densities of the middle `height` rows: triangles of counts over those of areas."""
    weights = width - np.abs(np.arange(1 - width, width))
    total, area = np.zeros((height, means.shape[1])), np.zeros(height)
    for offset, weight in enumerate(weights.tolist()):
        total += weight * means[offset : offset + height]
        area += weight * areas[offset : offset + height]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(area[:, None] > 0.0, total / area[:, None], np.nan)
