"""Small layers and an atlas for the viewer; nothing is read from files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skyshade.app.viewer import Viewer
from skyshade.atlas.atlas import Atlas, Entry
from skyshade.errors import InputError
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
    reductions: tuple[str, ...] = ()
    top: float = 100.0

    def compute(self, window: Window) -> Aggregate:
        values = np.linspace(0, self.top, window.width * window.height).reshape(window.shape)
        return Aggregate(values)

    def statistics(self) -> Statistics:
        edges = tuple(np.linspace(0.0, self.top, 11).tolist())
        found = {p: float(p) * self.top / 100 for p in PERCENTILES}
        return Statistics(1000, 0.0, self.top, 50.0, 29.0, found, (100,) * 10, edges)

    def select(self, *, reduction: Any = None, plane: Any = None, **_: Any) -> SmallLayer:
        """Return a layer whose numbers are ten times those of the one before in its list."""
        names = self.reductions or ("mean",)
        if reduction is not None and reduction not in names:
            raise InputError(f"reduction {reduction!r} is not allowed")
        if plane is not None and plane not in self.info.planes:
            raise InputError(f"plane {plane!r} is not allowed")
        steps = names.index(reduction or names[0])
        planes = self.info.planes.index(plane) if plane else 0
        if not (steps or planes):
            return self
        info = replace(self.info, quantity=plane or self.info.quantity)
        version = f"{self.version}-{reduction}-{plane}"
        return replace(self, info=info, version=version, top=self.top * 10 ** (steps + planes))

    def value(self, ra: float, dec: float) -> float:
        return ra + dec


class SmallColours(SmallLayer):
    """Three bands with their own colours."""

    @property
    def parts(self) -> tuple[SmallLayer, ...]:
        return tuple(SmallLayer(info(name, units="MJy / sr")) for name in ("r", "g", "b"))

    def statistics(self) -> Statistics:
        return replace(super().statistics(), bands=((0.0, 1.0),) * 3)


class SmallCatalogue(SmallLayer):
    """A catalogue with four rows about RA 0."""

    def query(self, *, coverage: Coverage, **_: Any) -> Any:
        self.asked.append(coverage)
        ra, dec = np.array([359.0, 1.0, 2.0, 180.0]), np.array([0.0, 1.0, -1.0, 89.0])
        inside = (ra - coverage.ra_west) % 360.0 <= coverage.ra_east - coverage.ra_west
        inside &= (dec >= coverage.dec_min) & (dec <= coverage.dec_max)
        which = np.flatnonzero(inside)
        table = {"ra": ra[which], "dec": dec[which], HOSTILE: np.array([1, 2, 3, 4])[which]}
        table["vmag"] = np.array([1.0, 5.0, np.nan, 3.0])[which]
        return SimpleNamespace(columns=table, rows=which, total=which.size, truncated=False)

    def nearest(self, ra: float, dec: float, radius: float) -> dict[str, Any] | None:
        away = float(np.hypot(ra - 1.0, dec - 1.0))
        row = {"ra": 1.0, "dec": 1.0, HOSTILE: 2, "vmag": 5.25}
        return {**row, "separation": away, "row": 1} if away <= radius else None


def info(name: str, **more: Any) -> LayerInfo:
    given = {"kind": "map", "title": name, "resolution": 0.1, "max_zoom": 4, **more}
    return LayerInfo(id=name, **given)


@pytest.fixture
def atlas() -> Atlas:
    """An all-sky map, a small map with a hostile title, a cube, colours, a catalogue, overlays."""
    made = Atlas()
    style = Style(cmap="magma", stretch="asinh")
    layers = [
        SmallLayer(
            info("sky", units="deg-2", style=style, resolution=0.01), reductions=("mean", "max")
        ),
        SmallLayer(info("small", title=HOSTILE, coverage=Coverage(85.5, 84.5, -3.0, -2.0))),
        SmallLayer(info("cube", planes=("10 km/s", "20 km/s", HOSTILE), units="uK_CMB")),
        SmallColours(info("colours", kind="rgb", style=Style(stretch="lupton"))),
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


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10.0
    while not true():
        assert time.monotonic() < end, "waited ten seconds in vain"
        time.sleep(0.01)


@pytest.fixture
def viewer(atlas: Atlas) -> Viewer:
    made = Viewer(atlas)
    until(lambda: made._statistics is not None)
    return made


def pick(viewer: Viewer, row: int, how: str = "marker", name: str = "list") -> None:
    """Tell Python, as the page does, that a source was clicked."""
    picked = viewer._sources.picked
    serial = picked.data["serial"][0] + 1
    picked.data = {"list": [name], "row": [row], "how": [how], "serial": [serial]}


def wanted(viewer: Viewer) -> str:
    return str(viewer._map.want.data["url"][0])
