"""What loaders give to map layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skyshade.types.protocols import PixelReader, SphereReader


@dataclass(frozen=True, eq=False)
class SkyImage:
    """One two-dimensional image with its place on the sky: what loaders give to map layers.

    Parameters
    ----------
    reader : PixelReader
    wcs : astropy.wcs.WCS
        Two celestial axes, pixel order (x, y).
    name : str
        File stem or the user's name; ids are made from it.
    hdu : str
        HDU name or number when the file holds several images, else "".
    plane, plane_axis : str
        E.g. ``"Q"`` and ``"stokes"`` for one plane of an I,Q,U map, else "".
    units, title : str
        Text from the file, one line, not escaped.
    integer : bool
        Stored as integers without scaling (masks, counts): never interpolated.
    attrs : mapping
        Header cards worth keeping (OBJECT, TELESCOP, POLCCONV ...).
    notes : tuple of str
        Warnings, e.g. a truncated file.
    weight : PixelReader, optional
        Inverse variances on the same pixels: means of coarser pixels are weighted by them.
    """

    reader: PixelReader
    wcs: Any
    name: str
    hdu: str = ""
    plane: str = ""
    plane_axis: str = ""
    units: str = ""
    title: str = ""
    integer: bool = False
    attrs: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    weight: PixelReader | None = None


@dataclass(frozen=True, eq=False)
class SphereImage:
    """One HEALPix map: what loaders give to HEALPix layers.

    Parameters
    ----------
    reader : SphereReader
        Its ``nside`` and ``nested`` say how pixels are numbered.
    frame : str
        Frame of the pixels, as `skyshade.geometry.frames` names it.
    name, hdu, plane, plane_axis, units, title, integer, attrs, notes
        As for `SkyImage`.
    """

    reader: SphereReader
    frame: str
    name: str
    hdu: str = ""
    plane: str = ""
    plane_axis: str = ""
    units: str = ""
    title: str = ""
    integer: bool = False
    attrs: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
