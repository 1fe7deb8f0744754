"""Tile grids (OGC tile matrix sets) and the integer lattice of their pixels.

``sky``, the viewer's grid (east left): t = ((180 - ra) / 360) mod 1 and s = (dec + 90) / 180, each
computed once in float64. Level z has 2**(z + 1) x 2**z tiles of 256 px. With N = 256 * 2**z a
position falls into column floor(2 N t) and row N - 1 - min(floor(N s), N - 1). Scaling by powers of
two is exact, so levels nest.
Nobody compares floats for tile edges: a pixel owns what this integer formula gives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from skyshade.errors import InputError, OutsideGridError, UnknownNameError
from skyshade.geometry.planes import SkyPlane, sky_fraction, wrap_ra
from skyshade.types import AnyArray, Extent, FloatArray, IntArray, Plane, Tile, Window

TILE_SIZE = 256
MAX_ZOOM = 22


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
    """

    id: str
    title: str
    plane: Plane
    extent: Extent
    columns: int
    rows: int
    max_zoom: int = MAX_ZOOM

    @property
    def frame(self) -> Literal["sky", "plane"]:
        """Whether the grid lies on the sky or on free x/y data."""
        return self.plane.frame

    def lattice_shape(self, z: int) -> tuple[int, int]:
        """Rows and columns of the pixel lattice of level `z` (-1 is allowed: half of level 0)."""
        if z >= 0:
            return self.rows * TILE_SIZE << z, self.columns * TILE_SIZE << z
        return self.rows * TILE_SIZE >> -z, self.columns * TILE_SIZE >> -z

    def pixel_size(self, z: int) -> float:
        """Return the side of a lattice pixel of level `z` in plane units (degrees on ``sky``)."""
        return (self.extent.xmax - self.extent.xmin) / self.lattice_shape(z)[1]

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
        """Return the first level whose pixels are no larger than `resolution` (plane units)."""
        if not resolution > 0:
            msg = f"resolution {resolution!r} is not allowed: give a positive number of degrees"
            raise InputError(msg)
        z = math.ceil(math.log2(self.pixel_size(0) / resolution) - 1e-9)
        return min(max(z, 0), self.max_zoom)

    def lattice(self, ra: AnyArray, dec: AnyArray, z: int) -> tuple[IntArray, IntArray]:
        """Return the lattice (columns, rows) of level `z` that own ICRS positions in degrees.

        Positions must be valid: finite, -90 <= dec <= 90.
        """
        height, width = self.lattice_shape(z)
        if isinstance(self.plane, SkyPlane):
            t, s = sky_fraction(ra), (np.asarray(dec, np.float64) + 90.0) / 180.0
        else:
            x, y = self.plane.from_sky(ra, dec)
            t = (x - self.extent.xmin) / (self.extent.xmax - self.extent.xmin)
            s = (y - self.extent.ymin) / (self.extent.ymax - self.extent.ymin)
        col = np.floor(t * width).astype(np.int64)
        up = np.minimum(np.floor(s * height).astype(np.int64), height - 1)
        return col, height - 1 - up

    def tile_of(self, ra: float, dec: float, z: int) -> Tile:
        """Return the tile of level `z` that owns an ICRS position in degrees."""
        col, row = self.lattice(np.array([ra]), np.array([dec]), z)
        return Tile(z, int(col[0]) // TILE_SIZE, int(row[0]) // TILE_SIZE)

    def sky_axes(self, z: int, cols: AnyArray, rows: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Return ra (0..360) of lattice columns and dec of lattice rows of level `z`, degrees.

        Fractional positions are allowed: pixel centres lie at +0.5. Rows beyond the poles give
        dec beyond +-90.
        """
        height, width = self.lattice_shape(z)
        ra = wrap_ra(180.0 - 360.0 * (np.asarray(cols, np.float64) / width))
        dec = 90.0 - 180.0 * (np.asarray(rows, np.float64) / height)
        return ra, dec

    def to_ogc(self) -> dict[str, Any]:
        """Return the grid as an OGC TileMatrixSet (2.0) document."""
        return {
            "id": self.id,
            "title": self.title,
            "tileMatrices": [
                {
                    "id": str(z),
                    "cellSize": self.pixel_size(z),
                    "pointOfOrigin": [self.extent.xmin, self.extent.ymax],
                    "cornerOfOrigin": "topLeft",
                    "tileWidth": TILE_SIZE,
                    "tileHeight": TILE_SIZE,
                    "matrixWidth": self.columns << z,
                    "matrixHeight": self.rows << z,
                }
                for z in range(self.max_zoom + 1)
            ],
        }


SKY = TileGrid(
    id="sky",
    title="Plate carree, ICRS, east left; level 0 is two tiles",
    plane=SkyPlane(),
    extent=Extent(-180.0, -90.0, 180.0, 90.0),
    columns=2,
    rows=1,
)

GRIDS: Mapping[str, TileGrid] = {SKY.id: SKY}


def grid_named(name: str) -> TileGrid:
    """Return the grid called `name`; raise UnknownNameError with the known names."""
    try:
        return GRIDS[name]
    except KeyError:
        raise UnknownNameError("grid", name, GRIDS) from None


def square_window(tile: Tile, size: int = TILE_SIZE) -> Window | None:
    """Return the ``sky`` window behind a tile of the square root, None for its empty lower half.

    Viewers with one tile at level 0 (Bokeh) see ``sky`` as the top half of a 360 x 360 degree
    square: square (z + 1, x, y) is sky (z, x, y), and square 0 shows sky level 0 at half size in
    its upper half.
    """
    z, x, y = tile
    if not (0 <= z <= MAX_ZOOM + 1 and 0 <= x < 1 << z and 0 <= y < 1 << z):
        msg = (
            f"tile {z}/{x}/{y} is outside grid 'square': "
            f"zoom is 0 to {MAX_ZOOM + 1}, x and y are 0 to 2**zoom - 1"
        )
        raise OutsideGridError(msg)
    step = size.bit_length() - 9
    if z == 0:
        return Window(SKY, step - 1, 0, 0, size, size // 2)
    return Window.of(SKY, Tile(z - 1, x, y), size) if y < 1 << (z - 1) else None
