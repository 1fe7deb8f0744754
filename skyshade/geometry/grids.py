"""The tile grids that there are: ``sky``, two for geographic clients, HiPS, and tangent planes.

``tan-{pixel}`` are tangent planes about the centres of HEALPix pixels (nside 32, NESTED, in ICRS:
`TAN_GRIDS` of them, one within 1.9 degrees of any position), so that tiles can be shared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from skyshade.errors import InputError, OutsideGridError, UnknownNameError
from skyshade.geometry.healpix import pixel_centres, pixel_of
from skyshade.geometry.hips import SIDE, HealpixPlane
from skyshade.geometry.planes import EARTH, MercatorPlane, SkyPlane, TangentPlane
from skyshade.geometry.tilegrid import MAX_ZOOM, OGC, TILE_SIZE, TileGrid
from skyshade.types import Extent, Tile, Window

__all__ = [
    "GRIDS",
    "HIPS",
    "MAX_ZOOM",
    "MERCATOR",
    "SKY",
    "TAN_GRIDS",
    "TAN_NSIDE",
    "TILE_SIZE",
    "WORLD",
    "TileGrid",
    "grid_named",
    "square_window",
    "tan_grid",
    "unmirrored",
]

TAN_NSIDE = 32
TAN_GRIDS = 12 * TAN_NSIDE**2
_TAN = re.compile(r"tan-(0|[1-9][0-9]{0,5})")

SKY = TileGrid(
    id="sky",
    title="Plate carree, ICRS, east left; level 0 is two tiles",
    plane=SkyPlane(),
    extent=Extent(-180.0, -90.0, 180.0, 90.0),
    columns=2,
    rows=1,
)

WORLD = TileGrid(
    id="WorldCRS84Quad",
    title="Longitude = RA, latitude = Dec, east right: the mirror image of sky",
    plane=SkyPlane(mirrored=True),
    extent=SKY.extent,
    columns=2,
    rows=1,
    crs=f"{OGC}crs/OGC/1.3/CRS84",
)
_SIDE = math.pi * EARTH
MERCATOR = TileGrid(
    id="WebMercatorQuad",
    title="Web Mercator, longitude = RA, latitude = Dec, east right; ends at Dec +-85.0511",
    plane=MercatorPlane(),
    extent=Extent(-_SIDE, -_SIDE, _SIDE, _SIDE),
    columns=1,
    rows=1,
    max_zoom=MAX_ZOOM + 1,  # as deep as sky
    crs=f"{OGC}crs/EPSG/0/3857",
)

HIPS = TileGrid(
    id="hips",
    title="HEALPix faces in 5 x 5 squares, ICRS; a 512 px tile is a HiPS tile of that order",
    plane=HealpixPlane(),
    extent=Extent(0.0, 0.0, SIDE, SIDE),
    columns=SIDE,
    rows=SIDE,
    max_zoom=20,  # 512 px tiles have pixels of nside 2**29
)

GRIDS: Mapping[str, TileGrid] = {grid.id: grid for grid in (SKY, WORLD, MERCATOR, HIPS)}


def grid_named(name: str) -> TileGrid:
    """Return the grid called `name`; raise UnknownNameError with the known names."""
    if name in GRIDS:
        return GRIDS[name]
    found = _TAN.fullmatch(name)
    if found and int(found[1]) < TAN_GRIDS:
        return _tan_numbered(int(found[1]))
    known = (*GRIDS, f"tan-0 ... tan-{TAN_GRIDS - 1}")
    raise UnknownNameError("grid", name[:80], known)


def tan_grid(ra: float, dec: float) -> TileGrid:
    """Return the tangent plane grid whose centre is nearest to an ICRS position, about.

    The centre is that of the HEALPix pixel which holds the position. Level 0 is one tile of
    180 x 180 degrees of the tangent plane (57.5 degrees of sky each way), so pixels are as large
    at the centre as those of ``sky``; east is left, north up.

    Raises
    ------
    InputError
        The position is not one in degrees.
    """
    if not (math.isfinite(ra) and -90.0 <= dec <= 90.0):
        msg = f"centre {ra!r}, {dec!r} is not allowed: ra finite, dec -90 to 90 degrees"
        raise InputError(msg)
    return _tan_numbered(int(pixel_of(TAN_NSIDE, np.array(ra), np.array(dec), True)))


@lru_cache(maxsize=1024)
def _tan_numbered(pixel: int) -> TileGrid:
    lon, lat = pixel_centres(TAN_NSIDE, np.array([pixel]), True)
    ra, dec = float(lon[0]), float(lat[0])
    return TileGrid(
        id=f"tan-{pixel}",
        title=f"Tangent plane about RA {ra:.4f}, Dec {dec:.4f}, east left",
        plane=TangentPlane(ra, dec),
        extent=Extent(-90.0, -90.0, 90.0, 90.0),
        columns=1,
        rows=1,
    )


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


def unmirrored(window: Window) -> tuple[Window, bool]:
    """Return the ``sky`` window whose mirror image a window of ``WorldCRS84Quad`` is, and True.

    Windows of all other grids come back as they are, with False.
    """
    if window.grid.id != WORLD.id:
        return window, False
    width = SKY.lattice_shape(window.z)[1]
    return replace(window, grid=SKY, col=width - window.col - window.width), True
