"""Maps: images with a celestial WCS, sampled on any window of a sky grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry.wcs import PixelMap
from skyshade.layers.analysis import MapAnalysis
from skyshade.layers.combine import Algebra
from skyshade.layers.map_info import map_info
from skyshade.layers.map_tiles import is_small, window_means, window_values
from skyshade.layers.overview import Overview
from skyshade.layers.pixel_layer import PixelLayer
from skyshade.layers.planes import plane_of
from skyshade.layers.states import NEAREST, REDUCTIONS, Pixels
from skyshade.types import Aggregate, LayerInfo, Quality, SkyImage, Statistics, Window


class MapLayer(Algebra, MapAnalysis, PixelLayer):
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
        super().__init__(images, id=id, plane=plane, reduction=reduction, known=tuple(REDUCTIONS))
        self._planes = [plane_of(image) for image in images]
        self._mine = self._planes[plane]
        self._reduction = REDUCTIONS[reduction]
        self.info: LayerInfo = map_info(
            [p.image for p in self._planes], plane, id, self._mine.grid, reduction
        )

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

    def cancel_overview(self) -> None:
        """Stop building the overview; the next to need it starts anew."""
        self._mine.cancel()

    def cell_means(self, window: Window, cell: float) -> Aggregate:
        """Return means over map pixels of at most `cell` degrees, interpolated on `window`.

        What layers computed from this one average into cells of that size.
        """
        version = self.version
        return self._aggregate(window, version, window_means(self._mine, window, cell))

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

    def _overview(self) -> Overview | None:
        bare = self._reduction is NEAREST  # no tile needs one
        return None if bare else self._mine.overview(self._reduction)

    def _is_small(self) -> bool:
        return is_small(self._mine)

    def _begin(self, submit: Callable[..., Any], on_ready: Callable[[], None] | None) -> None:
        self._mine.start(submit, on_ready, self._reduction)

    def _values(self, window: Window) -> tuple[Pixels, Quality] | None:
        return window_values(self._mine, self._reduction, window)
