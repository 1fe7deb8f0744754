"""Planes: one image with all that is worked out from its pixels once, shared by equal layers."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np

from skyshade.geometry.control import ControlGrid
from skyshade.geometry.wcs import PixelMap, fingerprint, pixel_map
from skyshade.layers.levels import Sheet
from skyshade.layers.map_info import is_mask, is_symmetric
from skyshade.layers.map_sample import Numbers, numbers_of
from skyshade.layers.overview import Overview
from skyshade.layers.states import MEAN, Base, Reduction
from skyshade.types import PixelReader, SkyImage

log = logging.getLogger("skyshade")

ENGINE = "2"  # raise it whenever the numbers of a tile change
_STRETCH = 4.0  # by which levels may at most be coarser than the middle of a map asks for


class MapPlane:
    """One image with its overviews, its statistics and its geometry.

    Parameters
    ----------
    image : SkyImage
    grid : ControlGrid
    mark : str
        Fingerprint of the WCS.

    Attributes
    ----------
    sheet : Sheet
    mixed : bool
        Whether values between those of neighbouring pixels make sense.
    """

    def __init__(self, image: SkyImage, grid: ControlGrid, mark: str) -> None:
        self.image, self.grid, self.mark = image, grid, mark
        self.sheet = Sheet.of(grid.pixels)
        self.mixed = not (image.integer or is_mask(image))
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._bases: dict[str, Base] = {}
        self._pixels_version = ""
        self._versions: dict[str, str] = {}
        self._overviews: dict[str, Overview] = {}
        self._wanted: set[str] = set()  # reductions that are built again when the pixels change
        self._start: tuple[Callable[..., Any], Callable[[], None] | None] | None = None
        self._numbers: dict[str, Numbers] = {}
        self._stretches: tuple[float, float] | None = None

    @property
    def reader(self) -> PixelReader:
        """The image's pixel reader."""
        return self.image.reader

    def base(self, reduction: Reduction) -> Base:
        """Return the pixels with how they are reduced."""
        found = self._bases.get(reduction.name)
        if found is None:
            found = Base(self.reader, reduction, self.image.weight)
            self._bases[reduction.name] = found
        return found

    @property
    def stretches(self) -> tuple[float, float]:
        """How much finer than its resolution the map is: where levels are chosen, and at most."""
        if self._stretches is None:
            self._stretches = stretches_of(self.grid.pixels)
        return self._stretches

    def version(self, reduction: Reduction = MEAN) -> str:
        """Return the version; forget what belongs to older pixels."""
        found = self.base(MEAN).version()
        if found != self._pixels_version:
            with self._lock:
                if found != self._pixels_version:
                    self._renew(found)
        made = self._versions.get(reduction.name)
        if made is None:
            parts = [ENGINE, found, self.mark, self.image.plane, self.image.hdu]
            parts += [] if reduction is MEAN else [reduction.name]
            made = blake2b("|".join(parts).encode(), digest_size=8).hexdigest()
            with self._lock:
                if found == self._pixels_version:
                    self._versions[reduction.name] = made
        return made

    def _renew(self, found: str) -> None:
        for name, made in list(self._overviews.items()):
            if made.version != made.current_version():
                made.cancel()
                del self._overviews[name]
        self._versions, self._numbers = {}, {}
        self._pixels_version = found

    def overview(self, reduction: Reduction = MEAN) -> Overview:
        """Return the overview of the present pixels, ready or not."""
        self.version()
        with self._lock:
            made = self._overviews.get(reduction.name)
            if made is not None:
                return made
            made = Overview(self.reader, reduction, self.image.weight)
            self._overviews[reduction.name] = made
            begin = self._start if reduction.name in self._wanted else None
        if begin is not None:  # the pixels changed after `start` or `ensure`
            _begin(made, *begin)
        return made

    def start(
        self,
        submit: Callable[..., Any],
        on_ready: Callable[[], None] | None,
        reduction: Reduction = MEAN,
    ) -> None:
        """Build an overview in the background, and again whenever the pixels change."""
        with self._lock:
            self._start = submit, on_ready
        made = self.overview(reduction)
        with self._lock:
            self._wanted.add(reduction.name)
        made.start(submit, on_ready)

    def ensure(self, reduction: Reduction) -> None:
        """Begin an overview that a tile needs, the way the first one of the plane was begun."""
        with self._lock:
            begin = self._start
            known = reduction.name in self._wanted
            if begin is not None:
                self._wanted.add(reduction.name)
        if begin is not None and not known:
            _begin(self.overview(reduction), *begin)

    def cancel(self) -> None:
        """Stop building, and do not begin again."""
        with self._lock:
            made, self._overviews = list(self._overviews.values()), {}
            self._start, self._wanted = None, set()
        for overview in made:
            if not overview.ready:
                overview.cancel()

    def numbers(self, reduction: Reduction = MEAN) -> Numbers:
        """Return statistics and scale of what tiles show, computed once."""
        self.version()
        with self._counting:
            found = self._numbers.get(reduction.name)
            if found is None:
                found = numbers_of(self.base(reduction), is_symmetric(self.image, reduction.name))
                self._numbers[reduction.name] = found
            return found


