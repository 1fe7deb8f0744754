"""The grids that this server has: those of the library, and ``square`` for one root tile."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from skyshade.errors import UnknownNameError
from skyshade.geometry.grids import (
    GRIDS,
    MAX_ZOOM,
    SKY,
    TAN_GRIDS,
    TAN_NSIDE,
    TILE_SIZE,
    TileGrid,
    grid_named,
    square_window,
    tan_grid,
)
from skyshade.geometry.planes import SkyPlane
from skyshade.tiles.tilejson import tilejson
from skyshade.types import Extent, Layer, Tile, Window

SQUARE = TileGrid(
    id="square",
    title="sky as the upper half of a 360 x 360 degree square; level 0 is one tile (Bokeh)",
    plane=SkyPlane(),
    extent=Extent(-180.0, -270.0, 180.0, 90.0),
    columns=1,
    rows=1,
    max_zoom=MAX_ZOOM + 1,
)
HERE = {**GRIDS, SQUARE.id: SQUARE}
TAN = "tan-{pixel}"


def grid_here(name: str) -> TileGrid:
    """Return the grid called `name`; raise UnknownNameError with the known names."""
    if name in HERE:
        return HERE[name]
    try:
        return grid_named(name)
    except UnknownNameError:
        known = (*HERE, f"tan-0 ... tan-{TAN_GRIDS - 1}")
        raise UnknownNameError("grid", name[:80], known) from None


def describe_grids() -> list[dict[str, Any]]:
    """Return every grid as an OGC TileMatrixSet; tangent planes as one, with how to name them."""
    tangent = tan_grid(0.0, 0.0).to_ogc()
    title = "Tangent plane about the centre of a HEALPix pixel (ICRS), in degrees; east left"
    pixel = {"nside": TAN_NSIDE, "order": "NESTED", "frame": "ICRS", "first": 0}
    pixel["last"] = TAN_GRIDS - 1
    tangent |= {"id": TAN, "title": title, "pixel": pixel, "find": "/api/grids/tan?ra=..&dec=.."}
    return [*(grid.to_ogc() for grid in HERE.values()), tangent]


def describe_tan(ra: float, dec: float) -> dict[str, Any]:
    """Return the tangent plane grid for a centre, in ICRS degrees."""
    return tan_grid(ra, dec).to_ogc()


def window_of(grid: TileGrid, tile: Tile, size: int = TILE_SIZE) -> Window | None:
    """Return a tile's window, always `size` a side; None where the square root is empty.

    Raises
    ------
    OutsideGridError
        When the tile lies beyond the grid.
    """
    grid.check(tile)
    if grid is SQUARE:
        window = square_window(tile, size)
        return window and replace(window, height=size)  # rows beyond the pole hold no data
    return Window.of(grid, tile, size)


def describe(layer: Layer, grid: TileGrid, query: str) -> dict[str, Any]:
    """Return the TileJSON of a layer; its tiles are relative to the document and keep `query`."""
    coarser = round(math.log2(grid.pixel_degrees(0) / SKY.pixel_degrees(0)))
    info = replace(layer.info, max_zoom=layer.info.max_zoom + coarser)
    template = "{z}/{x}/{y}.png?" + query
    return tilejson(info, grid, template, version=layer.version)
