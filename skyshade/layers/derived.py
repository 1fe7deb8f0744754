"""What layers made of other layers share: parts, version, quality, background work, statistics."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, TypeVar, cast

import numpy as np

from skyshade.errors import ChangedError, FrameMismatchError, InputError, one_line
from skyshade.geometry.grids import SKY
from skyshade.layers.pixel_layer import Exact
from skyshade.layers.sampled import Sampling
from skyshade.layers.stats import scale_of, statistics_of
from skyshade.types import (
    Aggregate,
    AnyArray,
    Coverage,
    Layer,
    LayerInfo,
    Quality,
    Statistics,
    Style,
    Window,
)

AnyLayer = TypeVar("AnyLayer")
ENGINE = "1"  # raise it whenever the numbers of a derived tile change
WORST: tuple[Quality, ...] = ("preview", "sample", "approximate", "exact")
_PLACES, _SIDE = 64, 48  # windows that statistics look at, and their size
_WHOLE = 1 << 18  # pixels of the window over the whole coverage, when those found too little
_FEW = 4000


class DerivedLayer(Sampling, Exact):
    """A layer computed from other layers, window by window.

    Subclasses give `_compute`. Whoever may see a derived layer must be allowed to see all of its
    `parts`.

    Parameters
    ----------
    parts : sequence of Layer
    info : LayerInfo
    mark : str
        What else the numbers depend on; goes into the version.
    """

    def __init__(self, parts: Sequence[Layer], info: LayerInfo, mark: str) -> None:
        self.parts: tuple[Layer, ...] = tuple(parts)
        self.info = info
        self._mark = f"{ENGINE}|{type(self).__name__}|{mark}"
        self._lock = threading.Lock()
        self._numbers: tuple[str, Statistics, float] | None = None

    @property
    def id(self) -> str:
        """Name in URLs."""
        return self.info.id

    @property
    def version(self) -> str:
        """Changes with any part and with what is computed from them; 16 hexadecimal digits."""
        text = "|".join((self._mark, *(part.version for part in self.parts)))
        return blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def ready(self) -> bool:
        """Whether every tile is exact from now on."""
        return all(getattr(part, "ready", True) for part in self.parts)

    @property
    def progress(self) -> float:
        """Part of the overviews that is built, 0 to 1: that of the slowest part."""
        return min(getattr(part, "progress", 1.0) for part in self.parts)

    @property
    def overview_error(self) -> Exception | None:
        """Why a part's overview could not be built; None if all is well."""
        errors = (getattr(part, "overview_error", None) for part in self.parts)
        return next((error for error in errors if error is not None), None)

    def start_overview(self, submit: Any, on_ready: Callable[[], None] | None = None) -> None:
        """Build the parts' overviews in the background; `on_ready` is called after the last."""
        begin = [p.start_overview for p in self.parts if hasattr(p, "start_overview")]
        if on_ready is None:
            tell = None
        else:
            tell = _After(len(begin), on_ready)
            if not begin:
                on_ready()
        for start in begin:
            start(submit, tell)

    def cancel_overview(self) -> None:
        """Stop building the parts' overviews."""
        for part in self.parts:
            cancel = getattr(part, "cancel_overview", None)
            if cancel is not None:
                cancel()

    def wait_exact(self, timeout: float | None = None) -> None:
        """Build the parts' overviews, or help those that do; see `MapLayer.wait_exact`."""
        for part in self.parts:
            wait = getattr(part, "wait_exact", None)
            if wait is not None:
                wait(timeout)

    def compute(self, window: Window) -> Aggregate:
        """Return the numbers on `window`, all from one version of the parts.

        Raises
        ------
        FrameMismatchError
            The window lies on a grid that is not the sky.
        DataError
            A part cannot be read.
        ChangedError
            A part changed twice while it was read.
        """
        if window.grid.frame != "sky":
            msg = f"layer {self.id!r} lies on the sky: grid {window.grid.id!r} shows free x/y data"
            raise FrameMismatchError(msg)
        for _ in range(2):
            version = self.version
            made = self._compute(window)
            if self.version == version:
                return replace(made, version=version)
        raise ChangedError(self.id, "changed again while it was being computed")

    def _compute(self, window: Window) -> Aggregate:
        """Return the numbers on a sky window; the version is filled in."""
        raise NotImplementedError

    def select(
        self,
        *,
        reduction: object = None,
        column: str | None = None,
        where: str | None = None,
        plane: str | None = None,
        time: str | None = None,
    ) -> DerivedLayer:
        """Return this layer; there is nothing to select.

        Raises
        ------
        InputError
            When anything but the mean is asked for.
        """
        asked = {"column": column, "where": where, "plane": plane, "time": time}
        if reduction != "mean":
            asked["reduction"] = reduction if isinstance(reduction, str | None) else repr(reduction)
        for name, value in asked.items():
            if value is not None:
                msg = (
                    f"{name} {value!r} of layer {self.id!r} is not allowed: it is computed from "
                    "other layers; select those first"
                )
                raise InputError(msg)
        return self

    def statistics(self) -> Statistics:
        """Return statistics of a sample of the layer's values, the same at every call."""
        return self._counted()[1]

    def scale(self) -> float:
        """Return the power of two that value tiles are divided by."""
        return self._counted()[2]

    def value(self, ra: float, dec: float) -> float | None:
        """Return the value at an ICRS position in degrees; None where there is none."""
        raise NotImplementedError

    def _counted(self) -> tuple[str, Statistics, float]:
        """Return the statistics of this version; those taken from previews are renewed once."""
        mark = f"{self.version} {self.ready}"
        with self._lock:
            found = self._numbers
            if found is None or found[0] != mark:
                values = self._sample()
                found = self._numbers = mark, statistics_of(values, exact=False), scale_of(values)
            return found

    def _sample(self) -> AnyArray:
        """Return values from all over the layer."""
        return sample_windows(lambda window: self.compute(window).values, self.info)


