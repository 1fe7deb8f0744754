"""Samples of a catalogue's values, and its default style."""

from __future__ import annotations

import math

import numpy as np

from skyshade.geometry.grids import SKY
from skyshade.geometry.keys import decode
from skyshade.layers.catalog_places import window_over
from skyshade.layers.reductions import Reduction
from skyshade.types import Coverage, FloatArray, IntArray, Style, Window

SHALLOWEST = -5
SAMPLE_PIXELS = 1 << 21


def sampled_densities(cells: IntArray, counts: IntArray, z: int) -> FloatArray:
    """Return surface densities of occupied cells of about equal area, per square degree.

    Pixels of lattice level `z` are joined along rows towards the poles: there they are so small
    that single rows would widen the range of colours.

    Parameters
    ----------
    cells, counts : ndarray of int64, shape (n,)
        Occupied cells and their numbers of rows, see `skyshade.types.RowView.cells`.
    z : int
    """
    if cells.size == 0:
        return np.empty(0)
    cols, rows = decode(cells)
    height, width = SKY.lattice_shape(z)
    areas = SKY.pixel_areas(z, 0, np.arange(height))
    joined = np.floor(np.log2(areas.max() / areas)).astype(np.int64).clip(0, int(math.log2(width)))
    names, inverse = np.unique(rows * width + (cols >> joined[rows]), return_inverse=True)
    lines = names // width
    densities: FloatArray = np.bincount(inverse, counts) / (areas * 2.0**joined)[lines]
    return densities


def sample_window(coverage: Coverage, level: int) -> Window:
    """Return a window over `coverage` at `level`, or above it to have at most 2 million pixels."""
    z = level
    while z > SHALLOWEST and window_over(coverage, z).width > 1:
        window = window_over(coverage, z)
        if window.width * window.height <= SAMPLE_PIXELS:
            break
        z -= 1
    return window_over(coverage, z)


def style_of(reduction: Reduction) -> Style:
    """Return the default style: the sky for densities, glowing for counts, plain for values.

    Densities take asinh: unlike datashader's log it does not depend on the units.
    """
    if reduction.name == "density":
        return Style(cmap="bone", stretch="asinh")
    if reduction.name == "count":
        return Style(cmap="inferno", stretch="log")
    return Style(cmap="viridis")
