"""Small layers and an atlas for the viewer; nothing is read from files."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skyshade.atlas.atlas import Atlas, Entry
from skyshade.overlays import Box, SourceList
from skyshade.types import PERCENTILES, Aggregate, Coverage, LayerInfo, Statistics, Style, Window

HOSTILE = "<img src=x onerror=alert(1)>"


@dataclass
class SmallLayer:
    """A layer whose numbers are a gradient; exact unless told otherwise."""

    info: LayerInfo
    version: str = "v1"
    ready: bool = True
    asked: list[Any] = field(default_factory=list)

    def compute(self, window: Window) -> Aggregate:
        values = np.linspace(0, 100, window.width * window.height).reshape(window.shape)
        return Aggregate(values)

    def statistics(self) -> Statistics:
        edges = tuple(np.linspace(0.0, 100.0, 11).tolist())
        found = {p: float(p) for p in PERCENTILES}
        return Statistics(1000, 0.0, 100.0, 50.0, 29.0, found, (100,) * 10, edges)

    def value(self, ra: float, dec: float) -> float:
        return ra + dec


class SmallCatalogue(SmallLayer):
    """A catalogue with four rows about RA 0."""

    def rows(self, *, coverage: Coverage, **_: Any) -> Any:
        self.asked.append(coverage)
        ra, dec = np.array([359.0, 1.0, 2.0, 180.0]), np.array([0.0, 1.0, -1.0, 89.0])
        inside = (ra - coverage.ra_west) % 360.0 <= coverage.ra_east - coverage.ra_west
        inside &= (dec >= coverage.dec_min) & (dec <= coverage.dec_max)
        which = np.flatnonzero(inside)
        table = {"ra": ra[which], "dec": dec[which], HOSTILE: np.array([1, 2, 3, 4])[which]}
        table["vmag"] = np.array([1.0, 5.0, np.nan, 3.0])[which]
        return SimpleNamespace(columns=table, rows=which, total=which.size, truncated=False)


def info(name: str, **more: Any) -> LayerInfo:
    given = {"kind": "map", "title": name, "resolution": 0.1, "max_zoom": 4, **more}
    return LayerInfo(id=name, **given)


@pytest.fixture
def atlas() -> Atlas:
    """An all-sky map, a small map with a hostile title, a catalogue, sources, boxes."""
    made = Atlas()
    style = Style(cmap="magma", stretch="asinh")
    layers = [
        SmallLayer(info("sky", units="deg-2", style=style)),
        SmallLayer(info("small", title=HOSTILE, coverage=Coverage(85.5, 84.5, -3.0, -2.0))),
        SmallCatalogue(info("stars", kind="catalog", quantity="surface density")),
    ]
    for layer in layers:
        made.add(Entry(layer.info.id, layer, title=layer.info.title))
    made.add(Entry("broken", None, "rejected", "broken.fits: empty", "broken"))
    ra, dec = np.array([10.0, 350.0]), np.array([5.0, -5.0])
    made.add_sources(
        SourceList("list", HOSTILE, ra, dec, ["ACT-CL J0005", HOSTILE], {HOSTILE: ra}, {}, 2)
    )
    made.add_boxes([Box(HOSTILE, 370.0, 350.0, -10.0, 10.0, "crosses RA 0")])
    return made
