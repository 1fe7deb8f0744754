"""What a list of layers says about a map."""

from __future__ import annotations

import re
from collections.abc import Sequence

from skyshade.errors import one_line
from skyshade.geometry.control import ControlGrid
from skyshade.geometry.grids import SKY
from skyshade.types import LayerInfo, SkyImage, Style

# uK, mK, nK, uK_CMB, K_CMB, K_RJ and their spellings; plain K is any brightness temperature
_CMB = re.compile(r"([uµμmn]|micro|milli)K\b|([uµμmn]|micro|milli)?K[_ (]*(CMB|RJ)", re.IGNORECASE)
_WEIGHTS = re.compile(r"ivar|weight|hits?|nobs|cov|exp(osure|map)", re.IGNORECASE)


def map_info(images: Sequence[SkyImage], plane: int, id: str, grid: ControlGrid) -> LayerInfo:
    """Return the description of one plane of a map; reads no pixel.

    Parameters
    ----------
    images : sequence of SkyImage
        The planes of the map.
    plane : int
        Which one.
    id : str
    grid : ControlGrid
        Of that plane.
    """
    image = images[plane]
    ny, nx = grid.pixels.shape
    resolution = grid.pixels.resolution
    return LayerInfo(
        id=id,
        title=_title(image),
        kind="map",
        units=one_line(image.units),
        quantity=one_line(image.plane or image.attrs.get("BTYPE", "")),
        frame=grid.pixels.frame,
        projection=grid.pixels.projection,
        size=f"{nx} x {ny}",
        coverage=grid.coverage,
        resolution=resolution,
        max_zoom=SKY.zoom_for(resolution),
        style=default_style(image),
        planes=tuple(i.plane for i in images) if len(images) > 1 else (),
        notes=tuple(image.notes),
    )


def _title(image: SkyImage) -> str:
    """Return the title from the file, else the name; the HDU and the plane behind it."""
    first = image.title or image.attrs.get("OBJECT") or image.name
    parts = [one_line(part) for part in (first, image.hdu, image.plane) if part]
    return " ".join(dict.fromkeys(part for part in parts if part))


def default_style(image: SkyImage) -> Style:
    """Return Planck's colours for CMB units, greys for masks, else a perceptual map."""
    if _CMB.match(image.units.strip()):
        return Style(cmap="planck")
    if image.integer and "mask" in f"{image.name} {image.title}".lower():
        return Style(cmap="gray")
    if _WEIGHTS.search(f"{image.name} {image.hdu}"):
        return Style(cmap="viridis")
    return Style(cmap="inferno")
