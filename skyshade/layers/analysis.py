"""Analysis on the exact pixels of a map: what `MapLayer` inherits.

Every method reads in strips, so that memory stays bounded, gives up after `timeout` seconds, and
raises ChangedError when the pixels changed meanwhile: no answer mixes two versions of a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from skyshade.errors import ChangedError, TooLargeError
from skyshade.geometry.wcs import PixelMap
from skyshade.layers import analysis_aperture, cutout
from skyshade.layers.analysis_aperture import Aperture, aperture_of, weight_named
from skyshade.layers.analysis_area import pixel_areas
from skyshade.layers.analysis_numbers import BINS, Deadline, histogram_of
from skyshade.layers.analysis_pieces import Piece, mask_of, pieces, strips
from skyshade.layers.analysis_regions import Cone
from skyshade.layers.analysis_wcs import part_wcs
from skyshade.layers.analysis_where import region_of, where_from
from skyshade.layers.cutout import Cutout, check_size, find_box, read_box
from skyshade.layers.sampled import Sampling, Shown
from skyshade.types import (
    AnyArray,
    FloatArray,
    PixelReader,
    SkyImage,
    Statistics,
)


class Mapped(Shown, Protocol):
    """What analysis needs of a map layer."""

    @property
    def image(self) -> SkyImage:
        """The image that is shown."""
        ...

    @property
    def pixels(self) -> PixelMap:
        """The way between ICRS positions and pixels."""
        ...


class MapAnalysis(Sampling):
    """Methods of a map on its own pixels."""

    def histogram(
        self: Mapped,
        bins: int = BINS,
        range: tuple[float, float] | None = None,
        *,
        timeout: float | None = None,
    ) -> Statistics:
        """Return statistics and a histogram of every pixel of the map.

        Parameters
        ----------
        bins : int
            1 to 65,536.
        range : (float, float), optional
            First and last edge; by default the 0.1 and 99.9 percentiles. Pixels beyond are in no
            bin, but in all other numbers.
        timeout : float, optional
            Seconds.

        Returns
        -------
        Statistics
            `exact` is True. Percentiles are exact order statistics of the values as float32.

        Raises
        ------
        InputError
            `bins` or `range` is not allowed.
        ChangedError, TimeoutError
        """
        version = self.version
        reader = self.image.reader
        found = histogram_of(lambda: _rows(reader), bins, range, Deadline(timeout))
        _unchanged(self, version)
        return found

    def aperture(
        self: Mapped,
        ra: float,
        dec: float,
        radius: float,
        *,
        weight: str = "pixel",
        max_pixels: int | None = analysis_aperture.PIXELS,
        timeout: float | None = None,
    ) -> Aperture:
        """Return statistics of the pixels whose centres lie in a circle on the sphere.

        Each place of the sky counts once, also on maps wider than 360 degrees.

        Parameters
        ----------
        ra, dec, radius : float
            ICRS degrees; radius above 0, at most 180.
        weight : {"pixel", "area"}
            Weight pixels alike, or by their solid angle (see `pixel_areas`).
        max_pixels : int, optional
            Most pixels that may be read; None for no limit.
        timeout : float, optional
            Seconds.

        Raises
        ------
        InputError
            A number or the weight is not allowed.
        TooLargeError
            More than `max_pixels` pixels.
        ChangedError, TimeoutError
        """
        cone, kind = Cone(ra, dec, radius), weight_named(weight)
        deadline, version = Deadline(timeout), self.version
        found = pieces(self.pixels, cone)
        count = sum(piece.size for piece in found)
        if max_pixels is not None and count > max_pixels:
            msg = (
                f"an aperture over {count} pixels is not allowed: at most {max_pixels}; "
                f"give a radius below {radius:g} degrees"
            )
            raise TooLargeError(msg)
        parts = _parts(self, cone, found, deadline)
        made = aperture_of(cone, kind, parts, self.info.units, version)
        _unchanged(self, version)
        return made

    def cutout(
        self: Mapped,
        ra: float | None = None,
        dec: float | None = None,
        size: float | tuple[float, float] | None = None,
        *,
        box: Sequence[float] | None = None,
        max_pixels: int | None = cutout.PIXELS,
        timeout: float | None = None,
    ) -> Cutout:
        """Return the smallest rectangle of the map's own pixels that holds a piece of sky.

        Parameters
        ----------
        ra, dec : float
            Middle, ICRS degrees.
        size : float or (float, float)
            Side, or width (along the great circle to the east) and height, in true degrees.
        box : (float, float, float, float), optional
            Instead of all these: ra_east, ra_west, dec_min, dec_max; RA falls from east to west.
        max_pixels : int, optional
            None for no limit.
        timeout : float, optional
            Seconds.

        Returns
        -------
        Cutout
            In one piece also across RA 0 and where a map of the whole circle begins. Cut off where
            the map ends.

        Raises
        ------
        InputError
            A number is not allowed, or neither position nor box is given.
        NoOverlapError
            The map has no pixel there.
        TooLargeError
            More than `max_pixels` pixels.
        ChangedError, TimeoutError
        """
        region, deadline, version = region_of(ra, dec, size, box), Deadline(timeout), self.version
        image, pixels = self.image, self.pixels
        y0, y1, x0, x1 = found = find_box(pixels, region, deadline)
        shape = y1 - y0, x1 - x0
        if max_pixels is not None:
            check_size(*shape, max_pixels)
        turn = round(pixels.period) if cutout.turns(pixels) else 0
        values = read_box(image.reader, found, turn, deadline)
        _unchanged(self, version)
        return Cutout(
            values,
            part_wcs(image.wcs, pixels, y0, x0, shape),
            units=image.units,
            title=image.title or image.name,
            plane=image.plane,
            attrs=image.attrs,
            history=(
                *where_from((image.name, image.hdu, image.plane), self.info.id, region, version),
                f"Pixels {x0 + 1} to {x1} of {pixels.shape[1]} along x, "
                f"{y0 + 1} to {y1} of {pixels.shape[0]} along y, unchanged",
            ),
        )


def _rows(reader: PixelReader) -> Iterator[AnyArray]:
    """Yield all pixels in strips of whole rows."""
    ny, nx = reader.shape
    for piece in strips([Piece(0, ny, 0, nx)]):
        yield reader.read(piece.y0, piece.y1, piece.x0, piece.x1)


def _parts(
    layer: Mapped, cone: Cone, found: list[Piece], deadline: Deadline
) -> Iterator[tuple[AnyArray, AnyArray, FloatArray]]:
    """Yield values, mask and solid angles of the pieces that hold pixels of a circle."""
    pixels, reader = layer.pixels, layer.image.reader
    distorted = bool(layer.image.wcs.has_distortion)
    for piece in strips(found):
        deadline.check()
        mask = mask_of(pixels, cone, piece)
        rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            continue
        y, x = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        y0, x0 = piece.y0 + int(rows[0]), piece.x0 + int(cols[0])
        part = Piece(y0, piece.y0 + int(rows[-1]) + 1, x0, piece.x0 + int(cols[-1]) + 1)
        yield reader.read(*part[:4]), mask[y, x], pixel_areas(pixels, part, distorted)


def _unchanged(layer: Mapped, version: str) -> None:
    if layer.version != version:
        raise ChangedError(layer.image.name, "changed while it was read; ask again")
