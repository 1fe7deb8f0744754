"""A small analytic layer, so that the server's own tests need no file."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.types import (
    PERCENTILES,
    Aggregate,
    Coverage,
    LayerInfo,
    Statistics,
    Style,
    Window,
)


@dataclass
class FakeLayer:
    """Value (dec + 90) / 180 inside its declinations, NaN outside."""

    name: str = "fake"
    version: str = "v1"
    quality: str = "exact"
    delay: float = 0.0
    error: BaseException | None = None
    top: float = 60.0
    computed: list[Window] = field(default_factory=list)
    gate: threading.Event | None = None

    @property
    def info(self) -> LayerInfo:
        return LayerInfo(
            id=self.name,
            title=f"{self.name} <b>",
            kind="map",
            units="uK",
            quantity="I",
            size="4 x 4",
            coverage=Coverage(360.0, 0.0, -90.0, self.top),
            resolution=0.5,
            max_zoom=3,
            style=Style(),
            planes=("I", "Q"),
        )

    def compute(self, window: Window) -> Aggregate:
        self.computed.append(window)
        if self.gate is not None:
            assert self.gate.wait(10)
        time.sleep(self.delay)
        if self.error is not None:
            raise self.error
        rows = window.row + np.arange(window.height) + 0.5
        _, dec = window.grid.sky_axes(window.z, np.zeros(1), rows)
        column = np.where((dec <= self.top) & (dec >= -90), (dec + 90) / 180, np.nan)
        values = np.repeat(column[:, None], window.width, axis=1).astype(np.float32)
        return Aggregate(values, "uK", self.version, self.quality)

    def aggregate(self, window: Window, *, exact: bool = False) -> Any:
        del exact
        return self.compute(window).to_xarray()

    def select(self, *, reduction=None, column=None, where=None, plane=None, time=None):
        if plane is not None and plane not in self.info.planes:
            raise UnknownNameError("plane", plane, self.info.planes)
        for name, value in (("agg", reduction), ("col", column), ("where", where), ("time", time)):
            if value is not None:
                msg = f"{name} {value!r} is not allowed for a map"
                raise InputError(msg)
        return FakeLayer(self.name, f"{self.version}-{plane}", computed=self.computed)

    def statistics(self) -> Statistics:
        return Statistics(
            n_valid=10,
            minimum=0.0,
            maximum=1.0,
            mean=0.5,
            std=0.1,
            percentiles={p: float(p) / 100 for p in PERCENTILES},
            counts=(5, 5),
            edges=(0.0, 0.5, 1.0),
        )

    def scale(self) -> float:
        return 2.0

    def value(self, ra: float, dec: float) -> float | None:
        del ra
        return (dec + 90) / 180 if dec <= self.top else None
