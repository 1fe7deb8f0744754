"""How rows look as marks: their size by a column, their shape, where they lie on a window."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.keys import key_shift
from skyshade.kernels.marks import CIRCLE, CROSS, DIAMOND, SQUARE
from skyshade.types import AnyArray, FloatArray, IntArray, RowView, Window

SHAPES = {"circle": CIRCLE, "square": SQUARE, "cross": CROSS, "diamond": DIAMOND}
LEAST, MOST = 0.5, 16.0  # pixels: radii that may be asked for, and none is drawn larger
FAINT, BRIGHT = 0.9, 5.5  # pixels: radii of the faint and the bright end on the first level
BEYOND = 1.6  # so much larger than the bright end the few that are brighter may be
PLAIN = 1.7  # pixels: radius of rows that have no size
DOUBLING = 4.5  # levels on which marks become twice as large
ABOVE = 0.55  # as large as on the first level, above it
START, LARGER = 0.72, 2.8  # as large on the first level, and at most
WEAKEST = 0.28  # opacity of the faintest on the first level; all are opaque when they are larger
PARTS = 64  # of a pixel, in which marks are placed
SAMPLED = 32  # cells of the index that a size column is looked at in
COARSER = 3  # levels above the sampling level: cells of 500 rows

_KNOWN = (
    "phot_g_mean_mag", "gaia_g_mag", "gmag", "g_mag", "vtmag", "vt_mag", "vt", "vmag", "v_mag",
    "hpmag", "mag", "magnitude", "mag_auto", "rmag", "r_mag", "imag", "i_mag", "btmag", "bt",
    "bmag", "jmag", "kmag",
)  # fmt: skip
_MAGNITUDE = re.compile(r"(?:^|_)(?:\w{0,3}mag|magnitude)(?:_|$|\d)")
_NO_MAGNITUDE = re.compile(r"(?:^|_)(?:e|err|error|sigma|unc|s)(?:_|$)|_(?:err|error)|^e_")


def magnitude_of(columns: Sequence[str], units: Mapping[str, str]) -> str | None:
    """Return the column that is most likely the brightness in magnitudes, None if none is.

    Well-known names come first (``phot_g_mean_mag``, ``vt``, ``mag`` ...), then names with ``mag``
    in them, then columns in mag; errors of magnitudes are none.
    """
    lower = {name.lower(): name for name in reversed(columns)}
    for name in _KNOWN:
        if name in lower:
            return lower[name]
    candidates = [name for name in columns if not _NO_MAGNITUDE.search(name.lower())]
    named = [name for name in candidates if _MAGNITUDE.search(name.lower())]
    in_mag = [name for name in candidates if units.get(name, "").strip().lower() == "mag"]
    return next(iter(named + in_mag), None)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Radii of marks by a column; or one radius for all where there is no column.

    Of magnitudes the area goes with a power p of the flux, A ~ 10^(-0.4 p m), clipped at both
    ends: ln r is linear in m between `faint` (radius `FAINT`) and `bright` (radius `BRIGHT`). Of
    other columns the area is linear in the value between the same ends.

    Parameters
    ----------
    column : str
        "" for none.
    magnitudes : bool
        Whether smaller values are brighter.
    faint, bright : float
        Values of the two ends.
    fixed : float
        Radius in pixels on every level, 0 for those that grow with the level.
    quantiles : tuple of float
        Values below which so many hundredths of the rows are, 0 to 100.
    """

    column: str = ""
    magnitudes: bool = False
    faint: float = 0.0
    bright: float = 1.0
    fixed: float = 0.0
    quantiles: tuple[float, ...] = ()

    def brightest(self, values: AnyArray, fraction: float) -> AnyArray:
        """Return which rows are among the brightest part (about) of the whole catalogue."""
        at = 100.0 * (fraction if self.magnitudes else 1.0 - fraction)
        cut = float(np.interp(at, np.arange(101), self.quantiles))
        mask: AnyArray = values < cut if self.magnitudes else values > cut
        return mask

    def growth(self, levels: int) -> float:
        """Return how much larger marks are, so many levels below the first that has them."""
        if self.fixed:
            return 1.0
        return ABOVE if levels < 0 else min(START * 2.0 ** (levels / DOUBLING), LARGER)

    def largest(self, levels: int) -> float:
        """Return the largest radius on a level, pixels."""
        if self.fixed:
            return self.fixed
        return min((BRIGHT * BEYOND if self.column else PLAIN) * self.growth(levels), MOST)

    def radii(self, values: AnyArray | None, n: int, levels: int) -> FloatArray:
        """Return the radii of `n` rows in pixels; what is missing gets the smallest."""
        grown = self.growth(levels)
        if values is None or self.fixed:
            return np.full(n, self.fixed or PLAIN * grown)
        t = (np.asarray(values, np.float64) - self.faint) / (self.bright - self.faint)
        t = np.nan_to_num(t, nan=0.0, posinf=0.0, neginf=0.0)
        if self.magnitudes:
            radii = FAINT * (BRIGHT / FAINT) ** np.minimum(t, 2.0)
        else:
            radii = np.sqrt(FAINT**2 + (BRIGHT**2 - FAINT**2) * np.clip(t, 0.0, 1.0))
        made: FloatArray = np.clip(radii, FAINT, BRIGHT * BEYOND) * grown
        return np.minimum(made, MOST)

    def strengths(self, radii: FloatArray, levels: int) -> FloatArray:
        """Return the opacity of marks, 0 to 255: weaker where small ones crowd.

        It rises with the radius to that of the middle between both ends, and with the level.
        """
        if not self.column or self.fixed:
            return np.full(radii.shape, 255.0)
        grown = self.growth(levels)
        low, high = FAINT * grown, np.sqrt(FAINT * BRIGHT) * grown
        t = np.clip((radii - low) / (high - low), 0.0, 1.0)
        least = WEAKEST + (1.0 - WEAKEST) * max(grown - 1.0, 0.0) / (LARGER - 1.0)
        made: FloatArray = 255.0 * (least + (1.0 - least) * t)
        return made


