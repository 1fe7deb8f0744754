"""A layer on a lattice of the caller's own: plate carree, tangent plane or HEALPix."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from skyshade.errors import (
    ChangedError,
    InputError,
    NoOverlapError,
    TooLargeError,
    UnknownNameError,
)
from skyshade.geometry.healpix import order_of
from skyshade.geometry.wcs import PixelMap
from skyshade.layers.analysis_numbers import Deadline
from skyshade.layers.analysis_regions import Box, Patch, Region, box_of, check_position
from skyshade.layers.cutout import check_size
from skyshade.layers.sampled_grids import FaceGrid, WcsGrid, face_order
from skyshade.types import ALL_SKY, Aggregate, AnyArray, Coverage, Grid, LayerInfo, Quality, Window

if TYPE_CHECKING:
    import xarray as xr

PIXELS = 1 << 26
PROJECTIONS = ("CAR", "TAN")
WIDEST = 120.0  # degrees of a tangent plane
_SIDE = 512  # lattice pixels computed at once
_WHOLE = 1e-6  # of a pixel
_QUALITIES: tuple[Quality, ...] = ("preview", "sample", "approximate", "exact")


class Shown(Protocol):
    """A layer that can be computed on windows."""

    @property
    def info(self) -> LayerInfo:
        """Description."""
        ...

    @property
    def version(self) -> str:
        """Changes with the numbers."""
        ...

    def compute(self, window: Window) -> Aggregate:
        """Return the numbers on a window."""
        ...


class Sampling:
    """What any layer on the sky inherits."""

    def sample(
        self: Shown,
        *,
        resolution: float | None = None,
        nside: int | None = None,
        box: Sequence[float] | None = None,
        projection: str = "CAR",
        nested: bool = False,
        max_pixels: int | None = PIXELS,
        timeout: float | None = None,
    ) -> xr.DataArray:
        """Return the layer at a resolution of your own, in exact quality.

        The numbers are those that a tile with such pixels shows: of a map, bilinear on the coarsest
        level whose pixels are no larger, or the layer's own reduction.

        Parameters
        ----------
        resolution : float
            Degrees along a pixel, for the projections.
        nside : int
            For HEALPix (ICRS), instead of `resolution`.
        box : (float, float, float, float), optional
            ra_east, ra_west, dec_min, dec_max; by default all that the layer covers.
        projection : {"CAR", "TAN"}
            Plate carree, or the tangent plane at the middle of the box.
        nested : bool
            Number HEALPix pixels NESTED; else RING.
        max_pixels : int, optional
            Most pixels of the result; None for no limit.
        timeout : float, optional
            Seconds.

        Returns
        -------
        xarray.DataArray
            Dims (y, x), row 0 in the south, with coordinates dec along y and ra along x for
            ``CAR``, and the attribute wcs; or (pixel,) with the attributes nside, nested and frame,
            NaN outside the box. Attributes units, version and quality.

        Raises
        ------
        InputError
            A value is not allowed, or neither or both of `resolution` and `nside` are given.
        TooLargeError
            More than `max_pixels` pixels.
        ChangedError, TimeoutError
        """
        if (resolution is None) == (nside is None):
            msg = "give either resolution (degrees) or nside"
            raise InputError(msg)
        where = box_of(*(float(v) for v in box)) if box is not None else self.info.coverage
        deadline = Deadline(timeout)
        if nside is not None:
            return _healpix(self, nside, nested, where, max_pixels, deadline)
        grid = lattice_of(where, float(resolution or 0.0), projection)
        check_count(grid.shape[0] * grid.shape[1], max_pixels, f"resolution={resolution:g}")
        made = on_grid(self, grid, deadline)
        return _dataarray(made, grid)


def on_grid(layer: Shown, grid: WcsGrid, deadline: Deadline) -> Aggregate:
    """Return a layer on all of a grid, row 0 on top, window by window."""
    version, made = layer.version, Aggregate(np.empty(0))
    whole, worst = np.empty(0), _QUALITIES[-1]
    for window in _windows(grid):
        deadline.check()
        made = _exactly(layer, window, deadline)
        if not whole.size:
            whole = np.empty((*grid.shape, *made.values.shape[2:]), made.values.dtype)
        rows = np.s_[window.row : window.row + window.height]
        whole[rows, window.col : window.col + window.width] = made.values
        worst = min(worst, made.quality, key=_QUALITIES.index)
    _unchanged(layer, version)
    return Aggregate(whole, made.units, version, worst, made.categories, made.axis)


def lattice_of(box: Coverage, resolution: float, projection: str) -> WcsGrid:
    """Return the lattice of pixels of so many degrees that covers a rectangle of the sky.

    Its middle is the rectangle's. A whole circle, or a whole meridian, is filled with as many
    pixels as fit.
    """
    if not (0.0 < resolution <= 180.0):
        msg = f"resolution={resolution!r} is not allowed: degrees above 0, at most 180"
        raise InputError(msg)
    if projection not in PROJECTIONS:
        raise UnknownNameError("projection", projection, PROJECTIONS)
    wide, tall = box.ra_east - box.ra_west, box.dec_max - box.dec_min
    ra, dec = Box(box).middle
    if projection == "TAN":
        lowest = 0.0 if box.dec_min <= 0.0 <= box.dec_max else min(map(abs, box[2:]))
        return tangent_of(ra, dec, wide * math.cos(math.radians(lowest)), tall, resolution)
    nx, ny = _count(wide, resolution, 360.0), _count(tall, resolution, 180.0)
    wcs = make_wcs("CAR", (ra, 0.0), resolution, ((nx + 1) / 2, (ny + 1) / 2 - dec / resolution))
    return WcsGrid(PixelMap(wcs, (ny, nx)), wcs, resolution)


def tangent_of(ra: float, dec: float, wide: float, tall: float, resolution: float) -> WcsGrid:
    """Return the lattice of a tangent plane that shows so many degrees about a position."""
    check_position(ra, dec)
    if not (0.0 < max(wide, tall) <= WIDEST):
        msg = (
            f"a tangent plane of {wide:g} x {tall:g} degrees is not allowed: "
            f"at most {WIDEST:g} along a side"
        )
        raise InputError(msg)
    sides = (math.degrees(2.0 * math.tan(math.radians(side / 2.0))) for side in (wide, tall))
    nx, ny = (_count(side, resolution, math.inf) for side in sides)
    wcs = make_wcs("TAN", (ra, dec), resolution, ((nx + 1) / 2, (ny + 1) / 2))
    return WcsGrid(PixelMap(wcs, (ny, nx)), wcs, resolution)


def tangent_plane(
    layer: Shown, region: Region, resolution: float, most: int | None, deadline: Deadline
) -> tuple[Aggregate, WcsGrid]:
    """Return a layer on the tangent plane about a region's middle, row 0 on top.

    Raises
    ------
    NoOverlapError
        The layer has nothing there.
    """
    if isinstance(region, Patch):
        grid = tangent_of(*region.middle, region.width, region.height, resolution)
    elif isinstance(region, Box):
        grid = lattice_of(region.coverage, resolution, "TAN")
    else:
        side = 2.0 * region.outer
        grid = tangent_of(*region.middle, side, side, resolution)
    if most is not None:
        check_size(*grid.shape, most)
    made = on_grid(layer, grid, deadline)
    shown = made.values if made.values.dtype.kind == "f" else made.values > 0
    if not (np.isfinite(shown).any() if shown.dtype.kind == "f" else shown.any()):
        ra, dec = region.middle
        msg = f"layer {layer.info.id!r} has no value within {region.outer:g} degrees of "
        raise NoOverlapError(f"{msg}ra={ra:g}, dec={dec:g}")
    return made, grid


def make_wcs(code: str, crval: tuple[float, float], step: float, crpix: tuple[float, float]) -> Any:
    """Return an ICRS WCS, east left and north up."""
    from astropy.wcs import WCS  # noqa: PLC0415 (not on the tile path)

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = crval, crpix, (-step, step)
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def check_count(count: int, most: int | None, given: str) -> None:
    """Raise TooLargeError when a result would have more than `most` pixels."""
    if most is not None and count > most:
        msg = f"{given} makes {count} pixels: at most {most} are allowed; take coarser ones"
        raise TooLargeError(msg)


def _count(side: float, step: float, whole: float) -> int:
    count = math.ceil(side / step - _WHOLE)
    if math.isfinite(whole):
        count = min(count, math.floor(whole / step + _WHOLE))
    return max(1, count)


def _windows(grid: Grid) -> Iterator[Window]:
    ny, nx = grid.lattice_shape(0)
    for row in range(0, ny, _SIDE):
        for col in range(0, nx, _SIDE):
            yield Window(grid, 0, col, row, min(_SIDE, nx - col), min(_SIDE, ny - row))


def _exactly(layer: Shown, window: Window, deadline: Deadline) -> Aggregate:
    """Return the numbers on a window; waits for an overview that is needed."""
    made = layer.compute(window)
    wait = getattr(layer, "wait_exact", None)
    if made.quality == "preview" and wait is not None:
        wait(deadline.left())
        made = layer.compute(window)
    return made


def _unchanged(layer: Shown, version: str) -> None:
    if layer.version != version:
        raise ChangedError(f"layer {layer.info.id!r}", "changed while it was read; ask again")


def _dataarray(made: Aggregate, grid: WcsGrid) -> xr.DataArray:
    import xarray as xr  # noqa: PLC0415 (half a second; not on the tile path)

    coords: dict[str, Any] = {}
    if grid.separable:
        ny, nx = grid.shape
        ra, dec = grid.sky_axes(0, np.arange(nx) + 0.5, np.arange(ny) + 0.5)
        coords = {"ra": ("x", ra), "dec": ("y", dec[::-1])}
    if made.values.ndim == 3:
        coords[made.axis] = list(made.categories)
    attrs = {
        "units": made.units,
        "version": made.version,
        "quality": made.quality,
        "wcs": grid.wcs,
        "frame": "icrs",
    }
    return xr.DataArray(made.values[::-1], coords, made.dims, attrs=attrs)


def _healpix(
    layer: Shown, nside: int, nested: bool, box: Coverage, most: int | None, deadline: Deadline
) -> xr.DataArray:
    """Return a layer on the pixels of a HEALPix map, face by face."""
    import xarray as xr  # noqa: PLC0415 (half a second; not on the tile path)

    order_of(nside)
    check_count(12 * nside * nside, most, f"nside={nside}")
    version, region = layer.version, Box(box)
    out, worst, units = np.full(12 * nside * nside, np.nan, np.float32), "exact", layer.info.units
    for face in range(12):
        grid = FaceGrid(face, nside)
        for window in _windows(grid):
            deadline.check()
            at, inside = _face_pixels(grid, window, region, nested, box == ALL_SKY)
            if not inside.any():
                continue
            made = _exactly(layer, window, deadline)
            if made.values.ndim != 2:
                msg = f"layer {layer.info.id!r} gives {', '.join(made.dims)}: only numbers can be"
                raise InputError(f"{msg} put on HEALPix pixels")
            out[at[inside]] = made.values[inside]
            worst = min(worst, made.quality, key=_QUALITIES.index)
            units = made.units
    _unchanged(layer, version)
    attrs = {
        "units": units,
        "version": version,
        "quality": worst,
        "nside": nside,
        "nested": nested,
        "frame": "icrs",
    }
    return xr.DataArray(out, dims=("pixel",), attrs=attrs)


def _face_pixels(
    grid: FaceGrid, window: Window, region: Box, nested: bool, everywhere: bool
) -> tuple[AnyArray, AnyArray]:
    """Return the numbers of a window's pixels, and which have their centres in a region."""
    rows = np.arange(window.row, window.row + window.height)[:, None]
    cols = np.arange(window.col, window.col + window.width)
    at = face_order(grid, cols, rows, nested)
    if everywhere:
        return at, np.ones(at.shape, bool)
    return at, region.holds(*grid.sky(0, cols + 0.5, rows + 0.5))
