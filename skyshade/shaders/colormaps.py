"""Colour maps by name: matplotlib's, colorcet's and Planck's, as (256, 4) arrays.

The most used ones lie in ``builtin.npy`` (made by ``tests/shaders/make_builtin.py``), so a tile
needs neither matplotlib nor colorcet. A name that both libraries know is matplotlib's; colorcet's
own is found with the prefix ``cet_``, as colorcet itself registers it.
"""

from __future__ import annotations

import difflib
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from skyshade.errors import UnknownNameError
from skyshade.shaders.colours import RGBA, rgba_of

STORED = (
    "viridis", "plasma", "inferno", "magma", "cividis", "turbo", "gray", "coolwarm", "RdBu", "fire",
    "twilight",
)  # fmt: skip
BUILTIN = (*STORED, "planck")

# The stops of the Planck collaboration's colour table for CMB maps, as pixell also has them.
PLANCK = (
    (0.0, "#0000ff"), (0.332, "#00d7ff"), (0.5, "#ffedd9"),
    (0.664, "#ffb400"), (0.828, "#ff4b00"), (1.0, "#640000"),
)  # fmt: skip


@lru_cache(maxsize=512)
def colormap(name: str) -> RGBA:
    """Return the colours of a colour map, first to last.

    Parameters
    ----------
    name : str
        See `colormap_names`; ``_r`` at the end turns a map round.

    Returns
    -------
    ndarray of uint8, shape (256, 4)
        RGBA; read-only.

    Raises
    ------
    UnknownNameError
        Naming the closest known ones.
    """
    plain = name.removesuffix("_r")
    found = _builtin(plain)
    if found is not None:
        found = found[::-1] if name != plain else found
    else:
        found = _matplotlib(name)
        found = _colorcet(name) if found is None else found
    if found is None:
        close = difflib.get_close_matches(name, colormap_names(), n=8, cutoff=0.5)
        raise UnknownNameError("colour map", name[:80], close or BUILTIN)
    found = np.ascontiguousarray(found)
    found.setflags(write=False)
    return found


@cache
def _stored() -> Any:
    return np.load(Path(__file__).with_name("builtin.npy"))


def _builtin(name: str) -> RGBA | None:
    if name == "planck":
        at, colours = zip(*PLANCK, strict=True)
        knots, where = rgba_of(colours), np.linspace(0, 1, 256)
        channels = [np.interp(where, at, knots[:, c]) for c in range(4)]
        return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    if name not in STORED:
        return None
    out = np.full((256, 4), 255, np.uint8)
    out[:, :3] = _stored()[STORED.index(name)]
    return out


def _matplotlib(name: str) -> RGBA | None:
    from matplotlib import colormaps  # noqa: PLC0415 (heavy; foreign colour maps only)

    if name not in colormaps or name.startswith("cet_"):
        return None
    made: RGBA = colormaps[name](np.linspace(0, 1, 256), bytes=True)
    return made


def _colorcet(name: str) -> RGBA | None:
    import colorcet  # noqa: PLC0415 (imports matplotlib; foreign colour maps only)

    plain = name.removeprefix("cet_").replace("CET-", "CET_")
    if plain in colorcet.palette:
        return rgba_of(colorcet.palette[plain])
    plain = plain.removesuffix("_r")
    return rgba_of(colorcet.palette[plain][::-1]) if plain in colorcet.palette else None


def colormap_names() -> list[str]:
    """Return every name that `colormap` knows, sorted without regard to case."""
    return list(_names())


@cache
def _names() -> tuple[str, ...]:
    import colorcet  # noqa: PLC0415 (imports matplotlib)
    from matplotlib import colormaps  # noqa: PLC0415

    theirs = {name.removesuffix("_r") for name in colormaps} | {*colorcet.palette}
    theirs |= {f"cet_{name}" for name in colorcet.palette}
    names = theirs | {*BUILTIN}
    return tuple(sorted(names | {f"{n}_r" for n in names}, key=lambda n: (n.lower(), n)))