def sizes_of(
    size: str | float | None, columns: Sequence[str], units: Mapping[str, str], view: RowView
) -> Sizes:
    """Return the sizes that were asked for.

    Parameters
    ----------
    size : str or float, optional
        A column, or a radius in pixels (a number or its text); None takes a column of magnitudes
        if there is one.
    columns : sequence of str
    units : mapping of str to str
    view : RowView
        Rows that the ends are taken from.

    Raises
    ------
    UnknownNameError, InputError
    """
    column = magnitude_of(columns, units) if size is None else str(size)
    if column is None:
        return Sizes()
    if column not in columns:
        return Sizes(fixed=_radius(column, columns))
    values = sample_of(view, column)
    if values.dtype.kind not in "biuf":
        if size is None:
            return Sizes()
        msg = f"size {column!r} is not allowed: the column holds no numbers"
        raise InputError(msg)
    values = values[np.isfinite(values)].astype(np.float64)
    magnitudes = magnitude_of([column], units) is not None
    ends = (0.05, 98.0) if magnitudes else (2.0, 99.9)
    low, high = np.percentile(values, ends) if values.size else (0.0, 1.0)
    faint, bright = (high, low) if magnitudes else (low, high)
    if faint == bright:
        faint = bright + (1.0 if magnitudes else -1.0)
    parts = np.percentile(values, np.arange(101)) if values.size else np.zeros(101)
    return Sizes(column, magnitudes, float(faint), float(bright), quantiles=tuple(parts.tolist()))


def _radius(text: str, columns: Sequence[str]) -> float:
    try:
        radius = float(text)
    except ValueError:
        raise UnknownNameError("size", text, (*columns, "a radius in pixels")) from None
    if not LEAST <= radius <= MOST:
        allowed = f"a column, or a radius of {LEAST:g} to {MOST:g} pixels"
        msg = f"size {text} is not allowed: give {allowed}"
        raise InputError(msg)
    return radius


def shape_of(name: str) -> int:
    """Return the number of a shape; UnknownNameError when there is none of that name."""
    if name not in SHAPES:
        raise UnknownNameError("shape", name, tuple(SHAPES))
    return SHAPES[name]


def sample_of(view: RowView, column: str) -> AnyArray:
    """Return a column of rows from `SAMPLED` cells all over a view, always the same."""
    view = view.rough
    z = max(view.level - COARSER, -5)
    cells, _ = view.cells(z)
    pick = np.unique(np.linspace(0, cells.size - 1, min(SAMPLED, cells.size)).astype(np.int64))
    ranges = np.stack([cells[pick], cells[pick] + 1], axis=1) << key_shift(z)
    parts = [block.columns[column] for block in view.blocks(ranges, [column])]
    if not parts:
        return view.take(np.empty(0, np.int64), [column])[column]
    return np.concatenate(parts)


def fine_positions(window: Window, ra: AnyArray, dec: AnyArray) -> tuple[IntArray, IntArray]:
    """Return columns and rows of positions from a window's corner, in `PARTS` of a pixel.

    They are the integers of a lattice six levels deeper, so marks come out the same in every
    window. Columns are in 0 to the lattice's width where it is periodic; what the grid does not
    show gets a column far outside.
    """
    levels = PARTS.bit_length() - 1
    height, width = (n * PARTS for n in window.grid.lattice_shape(window.z))
    cols, rows = window.grid.lattice(ra, dec, window.z + levels)
    x, y = cols - window.col * PARTS, rows - window.row * PARTS
    if window.grid.periodic:
        x = np.mod(x, width)
    shown = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    return np.where(shown, x, -(1 << 60)), y
