"""HEALPix planes: one map with all that is worked out from its pixels once, shared by layers."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np

from skyshade.geometry.healpix import frame_matrix, order_of, pixels_under, resolution
from skyshade.layers.healpix_overview import SphereOverview, first_level
from skyshade.layers.healpix_pixels import (
    Pixels,
    read_kept,
    read_level,
    read_middles,
    read_pixels,
    read_runs,
)
from skyshade.layers.healpix_states import REDUCTIONS, Kind, kept, of_pixels, shown, together
from skyshade.layers.map_info import is_symmetric
from skyshade.layers.states import as_pixels
from skyshade.layers.stats import scale_of, statistics_of
from skyshade.types import (
    AnyArray,
    IntArray,
    Quality,
    SphereImage,
    SphereReader,
    Statistics,
    Window,
)

ENGINE = "1"  # raise it whenever the numbers of a tile change
SMALL = 1 << 22  # pixels; an overview of fewer is built by the tile that needs it
SAMPLE = 300_000  # pixels behind statistics
_RUN = 64  # of them that lie together
_FEW = 10_000
_PATCHES = 100  # places that deviations are taken from
_PREVIEW = 3  # orders by which previews are coarser than the tile
_INSIDE = 0.495  # side of a square, in any direction, that every pixel holds; of its resolution

Start = tuple[Callable[..., Any], Callable[[], None] | None]


class SpherePlane:
    """One HEALPix map with its overviews, its statistics and its geometry.

    Parameters
    ----------
    image : SphereImage

    Raises
    ------
    InputError, UnknownNameError
        Its nside or its frame is not allowed.
    """

    def __init__(self, image: SphereImage) -> None:
        self.image = image
        self.order = order_of(image.reader.nside)
        self.matrix = frame_matrix(image.frame)
        self.resolution = resolution(image.reader.nside)
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._pixels_version = ""
        self._overviews: dict[str, SphereOverview] = {}
        self._start: Start | None = None
        self._numbers: dict[str, tuple[Statistics, float]] = {}

    @property
    def reader(self) -> SphereReader:
        """The map's pixel reader."""
        return self.image.reader

    @property
    def small(self) -> bool:
        """Whether a tile builds the overview itself."""
        return 12 << 2 * self.order < SMALL

    def version(self, reduction: str) -> str:
        """Return the version; forget what belongs to older pixels."""
        found = self.reader.version()
        if found != self._pixels_version:
            with self._lock:
                if found != self._pixels_version:
                    self._forget()
                    self._pixels_version = found
        image, reader = self.image, self.reader
        numbering = (image.frame, str(reader.nside), str(reader.nested))
        text = "|".join((ENGINE, found, *numbering, image.plane, image.hdu, reduction))
        return blake2b(text.encode(), digest_size=8).hexdigest()

    def overview(self, reduction: str) -> SphereOverview:
        """Return the overview that a reduction needs, the same for all that share it."""
        self.version(reduction)
        kind = REDUCTIONS[reduction]
        with self._lock:
            made = self._overviews.get(kind)
            begin = None if made is not None else self._start
            if made is None:
                made = self._overviews[kind] = SphereOverview(self.reader, kind)
        if begin is not None:  # another reduction, or the pixels changed after `start`
            made.start(*begin)
        return made

    def start(
        self, submit: Callable[..., Any], on_ready: Callable[[], None] | None, reduction: str
    ) -> None:
        """Build the overview of a reduction now, and others as soon as they are needed."""
        made = self.overview(reduction)
        with self._lock:
            self._start = submit, on_ready
        made.start(submit, on_ready)

    def cancel(self) -> None:
        """Stop building overviews; those that need them start anew."""
        with self._lock:
            self._start = None
            unfinished = [kind for kind, made in self._overviews.items() if not made.ready]
            for kind in unfinished:
                self._overviews.pop(kind).cancel()

    def needs_overview(self, reduction: str) -> bool:
        """Return whether some tiles are exact with an overview only."""
        return reduction != "nearest" and self.order > 0

    def values(self, window: Window, reduction: str) -> tuple[Pixels, Quality]:
        """Return the numbers of a window."""
        displayed = window.grid.pixel_degrees(window.z)
        ratio = displayed / self.resolution
        k = math.floor(math.log2(ratio) + 1e-9) if ratio > 1.0 else 0
        k = min(k, self.order)
        if reduction == "nearest" or k == 0:
            parts = self._parts(reduction, ratio)
            cells = self._under(window, self.order, self.reader.nested, parts)
            found = of_pixels(reduction, read_pixels(self.reader, cells))
            return together(reduction, found, parts), "exact"
        return self._coarse(window, reduction, k, ratio)

    def _coarse(
        self, window: Window, reduction: str, k: int, ratio: float
    ) -> tuple[Pixels, Quality]:
        """Return the numbers of a window from a level `k` orders coarser than the map."""
        kind: Kind = REDUCTIONS[reduction]
        parts = self._parts(reduction, ratio / (1 << k))
        if k < first_level(self.order):
            cells = self._under(window, self.order - k, True, parts)
            found = read_level(
                self.reader, cells, k, kind, lambda state: shown(reduction, kept(kind, state))
            )
            return together(reduction, found, parts), "exact"
        overview = self.overview(reduction)
        if not overview.ready and self.small:
            overview.wait()
        if not overview.ready:
            k = min(k + _PREVIEW, self.order)
            cells = self._under(window, self.order - k, True)
            return of_pixels(reduction, read_middles(self.reader, cells, k)), "preview"
        cells = self._under(window, self.order - k, True, parts)
        found = read_kept(shown(reduction, overview.level(k)), cells)
        return together(reduction, found, parts), "exact"

    def _under(self, window: Window, order: int, nested: bool, parts: int = 1) -> IntArray:
        return pixels_under(window, self.matrix, order, nested, parts)

    def _parts(self, reduction: str, ratio: float) -> int:
        """Return how many positions a side meet every pixel of a level under a displayed one.

        `ratio` is the displayed pixel's size in those of the level.
        """
        if REDUCTIONS.get(reduction) != "extremes":
            return 1
        return max(1, math.ceil(ratio / _INSIDE - 1e-9))

    def numbers(self, reduction: str) -> tuple[Statistics, float]:
        """Return statistics and scale of what tiles show, from every pixel or from a sample."""
        self.version(reduction)
        with self._counting:
            found = self._numbers.get(reduction)
            if found is None:
                values, exact = self._sample(reduction)
                statistics = statistics_of(values, exact)
                symmetric = is_symmetric(self.image, reduction)
                found = replace(statistics, symmetric=symmetric), scale_of(values)
                self._numbers[reduction] = found
            return found

    def _sample(self, reduction: str) -> tuple[AnyArray, bool]:
        """Return values that stand for all, and whether they are all there are.

        The places depend on the numbering of the map only.
        """
        reader, listed = self.reader, self.reader_listed
        count = 12 << 2 * self.order if listed is None else listed.size
        if reduction == "std" and self.order > 0:
            return self._deviations(), False
        if count <= SAMPLE:
            return of_pixels(reduction, self._whole()), True
        if listed is not None:
            pixels = np.unique(listed[:: -(-count // SAMPLE)].astype(np.int64))
            runs = np.stack([pixels, pixels + 1], axis=1)
            return of_pixels(reduction, as_pixels(read_runs(reader, runs))), False
        values = as_pixels(read_runs(reader, _spread(count, SAMPLE // _RUN, _RUN)))
        if np.count_nonzero(np.isfinite(values)) < _FEW:
            values = as_pixels(read_runs(reader, _spread(count, SAMPLE, 1)))
        return of_pixels(reduction, values), False

    @property
    def reader_listed(self) -> AnyArray | None:
        """Numbers of the pixels of a partial map."""
        return getattr(self.reader, "listed", None)

    def _whole(self) -> Pixels:
        listed = self.reader_listed
        if listed is None:
            return as_pixels(self.reader.read(0, 12 << 2 * self.order))
        pixels = np.unique(listed).astype(np.int64)
        return as_pixels(read_runs(self.reader, np.stack([pixels, pixels + 1], axis=1)))

    def _deviations(self) -> Pixels:
        """Return deviations within small cells: of a level as fine as needed, spread evenly."""
        k = min(3, self.order)
        count = 12 << 2 * (self.order - k)
        step = max(1, count // _PATCHES)
        cells = np.arange(0, count, step)[:, None] + np.arange(min(step, _RUN))
        cells[cells >= count] = -1
        return read_level(
            self.reader, cells, k, "std", lambda state: shown("std", kept("std", state))
        )

    def _forget(self) -> None:
        for made in self._overviews.values():
            made.cancel()
        self._overviews, self._numbers = {}, {}


def _spread(count: int, runs: int, length: int) -> IntArray:
    """Return runs of pixels spread evenly over all."""
    first = np.arange(runs, dtype=np.int64) * (count - length) // max(runs - 1, 1)
    return np.stack([first, first + length], axis=1)


# Planes of living layers, so that equal layers share their overviews. A plane keeps its image
# alive, and with it the image's id.
_SHARED = threading.Lock()
_PLANES: weakref.WeakValueDictionary[int, SpherePlane] = weakref.WeakValueDictionary()


def plane_of(image: SphereImage) -> SpherePlane:
    """Return what is known of a map; the same for all layers that show it."""
    with _SHARED:
        plane = _PLANES.get(id(image))
        if plane is None:
            plane = _PLANES[id(image)] = SpherePlane(image)
        return plane
