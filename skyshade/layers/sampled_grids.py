"""Lattices that are no tile grids: the pixels of a WCS, and those of a HEALPix face."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry import healpix, keys
from skyshade.geometry.planes import wrap_ra
from skyshade.geometry.wcs import PixelMap
from skyshade.types import AnyArray, FloatArray, IntArray
from skyshade.types.lattice import Places

# Lowest corners of the twelve faces, counted in faces from the north pole down and along RA
# (Gorski et al. 2005, ApJ 622, 759; section 4.1).
_DOWN = (2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4)
_ALONG = (1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7)


@dataclass(frozen=True, eq=False)
class WcsGrid:
    """The pixels of an image with an ICRS WCS as a lattice of one level; row 0 on top.

    Parameters
    ----------
    pixels : PixelMap
    wcs : astropy.wcs.WCS
        That of `pixels`, whose row 0 is the lowest.
    step : float
        Degrees along a pixel, where the projection has its true scale.
    """

    pixels: PixelMap
    wcs: Any
    step: float
    id: str = "wcs"
    frame: Literal["sky", "plane"] = "sky"
    periodic: bool = False
    max_zoom: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self.pixels.shape

    @property
    def separable(self) -> bool:
        """Whether columns follow RA only and rows Dec only."""
        return self.pixels.projection == "CAR"

    def lattice_shape(self, z: int) -> tuple[int, int]:
        """Rows and columns; there is one level."""
        del z
        return self.shape

    def pixel_degrees(self, z: int) -> float:
        """Side of a pixel in degrees, at the projection's true scale."""
        del z
        return self.step

    def pixel_areas(self, z: int, cols: Places, rows: Places) -> FloatArray:
        """Return the solid angles of pixels (whole numbers) in square degrees.

        Plate carree: step**2 cos(dec); tangent plane: step**2 (1 + x**2 + y**2)**-1.5.
        """
        cols, rows = np.broadcast_arrays(np.asarray(cols, np.float64), np.asarray(rows, np.float64))
        if self.separable:
            _, dec = self.sky_axes(z, cols + 0.5, rows + 0.5)
            areas: FloatArray = self.step**2 * np.maximum(np.cos(np.radians(dec)), 0.0)
            return areas
        px, py = self.wcs.wcs.crpix
        x, y = ((v + 1.0 - p) * math.radians(self.step) for v, p in ((cols, px), (rows, py)))
        element: FloatArray = self.step**2 * (1.0 + x * x + y * y) ** -1.5
        return element

    def lattice(self, ra: AnyArray, dec: AnyArray, z: int) -> tuple[IntArray, IntArray]:
        """Return (columns, rows) that own ICRS positions; -1 where there is none."""
        del z
        x, y = self.pixels.sky_to_pixel(ra, dec)
        inside = self.pixels.inside(x, y)
        col, row = (np.where(inside, np.floor(v + 0.5), -1.0).astype(np.int64) for v in (x, y))
        return col, np.where(inside, self.shape[0] - 1 - row, -1)

    def sky(
        self, z: int, cols: Places, rows: Places, *, beyond: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Return (ra, dec) of lattice positions, NaN beyond the lattice unless `beyond`."""
        del z
        cols, rows = np.broadcast_arrays(np.asarray(cols, np.float64), np.asarray(rows, np.float64))
        ra, dec = self.pixels.pixel_to_sky(cols - 0.5, self.shape[0] - 0.5 - rows)
        if beyond:
            return ra, dec
        inside = (cols >= 0) & (cols <= self.shape[1]) & (rows >= 0) & (rows <= self.shape[0])
        return np.where(inside, ra, np.nan), np.where(inside, dec, np.nan)

    def sky_axes(self, z: int, cols: Places, rows: Places) -> tuple[FloatArray, FloatArray]:
        """Return ra of columns and dec of rows; beyond the poles dec goes on."""
        del z
        if not self.separable:
            msg = f"projection {self.pixels.projection} has no axes"
            raise InputError(msg)
        (ra0, _), (px, py) = self.wcs.wcs.crval, self.wcs.wcs.crpix
        ra = wrap_ra(ra0 - (np.asarray(cols, np.float64) + 0.5 - px) * self.step)
        return ra, (self.shape[0] + 0.5 - np.asarray(rows, np.float64) - py) * self.step


@dataclass(frozen=True)
class FaceGrid:
    """One of the twelve faces of a HEALPix map as a lattice; columns and rows run along its sides.

    Column c and row r of a position within the face follow Gorski et al. 2005 (ApJ 622, 759), eqs
    4-9, in the continuous form of Calabretta & Roukema 2007 (MNRAS 381, 865): with x = c / nside
    and y = r / nside, the place is d = down - x - y faces below the north pole.

    Parameters
    ----------
    face : int
        0 to 11.
    nside : int
    """

    face: int
    nside: int
    frame: Literal["sky", "plane"] = "sky"
    periodic: bool = False
    separable: bool = False
    max_zoom: int = 0

    @property
    def id(self) -> str:
        """Name of the lattice."""
        return f"healpix-{self.nside}-{self.face}"

    def lattice_shape(self, z: int) -> tuple[int, int]:
        """Rows and columns; there is one level."""
        del z
        return self.nside, self.nside

    def pixel_degrees(self, z: int) -> float:
        """Side of a square of a pixel's area."""
        del z
        return healpix.resolution(self.nside)

    def pixel_areas(self, z: int, cols: Places, rows: Places) -> FloatArray:
        """Return the solid angles of pixels in square degrees: all are equal."""
        del z
        shape = np.broadcast_shapes(np.shape(cols), np.shape(rows))
        return np.full(shape, healpix.pixel_area(self.nside))

    def lattice(self, ra: AnyArray, dec: AnyArray, z: int) -> tuple[IntArray, IntArray]:
        """Return (columns, rows) that own ICRS positions; -1 where another face does."""
        del z
        number = healpix.pixel_of(self.nside, ra, dec, nested=True)
        here = number // (self.nside * self.nside) == self.face
        inner = np.where(here, number % (self.nside * self.nside), 0)
        col, row = keys.decode(inner)
        return np.where(here, col, -1), np.where(here, row, -1)

    def sky(
        self, z: int, cols: Places, rows: Places, *, beyond: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Return (ra, dec) of lattice positions; beyond the face NaN, or those of its sides."""
        del z
        x, y = np.asarray(cols, np.float64) / self.nside, np.asarray(rows, np.float64) / self.nside
        x, y = np.broadcast_arrays(x, y)
        inside = (x >= 0.0) & (x <= 1.0) & (y >= 0.0) & (y <= 1.0)
        ra, dec = _place(self.face, np.clip(x, 0.0, 1.0), np.clip(y, 0.0, 1.0))
        if beyond:
            return ra, dec
        return np.where(inside, ra, np.nan), np.where(inside, dec, np.nan)

    def sky_axes(self, z: int, cols: Places, rows: Places) -> tuple[FloatArray, FloatArray]:
        """Raise InputError: a face has no axes."""
        del z, cols, rows
        msg = f"grid {self.id!r} has no axes: columns follow neither RA nor Dec alone"
        raise InputError(msg)


def face_order(grid: FaceGrid, cols: Places, rows: Places, nested: bool) -> IntArray:
    """Return the pixel numbers of lattice pixels (whole numbers), NESTED or RING."""
    cols, rows = np.broadcast_arrays(np.asarray(cols, np.int64), np.asarray(rows, np.int64))
    inner = keys.encode(cols.ravel(), rows.ravel()).reshape(cols.shape)
    number = grid.face * grid.nside * grid.nside + inner
    return number if nested else healpix.nested_to_ring(grid.nside, number)


def _place(face: int, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (lon, lat) in degrees of a place in a face, x and y from 0 to 1."""
    down = _DOWN[face] - x - y
    cap = np.minimum(np.minimum(down, 4.0 - down), 1.0)  # faces from the nearer pole
    # in the caps 1 - |z| = cap**2 / 3 is 2 sin(distance / 2)**2: keeps all digits near the pole
    away = np.degrees(2.0 * np.arcsin(np.minimum(cap / math.sqrt(6.0), 1.0)))
    polar = np.copysign(90.0 - away, 2.0 - down)
    belt = np.degrees(np.arcsin(np.clip((2.0 - down) * (2.0 / 3.0), -1.0, 1.0)))
    lat = np.where(cap < 1.0, polar, belt)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.where(cap > 0.0, (x - y) / cap, 0.0)
    return wrap_ra(45.0 * (_ALONG[face] + shift)), lat
