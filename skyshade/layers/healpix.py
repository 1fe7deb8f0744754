"""HEALPix maps on any window of a sky grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skyshade.geometry.frames import from_icrs
from skyshade.geometry.healpix import pixel_of
from skyshade.layers.analysis_sphere import SphereAnalysis
from skyshade.layers.combine import Algebra
from skyshade.layers.healpix_info import healpix_info
from skyshade.layers.healpix_overview import SphereOverview
from skyshade.layers.healpix_pixels import Pixels
from skyshade.layers.healpix_planes import plane_of
from skyshade.layers.pixel_layer import PixelLayer
from skyshade.types import LayerInfo, Quality, SphereImage, Statistics, Window

REDUCTIONS = ("mean", "std", "max", "min", "absmax", "nearest")


class HealpixLayer(Algebra, SphereAnalysis, PixelLayer):
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
        super().__init__(images, id=id, plane=plane, reduction=reduction, known=REDUCTIONS)
        self._mine = plane_of(images[plane])
        self.info: LayerInfo = healpix_info(self._images, plane, id, reduction)

    @property
    def image(self) -> SphereImage:
        """The map that the layer shows, with its pixel reader and its frame."""
        return self._mine.image

    @property
    def version(self) -> str:
        """Changes with pixels, numbering, frame, plane, reduction and engine; 16 hex digits."""
        return self._mine.version(self.reduction)

    def cancel_overview(self) -> None:
        """Stop building overviews; the next to need one starts anew."""
        self._mine.cancel()

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

    def _overview(self) -> SphereOverview | None:
        needed = self._mine.needs_overview(self.reduction)
        return self._mine.overview(self.reduction) if needed else None

    def _is_small(self) -> bool:
        return self._mine.small

    def _begin(self, submit: Callable[..., Any], on_ready: Callable[[], None] | None) -> None:
        self._mine.start(submit, on_ready, self.reduction)

    def _values(self, window: Window) -> tuple[Pixels, Quality]:
        return self._mine.values(window, self.reduction)
