"""TileJSON 3.0: how foreign clients find the tiles of a layer."""

from __future__ import annotations

from typing import Any

from skyshade.geometry.grids import TILE_SIZE, TileGrid
from skyshade.types import Coverage, Extent, LayerInfo


def tilejson(
    info: LayerInfo,
    grid: TileGrid,
    url_template: str,
    *,
    version: str = "",
) -> dict[str, Any]:
    """Return the TileJSON 3.0 document of a layer on a grid.

    TileJSON means Web Mercator; our grids are not, and the document says so: ``description`` for
    people, ``grid`` (the id and title) for programs. ``bounds`` and ``center`` are in the grid's
    plane; on ``sky`` x is minus RA in degrees, so it grows to the right while RA falls.

    Parameters
    ----------
    info : LayerInfo
    grid : TileGrid
    url_template : str
        With ``{z}``, ``{x}`` and ``{y}``; may be relative to the document.
    version : str
        The layer's version, kept as ``skyshade_version``.
    """
    left, bottom, right, top = _bounds(info.coverage, grid.extent)
    found: dict[str, Any] = {
        "tilejson": "3.0.0",
        "name": info.title or info.id,
        "description": _description(grid),
        "scheme": "xyz",
        "tiles": [url_template],
        "minzoom": 0,
        "maxzoom": min(info.max_zoom, grid.max_zoom),
        "bounds": [left, bottom, right, top],
        "center": [(left + right) / 2, (bottom + top) / 2, 0],
        "grid": {"id": grid.id, "title": grid.title, "columns": grid.columns, "rows": grid.rows},
        "tile_size": TILE_SIZE,
        "units": info.units,
        "quantity": info.quantity,
    }
    if version:
        found["skyshade_version"] = version
    return found


def _description(grid: TileGrid) -> str:
    tiles = f"{grid.columns} x {grid.rows} tiles at zoom 0"
    return f"Not Web Mercator: grid {grid.id!r} ({grid.title}), {tiles}, row 0 on top"


def _bounds(coverage: Coverage, extent: Extent) -> tuple[float, float, float, float]:
    """Return x and y limits in the plane; x runs past the right edge where the layer crosses it."""
    width = coverage.ra_east - coverage.ra_west
    if width >= 360.0:
        return extent.xmin, coverage.dec_min, extent.xmax, coverage.dec_max
    left = (-coverage.ra_east - extent.xmin) % 360.0 + extent.xmin
    return left, coverage.dec_min, left + width, coverage.dec_max