def _begin(made: Overview, submit: Callable[..., Any], on_ready: Callable[[], None] | None) -> None:
    """Begin an overview that nobody asked for by name; what asks for it goes on in any case."""
    try:
        made.start(submit, on_ready)
    except RuntimeError as error:  # the pool takes no more work
        log.info("an overview is not built: %s", error)


# Planes and control grids of living layers, so that equal layers share their overviews. A plane
# keeps its image alive, and with it the image's id.
_SHARED = threading.Lock()
_PLANES: weakref.WeakValueDictionary[int, MapPlane] = weakref.WeakValueDictionary()
_GRIDS: weakref.WeakValueDictionary[tuple[str, tuple[int, int]], ControlGrid] = (
    weakref.WeakValueDictionary()
)


def plane_of(image: SkyImage) -> MapPlane:
    """Return what is known of an image; the same for all layers that show it."""
    with _SHARED:
        plane = _PLANES.get(id(image))
        if plane is not None:
            return plane
        mark, shape = fingerprint(image.wcs), image.reader.shape
        grid = _GRIDS.get((mark, shape))
        if grid is None:
            grid = _GRIDS[mark, shape] = ControlGrid(pixel_map(image.wcs, shape, mark))
        plane = _PLANES[id(image)] = MapPlane(image, grid, mark)
        return plane


def stretches_of(pixels: PixelMap) -> tuple[float, float]:
    """Return how much finer than its resolution a map is on a plate carree, somewhere.

    A map's pixels shrink away from the middle of a gnomonic projection: tiles of the level that
    suits the middle would skip pixels there. As a level may depend on the zoom only (neighbouring
    tiles must join), a coarser one is taken where else more than two of its pixels would go into a
    displayed one in a tenth of the map's area.

    Returns
    -------
    chosen, most : float
        By how much levels are coarser than the resolution asks for, 1 to 4; and the base pixels
        along one degree of the lattice, in units of those at `resolution`, where they are finest.
    """
    ny, nx = pixels.shape
    x, y = np.meshgrid(np.linspace(0.0, nx - 1.0, 17), np.linspace(0.0, ny - 1.0, 17))
    half = np.array([-0.5, 0.5, 0.0, 0.0])[:, None, None]
    with np.errstate(invalid="ignore"):
        ra, dec = pixels.pixel_to_sky(x + half, y + half[[2, 3, 0, 1]])
        a, b, c, d = (
            _turned(ra[1] - ra[0]),
            _turned(ra[3] - ra[2]),
            dec[1] - dec[0],
            dec[3] - dec[2],
        )
        areas = np.abs(a * d - b * c)
        long = (np.hypot(a + d, b - c) + np.hypot(a - d, b + c)) / 2.0  # larger singular value
    shown = np.isfinite(areas)
    if not shown.any():
        return 1.0, 1.0
    areas, tiny = areas[shown], 1e-9 * pixels.resolution
    sides = areas / np.maximum(long[shown], tiny)
    finer = pixels.resolution / np.maximum(sides, tiny)
    order = np.argsort(finer)
    area = np.cumsum(areas[order])
    tenth = finer[order][np.searchsorted(area, 0.9 * area[-1])]
    return min(max(float(tenth) / 2.0, 1.0), _STRETCH), max(float(finer.max()), 1.0)


def _turned(degrees: Any) -> Any:
    return (degrees + 180.0) % 360.0 - 180.0
