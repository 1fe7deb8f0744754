"""Analysis on the exact pixels of a HEALPix map: what `HealpixLayer` inherits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from skyshade.errors import ChangedError, TooLargeError
from skyshade.geometry import healpix
from skyshade.geometry.frames import from_icrs
from skyshade.layers import analysis_aperture, cutout
from skyshade.layers.analysis_aperture import Aperture, aperture_of, weight_named
from skyshade.layers.analysis_numbers import BINS, Deadline, histogram_of
from skyshade.layers.analysis_pieces import STRIP
from skyshade.layers.analysis_regions import Cone
from skyshade.layers.analysis_where import region_of
from skyshade.layers.cutout import Cutout
from skyshade.layers.cutout_plane import plane_cutout
from skyshade.layers.sampled import Sampling, Shown
from skyshade.types import AnyArray, FloatArray, IntArray, SphereImage, SphereReader, Statistics


class Sphered(Shown, Protocol):
    """What analysis needs of a HEALPix layer."""

    @property
    def image(self) -> SphereImage:
        """The map that is shown."""
        ...


class SphereAnalysis(Sampling):
    """Methods of a HEALPix map on its own pixels; as those of `MapAnalysis`."""

    def histogram(
        self: Sphered,
        bins: int = BINS,
        range: tuple[float, float] | None = None,
        *,
        timeout: float | None = None,
    ) -> Statistics:
        """Return statistics and a histogram of every pixel; see `MapAnalysis.histogram`."""
        version, reader = self.version, self.image.reader
        found = histogram_of(lambda: _chunks(reader), bins, range, Deadline(timeout))
        _unchanged(self, version)
        return found

    def aperture(
        self: Sphered,
        ra: float,
        dec: float,
        radius: float,
        *,
        weight: str = "pixel",
        max_pixels: int | None = analysis_aperture.PIXELS,
        timeout: float | None = None,
    ) -> Aperture:
        """Return statistics of the pixels whose centres lie in a circle on the sphere.

        All pixels have one area, so both weights give the same. See `MapAnalysis.aperture`.
        """
        cone, kind = Cone(ra, dec, radius), weight_named(weight)
        deadline, version, nside = Deadline(timeout), self.version, self.image.reader.nside
        runs = pixels_in(nside, cone, self.image.frame)
        count = int((runs[:, 1] - runs[:, 0]).sum())
        if max_pixels is not None and count > max_pixels:
            msg = (
                f"an aperture over {count} pixels is not allowed: at most {max_pixels}; "
                f"give a radius below {radius:g} degrees"
            )
            raise TooLargeError(msg)
        made = aperture_of(
            cone, kind, _parts(self.image.reader, runs, deadline), self.info.units, version
        )
        _unchanged(self, version)
        return made

    def cutout(
        self: Sphered,
        ra: float | None = None,
        dec: float | None = None,
        size: float | tuple[float, float] | None = None,
        *,
        box: Sequence[float] | None = None,
        max_pixels: int | None = cutout.PIXELS,
        timeout: float | None = None,
    ) -> Cutout:
        """Return a piece of sky on a tangent plane, two pixels along one of the map.

        HEALPix pixels do not lie in rows, so this one is resampled; `quality` and the history say
        so. Parameters and errors are those of `MapAnalysis.cutout`; at most 120 degrees a side.
        """
        region, deadline = region_of(ra, dec, size, box), Deadline(timeout)
        resolution = healpix.resolution(self.image.reader.nside) / 2.0
        return plane_cutout(self, region, resolution, max_pixels, deadline)


def pixels_in(nside: int, cone: Cone, frame: str) -> IntArray:
    """Return the NESTED pixels whose centres lie in a circle, as runs [first, end), shape (n, 2).

    The quadtree is walked level by level: a cell that the circle holds as a whole is one run, one
    that it does not touch is dropped, and the others are cut into four.
    """
    lon, lat = (float(v) for v in from_icrs(np.array(cone.ra), np.array(cone.dec), frame))
    here = Cone(lon, lat, cone.radius)
    order = healpix.order_of(nside)
    cells, runs = np.arange(12, dtype=np.int64), [np.empty((0, 2), np.int64)]
    for level in range(order + 1):
        at = healpix.pixel_centres(1 << level, cells, nested=True)
        bits, reach = 2 * (order - level), 0.0 if level == order else largest_radius(1 << level)
        inside = _within(here, *at, -reach)
        runs.append(np.stack([cells[inside], cells[inside] + 1], axis=1) << bits)
        left = cells[_within(here, *at, reach) & ~inside]
        cells = (left[:, None] << 2 | np.arange(4)).ravel()
    found = np.concatenate(runs)
    return found[np.argsort(found[:, 0])]


def largest_radius(nside: int) -> float:
    """Return the largest angle between a pixel's centre and its corners, in degrees.

    That of a pixel at z = 2/3 on the border of cap and belt, to the corner above it (as in the
    HEALPix library's ``max_pixrad``).
    """
    z, away = 2.0 / 3.0, math.pi / (4.0 * nside)
    high = 1.0 - (1.0 - 1.0 / nside) ** 2 / 3.0
    cosine = math.sqrt((1.0 - z * z) * max(1.0 - high * high, 0.0)) * math.cos(away) + z * high
    return math.degrees(math.acos(min(cosine, 1.0)))


def _within(cone: Cone, lon: FloatArray, lat: FloatArray, reach: float) -> AnyArray:
    """Return which positions lie in a circle grown by `reach` degrees (shrunk: less than 0)."""
    radius = cone.radius + reach * (1.0 + 1e-9)
    if radius >= 180.0:
        return np.ones(lon.shape, bool)
    if not radius > 0.0:
        return np.zeros(lon.shape, bool)
    return Cone(cone.ra, cone.dec, radius).holds(lon, lat)


def _chunks(reader: SphereReader) -> Iterator[AnyArray]:
    """Yield all pixels of a map; of a partial one those that it lists."""
    listed = reader.listed
    if listed is None:
        count = 12 * reader.nside * reader.nside
        for start in range(0, count, STRIP):
            yield reader.read(start, min(start + STRIP, count))
        return
    for first in range(0, len(listed), STRIP):
        yield reader.read_runs(runs_of(np.asarray(listed[first : first + STRIP], np.int64)))


def runs_of(numbers: IntArray) -> IntArray:
    """Return sorted pixel numbers as runs [first, end), shape (n, 2)."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    first = np.concatenate([[0], breaks])
    last = np.concatenate([breaks, [len(numbers)]]) - 1
    return np.stack([numbers[first], numbers[last] + 1], axis=1)


def _parts(
    reader: SphereReader, runs: IntArray, deadline: Deadline
) -> Iterator[tuple[AnyArray, AnyArray, FloatArray]]:
    """Yield values, mask and area of the pixels of NESTED runs."""
    area = np.array([healpix.pixel_area(reader.nside)])
    for some in _portions(runs):
        deadline.check()
        wanted = some if reader.nested else _ring_runs(reader.nside, some)
        values = reader.read_runs(wanted)
        yield values, np.ones(values.shape, bool), area


def _portions(runs: IntArray) -> Iterator[IntArray]:
    """Yield runs of at most `STRIP` pixels together."""
    cut = (
        [
            np.stack([at, np.minimum(at + STRIP, run[1])], axis=1)
            for run in runs
            for at in [np.arange(run[0], run[1], STRIP)]
        ]
        if len(runs) and int((runs[:, 1] - runs[:, 0]).max()) > STRIP
        else [runs]
    )
    whole = np.concatenate(cut)
    upto = np.cumsum(whole[:, 1] - whole[:, 0])
    start = 0
    while start < len(whole):
        before = int(upto[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(upto, before + STRIP, side="right")))
        yield whole[start:end]
        start = end


def _ring_runs(nside: int, runs: IntArray) -> IntArray:
    """Return the RING runs of NESTED ones."""
    lengths = runs[:, 1] - runs[:, 0]
    starts = np.repeat(runs[:, 0] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    numbers = healpix.nested_to_ring(nside, starts + np.arange(int(lengths.sum())))
    return runs_of(np.sort(numbers))


def _unchanged(layer: Sphered, version: str) -> None:
    if layer.version != version:
        raise ChangedError(layer.image.name, "changed while it was read; ask again")
