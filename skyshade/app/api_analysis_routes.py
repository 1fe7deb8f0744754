"""``/api/layers/{layer}/histogram``, ``aperture`` and ``cutout``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from skyshade.app.api_analysis import FITS, FORMATS, Analyst, CutoutQuery, File
from skyshade.app.api_docs import query_schema, refusals
from skyshade.app.api_json import Json
from skyshade.app.api_layers import Dec, Ra, Radius, choice_of
from skyshade.app.api_services import Services
from skyshade.app.params import CHOICE, STYLE, Parameter, parse
from skyshade.errors import InputError
from skyshade.layers.analysis_aperture import PIXELS as APERTURE_PIXELS
from skyshade.layers.analysis_aperture import WEIGHTS
from skyshade.layers.analysis_numbers import MAX_BINS
from skyshade.layers.cutout import PIXELS
from skyshade.tiles.encode import MEDIA_TYPES

_CHOICE = {"parameters": query_schema(CHOICE)}
_LOOK = {"parameters": query_schema((*STYLE, *CHOICE))}
_SAFE = re.compile(r"[^A-Za-z0-9._+-]+")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")

Bins = Annotated[int | None, Query(ge=1, le=MAX_BINS, description="Number of bins, 128 if absent")]
Span = Annotated[str | None, Query(alias="range", description="First and last edge, e.g. -100,100")]
Exact = Annotated[
    bool, Query(description="Count every pixel; false gives quick statistics of a sample")
]
Weight = Annotated[
    str,
    Query(
        description="Weight of mean and std: every pixel alike, or by its solid angle",
        json_schema_extra={"enum": list(WEIGHTS)},
    ),
]
MaybeRa = Annotated[
    float | None, Query(ge=0, le=360, allow_inf_nan=False, description="Middle, ICRS degrees")
]
MaybeDec = Annotated[
    float | None, Query(ge=-90, le=90, allow_inf_nan=False, description="Middle, ICRS degrees")
]
Size = Annotated[
    str | None, Query(description="Side, or width,height, in degrees on the sky, e.g. 2 or 3,1.5")
]
SkyBox = Annotated[
    str | None,
    Query(description="Instead of ra, dec and size: ra_east,ra_west,dec_min,dec_max in degrees"),
]
Format = Annotated[str, Query(description="File format", json_schema_extra={"enum": list(FORMATS)})]
_ABOUT_CUTOUT = (
    "The smallest rectangle of the map's own pixels that holds a piece of sky, unchanged, in one "
    "piece across RA 0: as FITS with its WCS (NaN where there is no value), or coloured as tiles "
    "are, north up. HEALPix maps and computed layers are resampled to a tangent plane. At most "
    f"{PIXELS} pixels (4096 x 4096)."
)


def analysis_router(services: Services) -> APIRouter:
    """Return the routes that compute on the pixels of a layer."""
    router = APIRouter(prefix="/api/layers", tags=["analysis"], default_response_class=Json)
    analyst = Analyst(services)

    @router.get(
        "/{layer}/histogram",
        summary="Histogram and statistics of every pixel",
        openapi_extra=_CHOICE,
        responses=refusals(404, 422, 503),
    )
    async def histogram(
        layer: str, request: Request, bins: Bins = None, span: Span = None, exact: Exact = True
    ) -> Json:
        choice = choice_of(request, ("bins", "range", "exact"))
        ends = numbers("range", span, (2,)) if span is not None else None
        pair = (ends[0], ends[1]) if ends else None
        return Json(await analyst.histogram(layer, choice, bins, pair, exact))

    @router.get(
        "/{layer}/aperture",
        summary="Statistics of the pixels in a circle on the sky",
        description=f"Pixels whose centres lie in the circle; at most {APERTURE_PIXELS}.",
        openapi_extra=_CHOICE,
        responses=refusals(404, 413, 422, 503),
    )
    async def aperture(
        layer: str, ra: Ra, dec: Dec, radius: Radius, request: Request, weight: Weight = "pixel"
    ) -> Json:
        choice = choice_of(request, ("ra", "dec", "radius", "weight"))
        return Json(await analyst.aperture(layer, choice, ra, dec, radius, weight))

    @router.get(
        "/{layer}/cutout",
        summary="A piece of a map as FITS or as a picture",
        description=_ABOUT_CUTOUT,
        openapi_extra=_LOOK,
        response_class=Response,
        responses={**refusals(404, 413, 422, 503), 200: _FILES},
    )
    async def cutout(
        layer: str,
        request: Request,
        ra: MaybeRa = None,
        dec: MaybeDec = None,
        size: Size = None,
        box: SkyBox = None,
        format: Format = "fits",
    ) -> Response:
        own = tuple(_text(name) for name in ("ra", "dec", "size", "box", "format"))
        params = parse(request.scope.get("query_string", b""), (*own, *STYLE, *CHOICE))
        sides = numbers("size", size, (1, 2)) if size is not None else None
        query = CutoutQuery(
            ra,
            dec,
            (sides[0], sides[-1]) if sides else None,
            numbers("box", box, (4,)) if box is not None else None,
            format,
        )
        return file_reply(layer, query, await analyst.cutout(layer, params, query))

    return router


_FILES: dict[str, Any] = {
    "description": "The file",
    "content": {kind: {} for kind in (FITS, *(MEDIA_TYPES[f] for f in FORMATS[1:]))},
}


def _text(name: str) -> Parameter:
    return Parameter(name, lambda _, text: text, {}, "")


def numbers(name: str, text: str, counts: Sequence[int]) -> tuple[float, ...]:
    """Return comma-separated numbers; raise InputError unless there are as many as allowed."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in counts or not all(NUMBER.fullmatch(part) for part in parts):
        wanted = " or ".join(str(count) for count in counts)
        msg = f"{name}={text[:80]!r} is not allowed: give {wanted} numbers, with commas between"
        raise InputError(msg)
    return tuple(float(part) for part in parts)


def file_reply(layer: str, query: CutoutQuery, made: File) -> Response:
    """Return a cutout with a file name; FITS is to be saved, a picture to be shown."""
    how = "attachment" if query.fmt == "fits" else "inline"
    headers = {
        "content-disposition": f'{how}; filename="{file_name(layer, query)}"',
        "cache-control": "no-cache",
    }
    if made.quality != "exact":
        headers["skyshade-quality"] = made.quality
    return Response(made.data, media_type=made.media_type, headers=headers)


def file_name(layer: str, query: CutoutQuery) -> str:
    """Return a file name of plain ASCII letters."""
    place = query.box if query.box is not None else (query.ra or 0.0, query.dec or 0.0)
    text = "_".join([layer, *(f"{value:.4f}" for value in place)])
    return f"{_SAFE.sub('-', text)[:100]}.{query.fmt}"
