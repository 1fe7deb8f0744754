"""A still picture of what the map shows, made in Python."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from skyshade.geometry.grids import MAX_ZOOM, SKY
from skyshade.shaders.shader import shader_for
from skyshade.types import Layer, Style, Window

if TYPE_CHECKING:
    from PIL.Image import Image


def picture(
    layer: Layer, style: Style, center: tuple[float, float], width: float, pixels: int
) -> Image:
    """Return a Pillow image of a view, RGB on black, no higher than half its width.

    Parameters
    ----------
    layer : Layer
    style : Style
    center : (ra, dec)
        ICRS degrees.
    width : float
        Degrees along right ascension.
    pixels : int
        Width of the image.
    """
    import PIL.Image  # noqa: PLC0415 (only for pictures)

    window = view_window(center, width, pixels)
    aggregate = layer.compute(window)
    shaded = shader_for(style, layer.statistics())(aggregate)
    ground = PIL.Image.new("RGBA", (window.width, window.height), (5, 7, 12, 255))
    ground.alpha_composite(PIL.Image.fromarray(shaded.rgba(), "RGBA"))
    height = max(1, round(pixels * window.height / window.width))
    return ground.resize((pixels, height), PIL.Image.Resampling.BOX).convert("RGB")


def view_window(center: tuple[float, float], width: float, pixels: int) -> Window:
    """Return the window of the ``sky`` grid that a view shows, at least `pixels` wide."""
    z = min(max(math.ceil(math.log2(pixels * 360.0 / width / 512.0) - 1e-9), 0), MAX_ZOOM)
    size = SKY.pixel_size(z)
    columns = max(1, round(width / size))
    col, row = SKY.lattice(np.array([center[0]]), np.array([center[1]]), z)
    total = SKY.lattice_shape(z)[0]
    rows = min(total, max(1, columns // 2))
    top = min(max(int(row[0]) - rows // 2, 0), total - rows)
    return Window(SKY, z, int(col[0]) - columns // 2, top, columns, rows)
