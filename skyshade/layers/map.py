"""Maps: images with a celestial WCS, sampled on any window of the ``sky`` grid."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import FrameMismatchError, InputError, UnknownNameError
from skyshade.geometry.control import ControlGrid
from skyshade.geometry.wcs import PixelMap, fingerprint
from skyshade.layers.levels import Level, MergedLevel, Sheet, StridedLevel, as_pixels, sample
from skyshade.layers.map_info import map_info
from skyshade.layers.overview import FIRST, Overview, top_level
from skyshade.layers.stats import scale_of, statistics_of
from skyshade.types import (
    Aggregate,
    AnyArray,
    LayerInfo,
    PixelReader,
    Quality,
    SkyImage,
    Statistics,
    Window,
)

if TYPE_CHECKING:
    import xarray as xr

ENGINE = "1"  # raise it whenever the numbers of a tile change
SMALL = 1 << 22  # pixels; an overview of fewer is built by the tile that needs it
SAMPLE = 300_000
_FEW = 10_000
_ENLARGED = 0.5  # map pixels for a displayed one, below which pixels are shown as they are


class _Plane:
    """One image with all that is worked out from its pixels once."""

    def __init__(self, image: SkyImage, grid: ControlGrid, mark: str) -> None:
        self.image, self.grid = image, grid
        self.sheet = Sheet.of(grid.pixels)
        self._mark = mark
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._pixels_version = ""
        self._version = ""
        self._overview: Overview | None = None
        self._start: tuple[Callable[..., Any], Callable[[], None] | None] | None = None
        self._numbers: tuple[Statistics, float] | None = None

    @property
    def reader(self) -> PixelReader:
        return self.image.reader

    def version(self) -> str:
        """Return the version; forget what belongs to older pixels."""
        found = self.reader.version()
        if found != self._pixels_version:
            with self._lock:
                if found != self._pixels_version:
                    self._renew(found)
        return self._version

    def _renew(self, found: str) -> None:
        text = "|".join((ENGINE, found, self._mark, self.image.plane, self.image.hdu))
        self._version = blake2b(text.encode(), digest_size=8).hexdigest()
        if self._overview is not None:
            self._overview.cancel()
        self._overview = self._numbers = None
        self._pixels_version = found

    def overview(self) -> Overview:
        self.version()
        with self._lock:
            made = self._overview
            if made is None:
                made = self._overview = Overview(self.reader)
                begin = self._start
            else:
                begin = None
        if begin is not None:  # the pixels changed after start_overview
            made.start(*begin)
        return made

    def start(self, submit: Callable[..., Any], on_ready: Callable[[], None] | None) -> None:
        made = self.overview()
        with self._lock:
            self._start = submit, on_ready
        made.start(submit, on_ready)

    def cancel(self) -> None:
        with self._lock:
            made, self._overview, self._start = self._overview, None, None
        if made is not None and not made.ready:
            made.cancel()

    def numbers(self) -> tuple[Statistics, float]:
        """Return statistics and scale, from every pixel or from a sample on a regular lattice."""
        self.version()
        with self._counting:
            found = self._numbers
            if found is None:
                values, exact = _lattice_sample(self.reader)
                found = self._numbers = statistics_of(values, exact), scale_of(values)
            return found


class MapLayer:
    """An image on the sky, or one plane of an I, Q, U map.

    Tiles are float32 (so are values of 64-bit maps: `value` alone gives those in full). A tile
    samples the coarsest level whose pixels are no larger than its own: bilinear, or the nearest
    pixel for integer maps and where a map pixel covers more than two displayed ones. Until the
    overview of a large map is ready, tiles that need it are previews from every n-th pixel.

    Parameters
    ----------
    images : sequence of SkyImage
        The planes of one map; one for a plain image.
    id : str
        Name in URLs.
    plane : int
        Which of `images` this layer shows.

    Raises
    ------
    InputError
        `plane` is not the number of an image.
    """

    def __init__(self, images: Sequence[SkyImage], *, id: str, plane: int = 0) -> None:
        if not 0 <= plane < len(images):
            msg = f"plane {plane} of {id!r} is not allowed: there are {len(images)}, from 0"
            raise InputError(msg)
        self._planes = [_plane_of(image) for image in images]
        self._mine = self._planes[plane]
        self.info: LayerInfo = map_info([p.image for p in self._planes], plane, id, self._mine.grid)

    @property
    def id(self) -> str:
        """Name in URLs."""
        return self.info.id

    @property
    def image(self) -> SkyImage:
        """The image that the layer shows, with its pixel reader and its WCS."""
        return self._mine.image

    @property
    def pixels(self) -> PixelMap:
        """The way between ICRS positions and the image's pixels."""
        return self._mine.grid.pixels

    @property
    def version(self) -> str:
        """Changes with the pixels, the WCS, the plane and the engine; 16 hexadecimal digits."""
        return self._mine.version()

    @property
    def ready(self) -> bool:
        """Whether every tile is exact from now on."""
        return self._is_small() or self._mine.overview().ready

    @property
    def progress(self) -> float:
        """Part of the overview that is built, 0 to 1."""
        return self._mine.overview().progress

    def start_overview(self, submit: Any, on_ready: Callable[[], None] | None = None) -> None:
        """Build the overview in the background; layers from `select` share it.

        Parameters
        ----------
        submit : callable or executor
            ``submit(function)`` runs a function in a thread; called at most twice.
        on_ready : callable, optional
            Called without arguments once the overview is ready, from another thread.
        """
        self._mine.start(getattr(submit, "submit", submit), on_ready)

    def cancel_overview(self) -> None:
        """Stop building the overview; the next to need it starts anew."""
        self._mine.cancel()

    def wait_exact(self, timeout: float | None = None) -> None:
        """Build the overview, or help those that do, and return when it is ready.

        Raises
        ------
        DataError
            The image cannot be read.
        TimeoutError
            Others were still at it after `timeout` seconds.
        """
        self._mine.overview().wait(timeout)

    def compute(self, window: Window) -> Aggregate:
        """Return the map on `window` as float32, NaN where it has no valid pixel.

        Raises
        ------
        FrameMismatchError
            The window lies on a grid that is not the sky.
        DataError
            The image cannot be read.
        """
        if window.grid.frame != "sky":
            msg = f"layer {self.id!r} is a sky map: grid {window.grid.id!r} shows free x/y data"
            raise FrameMismatchError(msg)
        version = self._mine.version()
        at = self._mine.grid.coordinates(window)
        if at is None:
            empty = np.full(window.shape, np.nan, np.float32)
            return Aggregate(empty, self.info.units, version)
        zoomed = 180.0 / window.grid.lattice_shape(window.z)[0] / self.info.resolution
        level, quality = self._level(zoomed)
        smooth = zoomed >= _ENLARGED and not self._mine.image.integer
        values = sample(level, at, self._mine.sheet, smooth)
        return Aggregate(values, self.info.units, version, quality)

    def aggregate(self, window: Window, *, exact: bool = False) -> xr.DataArray:
        """Return `compute` as a DataArray; `exact` first waits for the overview if it is needed."""
        made = self.compute(window)
        if exact and made.quality != "exact":
            self.wait_exact()
            made = self.compute(window)
        return made.to_xarray()

    def select(
        self,
        *,
        reduction: object = None,
        column: str | None = None,
        where: str | None = None,
        plane: str | None = None,
        time: str | None = None,
    ) -> MapLayer:
        """Return the layer of another plane.

        Raises
        ------
        UnknownNameError
            There is no such plane.
        InputError
            `reduction` is neither None nor the mean, or `column`, `where` or `time` is given.
        """
        for name, value in (("column", column), ("where", where), ("time", time)):
            if value is not None:
                msg = (
                    f"{name} {value!r} is not allowed: layer {self.id!r} is a map and has no {name}"
                )
                raise InputError(msg)
        named = reduction if isinstance(reduction, str) else type(reduction).__name__
        if reduction is not None and named != "mean":
            msg = f"reduction {named!r} of map {self.id!r} is not allowed: only 'mean'"
            raise InputError(msg)
        if plane is None or plane == self._mine.image.plane:
            return self
        names = [p.image.plane for p in self._planes]
        if plane not in names:
            raise UnknownNameError("plane", plane, names)
        return MapLayer([p.image for p in self._planes], id=self.id, plane=names.index(plane))

    def statistics(self) -> Statistics:
        """Return statistics of the map's valid pixels, from at most 300,000 of them."""
        return self._mine.numbers()[0]

    def scale(self) -> float:
        """Return the power of two that value tiles are divided by."""
        return self._mine.numbers()[1]

    def value(self, ra: float, dec: float) -> float | None:
        """Return the map's own pixel at an ICRS position in degrees; None where there is none."""
        if not (math.isfinite(ra) and -90.0 <= dec <= 90.0):
            return None
        sheet, (x, y) = (
            self._mine.sheet,
            self._mine.grid.pixels.sky_to_pixel(np.array(ra), np.array(dec)),
        )
        if not (-0.5 <= x <= sheet.right and -0.5 <= y <= sheet.shape[0] - 0.5):
            return None
        col = min(math.floor(float(x) + 0.5), sheet.shape[1] - 1)
        row = min(math.floor(float(y) + 0.5), sheet.shape[0] - 1)
        found = float(self._mine.reader.read(row, row + 1, col, col + 1)[0, 0])
        return found if math.isfinite(found) else None

    def _is_small(self) -> bool:
        ny, nx = self._mine.sheet.shape
        return ny * nx < SMALL

    def _level(self, zoomed: float) -> tuple[Level, Quality]:
        """Return the coarsest level whose pixels are no larger than displayed ones.

        It depends on the zoom level only, never on the window: neighbouring tiles must join.
        """
        wanted = math.floor(math.log2(zoomed) + 1e-9) if zoomed > 1.0 else 0
        k = min(wanted, top_level(self._mine.sheet.shape))
        reader = self._mine.reader
        if k < FIRST:
            return MergedLevel(reader, k), "exact"
        overview = self._mine.overview()
        if not overview.ready and self._is_small():
            overview.wait()
        if overview.ready:
            return overview.level(k), "exact"
        return StridedLevel(reader, k), "preview"


