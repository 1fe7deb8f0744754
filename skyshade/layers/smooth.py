"""Gaussian smoothing of any layer of numbers, on the window's lattice with a halo around it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry.grids import SKY
from skyshade.geometry.mirror import mirrored
from skyshade.layers.derived import DerivedLayer, whole_window
from skyshade.layers.reductions import DENSITY
from skyshade.layers.smooth_lattice import Smoothed, SmoothLattice, cubic, cubic_weights
from skyshade.types import Aggregate, AnyArray, FloatArray, Layer, LayerInfo, Window

SIGMA = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))  # of a full width at half maximum of 1
WIDEST = 90.0
_FINEST = 6.0  # lattice pixels in a sigma, at most; at least half as many
_COARSEST = -2  # level
_HALF = 0.5  # of the beam's weight must be valid
_TAKEN = 0.3  # of the beam's variance, at most, is taken off for what sampling adds
_DEEPER = 2  # levels below the lattice's that are averaged into its cells
_FINE = 180.0 / (1 << 40)


@runtime_checkable
class HasCellMeans(Protocol):
    """A layer that can be averaged into cells without loss (maps)."""

    def cell_means(self, window: Window, cell: float) -> Aggregate:
        """See `MapLayer.cell_means`."""
        ...


class SmoothedLayer(DerivedLayer):
    """A layer smoothed by a Gaussian beam.

    The beam is exp(-d**2 / (2 sigma**2)) of the true angular distance d, at the poles and across
    RA 0 too. Missing pixels get no weight and the rest is scaled up; where less than half of the
    beam's weight is valid the result is missing. Wide beams work on a coarser lattice, three to
    six pixels a sigma, from which the window is interpolated; on zoom levels where the beam is
    narrower than a third of a displayed pixel nothing is smoothed.

    Parameters
    ----------
    layer : Layer
        Of numbers on the sky that do not depend on the pixel's size (of catalogues: densities and
        means, not counts).
    fwhm : float
        Full width at half maximum in degrees, above 0, at most 90.
    id : str, optional
        Name in URLs; "" makes one.

    Raises
    ------
    InputError
        `fwhm` is not allowed, or the layer has colours.
    """

    def __init__(self, layer: Layer, fwhm: float, *, id: str = "") -> None:
        if not 0.0 < fwhm <= WIDEST:
            msg = f"fwhm={fwhm!r} is not allowed: give degrees above 0, at most {WIDEST:g}"
            raise InputError(msg)
        if layer.info.kind in ("rgb", "image"):
            msg = (
                f"layer {layer.info.id!r} of kind {layer.info.kind!r} has colours: smooth its parts"
            )
            raise InputError(msg)
        self.fwhm = float(fwhm)
        super().__init__([layer], _info(layer.info, self.fwhm, id), repr(self.fwhm))

    @mirrored
    def _compute(self, window: Window) -> Aggregate:
        displayed = window.grid.pixel_degrees(window.z)
        if self.fwhm < displayed / 3.0:
            return _numbers(self.parts[0], self.parts[0].compute(window))
        lattice = self._lattice(displayed)
        found = (_on_sky if window.grid.id == SKY.id else _elsewhere)(lattice, window)
        values = np.where(found.fraction >= _HALF, found.values, np.nan).astype(np.float32)
        return Aggregate(values, self.info.units, "", found.quality)

    def value(self, ra: float, dec: float) -> float | None:
        """Return the smoothed value at an ICRS position in degrees; None where it is missing."""
        if not (math.isfinite(ra) and -90.0 <= dec <= 90.0):
            return None
        found = _at(self._lattice(_FINE), np.array([[ra]]), np.array([[dec]]))
        return float(found.values[0, 0]) if found.fraction[0, 0] >= _HALF else None

    def _lattice(self, displayed: float) -> SmoothLattice:
        """Return the lattice to work on for displayed pixels of so many degrees."""
        sigma = self.fwhm * SIGMA
        fit = max(_level_of(sigma / _FINEST), _COARSEST)
        z = min(fit, math.ceil(math.log2(SKY.pixel_degrees(0) / displayed) - 1e-6))
        part = self.parts[0]
        deeper = 0 if part.info.kind == "catalog" else min(_DEEPER, SKY.max_zoom - z)
        spread = _spread(part, SKY.pixel_degrees(z), SKY.pixel_degrees(z + deeper))
        if spread < _TAKEN * sigma**2:  # what sampling on the lattice has smoothed already
            sigma = math.sqrt(sigma**2 - spread)
        return SmoothLattice(partial(_read, part), z, sigma, deeper)

    def _sample(self) -> AnyArray:
        sigma = max(self.fwhm * SIGMA, SKY.pixel_degrees(self.info.max_zoom))
        return self.compute(whole_window(self.info, _level_of(sigma))).values


def _read(part: Layer, window: Window, cell: float) -> Aggregate:
    """Return the numbers that are averaged into cells of so many degrees."""
    if isinstance(part, HasCellMeans):
        return part.cell_means(window, cell)
    made = _numbers(part, part.compute(window))
    if getattr(part, "reduction", None) == DENSITY:
        return replace(made, values=np.nan_to_num(made.values))  # no row is a density of 0
    return made


def _numbers(part: Layer, made: Aggregate) -> Aggregate:
    if made.values.ndim != 2 or made.values.dtype.kind != "f":
        msg = (
            f"layer {part.info.id!r} gives {made.values.dtype} with axes {', '.join(made.dims)}: "
            "only densities, means and other plain numbers can be smoothed"
        )
        raise InputError(msg)
    return made


def _level_of(size: float) -> int:
    """Return the first level whose pixels are no larger than `size` degrees; may be negative."""
    return min(math.ceil(math.log2(SKY.pixel_degrees(0) / size) - 1e-9), SKY.max_zoom)


def _info(info: LayerInfo, fwhm: float, id: str) -> LayerInfo:
    return replace(
        info,
        id=id or f"{info.id}-smooth-{fwhm:g}",
        title=f"{info.title}, smoothed to {fwhm:g} deg",
        kind="map",
        resolution=max(info.resolution, fwhm / 3.0),
        max_zoom=min(info.max_zoom, max(_level_of(fwhm / 3.0), 0)),
        planes=(),
        columns=(),
        categories=(),
    )


def _spread(part: Layer, cell: float, pixel: float) -> float:
    """Return the variance, square degrees, of how a part is brought into cells of the lattice.

    Means over a side s spread by s**2 / 12, linear interpolation between pixels by s**2 / 6 on
    average. Pixels of `pixel` degrees are sampled and averaged into cells of `cell` degrees; a
    catalogue's rows are counted in cells.
    """
    if part.info.kind == "catalog":
        return cell**2 / 12.0
    averaged, native = (cell**2 - pixel**2) / 12.0, part.info.resolution
    size = cell if isinstance(part, HasCellMeans) else pixel
    if size >= native:
        side = native * 2.0 ** math.floor(math.log2(size / native) + 1e-9)
    else:
        side = native
    between = 1.0 / 6.0 if isinstance(part, HasCellMeans) else 1.0 / 12.0
    return averaged + (side**2 - native**2) / 12.0 + side**2 * between


def _on_sky(lattice: SmoothLattice, window: Window) -> Smoothed:
    """Return the smoothed numbers on a window of ``sky`` at the lattice's level or deeper."""
    height = SKY.lattice_shape(window.z)[0]
    first, last = max(window.row, 0), min(window.row + window.height, height)
    values, fraction = np.zeros(window.shape), np.zeros(window.shape)
    if first >= last:
        return Smoothed(values, fraction, "exact")
    cols = window.col, window.col + window.width
    if window.z == lattice.z:
        made = lattice.block((first, last), cols)
    else:
        made = _enlarged(lattice, window.z - lattice.z, (first, last), cols)
    inside = np.s_[first - window.row : last - window.row]
    values[inside], fraction[inside] = made.values, made.fraction
    return Smoothed(values, fraction, made.quality)


