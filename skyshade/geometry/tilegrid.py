"""Tile grids (OGC tile matrix sets) and the integer lattice of their pixels.

``sky``, the viewer's grid (east left): t = ((180 - ra) / 360) mod 1 and s = (dec + 90) / 180, each
computed once in float64. Level z has 2**(z + 1) x 2**z tiles of 256 px. With N = 256 * 2**z a
position falls into column floor(2 N t) and row N - 1 - min(floor(N s), N - 1). Scaling by powers of
two is exact, so levels nest.

``WorldCRS84Quad`` is its mirror image: column 2 N - 1 - floor(2 N t). All other grids lay t and s
along the extent of their plane: column floor(W t), row H - 1 - floor(H s), for a lattice of W x H;
what falls beyond the lattice is not on the grid. On ``hips`` a lattice pixel is a HEALPix pixel.
Nobody compares floats for tile edges: a pixel owns what this integer formula gives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from skyshade.errors import InputError, OutsideGridError
from skyshade.geometry.hips import HealpixPlane
from skyshade.geometry.planes import EARTH, SkyPlane, sky_fraction, wrap_ra
from skyshade.types import AnyArray, Extent, FloatArray, IntArray, Plane, Tile
from skyshade.types.lattice import Places

TILE_SIZE = 256
MAX_ZOOM = 22
OGC = "http://www.opengis.net/def/"
_PIXEL = 0.00028  # metres; what OGC's scale denominators take a pixel for


@dataclass(frozen=True, slots=True)
class TileGrid:
    """A quadtree of square tiles over a plane; row 0 is at the top.

    Parameters
    ----------
    id : str
        Name in URLs.
    title : str
        One line for people.
    plane : Plane
    extent : Extent
        What level 0 covers, in plane units.
    columns, rows : int
        Tiles of level 0.
    max_zoom : int
    crs : str
        OGC name of the coordinate reference system, "" where there is none.
    """

    id: str
    title: str
    plane: Plane
    extent: Extent
    columns: int
    rows: int
    max_zoom: int = MAX_ZOOM
    crs: str = ""

    @property
    def frame(self) -> Literal["sky", "plane"]:
        """Whether the grid lies on the sky or on free x/y data."""
        return self.plane.frame

    @property
    def periodic(self) -> bool:
        """Whether columns go round the sky."""
        return self.plane.period is not None

    @property
    def separable(self) -> bool:
        """Whether columns follow RA only and rows Dec only."""
        return self.plane.separable

    def lattice_shape(self, z: int) -> tuple[int, int]:
        """Rows and columns of the pixel lattice of level `z` (-1 is allowed: half of level 0)."""
        if z >= 0:
            return self.rows * TILE_SIZE << z, self.columns * TILE_SIZE << z
        return self.rows * TILE_SIZE >> -z, self.columns * TILE_SIZE >> -z

    def pixel_size(self, z: int) -> float:
        """Return the side of a lattice pixel of level `z` in plane units (degrees on ``sky``)."""
        return (self.extent.xmax - self.extent.xmin) / self.lattice_shape(z)[1]

    def pixel_degrees(self, z: int) -> float:
        """Return the side of a lattice pixel of level `z` in degrees of sky.

        It is that where the plane has its true scale: on the equator of cylindrical grids, at the
        centre of a tangent plane. One number for a level: what is chosen by it joins between tiles.
        """
        return self.pixel_size(z) * self.plane.degrees

    def check(self, tile: Tile) -> Tile:
        """Return `tile`; raise OutsideGridError when it lies beyond the grid."""
        z, x, y = tile
        if not 0 <= z <= self.max_zoom:
            msg = f"zoom {z} is outside grid {self.id!r}: allowed are 0 to {self.max_zoom}"
            raise OutsideGridError(msg)
        nx, ny = self.columns << z, self.rows << z
        if not (0 <= x < nx and 0 <= y < ny):
            msg = (
                f"tile {z}/{x}/{y} is outside grid {self.id!r}: "
                f"level {z} has x 0 to {nx - 1} and y 0 to {ny - 1}"
            )
            raise OutsideGridError(msg)
        return tile

    def tile_extent(self, tile: Tile) -> Extent:
        """Return the rectangle of `tile` in plane units."""
        side = self.pixel_size(tile.z) * TILE_SIZE
        xmin = self.extent.xmin + tile.x * side
        ymax = self.extent.ymax - tile.y * side
        return Extent(xmin, ymax - side, xmin + side, ymax)

    def tiles(self, extent: Extent, z: int) -> Iterator[Tile]:
        """Yield the tiles of level `z` that share area with `extent`, row by row."""
        side = self.pixel_size(z) * TILE_SIZE
        x0 = max(0, math.floor((extent.xmin - self.extent.xmin) / side))
        x1 = min(self.columns << z, math.ceil((extent.xmax - self.extent.xmin) / side))
        y0 = max(0, math.floor((self.extent.ymax - extent.ymax) / side))
        y1 = min(self.rows << z, math.ceil((self.extent.ymax - extent.ymin) / side))
        for y in range(y0, y1):
            for x in range(x0, x1):
                yield Tile(z, x, y)

    def zoom_for(self, resolution: float) -> int:
        """Return the first level whose pixels are no larger than `resolution` degrees."""
        if not resolution > 0:
            msg = f"resolution {resolution!r} is not allowed: give a positive number of degrees"
            raise InputError(msg)
        z = math.ceil(math.log2(self.pixel_degrees(0) / resolution) - 1e-9)
        return min(max(z, 0), self.max_zoom)

    def lattice(self, ra: AnyArray, dec: AnyArray, z: int) -> tuple[IntArray, IntArray]:
        """Return the lattice (columns, rows) of level `z` that own ICRS positions in degrees.

        Positions must be valid: finite, -90 <= dec <= 90. Those that the grid does not show get a
        column or a row just beyond the lattice.
        """
        height, width = self.lattice_shape(z)
        x0, y0, x1, y1 = self.extent
        if isinstance(self.plane, SkyPlane):
            s = (np.asarray(dec, np.float64) - y0) / (y1 - y0)
            col = np.floor(sky_fraction(ra) * width).astype(np.int64)
            up = np.minimum(np.floor(s * height).astype(np.int64), height - 1)
            return (width - 1 - col if self.plane.mirrored else col), height - 1 - up
        if isinstance(self.plane, HealpixPlane):
            return self.plane.cells(ra, dec, width // self.columns)
        x, y = self.plane.from_sky(ra, dec)
        t, s = (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)
        last = width - 1 if self.periodic else width
        return _cell(t, width, last), height - 1 - _cell(s, height, height)

    def tile_of(self, ra: float, dec: float, z: int) -> Tile:
        """Return the tile of level `z` that owns an ICRS position in degrees.

        Raises OutsideGridError where the grid does not show the position.
        """
        col, row = self.lattice(np.array([ra]), np.array([dec]), z)
        return self.check(Tile(z, int(col[0]) // TILE_SIZE, int(row[0]) // TILE_SIZE))

    def sky_axes(self, z: int, cols: AnyArray, rows: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ra (0..360) of lattice columns and dec of lattice rows of level `z`, degrees.

        Fractional positions are allowed: pixel centres lie at +0.5. Rows beyond the poles give
        dec beyond +-90. Raises InputError where the grid is not separable.
        """
        if not self.separable:
            msg = f"grid {self.id!r} has no axes: columns follow neither RA nor Dec alone"
            raise InputError(msg)
        width = self.lattice_shape(z)[1]
        cols, rows = np.asarray(cols, np.float64), np.asarray(rows, np.float64)
        if self.periodic:
            cols = np.mod(cols, width)
        if isinstance(self.plane, SkyPlane):
            along = (width - cols if self.plane.mirrored else cols) / width
            return wrap_ra(180.0 - 360.0 * along), self._plane_point(z, cols, rows)[1]
        x, y = self._plane_point(z, cols, rows)
        return self.plane.to_sky(x, np.zeros(()))[0], self.plane.to_sky(np.zeros(()), y)[1]

    def sky(
        self, z: int, cols: Places, rows: Places, *, beyond: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Return ICRS (ra 0..360, dec) of lattice positions of level `z`; broadcast shape.

        Parameters
        ----------
        z : int
        cols, rows : array_like
            Fractional positions are allowed: pixel centres lie at +0.5.
        beyond : bool
            What to do beyond the lattice: NaN, or go on smoothly (on plate carree down the other
            side of a pole).
        """
        height, width = self.lattice_shape(z)
        cols, rows = np.asarray(cols, np.float64), np.asarray(rows, np.float64)
        if self.separable:
            ra, dec = np.broadcast_arrays(*self.sky_axes(z, cols, rows))
        else:
            ra, dec = self.plane.to_sky(*self._plane_point(z, cols, rows))
        over = np.abs(dec) > 90.0
        if beyond:
            if over.any():
                ra = wrap_ra(np.where(over, ra + 180.0, ra))
                dec = np.where(over, np.copysign(180.0, dec) - dec, dec)
            return ra, dec
        outside = over | (rows < 0) | (rows > height)
        if not self.periodic:
            outside |= (cols < 0) | (cols > width)
        if not outside.any():
            return ra, dec
        return np.where(outside, np.nan, ra), np.where(outside, np.nan, dec)

    def pixel_areas(self, z: int, cols: Places, rows: Places) -> FloatArray:
        """Return the solid angles of lattice pixels (whole numbers) of level `z`, square degrees.

        On separable grids, where they follow the row only, the result has the shape of `rows`:
        delta RA (sin d2 - sin d1), written as a product that does not cancel; 0 beyond the poles.
        On a tangent plane, the projection's area element at the pixel's centre. On ``hips`` all
        are the same.
        """
        cols, rows = np.asarray(cols, np.float64), np.asarray(rows, np.float64)
        if isinstance(self.plane, HealpixPlane):
            return np.full(np.broadcast_shapes(cols.shape, rows.shape), self.pixel_degrees(z) ** 2)
        if not self.separable:
            x, y = (np.radians(v) for v in self._plane_point(z, cols + 0.5, rows + 0.5))
            element: FloatArray = self.pixel_degrees(z) ** 2 * (1.0 + x * x + y * y) ** -1.5
            return element
        upper, lower = (
            np.radians(np.clip(self.sky_axes(z, np.zeros(()), at)[1], -90.0, 90.0))
            for at in (rows, rows + 1.0)
        )
        half, middle = (upper - lower) / 2.0, (upper + lower) / 2.0
        wide = 360.0 / self.lattice_shape(z)[1]
        areas: FloatArray = wide * np.degrees(2.0 * np.cos(middle) * np.sin(half))
        return areas

    def _plane_point(
        self, z: int, cols: FloatArray, rows: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return plane coordinates of lattice positions."""
        height, width = self.lattice_shape(z)
        x0, y0, x1, y1 = self.extent
        return x0 + (x1 - x0) * (cols / width), y1 - (y1 - y0) * (rows / height)

    def to_ogc(self) -> dict[str, Any]:
        """Return the grid as an OGC TileMatrixSet (2.0) document.

        Grids without a registered coordinate reference system have no ``crs``.
        """
        known: dict[str, Any] = {}
        if self.crs:
            uri = f"{OGC}tilematrixset/OGC/1.0/{self.id}"
            known = {"uri": uri, "crs": self.crs}
        matrices = [self._matrix(z) for z in range(self.max_zoom + 1)]
        return {"id": self.id, "title": self.title, **known, "tileMatrices": matrices}

    def _matrix(self, z: int) -> dict[str, Any]:
        metres = math.radians(self.pixel_degrees(z)) * EARTH
        return {
            "id": str(z),
            "scaleDenominator": metres / _PIXEL,
            "cellSize": self.pixel_size(z),
            "pointOfOrigin": [self.extent.xmin, self.extent.ymax],
            "cornerOfOrigin": "topLeft",
            "tileWidth": TILE_SIZE,
            "tileHeight": TILE_SIZE,
            "matrixWidth": self.columns << z,
            "matrixHeight": self.rows << z,
        }


def _cell(fraction: FloatArray, count: int, last: int) -> IntArray:
    """Return which of `count` equal parts holds a fraction, from -1 to `last`; -1 for NaN."""
    cell = np.floor(np.nan_to_num(fraction * count, nan=-1.0))
    return np.clip(cell, -1, last).astype(np.int64)
