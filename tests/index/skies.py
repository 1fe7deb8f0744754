"""Blocks of rows on the sky for the tests of the index, and what brute force says of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.geometry import SKY
from skyshade.geometry.keys import keys_of
from skyshade.types import RowBlock, State, Tile

AWKWARD = (
    *((0, 0), (180, 0), (0, 90), (180, -90)),
    *((359.9999999999, 0), (90, 90), (180, 90), (360, 45)),
)


def places(n: int, seed: int = 1, *, clusters: int = 3) -> tuple[Any, Any]:
    """Return positions: awkward ones, dense clusters, exact duplicates, and the rest spread out."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    for i in range(clusters):
        part = slice(n // 2 + i * (n // 8), n // 2 + (i + 1) * (n // 8))
        ra[part] = (ra[part.start] + rng.normal(0, 0.01, part.stop - part.start)) % 360
        dec[part] = np.clip(dec[part.start] + rng.normal(0, 0.01, part.stop - part.start), -90, 90)
    ra[n // 2 : n // 2 + n // 16], dec[n // 2 : n // 2 + n // 16] = ra[n // 2], dec[n // 2]
    for i, (r, d) in enumerate(AWKWARD[:n]):
        ra[i], dec[i] = r, d
    return ra, dec


def block(n: int = 4000, seed: int = 1) -> tuple[RowBlock, Any, Any]:
    """Return a sorted block with a column ``v`` (some NaN) and codes ``c``, and its positions."""
    rng = np.random.default_rng(seed)
    ra, dec = places(n, seed)
    keys = keys_of(ra, dec)
    sort = np.argsort(keys, kind="stable")
    values = rng.normal(9, 2, n)
    values[::7] = np.nan
    codes = rng.integers(-1, 3, n).astype(np.int32)
    made = RowBlock(np.ascontiguousarray(keys[sort]), sort, {"v": values[sort]}, {"c": codes[sort]})
    return made, ra[sort], dec[sort]


def brute(tile: Tile, state: State, rows: RowBlock, ra: Any, dec: Any) -> Any:
    """Return the values of a state on a tile, from the lattice formula and plain loops."""
    cols, lines = SKY.lattice(ra, dec, tile.z)
    x, y = cols - 256 * tile.x, lines - 256 * tile.y
    inside = (x >= 0) & (x < 256) & (y >= 0) & (y < 256)
    pixel = (y * 256 + x)[inside]
    if state.kind == "count":
        return np.bincount(pixel, minlength=65536).reshape(256, 256)
    if state.kind == "category":
        codes = rows.codes[state.column][inside]
        found = [np.bincount(pixel[codes == c], minlength=65536) for c in range(3)]
        return np.stack(found, axis=1).reshape(256, 256, 3)
    values = rows.columns[state.column][inside]
    result = np.full(65536, np.nan)
    for p in np.unique(pixel):
        mine = values[(pixel == p) & ~np.isnan(values)]
        if mine.size:
            result[p] = {"sum": np.sum, "min": np.min, "max": np.max, "moments": np.std}[
                state.kind
            ](mine)
    return result.reshape(256, 256)


def values_of(state: State, arrays: Any) -> Any:
    """Return what `brute` returns, from the arrays of a state."""
    if state.kind in ("count", "category"):
        return arrays.n
    if state.kind == "moments":
        with np.errstate(all="ignore"):
            return np.sqrt(np.where(arrays.n == 0, np.nan, arrays.b / arrays.n))
    return np.where(arrays.n == 0, np.nan, arrays.a)
