"""Skyshade shows any sky map and any source catalogue at any zoom."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skyshade.app.view import Viewer, view
    from skyshade.atlas.build import open_layer, open_layers
    from skyshade.atlas.indexing import index_catalog
    from skyshade.errors import SkyshadeError
    from skyshade.geometry.grids import GRIDS, TileGrid
    from skyshade.layers.combine import combine
    from skyshade.layers.glyphs import footprints, tracks
    from skyshade.layers.regions import Cone, Polygon, Rectangle
    from skyshade.layers.rgb import RgbLayer
    from skyshade.loaders.api import open_catalog, open_map, open_maps
    from skyshade.loaders.healpix import healpix
    from skyshade.shaders.shader import Shader
    from skyshade.types import Extent, Image, Tile, Window

__version__ = "0.1.0"

_HOMES = {
    "Cone": "skyshade.layers.regions",
    "Extent": "skyshade.types",
    "GRIDS": "skyshade.geometry.grids",
    "Image": "skyshade.types",
    "Polygon": "skyshade.layers.regions",
    "Rectangle": "skyshade.layers.regions",
    "RgbLayer": "skyshade.layers.rgb",
    "Shader": "skyshade.shaders.shader",
    "SkyshadeError": "skyshade.errors",
    "Tile": "skyshade.types",
    "TileGrid": "skyshade.geometry.grids",
    "Viewer": "skyshade.app.view",
    "Window": "skyshade.types",
    "combine": "skyshade.layers.combine",
    "footprints": "skyshade.layers.glyphs",
    "healpix": "skyshade.loaders.healpix",
    "index_catalog": "skyshade.atlas.indexing",
    "open_catalog": "skyshade.loaders.api",
    "open_layer": "skyshade.atlas.build",
    "open_layers": "skyshade.atlas.build",
    "open_map": "skyshade.loaders.api",
    "open_maps": "skyshade.loaders.api",
    "tracks": "skyshade.layers.glyphs",
    "view": "skyshade.app.view",
}

__all__ = [
    "GRIDS",
    "Cone",
    "Extent",
    "Image",
    "Polygon",
    "Rectangle",
    "RgbLayer",
    "Shader",
    "SkyshadeError",
    "Tile",
    "TileGrid",
    "Viewer",
    "Window",
    "__version__",
    "combine",
    "footprints",
    "healpix",
    "index_catalog",
    "open_catalog",
    "open_layer",
    "open_layers",
    "open_map",
    "open_maps",
    "tracks",
    "view",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    msg = f"module 'skyshade' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return __all__
