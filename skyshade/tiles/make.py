"""The straight line from a layer to a tile's bytes, for the server and for batch work alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.shaders.shader import shader_for
from skyshade.tiles.encode import MEDIA_TYPES, NUMBERS, encode, encode_values
from skyshade.types import Aggregate, AnyArray, Image, Layer, Quality, Shader, Style, Window


@dataclass(frozen=True, slots=True)
class TileBytes:
    """An encoded tile with what its headers say.

    Parameters
    ----------
    data : bytes
    media_type : str
    quality : {"exact", "preview", "sample", "approximate"}
        Anything but exact must not be kept.
    scale : float or None
        What the numbers of an f2 tile were divided by.
    """

    data: bytes
    media_type: str
    quality: Quality = "exact"
    scale: float | None = None


def make_tile(
    layer: Layer, window: Window, look: Style | Shader, fmt: str, *, size: int | None = None
) -> TileBytes:
    """Return the tile of `layer` on `window`: aggregate, shade, encode.

    Parameters
    ----------
    layer : Layer
    window : Window
    look : Style or Shader
        A style is resolved with the layer's statistics; value tiles look at neither.
    fmt : {"png", "webp", "jpg", "f2", "f4"}
    size : int, optional
        Pad the tile to this many pixels a side (see `pad_square`).

    Raises
    ------
    UnknownNameError
        When `fmt` is none of these; nothing is read then.
    """
    _check_format(fmt)
    values = fmt in NUMBERS
    scale = layer.scale() if fmt == "f2" else 1.0
    shader = None
    if not values:
        shader = shader_for(look, layer.statistics()) if isinstance(look, Style) else look
    aggregate = layer.compute(window)
    if size is not None:
        aggregate = pad_square(aggregate, size)
    return shade_and_encode(aggregate, shader, fmt, scale)


def shade_and_encode(
    aggregate: Aggregate, shader: Shader | None, fmt: str, scale: float = 1.0
) -> TileBytes:
    """Return an aggregate as a tile; `shader` is not used (and may be None) for value tiles."""
    _check_format(fmt)
    if fmt in NUMBERS:
        made = encode_values(aggregate.values, fmt, scale)
        return TileBytes(*made, aggregate.quality, scale if fmt == "f2" else None)
    if shader is None:
        msg = f"a {fmt} tile needs a shader; only {' and '.join(NUMBERS)} tiles do without"
        raise InputError(msg)
    return TileBytes(*encode(shader(aggregate), fmt), aggregate.quality)


@lru_cache(maxsize=64)
def empty_tile(size: int, fmt: str) -> TileBytes:
    """Return a tile without data: transparent (JPEG: black), or all NaN.

    Parameters
    ----------
    size : int
        Pixels a side.
    fmt : {"png", "webp", "jpg", "f2", "f4"}
    """
    _check_format(fmt)
    if fmt in NUMBERS:
        return TileBytes(*encode_values(np.full((size, size), np.nan), fmt))
    image = Image(np.zeros((size, size), np.uint8), np.zeros((1, 4), np.uint8))
    return TileBytes(*encode(image, fmt))


def pad_square(aggregate: Aggregate, size: int) -> Aggregate:
    """Return `aggregate` with missing rows below and columns right, up to `size` a side.

    Level 0 of the square root shows the sky in its upper half only.

    Raises
    ------
    InputError
        When the aggregate is larger than `size`.
    """
    height, width = aggregate.values.shape[:2]
    if height > size or width > size:
        msg = f"an aggregate of {width} x {height} pixels does not fit into {size} x {size}"
        raise InputError(msg)
    if (height, width) == (size, size):
        return aggregate

    def padded(old: AnyArray) -> AnyArray:
        missing = np.nan if old.dtype.kind == "f" else 0
        values = np.full((size, size, *old.shape[2:]), missing, old.dtype)
        values[:height, :width] = old
        return values

    return aggregate.moved(padded)


def _check_format(fmt: str) -> None:
    if fmt not in MEDIA_TYPES:
        raise UnknownNameError("tile format", fmt, MEDIA_TYPES)
