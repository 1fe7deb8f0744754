"""A point table on arrays, for the tests of catalogues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class ArrayTable:
    """A `skyshade.types.PointTable` that counts how often its columns are read."""

    def __init__(
        self,
        ra: Any,
        dec: Any,
        columns: Mapping[str, Any] | None = None,
        *,
        name: str = "stars",
        units: Mapping[str, str] | None = None,
    ) -> None:
        self.ra, self.dec = np.array(ra, np.float64), np.array(dec, np.float64)
        self.values = {key: np.asarray(value) for key, value in (columns or {}).items()}
        self.name, self.units = name, dict(units or {})
        self.guess, self.frame, self.tag = "ra, dec from arrays", "icrs", "1"
        self.reads: list[str] = []

    @property
    def columns(self) -> Sequence[str]:
        return tuple(self.values)

    def version(self) -> str:
        return self.tag

    def __len__(self) -> int:
        return self.ra.size

    def positions(self) -> tuple[Any, Any]:
        self.reads.append("positions")
        return self.ra, self.dec

    def column(self, name: str) -> Any:
        self.reads.append(name)
        return self.values[name]


def sphere(n: int, seed: int = 1) -> tuple[Any, Any]:
    """Return `n` positions spread evenly over the sky, with the awkward ones in front."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    edges = [(0, 0), (180, 0), (0, 90), (180, -90), (359.9999999999, 0), (90, 90), (180, 90)]
    for i, (r, d) in enumerate(edges[:n]):
        ra[i], dec[i] = r, d
    return ra, dec
