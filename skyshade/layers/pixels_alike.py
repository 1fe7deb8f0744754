"""Whether two maps lie on the same pixels, and what differs if not."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.errors import InputError, one_line
from skyshade.geometry.wcs import PixelMap, fingerprint, separation

_TOLERANCE = 0.001  # pixels
_TRIED = 17


def check_alike(a: Any, b: Any) -> None:
    """Check that two layers of maps lie on the same pixels.

    Headers may differ in what does not move a pixel (dates, spelling): positions decide then, to a
    thousandth of a pixel.

    Raises
    ------
    InputError
        Naming both layers and what differs.
    """
    what = _difference(a, b)
    if what:
        names = f"{a.info.id!r} and {b.info.id!r}"
        msg = f"layers {names} cannot be combined: they do not lie on the same pixels: {what}"
        raise InputError(msg)


def _difference(a: Any, b: Any) -> str:
    kinds = [layer.info.kind for layer in (a, b)]
    if kinds[0] != kinds[1]:
        return f"kinds {kinds[0]} and {kinds[1]}"
    readers = [layer.image.reader for layer in (a, b)]
    if hasattr(readers[0], "nside"):
        return _sphere_difference(a, b)
    shapes = [f"{reader.shape[1]} x {reader.shape[0]}" for reader in readers]
    if shapes[0] != shapes[1]:
        return f"{shapes[0]} and {shapes[1]} pixels"
    one, two = a.image.wcs, b.image.wcs
    if one is two or fingerprint(one) == fingerprint(two):
        return ""
    return "" if _same_places(a.pixels, b.pixels) else _card_difference(one, two)


def _sphere_difference(a: Any, b: Any) -> str:
    for name, of in (("nside", "reader"), ("nested", "reader"), ("frame", "image")):
        one, two = (
            getattr(layer.image.reader if of == "reader" else layer.image, name) for layer in (a, b)
        )
        if one != two:
            return f"{name} is {one} and {two}"
    return ""


def _same_places(a: PixelMap, b: PixelMap) -> bool:
    ny, nx = a.shape
    x, y = np.meshgrid(np.linspace(0, nx - 1, _TRIED), np.linspace(0, ny - 1, _TRIED))
    one, two = a.pixel_to_sky(x, y), b.pixel_to_sky(x, y)
    shown = np.isfinite(one[0])
    if not np.array_equal(shown, np.isfinite(two[0])):
        return False
    away = separation(*one, *two)[shown]
    return bool(away.max(initial=0.0) < _TOLERANCE * a.resolution)


def _card_difference(one: Any, two: Any) -> str:
    """Return the first cards that differ, as ``CRVAL1 is 0 and 10``."""
    cards = [_cards(wcs) for wcs in (one, two)]
    for name in sorted({*cards[0], *cards[1]}):
        values = [found.get(name) for found in cards]
        if values[0] != values[1] and not name.startswith(("DATE", "MJD")):
            shown = ["not given" if v is None else one_line(v, 40) for v in values]
            return f"{name} is {shown[0]} and {shown[1]}"
    return "their distortions differ"


def _cards(wcs: Any) -> dict[str, Any]:
    return {str(name): value for name, value in wcs.to_header(relax=True).items()}
