"""What a catalogue says of itself: extent, useful depth, sampling level and default style."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry.grids import MAX_ZOOM, SKY
from skyshade.geometry.keys import decode, key_shift
from skyshade.layers.catalog_index import CatalogIndex, View
from skyshade.layers.reductions import Reduction
from skyshade.types import ALL_SKY, Coverage, FloatArray, IntArray, Style, Window

LEAST_ZOOM = 8  # a catalogue can always be zoomed into
SHARED = 0.01  # of the rows may share a pixel of the deepest useful level
SAMPLE_ROWS = 8  # rows in an occupied pixel of the sampling level, on average
SAMPLE_LEVELS = range(-5, 13)
SAMPLE_PIXELS = 1 << 21
SCANNED_CELLS = 5_000_000
RA_BINS = 3600
LEAST_GAP = 10  # bins: narrower holes in right ascension belong to the catalogue


def max_zoom_of(keys: IntArray) -> int:
    """Return the first level (8 to 22) on which hardly any two positions share a pixel."""
    distinct = keys[_changes(keys)]
    for z in range(LEAST_ZOOM, MAX_ZOOM):
        occupied = _changes(distinct >> key_shift(z)).size
        if distinct.size - occupied <= max(distinct.size * SHARED, 1):  # one close pair is allowed
            return z
    return MAX_ZOOM


def sampling_level(keys: IntArray) -> int:
    """Return the deepest level (-5 to 12) whose occupied pixels hold eight rows on average."""
    level = SAMPLE_LEVELS[0]
    for z in SAMPLE_LEVELS:
        if _changes(keys >> key_shift(z)).size * SAMPLE_ROWS > keys.size:
            break
        level = z
    return level


def _changes(cells: IntArray) -> IntArray:
    """Return where runs of equal sorted cells begin."""
    return np.flatnonzero(np.diff(cells, prepend=-1))


def sampled_densities(view: View, z: int) -> FloatArray:
    """Return surface densities of occupied cells of about equal area, per square degree.

    Pixels of lattice level `z` are joined along rows towards the poles: there they are so small
    that single rows would widen the range of colours.
    """
    if view.keys.size == 0:
        return np.empty(0)
    cells = view.keys >> key_shift(z)
    first = _changes(cells)
    counts = np.diff(first, append=cells.size)
    cols, rows = decode(cells[first])
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
    while z > SAMPLE_LEVELS[0] and _window_over(coverage, z).width > 1:
        window = _window_over(coverage, z)
        if window.width * window.height <= SAMPLE_PIXELS:
            break
        z -= 1
    return _window_over(coverage, z)


def _window_over(coverage: Coverage, z: int) -> Window:
    width = SKY.lattice_shape(z)[1]
    dec = np.array([coverage.dec_max, coverage.dec_min])
    cols, rows = SKY.lattice(np.full(2, coverage.ra_east), dec, z)
    span = math.ceil((coverage.ra_east - coverage.ra_west) / 360.0 * width) + 1
    return Window(SKY, z, int(cols[0]), int(rows[0]), min(span, width), int(rows[1] - rows[0]) + 1)


def coverage_of(ra: FloatArray, dec: FloatArray) -> Coverage:
    """Return the sky rectangle of valid positions; it may cross RA 0.

    The largest hole of at least one degree in right ascension is left out.
    """
    if ra.size == 0:
        return ALL_SKY
    rows = float(dec.min()), float(dec.max())
    taken = np.flatnonzero(np.bincount((ra * (RA_BINS / 360)).astype(np.int64) % RA_BINS))
    gaps = np.diff(taken, append=taken[0] + RA_BINS)  # to the next bin that is taken
    widest = int(np.argmax(gaps))
    if gaps[widest] <= LEAST_GAP:
        return Coverage(360.0, 0.0, *rows)
    inside = (float(taken[widest]) + 1.5) * 360 / RA_BINS  # in the hole: a safe place to cut
    offset = np.mod(ra - inside, 360.0)
    west = (inside + float(offset.min())) % 360.0 % 360.0
    return Coverage(west + float(offset.max() - offset.min()), west, *rows)


def category_columns(index: CatalogIndex) -> Sequence[str]:
    """Return the columns with few enough different values for count_cat.

    Only text and integer columns are looked at, and only of tables of up to 5 million values:
    reading all of a large table would cost more than the hint is worth.
    """
    table = index.table
    if len(table) * len(table.columns) > SCANNED_CELLS:
        return ()
    found = []
    for name in table.columns:
        if index.raw(name).dtype.kind not in "OUSbiu":
            continue
        try:
            _, names = index.categories(name)
        except InputError:
            continue
        if 1 < len(names) < max(len(table), 3):
            found.append(name)
    return tuple(found)


def style_of(reduction: Reduction) -> Style:
    """Return the default style: glowing for densities and counts, plain for values.

    Densities take asinh: unlike datashader's log it does not depend on the units.
    """
    if reduction.name == "density":
        return Style(cmap="inferno", stretch="asinh")
    if reduction.name == "count":
        return Style(cmap="inferno", stretch="log")
    return Style(cmap="viridis")
