"""What a list of layers says about a HEALPix map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skyshade.errors import one_line
from skyshade.geometry.frames import to_icrs
from skyshade.geometry.grids import SKY
from skyshade.geometry.healpix import order_of, pixel_centres, resolution, ring_to_nested
from skyshade.geometry.planes import wrap_ra
from skyshade.layers.map_info import default_style, quantity_of, title_of
from skyshade.types import ALL_SKY, AnyArray, Coverage, LayerInfo, SphereImage

_COARSE = 6  # order of the pixels that a partial map's coverage is made of
_AT_ONCE = 1 << 20
_REACH = 1.1  # of a pixel's resolution, from its centre to its farthest corner
_GAP = 15.0  # degrees of RA without a pixel that count as not covered


def healpix_info(
    images: Sequence[SphereImage], plane: int, id: str, reduction: str = "mean"
) -> LayerInfo:
    """Return the description of one plane of a HEALPix map; reads no pixel.

    Parameters
    ----------
    images : sequence of SphereImage
        The planes of the map.
    plane : int
        Which one.
    id : str
    reduction : str
        How many pixels become one.
    """
    image = images[plane]
    reader = image.reader
    listed = getattr(reader, "listed", None)
    size = f"nside {reader.nside}, {'NESTED' if reader.nested else 'RING'}"
    degrees = resolution(reader.nside)
    return LayerInfo(
        id=id,
        title=title_of(image),
        kind="healpix",
        units=one_line(image.units),
        quantity=quantity_of(image, reduction),
        frame=image.frame,
        projection="HEALPix",
        size=size if listed is None else f"{size}, {listed.size:,} pixels",
        coverage=ALL_SKY if listed is None else coverage_of(image, listed),
        resolution=degrees,
        max_zoom=SKY.zoom_for(degrees),
        style=default_style(image),
        planes=tuple(i.plane for i in images) if len(images) > 1 else (),
        notes=tuple(image.notes),
    )


def coverage_of(image: SphereImage, listed: AnyArray) -> Coverage:
    """Return a sky rectangle that holds the pixels that a partial map lists."""
    if not listed.size:
        return ALL_SKY
    reader = image.reader
    order = order_of(reader.nside)
    k = max(order - _COARSE, 0)
    found = np.zeros(12 << 2 * (order - k), bool)
    for at in range(0, listed.size, _AT_ONCE):
        pixels = listed[at : at + _AT_ONCE].astype(np.int64)
        nested = pixels if reader.nested else ring_to_nested(reader.nside, pixels)
        found[nested >> 2 * k] = True
    nside = 1 << (order - k)
    lon, lat = pixel_centres(nside, np.flatnonzero(found), nested=True)
    ra, dec = to_icrs(lon, lat, image.frame)
    reach = _REACH * resolution(nside)
    return _rectangle(ra, dec, reach)


def _rectangle(ra: AnyArray, dec: AnyArray, reach: float) -> Coverage:
    low, high = max(float(dec.min()) - reach, -90.0), min(float(dec.max()) + reach, 90.0)
    if high == 90.0 or low == -90.0:
        return Coverage(360.0, 0.0, low, high)
    side = float(np.degrees(np.arcsin(min(1.0, np.sin(np.radians(reach)) / _narrowest(low, high)))))
    ordered = np.unique(ra)
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    widest = int(np.argmax(gaps))
    if gaps[widest] - 2.0 * side < _GAP:
        return Coverage(360.0, 0.0, low, high)
    west = float(wrap_ra(ordered[(widest + 1) % ordered.size] - side))
    return Coverage(west + 360.0 - float(gaps[widest]) + 2.0 * side, west, low, high)


def _narrowest(low: float, high: float) -> float:
    """Return the smallest cosine of a declination in a range."""
    return float(np.cos(np.radians(max(abs(low), abs(high)))))
