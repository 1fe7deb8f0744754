"""Maps and their inverse variances in one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from skyshade.geometry.wcs import fingerprint
from skyshade.types import SkyImage

_WEIGHT = re.compile(
    r"(?P<before>.*?)[ _-]?(IVAR|INV_?VAR(IANCE)?|WHT|WEIGHTS?(_?MAP)?)[ _-]?(?P<after>.*)", re.I
)
_MAP = ("", "SCI", "MAP", "DATA", "IMAGE", "SIGNAL", "FLUX", "PRIMARY", "SKY")


def add_weights(maps: Sequence[list[SkyImage]]) -> list[list[SkyImage]]:
    """Give maps the inverse variances that lie beside them in the file.

    Only clear cases count: EXTNAME IVAR, WHT or WEIGHT beside one of SCI, MAP, DATA, IMAGE,
    SIGNAL, FLUX, PRIMARY or none, or X beside X_IVAR; with the same EXTVER, if there is one, the
    same size and the same WCS; and as many planes as the map, or one.

    Parameters
    ----------
    maps : sequence of list of SkyImage
        As in `skyshade.loaders.source.Loaded.images`.
    """
    weights = [(found, planes) for planes in maps if (found := _WEIGHT.fullmatch(_name(planes)))]
    return [_weighed(planes, weights) for planes in maps] if weights else list(maps)


def _weighed(
    planes: list[SkyImage], weights: list[tuple[re.Match[str], list[SkyImage]]]
) -> list[SkyImage]:
    name = _name(planes)
    if _WEIGHT.fullmatch(name):
        return planes
    fitting = [w for found, w in weights if _belongs(name, found) and _same_place(planes, w)]
    if len(fitting) != 1:
        return planes
    (found,) = fitting
    note = f"means are weighted with {found[0].attrs.get('EXTNAME', found[0].hdu)}"
    each = found if len(found) == len(planes) else found * len(planes)
    return [
        replace(image, weight=weight.reader, notes=(*image.notes, note))
        for image, weight in zip(planes, each, strict=True)
    ]


def _belongs(name: str, weight: re.Match[str]) -> bool:
    rest = f"{weight['before']}{weight['after']}"
    return name == rest or (not rest and name in _MAP)


def _same_place(planes: list[SkyImage], weights: list[SkyImage]) -> bool:
    a, b = planes[0], weights[0]
    return (
        len(weights) in (1, len(planes))
        and a.reader.shape == b.reader.shape
        and a.attrs.get("EXTVER", 1) == b.attrs.get("EXTVER", 1)
        and fingerprint(a.wcs) == fingerprint(b.wcs)
    )


def _name(planes: list[SkyImage]) -> str:
    return str(planes[0].attrs.get("EXTNAME", "")).strip().upper()