def _enlarged(
    lattice: SmoothLattice, levels: int, rows: tuple[int, int], cols: tuple[int, int]
) -> Smoothed:
    """Return a rectangle of the lattice that is so many levels deeper."""
    y = (np.arange(*rows) + 0.5) / (1 << levels) - 0.5
    x = (np.arange(*cols) + 0.5) / (1 << levels) - 0.5
    top, left = math.floor(y[0]) - 1, math.floor(x[0]) - 1
    made = lattice.block((top, math.floor(y[-1]) + 3), (left, math.floor(x[-1]) + 3))
    values, fraction = (cubic(cubic(a, x - left, 1), y - top, 0) for a in made[:2])
    return Smoothed(values, fraction, made.quality)


def _elsewhere(lattice: SmoothLattice, window: Window) -> Smoothed:
    """Return the smoothed numbers on a window of any sky grid."""
    rows = window.row + np.arange(window.height)[:, None] + 0.5
    return _at(
        lattice, *window.grid.sky(window.z, window.col + np.arange(window.width) + 0.5, rows)
    )


def _at(lattice: SmoothLattice, ra: FloatArray, dec: FloatArray) -> Smoothed:
    """Return the smoothed numbers at ICRS positions in degrees, shape (h, w); nothing at NaN."""
    height, width = lattice.shape
    values, fraction = np.zeros(ra.shape), np.zeros(ra.shape)
    shown = np.isfinite(ra) & np.isfinite(dec)
    if not shown.any():
        return Smoothed(values, fraction, "exact")
    x = np.mod((180.0 - ra[shown]) / 360.0, 1.0) * width - 0.5
    y = (90.0 - dec[shown]) / 180.0 * height - 0.5
    left = _west_end(np.floor(x).astype(np.int64), width)
    x = np.mod(x - left, width)  # columns east of the west end
    top = math.floor(y.min()) - 1
    made = lattice.block((top, math.floor(y.max()) + 3), (left - 1, left + math.floor(x.max()) + 3))
    values[shown], fraction[shown] = (_gathered(a, y - top, x + 1.0) for a in made[:2])
    return Smoothed(values, fraction, made.quality)


def _west_end(cols: AnyArray, width: int) -> int:
    """Return the first column of the shortest run, round the sky, that holds all columns."""
    used = np.unique(cols % width)
    gaps = np.diff(used, append=used[0] + width)
    return int(used[(int(np.argmax(gaps)) + 1) % used.size])


def _gathered(values: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Return values interpolated at fractional (row, column) indices, shape (n,)."""
    row, col = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    across, down = cubic_weights(x - col), cubic_weights(y - row)
    made = np.zeros(x.shape)
    for i, weight in enumerate(down):
        line = np.zeros(x.shape)
        for j, part in enumerate(across):
            line += part * values[row + (i - 1), col + (j - 1)]
        made += weight * line
    return made
