"""The nouns that the rooms share: plain values and narrow protocols, little behaviour."""

from skyshade.types.images import SkyImage, SphereImage
from skyshade.types.lattice import (
    ALL_SKY,
    AnyArray,
    Coverage,
    Extent,
    FloatArray,
    Grid,
    IntArray,
    Plane,
    Tile,
    Window,
)
from skyshade.types.protocols import (
    Layer,
    PixelReader,
    PointTable,
    Shader,
    SphereReader,
    TileStore,
)
from skyshade.types.values import (
    PERCENTILES,
    STRETCHES,
    Aggregate,
    Image,
    Kind,
    LayerInfo,
    Quality,
    Statistics,
    Style,
)

__all__ = [
    "ALL_SKY",
    "PERCENTILES",
    "STRETCHES",
    "Aggregate",
    "AnyArray",
    "Coverage",
    "Extent",
    "FloatArray",
    "Grid",
    "Image",
    "IntArray",
    "Kind",
    "Layer",
    "LayerInfo",
    "PixelReader",
    "Plane",
    "PointTable",
    "Quality",
    "Shader",
    "SkyImage",
    "SphereImage",
    "SphereReader",
    "Statistics",
    "Style",
    "Tile",
    "TileStore",
    "Window",
]
