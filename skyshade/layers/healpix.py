"""HEALPix maps on any window of a sky grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import ChangedError, FrameMismatchError, InputError, UnknownNameError
from skyshade.geometry.frames import from_icrs
from skyshade.geometry.healpix import pixel_of
from skyshade.geometry.mirror import mirrored
from skyshade.layers.analysis_sphere import SphereAnalysis
from skyshade.layers.combine import Algebra
from skyshade.layers.healpix_info import healpix_info
from skyshade.layers.healpix_planes import plane_of
from skyshade.types import Aggregate, LayerInfo, SphereImage, Statistics, Window

if TYPE_CHECKING:
    import xarray as xr

REDUCTIONS = ("mean", "std", "max", "min", "absmax", "nearest")


class HealpixLayer(Algebra, SphereAnalysis):
    """A HEALPix map, or one plane of an I, Q, U map.

    Tiles are float32. A displayed pixel shows the pixel, under its centre, of the coarsest level
    that is no larger: the mean of the valid base pixels in it, or their standard deviation (divided
    by n). "max", "min" and "absmax" (the largest magnitude) take every pixel of that level that the
    displayed one touches: no bright pixel is ever lost. "nearest" is the base pixel under the
    centre at any zoom. Until the overview of a large map is ready, tiles that need it are previews
    from single base pixels.

    Parameters
    ----------
    images : sequence of SphereImage
        The planes of one map; one for a plain map.
    id : str
        Name in URLs.
    plane : int
        Which of `images` this layer shows.
    reduction : {"mean", "std", "max", "min", "absmax", "nearest"}
        How many pixels become one.

    Raises
    ------
    InputError
        `plane` is not the number of an image; an image's nside or frame is not allowed.
    UnknownNameError
        `reduction` is none of these.
    """

    def __init__(
        self, images: Sequence[SphereImage], *, id: str, plane: int = 0, reduction: str = "mean"
    ) -> None:
        if not 0 <= plane < len(images):
            msg = f"plane {plane} of {id!r} is not allowed: there are {len(images)}, from 0"
            raise InputError(msg)
        if reduction not in REDUCTIONS:
            raise UnknownNameError("reduction", reduction, REDUCTIONS)
        self._images, self._number, self.reduction = tuple(images), plane, reduction
        self._mine = plane_of(images[plane])
        self.info: LayerInfo = healpix_info(self._images, plane, id, reduction)

    @property
    def id(self) -> str:
        """Name in URLs."""
        return self.info.id

    @property
    def image(self) -> SphereImage:
        """The map that the layer shows, with its pixel reader and its frame."""
        return self._mine.image

    @property
    def version(self) -> str:
        """Changes with pixels, numbering, frame, plane, reduction and engine; 16 hex digits."""
        return self._mine.version(self.reduction)

    @property
    def ready(self) -> bool:
        """Whether every tile is exact from now on."""
        return self._needs_none() or self._mine.overview(self.reduction).ready

    @property
    def progress(self) -> float:
        """Part of the overview that is built, 0 to 1."""
        if not self._mine.needs_overview(self.reduction):
            return 1.0
        return self._mine.overview(self.reduction).progress

    @property
    def overview_error(self) -> Exception | None:
        """Why the overview could not be built and tiles stay previews; None if all is well."""
        if not self._mine.needs_overview(self.reduction):
            return None
        return self._mine.overview(self.reduction).error

    def start_overview(self, submit: Any, on_ready: Callable[[], None] | None = None) -> None:
        """Build the overview in the background; layers from `select` share it.

        Those of other reductions begin, with the same `submit` and `on_ready`, when a tile needs
        them; and all begin again when the pixels change.

        Parameters
        ----------
        submit : callable or executor
            ``submit(function)`` runs a function in a thread; called at most twice.
        on_ready : callable, optional
            Called without arguments once the overview is ready, from another thread.
        """
        self._mine.start(getattr(submit, "submit", submit), on_ready, self.reduction)

    def cancel_overview(self) -> None:
        """Stop building overviews; the next to need one starts anew."""
        self._mine.cancel()

    def wait_exact(self, timeout: float | None = None) -> None:
        """Build the overview, or help those that do, and return when it is ready.

        Raises
        ------
        DataError
            The map cannot be read.
        TimeoutError
            Others were still at it after `timeout` seconds.
        """
        if self._mine.needs_overview(self.reduction):
            self._mine.overview(self.reduction).wait(timeout)

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
            The map cannot be read.
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
            raise ChangedError(self.image.name, "changed again while it was being read")
        return made

    def _compute(self, window: Window) -> Aggregate:
        version = self.version
        values, quality = self._mine.values(window, self.reduction)
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
    ) -> HealpixLayer:
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
                msg = f"{name} {value!r} is not allowed: layer {self.id!r} is a map and has none"
                raise InputError(msg)
        named = self.reduction
        if reduction is not None:
            named = reduction if isinstance(reduction, str) else type(reduction).__name__
        names = [image.plane for image in self._images]
        number = self._number
        if plane is not None and plane != self.image.plane:
            if plane not in names:
                raise UnknownNameError("plane", plane, names)
            number = names.index(plane)
        if (number, named) == (self._number, self.reduction):
            return self
        return HealpixLayer(self._images, id=self.id, plane=number, reduction=named)

    def statistics(self) -> Statistics:
        """Return statistics of valid base pixels: all, or a sample of some 300,000."""
        return self._mine.numbers(self.reduction)[0]

    def scale(self) -> float:
        """Return the power of two that value tiles are divided by."""
        return self._mine.numbers(self.reduction)[1]

    def value(self, ra: float, dec: float) -> float | None:
        """Return the map's own pixel at an ICRS position in degrees; None where there is none."""
        if not (math.isfinite(ra) and -90.0 <= dec <= 90.0):
            return None
        reader = self.image.reader
        lon, lat = from_icrs(np.array([ra]), np.array([dec]), self.image.frame)
        pixel = int(pixel_of(reader.nside, lon, lat, reader.nested)[0])
        found = float(reader.read(pixel, pixel + 1)[0])
        return found if math.isfinite(found) else None

    def _needs_none(self) -> bool:
        return self._mine.small or not self._mine.needs_overview(self.reduction)
