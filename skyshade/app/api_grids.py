"""The grids that this server has: ``sky``, and ``square`` for viewers with one root tile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from skyshade.geometry.grids import MAX_ZOOM, SKY, TILE_SIZE, TileGrid, square_window
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
HERE = {grid.id: grid for grid in (SKY, SQUARE)}


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
    info = layer.info
    if grid is SQUARE:
        info = replace(info, max_zoom=info.max_zoom + 1)
    template = "{z}/{x}/{y}.png?" + query
    return tilejson(info, grid, template, version=layer.version)
