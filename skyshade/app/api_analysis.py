"""Histogram, aperture and cutout of a layer: computed in a pool of their own, with a deadline.

Identical requests share one computation, and what was computed is kept. A request waits as long as
a tile may take; a longer computation goes on for a while, so that who asks again finds it done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from skyshade.app.api_errors import OverloadError
from skyshade.app.api_services import OVERHEAD, Services
from skyshade.app.params import Choice, TileParams
from skyshade.app.tiles_route import settled
from skyshade.errors import ChangedError, DataError, InputError, TooLargeError, UnknownNameError
from skyshade.layers.analysis_aperture import Aperture
from skyshade.layers.analysis_numbers import BINS, Deadline
from skyshade.layers.analysis_where import region_of
from skyshade.layers.cutout import PIXELS, Cutout
from skyshade.layers.cutout_plane import plane_cutout
from skyshade.shaders.shader import shader_for
from skyshade.tiles.encode import Encoded, encode
from skyshade.types import Aggregate, Layer, LayerInfo, Statistics

T = TypeVar("T")

PATIENCE = 10.0  # times the deadline of a tile that a computation may take in all
FORMATS = ("fits", "png", "jpg", "webp")
FITS = "image/fits"  # RFC 4047
LONGEST = {"png": 1 << 20, "jpg": 65500, "webp": 16383}  # pixels along a side of the formats


@runtime_checkable
class HasHistogram(Protocol):
    """A layer all of whose pixels can be counted."""

    def histogram(
        self, bins: int, range: tuple[float, float] | None, *, timeout: float | None
    ) -> Statistics:
        """Return statistics of every pixel."""
        ...


@runtime_checkable
class HasAperture(Protocol):
    """A layer with pixels of its own."""

    def aperture(
        self, ra: float, dec: float, radius: float, *, weight: str, timeout: float | None
    ) -> Aperture:
        """Return statistics of the pixels in a circle."""
        ...


@runtime_checkable
class HasCutout(Protocol):
    """A layer that gives pieces of itself."""

    def cutout(
        self,
        ra: float | None,
        dec: float | None,
        size: float | tuple[float, float] | None,
        *,
        box: Sequence[float] | None,
        timeout: float | None,
    ) -> Cutout:
        """Return a piece of sky."""
        ...


@dataclass(frozen=True, slots=True)
class CutoutQuery:
    """What a cutout is asked for.

    Parameters
    ----------
    ra, dec : float or None
    size : tuple of float or None
        Width and height in degrees.
    box : tuple of float or None
        ra_east, ra_west, dec_min, dec_max.
    fmt : str
        One of `FORMATS`.
    """

    ra: float | None
    dec: float | None
    size: tuple[float, float] | None
    box: tuple[float, ...] | None
    fmt: str = "fits"

    def check(self) -> None:
        """Raise InputError before anything is computed."""
        if self.fmt not in FORMATS:
            raise UnknownNameError("cutout format", self.fmt[:80], FORMATS)
        region_of(self.ra, self.dec, self.size, self.box)


@dataclass(frozen=True, slots=True)
class File:
    """A cutout as it is sent."""

    data: bytes
    media_type: str
    quality: str


class Analyst:
    """Runs analyses for the API.

    Parameters
    ----------
    services : Services
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(
        self,
        name: str,
        choice: Choice,
        asked: Hashable,
        make: Callable[[Layer, float], T],
        size_of: Callable[[T], int],
    ) -> T:
        """Return what `make` computes of a layer, kept or shared if it was asked for before.

        Parameters
        ----------
        name : str
            Id of the layer.
        choice : Choice
        asked : hashable
            All else that the answer depends on.
        make : callable
            Gets the selected layer and the seconds that it may take.
        size_of : callable
            Bytes of an answer.

        Raises
        ------
        OverloadError
            It was not ready in time.
        """
        services = self._services
        layer = services.atlas.layer(name)
        seconds = services.settings.tile_seconds
        latest = time.monotonic() + seconds

        def job() -> T:
            if time.monotonic() > latest:
                msg = "the computation waited too long for its turn; try again"
                raise OverloadError(msg)
            return make(services.selected(name, layer, choice), PATIENCE * seconds)

        future = services.analyses.submit(
            services.analysis_pool, (name, layer.version, choice, asked), size_of, job
        )
        found = await settled(future, seconds)
        if found is None:
            msg = f"the answer was not ready within {seconds:g} s; try again"
            raise OverloadError(msg)
        try:
            made: T = found.result()
        except ChangedError:
            raise
        except DataError as error:
            services.atlas.degrade(name, str(error))
            raise
        return made

    async def histogram(
        self,
        name: str,
        choice: Choice,
        bins: int | None,
        span: tuple[float, float] | None,
        exact: bool,
    ) -> dict[str, Any]:
        """Return statistics of every pixel, or the quick ones of layers without pixels."""

        def make(layer: Layer, seconds: float) -> dict[str, Any]:
            if exact and isinstance(layer, HasHistogram):
                found = layer.histogram(bins or BINS, span, timeout=seconds)
            elif bins is None and span is None:
                found = layer.statistics()
            else:
                raise _refusal(name, layer.info, "histograms of chosen bins")
            info = layer.info
            return {"id": name, "units": info.units, "quantity": info.quantity, **asdict(found)}

        return await self.run(name, choice, ("histogram", bins, span, exact), make, _numbers_size)

    async def aperture(
        self, name: str, choice: Choice, ra: float, dec: float, radius: float, weight: str
    ) -> dict[str, Any]:
        """Return statistics of the pixels in a circle."""

        def make(layer: Layer, seconds: float) -> dict[str, Any]:
            if not isinstance(layer, HasAperture):
                raise _refusal(name, layer.info, "apertures")
            found = layer.aperture(ra, dec, radius, weight=weight, timeout=seconds)
            return {"id": name, **asdict(found), "quantity": layer.info.quantity}

        asked = ("aperture", ra, dec, radius, weight)
        return await self.run(name, choice, asked, make, _numbers_size)

    async def cutout(self, name: str, params: TileParams, query: CutoutQuery) -> File:
        """Return a piece of sky as FITS or as a coloured picture."""
        query.check()

        def make(layer: Layer, seconds: float) -> File:
            made = _cut(name, layer, query, seconds)
            if query.fmt == "fits":
                return File(made.to_fits(), FITS, made.quality)
            return File(*_picture(layer, made, params, query.fmt), made.quality)

        asked = ("cutout", query, params.style)
        return await self.run(name, params.choice, asked, make, _file_size)


