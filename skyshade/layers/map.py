"""Maps: images with a celestial WCS, sampled on any window of a sky grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import ChangedError, FrameMismatchError, InputError, UnknownNameError
from skyshade.geometry.mirror import mirrored
from skyshade.geometry.wcs import PixelMap
from skyshade.layers.analysis import MapAnalysis
from skyshade.layers.combine import Algebra
from skyshade.layers.map_info import map_info
from skyshade.layers.map_tiles import is_small, window_means, window_values
from skyshade.layers.planes import plane_of
from skyshade.layers.states import NEAREST, REDUCTIONS
from skyshade.types import Aggregate, LayerInfo, SkyImage, Statistics, Window

if TYPE_CHECKING:
    import xarray as xr


class MapLayer(Algebra, MapAnalysis):
    """An image on the sky, or one plane of an I, Q, U map.

    Tiles are float32 (so are values of 64-bit maps: `value` alone gives those in full). A tile
    samples the coarsest level whose pixels are no larger than its own: bilinear, or the nearest
    pixel for integer maps, for masks and where a map pixel covers more than two displayed ones.
    Until the overview of a large map is ready, tiles that need it are previews from every n-th
    pixel.

    The reductions "max", "min", "absmax" (the largest magnitude) and "std" (divided by n) take
    every pixel that a displayed one touches: the largest of all tiles of a level is the largest of
    the map. Where a displayed pixel lies within one of the map they show that one, and 0 for "std".
    "nearest" shows the pixel at the middle of the displayed one, off by 0.05 of it at most.

    Parameters
    ----------
    images : sequence of SkyImage
        The planes of one map; one for a plain image.
    id : str
        Name in URLs.
    plane : int
        Which of `images` this layer shows.
    reduction : {"mean", "std", "max", "min", "absmax", "nearest"}
        How many pixels become one. Means are weighted where an image has a `weight`.

    Raises
    ------
    InputError
        `plane` is not the number of an image.
    UnknownNameError
        `reduction` is none of these.
    """

    def __init__(
        self, images: Sequence[SkyImage], *, id: str, plane: int = 0, reduction: str = "mean"
    ) -> None:
        if not 0 <= plane < len(images):
            msg = f"plane {plane} of {id!r} is not allowed: there are {len(images)}, from 0"
            raise InputError(msg)
        if reduction not in REDUCTIONS:
            raise UnknownNameError("reduction", reduction, REDUCTIONS)
        self._planes = [plane_of(image) for image in images]
        self._mine, self._number = self._planes[plane], plane
        self._reduction = REDUCTIONS[reduction]
        self.info: LayerInfo = map_info(
            [p.image for p in self._planes], plane, id, self._mine.grid, reduction
        )

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
        """Changes with pixels, weights, WCS, plane, reduction and engine; 16 hexadecimal digits."""
        return self._mine.version(self._reduction)

    @property
    def reduction(self) -> str:
        """How many pixels become one."""
        return self._reduction.name

    @property
    def ready(self) -> bool:
        """Whether every tile is exact from now on."""
        small = self._bare or is_small(self._mine)
        return small or self._mine.overview(self._reduction).ready

    @property
    def progress(self) -> float:
        """Part of the overview that is built, 0 to 1."""
        return 1.0 if self._bare else self._mine.overview(self._reduction).progress

    @property
    def overview_error(self) -> Exception | None:
        """Why the overview could not be built and tiles stay previews; None if all is well."""
        error = self._mine.overview(self._reduction).error
        return error if isinstance(error, Exception) else None

    def start_overview(self, submit: Any, on_ready: Callable[[], None] | None = None) -> None:
        """Build the overview in the background; layers from `select` share it.

        Those of other reductions begin, with the same `submit` and `on_ready`, when a tile needs
        them; and all begin again when the pixels change.

        Parameters
        ----------
        submit : callable or executor
            ``submit(function)`` runs a function in a thread; called for short turns of work.
        on_ready : callable, optional
            Called without arguments once the overview is ready, from another thread. Never called
            when it cannot be built: see `overview_error`.
        """
        if not self._bare:
            self._mine.start(getattr(submit, "submit", submit), on_ready, self._reduction)
        elif on_ready is not None:
            on_ready()

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
        if not self._bare:
            self._mine.overview(self._reduction).wait(timeout)

    @mirrored
    def compute(self, window: Window) -> Aggregate:
        """Return the map on `window` as float32, NaN where it has no valid pixel.

        All numbers come from one version of the map: when it changes meanwhile, they are computed
        once more.

        Raises
        ------
        FrameMismatchError
            The window lies on a grid that is not the sky.
        DataError
            The image cannot be read.
        ChangedError
            It changed twice while it was read.
        """
        if window.grid.frame != "sky":
            msg = f"layer {self.id!r} is a sky map: grid {window.grid.id!r} shows free x/y data"
            raise FrameMismatchError(msg)
        try:
            made = self._compute(window)
            if made.version == self.version:
                return made
        except ChangedError:
            pass
        made = self._compute(window)
        if made.version != self.version:
            raise ChangedError(self._mine.image.name, "changed again while it was being read")
        return made

    def _compute(self, window: Window) -> Aggregate:
        version = self.version
        found = window_values(self._mine, self._reduction, window)
        if found is None:
            empty = np.full(window.shape, np.nan, np.float32)
            return Aggregate(empty, self.info.units, version)
        return Aggregate(found[0], self.info.units, version, found[1])

    def cell_means(self, window: Window, cell: float) -> Aggregate:
        """Return means over map pixels of at most `cell` degrees, interpolated on `window`.

        What layers computed from this one average into cells of that size.
        """
        version = self.version
        found = window_means(self._mine, window, cell)
        if found is None:
            return Aggregate(np.full(window.shape, np.nan, np.float32), self.info.units, version)
        return Aggregate(found[0], self.info.units, version, found[1])

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
        """Return the layer of another plane or reduction.

        Parameters
        ----------
        reduction : str or datashader reduction, optional
            A name, or an object whose class has that name; see the class.
        plane : str, optional
            Name of a plane.
        column, where, time : None
            Maps have none.

        Raises
        ------
        UnknownNameError
            There is no such plane or reduction.
        InputError
            `column`, `where` or `time` is given.
        """
        for name, value in (("column", column), ("where", where), ("time", time)):
            if value is not None:
                msg = (
                    f"{name} {value!r} is not allowed: layer {self.id!r} is a map and has no {name}"
                )
                raise InputError(msg)
        named = self.reduction
        if reduction is not None:
            named = reduction if isinstance(reduction, str) else type(reduction).__name__
        names = [p.image.plane for p in self._planes]
        number = self._number
        if plane is not None and plane != self._mine.image.plane:
            if plane not in names:
                raise UnknownNameError("plane", plane, names)
            number = names.index(plane)
        if (number, named) == (self._number, self.reduction):
            return self
        images = [p.image for p in self._planes]
        return MapLayer(images, id=self.id, plane=number, reduction=named)

    def weighted(self, ivar: MapLayer) -> MapLayer:
        """Return this map with means weighted by another map's values.

        Parameters
        ----------
        ivar : MapLayer
            Inverse variances, on the same pixels. Planes of equal names belong together; a map
            without them weights all planes. Values that are not above zero count as nothing.

        Raises
        ------
        InputError
            The maps differ in size or WCS.
        """
        weights = {p.image.plane: p for p in ivar._planes}
        images = []
        for mine in self._planes:
            other = weights.get(mine.image.plane, ivar._mine)
            if (mine.mark, mine.sheet.shape) != (other.mark, other.sheet.shape):
                msg = (
                    f"map {self.id!r} ({self.info.size}) cannot be weighted by {ivar.id!r} "
                    f"({ivar.info.size}): equal size and WCS are needed"
                )
                raise InputError(msg)
            images.append(replace(mine.image, weight=other.reader))
        return MapLayer(images, id=self.id, plane=self._number, reduction=self.reduction)

    def statistics(self) -> Statistics:
        """Return statistics of valid pixels: all, or a sample; of large maps, of 8 x 8 means."""
        return self._mine.numbers(self._reduction).statistics

    def scale(self) -> float:
        """Return the power of two that value tiles are divided by."""
        return self._mine.numbers(self._reduction).scale

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

    @property
    def _bare(self) -> bool:
        """Whether no tile needs an overview."""
        return self._reduction is NEAREST
