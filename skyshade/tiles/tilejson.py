"""TileJSON 3.0: how foreign clients find the tiles of a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.geometry.grids import MERCATOR, TILE_SIZE, TileGrid
from skyshade.types import Coverage, Extent, LayerInfo

_SAMPLES = 129  # along a side of a layer on a tangent plane


def tilejson(
    info: LayerInfo,
    grid: TileGrid,
    url_template: str,
    *,
    version: str = "",
) -> dict[str, Any]:
    """Return the TileJSON 3.0 document of a layer on a grid.

    TileJSON means Web Mercator; most of our grids are not, and the document says so:
    ``description`` for people, ``grid`` (the id and title) for programs. ``bounds`` and ``center``
    are longitude and latitude in degrees on ``WebMercatorQuad`` and ``WorldCRS84Quad``, else
    degrees of the grid's plane; on ``sky`` x is minus RA, so it grows to the right while RA falls.

    Parameters
    ----------
    info : LayerInfo
    grid : TileGrid
    url_template : str
        With ``{z}``, ``{x}`` and ``{y}``; may be relative to the document.
    version : str
        The layer's version, kept as ``skyshade_version``.
    """
    left, bottom, right, top = _bounds(info.coverage, grid)
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
    start = "" if grid.id == MERCATOR.id else "Not Web Mercator: "
    return f"{start}grid {grid.id!r} ({grid.title}), {tiles}, row 0 on top"


def _bounds(coverage: Coverage, grid: TileGrid) -> tuple[float, float, float, float]:
    if not grid.separable:
        return _tangent_bounds(coverage, grid)
    return _geographic_bounds(coverage, grid) if grid.crs else _plane_bounds(coverage, grid.extent)


def _plane_bounds(coverage: Coverage, extent: Extent) -> tuple[float, float, float, float]:
    """Return x and y limits in the plane; x runs past the right edge where the layer crosses it."""
    width = coverage.ra_east - coverage.ra_west
    if width >= 360.0:
        return extent.xmin, coverage.dec_min, extent.xmax, coverage.dec_max
    left = (-coverage.ra_east - extent.xmin) % 360.0 + extent.xmin
    return left, coverage.dec_min, left + width, coverage.dec_max


def _geographic_bounds(coverage: Coverage, grid: TileGrid) -> tuple[float, float, float, float]:
    """Return longitudes and latitudes in degrees; TileJSON allows none to cross longitude 180."""
    north, south = grid.sky_axes(0, np.zeros(2), np.array([0.0, grid.lattice_shape(0)[0]]))[1]
    low, high = (min(max(v, south), north) for v in (coverage.dec_min, coverage.dec_max))
    left = (coverage.ra_west + 180.0) % 360.0 - 180.0
    right = left + coverage.ra_east - coverage.ra_west
    if right > 180.0:
        left, right = -180.0, 180.0
    return left, float(low), right, float(high)


def _tangent_bounds(coverage: Coverage, grid: TileGrid) -> tuple[float, float, float, float]:
    """Return x and y limits of a layer that lies within the plane's extent, else the extent."""
    ra = np.linspace(coverage.ra_west, coverage.ra_east, _SAMPLES)
    dec = np.linspace(coverage.dec_min, coverage.dec_max, _SAMPLES)
    x, y = grid.plane.from_sky(ra, dec[:, None])
    left, bottom, right, top = grid.extent
    within = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
    if not within.all():  # so is NaN, on the far side
        return left, bottom, right, top
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