# Planes and control grids of living layers, so that equal layers share their overviews. A plane
# keeps its image alive, and with it the image's id.
_SHARED = threading.Lock()
_PLANES: weakref.WeakValueDictionary[int, _Plane] = weakref.WeakValueDictionary()
_GRIDS: weakref.WeakValueDictionary[tuple[str, tuple[int, int]], ControlGrid] = (
    weakref.WeakValueDictionary()
)


def _plane_of(image: SkyImage) -> _Plane:
    """Return what is known of an image; the same for all layers that show it."""
    with _SHARED:
        plane = _PLANES.get(id(image))
        if plane is not None:
            return plane
        mark, shape = fingerprint(image.wcs), image.reader.shape
        grid = _GRIDS.get((mark, shape))
        if grid is None:
            grid = _GRIDS[mark, shape] = ControlGrid(PixelMap(image.wcs, shape))
        plane = _PLANES[id(image)] = _Plane(image, grid, mark)
        return plane


def _lattice_sample(reader: PixelReader) -> tuple[AnyArray, bool]:
    """Return at most `SAMPLE` pixels on a regular lattice, and whether they are all there are.

    Where few of them are valid, the box around those is sampled more densely.
    """
    ny, nx = reader.shape
    step = max(1, math.ceil(math.sqrt(ny * nx / SAMPLE)))
    values = reader.read(0, ny, 0, nx, step)
    good = np.isfinite(as_pixels(values))
    if step == 1 or not good.any() or np.count_nonzero(good) >= _FEW:
        return values, step == 1
    rows, cols = np.flatnonzero(good.any(axis=1)), np.flatnonzero(good.any(axis=0))
    y0, y1 = max(0, (rows[0] - 1) * step), min(ny, (rows[-1] + 1) * step + 1)
    x0, x1 = max(0, (cols[0] - 1) * step), min(nx, (cols[-1] + 1) * step + 1)
    dense = max(1, math.ceil(math.sqrt((y1 - y0) * (x1 - x0) / SAMPLE)))
    return reader.read(int(y0), int(y1), int(x0), int(x1), dense), False
