"""What a cutout is asked for, and the lines that say so."""

from __future__ import annotations

from collections.abc import Sequence

from skyshade.errors import InputError
from skyshade.layers.analysis_regions import Box, Patch, Region, box_of


def region_of(
    ra: float | None,
    dec: float | None,
    size: float | Sequence[float] | None,
    box: Sequence[float] | None,
) -> Region:
    """Return the region of a cutout; raise InputError when what is given does not make one."""
    if box is not None:
        if not (ra is dec is size is None):
            msg = "box is not allowed together with ra, dec or size: give one or the other"
            raise InputError(msg)
        if len(box) != 4:
            msg = f"box={tuple(box)!r} is not allowed: give ra_east, ra_west, dec_min, dec_max"
            raise InputError(msg)
        return Box(box_of(*(float(v) for v in box)))
    if ra is None or dec is None or size is None:
        msg = "a cutout needs ra, dec and size, or a box"
        raise InputError(msg)
    sides = (size, size) if isinstance(size, int | float) else tuple(size)
    if len(sides) != 2:
        msg = f"size={sides!r} is not allowed: give degrees, or width and height"
        raise InputError(msg)
    return Patch(float(ra), float(dec), float(sides[0]), float(sides[1]))


def where_from(
    parts: tuple[str, str, str], id: str, region: Region, version: str
) -> tuple[str, ...]:
    """Return lines that say where a cutout comes from.

    Parameters
    ----------
    parts : (str, str, str)
        File, HDU and plane; "" where there is none.
    id, version : str
        Of the layer.
    region : Region
    """
    name, hdu, plane = parts
    named = [name, hdu and f"HDU {hdu}", plane and f"plane {plane}"]
    place = "{:.10g}, {:.10g}".format(*region.middle)
    if isinstance(region, Box):
        east, west, south, north = region.coverage
        asked = f"RA {east:.10g} to {west:.10g}, Dec {south:.10g} to {north:.10g}"
    elif isinstance(region, Patch):
        asked = f"{region.width:.10g} x {region.height:.10g} at {place}"
    else:
        asked = f"{region.outer:.10g} around {place}"
    return (
        "Cut out by skyshade from " + ", ".join(part for part in named if part),
        f"Layer {id}, version {version}",
        f"Asked for (ICRS degrees): {asked}",
    )
