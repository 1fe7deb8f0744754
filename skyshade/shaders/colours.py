"""Colours as people write them, and palettes made of them. RGBA is straight, 8 bits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError

RGBA = NDArray[np.uint8]
CLEAR = (0, 0, 0, 0)
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")


def parse_colour(text: str) -> tuple[int, int, int, int]:
    """Return RGBA of ``#rgb``, ``#rrggbb``, ``#rrggbbaa``, a CSS colour name or ``"none"``.

    Raises
    ------
    InputError
    """
    if text == "none":
        return CLEAR
    found = text if _HEX.fullmatch(text) else _named(text)
    digits = found[1:]
    if len(digits) == 3:
        digits = "".join(2 * c for c in digits)
    red, green, blue, alpha = bytes.fromhex(digits if len(digits) == 8 else digits + "ff")
    return red, green, blue, alpha


def _named(text: str) -> str:
    from PIL.ImageColor import colormap  # noqa: PLC0415 (only for names of colours)

    found = colormap.get(text.lower())
    if not isinstance(found, str):
        msg = f"colour {text[:80]!r} is not allowed: give #rrggbb, #rrggbbaa or a CSS colour name"
        raise InputError(msg)
    return found


def hex_of(colour: Any) -> str:
    """Return ``#rrggbbaa`` of a colour given as text or as 3 or 4 numbers of 0..255."""
    if isinstance(colour, str):
        parts: Sequence[int] = parse_colour(colour)
    else:
        parts = np.asarray(colour).tolist()
    good = len(parts) in (3, 4) and all(isinstance(p, int) and 0 <= p <= 255 for p in parts)
    if not good:
        msg = f"colour {colour!r} is not allowed: give text or 3 or 4 whole numbers of 0 to 255"
        raise InputError(msg)
    return "#" + bytes([*parts, 255][:4]).hex()


def hexes_of(colours: Any) -> tuple[str, ...]:
    """Return ``#rrggbbaa`` of every row of an (n, 3) or (n, 4) array or of a list of colours.

    Floating-point arrays are taken as 0..1, as matplotlib does; whole numbers as 0..255.
    """
    if isinstance(colours, np.ndarray) and colours.dtype.kind == "f":
        if not (np.all(colours >= 0) and np.all(colours <= 1)):
            msg = "colours given as floating-point numbers must lie in 0 to 1"
            raise InputError(msg)
        colours = np.rint(colours * 255).astype(np.int64)
    made = tuple(hex_of(c) for c in colours)
    if not made:
        msg = "a colour map of no colours is not allowed: give at least one"
        raise InputError(msg)
    return made


def rgba_of(hexes: Sequence[str]) -> RGBA:
    """Return colours as an array, shape (n, 4)."""
    return np.array([parse_colour(h) for h in hexes], np.uint8)


def resample(colours: RGBA, n: int) -> RGBA:
    """Return `n` colours along a list of colours, its ends kept, shape (n, 4).

    Long lists are picked from, so that every colour is one of the list's own; lists shorter than
    `n` are interpolated linearly, as datashader does.
    """
    if len(colours) >= n:
        pick = np.ceil(np.linspace(0, len(colours) - 1, n) - 0.5).astype(np.int64)
        return colours[pick]
    where, knots = np.linspace(0, 1, n), np.linspace(0, 1, len(colours))
    channels = [np.interp(where, knots, colours[:, c]) for c in range(4)]
    return np.stack(channels, axis=1).astype(np.uint8)


def over(front: RGBA, back: tuple[int, int, int, int]) -> RGBA:
    """Return colours, shape (..., 4), laid over one background colour (Porter-Duff over)."""
    if back[3] == 0:
        return front
    a = front[..., 3:] / 255.0
    b = (1.0 - a) * (back[3] / 255.0)
    total = a + b
    with np.errstate(invalid="ignore"):
        mixed = (front[..., :3] * a + np.array(back[:3]) * b) / total
    out = np.empty_like(front)
    out[..., :3] = np.rint(np.nan_to_num(mixed))
    out[..., 3:] = np.rint(total * 255)
    return out


def lay_marks(marks: RGBA, opacity: RGBA, below: RGBA | None) -> RGBA:
    """Return marks laid over colours with an opacity, shape (height, width, 4).

    Parameters
    ----------
    marks : ndarray of uint8, shape (height, width, 4)
    opacity : ndarray of uint8, shape (height, width)
        On top of that of the colours themselves.
    below : ndarray of uint8, shape (height, width, 4), optional
    """
    front = np.array(marks, np.uint8)
    if below is None:
        clear = front[..., 3] != 255
        front[..., 3][~clear] = opacity[~clear]
        front[..., 3][clear] = np.rint(opacity[clear] * (front[..., 3][clear] / 255.0))
        return front
    front[..., 3] = np.rint(opacity * (front[..., 3] / 255.0))
    a, b = front[..., 3:] / 255.0, below[..., 3:] / 255.0
    b = b * (1.0 - a)
    total = a + b
    with np.errstate(invalid="ignore"):
        front[..., :3] = np.rint(np.nan_to_num((front[..., :3] * a + below[..., :3] * b) / total))
    front[..., 3:] = np.rint(total * 255.0)
    return front
