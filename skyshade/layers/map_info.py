"""What a list of layers says about a map."""

from __future__ import annotations

import re
from collections.abc import Sequence

from skyshade.errors import one_line
from skyshade.geometry.control import ControlGrid
from skyshade.geometry.grids import SKY
from skyshade.types import LayerInfo, SkyImage, SphereImage, Style

AnyImage = SkyImage | SphereImage

# uK, mK, nK, uK_CMB, K_CMB, K_RJ and their spellings; plain K is any brightness temperature
_CMB = re.compile(r"([uµμmn]|micro|milli)K\b|([uµμmn]|micro|milli)?K[_ (]*(CMB|RJ)", re.IGNORECASE)
_MASK = re.compile(r"mask(?!ed|ing)", re.IGNORECASE)
_WEIGHTS = re.compile(
    r"ivar|inv_?var|weight|n_?obs|expmap|exposure|coverage"
    r"|(?<![a-z])(n?hits?|cov|wht|wgt)(?![a-z])",
    re.IGNORECASE,
)
_SIGNED = re.compile(
    r"(?<![a-z])([quv][-_ ]?(stokes|pol[a-z]*)|stokes[-_ ]?[quv]"
    r"|diff(erence)?s?|resid(ual)?s?|null)(?![a-z])",
    re.IGNORECASE,
)


def map_info(
    images: Sequence[SkyImage], plane: int, id: str, grid: ControlGrid, reduction: str = "mean"
) -> LayerInfo:
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
    reduction : str
        How many pixels become one.
    """
    image = images[plane]
    ny, nx = grid.pixels.shape
    resolution = grid.pixels.resolution
    return LayerInfo(
        id=id,
        title=title_of(image),
        kind="map",
        units=one_line(image.units),
        quantity=quantity_of(image, reduction),
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


def title_of(image: AnyImage) -> str:
    """Return the title from the file, else the name; the HDU and the plane behind it."""
    first = image.title or image.attrs.get("OBJECT") or image.name
    parts = [one_line(part) for part in (first, image.hdu, image.plane) if part]
    return " ".join(dict.fromkeys(part for part in parts if part))


def quantity_of(image: AnyImage, reduction: str) -> str:
    """Return what the numbers of an image are when so reduced."""
    what = one_line(image.plane or image.attrs.get("BTYPE", ""))
    if reduction == "mean":
        return what
    named = "nearest pixel" if reduction == "nearest" else reduction
    return f"{named} of {what}" if what else named


def _said(image: AnyImage) -> str:
    """Return every name that a map has."""
    attrs = image.attrs
    names = (image.name, image.hdu, image.plane, attrs.get("EXTNAME", ""), attrs.get("BTYPE", ""))
    return " ".join(str(name) for name in names if name)


def is_mask(image: AnyImage) -> bool:
    """Return whether a map is a mask by one of its names: its pixels are never mixed."""
    return bool(_MASK.search(_said(image)) or (image.integer and _MASK.search(image.title)))


def is_symmetric(image: AnyImage, reduction: str = "mean") -> bool:
    """Return whether zero is the middle of a map's range: Q, U, V, differences, residuals."""
    names = _said(image)
    if reduction in ("std", "absmax") or is_mask(image) or _WEIGHTS.search(names):
        return False
    stokes = image.plane.upper() in ("Q", "U", "V") and image.plane_axis.lower() in ("stokes", "")
    return stokes or bool(_SIGNED.search(names))


def default_style(image: AnyImage) -> Style:
    """Return greys for masks, a map from zero for weights, Planck's colours for CMB units."""
    if is_mask(image):
        return Style(cmap="gray", vmin=0.0, vmax=1.0)
    if _WEIGHTS.search(_said(image)):
        return Style(cmap="viridis", vmin=0.0, stretch="sqrt")
    if _CMB.match(image.units.strip()):
        return Style(cmap="planck")
    return Style(cmap="inferno")