class _After:
    """Calls a function once it has been called itself `n` times."""

    def __init__(self, n: int, then: Callable[[], None]) -> None:
        self._left, self._then = n, then
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self._then()


def restyled(layer: AnyLayer, *, id: str, title: str = "", style: Style | None = None) -> AnyLayer:
    """Return the same layer with another id, title ("" keeps it) and default style.

    Numbers and version are the same; what is computed in the background is shared.
    """
    made: Any = copy.copy(layer)
    info: LayerInfo = made.info
    made.info = replace(info, id=id, title=one_line(title) or info.title, style=style or info.style)
    if made.__dict__.get("id") is not None:
        made.id = id
    return cast("AnyLayer", made)


def worst(parts: Sequence[Aggregate]) -> Quality:
    """Return the worst quality of aggregates."""
    return min((part.quality for part in parts), key=WORST.index)


def join_coverage(parts: Sequence[Layer]) -> Coverage:
    """Return a sky rectangle that holds those of all parts (the whole circle of RA if they differ).

    Exact for the usual case, parts of one field.
    """
    boxes = [part.info.coverage for part in parts]
    first = boxes[0]
    same = all((b.ra_east, b.ra_west) == (first.ra_east, first.ra_west) for b in boxes)
    east, west = (first.ra_east, first.ra_west) if same else (360.0, 0.0)
    if not same and all(_within(b, boxes) for b in boxes):
        west, east = min(b.ra_west for b in boxes), max(b.ra_east for b in boxes)
    return Coverage(east, west, min(b.dec_min for b in boxes), max(b.dec_max for b in boxes))


def _within(box: Coverage, boxes: Sequence[Coverage]) -> bool:
    """Return whether all boxes lie within one turn that begins at the westernmost one."""
    return box.ra_east - min(b.ra_west for b in boxes) <= 360.0


def sample_windows(values: Callable[[Window], AnyArray], info: LayerInfo) -> AnyArray:
    """Return values of a layer from all over its coverage, deterministically.

    `_PLACES` windows on the deepest level (spread evenly in area by the R2 sequence of Roberts
    2018), and, where these find little, one over the whole coverage.
    """
    shape = SKY.lattice_shape(info.max_zoom)
    found = []
    for n in range(_PLACES):
        ra, dec = _place(n, info.coverage)
        col, row = SKY.lattice(np.array([ra]), np.array([dec]), info.max_zoom)
        top = min(max(int(row[0]) - _SIDE // 2, 0), max(shape[0] - _SIDE, 0))
        window = Window(SKY, info.max_zoom, int(col[0]) - _SIDE // 2, top, _SIDE, _SIDE)
        found.append(values(window))
    made = np.concatenate(found)
    good = np.isfinite(made)
    if np.count_nonzero(good) >= _FEW:
        return made
    return values(whole_window(info, info.max_zoom))


def _place(n: int, coverage: Coverage) -> tuple[float, float]:
    u, v = (0.5 + n * 0.7548776662466927) % 1.0, (0.5 + n * 0.5698402909980532) % 1.0
    low, high = (math.sin(math.radians(d)) for d in (coverage.dec_min, coverage.dec_max))
    dec = math.degrees(math.asin(min(max(low + v * (high - low), -1.0), 1.0)))
    return coverage.ra_west + u * (coverage.ra_east - coverage.ra_west), dec


def whole_window(info: LayerInfo, deepest: int) -> Window:
    """Return one window over a layer's coverage, on a level where it has few enough pixels."""
    box, z = info.coverage, deepest
    while z > 0 and _pixels(box, z) > _WHOLE:
        z -= 1
    height, width = SKY.lattice_shape(z)
    left = math.floor((180.0 - box.ra_east) / 360.0 * width)
    right = math.ceil((180.0 - box.ra_west) / 360.0 * width)
    top = max(math.floor((90.0 - box.dec_max) / 180.0 * height), 0)
    low = min(math.ceil((90.0 - box.dec_min) / 180.0 * height), height)
    return Window(SKY, z, left, top, max(right - left, 1), max(low - top, 1))


def _pixels(box: Coverage, z: int) -> float:
    height, width = SKY.lattice_shape(z)
    return (box.ra_east - box.ra_west) / 360.0 * width * (box.dec_max - box.dec_min) / 180 * height