def _cut(name: str, layer: Layer, query: CutoutQuery, seconds: float) -> Cutout:
    if layer.info.kind == "catalog":
        raise _refusal(name, layer.info, "cutouts")
    if isinstance(layer, HasCutout):
        return layer.cutout(query.ra, query.dec, query.size, box=query.box, timeout=seconds)
    region = region_of(query.ra, query.dec, query.size, query.box)
    return plane_cutout(layer, region, layer.info.resolution, PIXELS, Deadline(seconds))


def _picture(layer: Layer, made: Cutout, params: TileParams, fmt: str) -> Encoded:
    """Return a cutout in the layer's colours, or those that were asked for."""
    ny, nx = made.values.shape[:2]
    if max(ny, nx) > LONGEST[fmt]:
        msg = (
            f"a {fmt} picture of {nx} x {ny} pixels is not allowed: at most {LONGEST[fmt]} along a "
            "side; give a smaller size or another format"
        )
        raise TooLargeError(msg)
    shader = shader_for(params.styled(layer.info.style), layer.statistics())
    numbers = Aggregate(made.upright(), made.units, categories=made.categories, axis="band")
    return encode(shader(numbers), fmt)


def _refusal(name: str, info: LayerInfo, what: str) -> InputError:
    kind = "catalogue" if info.kind == "catalog" else "layer without pixels of its own"
    return InputError(f"layer {name!r} is a {kind}: only maps have {what}")


def _numbers_size(found: dict[str, Any]) -> int:
    return OVERHEAD + 64 * (len(found) + len(found.get("counts", ())) * 2)


def _file_size(found: File) -> int:
    return len(found.data) + OVERHEAD
