"""``/api/layers/{layer}/rows`` and ``nearest``: the rows of a catalogue."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any, Protocol, runtime_checkable

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from skyshade.app.api_analysis import Analyst
from skyshade.app.api_analysis_routes import NUMBER, MaybeDec, MaybeRa, numbers
from skyshade.app.api_docs import query_schema, refusals
from skyshade.app.api_errors import dump
from skyshade.app.api_json import Json
from skyshade.app.api_layers import Dec, Ra, Radius, choice_of
from skyshade.app.api_services import Services
from skyshade.app.params import CHOICE
from skyshade.app.rows_formats import FORMATS
from skyshade.errors import InputError, UnknownNameError
from skyshade.layers.analysis_regions import box_of
from skyshade.layers.catalog_queries import region_of
from skyshade.layers.catalog_rows import Found
from skyshade.layers.regions import Region
from skyshade.types import Layer

LIMIT = 1000
MOST = max(known.most for known in FORMATS.values())
_OWN = ("ra", "dec", "radius", "box", "polygon", "columns", "limit", "format")
_CHOICE = {"parameters": query_schema(CHOICE)}

MaybeRadius = Annotated[
    float | None, Query(ge=0, le=180, allow_inf_nan=False, description="Of a cone, degrees")
]
Box = Annotated[
    str | None,
    Query(description="ra_east,ra_west,dec_min,dec_max in degrees; across RA 0 e.g. 5,355,-1,1"),
]
Corners = Annotated[
    str | None,
    Query(
        description="ra1,dec1,ra2,dec2,... of a polygon whose sides are great circles, in degrees; "
        "smaller than a hemisphere"
    ),
]
Columns = Annotated[
    str | None,
    Query(description="Names with commas between, quoted as in CSV; ra and dec are always there"),
]
Limit = Annotated[int, Query(ge=0, le=MOST, description="Most rows that are returned")]
Format = Annotated[
    str, Query(description="Format of the answer", json_schema_extra={"enum": list(FORMATS)})
]
_ABOUT = (
    "Rows in a cone (ra, dec, radius), a box or a polygon, boundaries included; without any of "
    "them of the whole sky. Of a cone the nearest come first. `ra` and `dec` are ICRS degrees, "
    "whatever the table stores. JSON is a list of objects. CSV puts an apostrophe before texts "
    "that a spreadsheet would take for a formula. Parquet and Arrow have units in the metadata of "
    "fields (`unit`). At most 100,000 rows as JSON, 1,000,000 otherwise. The header Skyshade-Total "
    "says how many rows there are (absent where counting would take too long), Skyshade-Truncated "
    "whether some are left out."
)


@runtime_checkable
class HasRows(Protocol):
    """A layer whose rows can be asked for (catalogues)."""

    def find(self, region: Region | None = None, **options: Any) -> Found:
        """Find the rows in a region."""
        ...

    def nearest(self, ra: float, dec: float, radius: float) -> dict[str, Any] | None:
        """Return the row nearest to a position."""
        ...


def rows_router(services: Services) -> APIRouter:
    """Return the routes of rows."""
    router = APIRouter(prefix="/api/layers", tags=["rows"], default_response_class=Json)

    analyst = Analyst(services)

    @router.get(
        "/{layer}/rows",
        summary="Rows of a catalogue in a cone, a box or a polygon",
        description=_ABOUT,
        openapi_extra=_CHOICE,
        response_class=StreamingResponse,
        responses={**refusals(404, 422, 503), 200: _ROWS},
    )
    async def rows(
        layer: str,
        request: Request,
        ra: MaybeRa = None,
        dec: MaybeDec = None,
        radius: MaybeRadius = None,
        box: Box = None,
        polygon: Corners = None,
        columns: Columns = None,
        limit: Limit = LIMIT,
        format: Format = "json",
    ) -> StreamingResponse:
        choice = choice_of(request, _OWN)
        check_limit(format, limit)
        coverage = None if box is None else box_of(*numbers("box", box, (4,)))
        corners = None if polygon is None else vertices(polygon)
        region = region_of(None, ra, dec, radius, coverage, corners)
        names = None if columns is None else column_names(columns)

        def find(found: Layer, seconds: float) -> Found:
            return catalogue(layer, found).find(region, columns=names, limit=limit, timeout=seconds)

        asked = ("rows", region, names, limit)
        return await run_in_threadpool(
            reply, layer, await analyst.run(layer, choice, asked, find, _size_of), format
        )

    @router.get(
        "/{layer}/nearest",
        summary="The row of a catalogue that is nearest to a position, with all its columns",
        description="An object with ra, dec (ICRS degrees), every column, `separation` (degrees) "
        "and `row` (its number); null when no row is within the radius.",
        openapi_extra=_CHOICE,
        responses=refusals(404, 422, 503),
    )
    async def nearest(layer: str, ra: Ra, dec: Dec, radius: Radius, request: Request) -> Response:
        choice = choice_of(request, ("ra", "dec", "radius"))

        def find(found: Layer, seconds: float) -> bytes:
            del seconds
            return dump(catalogue(layer, found).nearest(ra, dec, radius))

        row = await analyst.run(layer, choice, ("nearest", ra, dec, radius), find, len)
        return Response(row, media_type="application/json", headers={"cache-control": "no-cache"})

    return router


_ROWS: dict[str, Any] = {
    "description": "The rows",
    "content": {known.media_type.partition(";")[0]: {} for known in FORMATS.values()},
}


def catalogue(name: str, layer: Layer) -> HasRows:
    """Return a layer that has rows; InputError for others."""
    if isinstance(layer, HasRows):
        return layer
    msg = f"layer {name!r} is a {layer.info.kind}: only catalogues have rows"
    raise InputError(msg)


def _size_of(found: Found) -> int:
    return found.rows.nbytes + (0 if found.separation is None else found.separation.nbytes)


def check_limit(fmt: str, limit: int) -> None:
    """Raise an error unless a format is known and may have so many rows."""
    if fmt not in FORMATS:
        raise UnknownNameError("format", fmt[:80], FORMATS)
    if limit > FORMATS[fmt].most:
        msg = f"limit={limit} is not allowed: at most {FORMATS[fmt].most} rows as {fmt}"
        raise InputError(msg)


def vertices(text: str) -> Sequence[tuple[float, float]]:
    """Return the vertices of ``ra1,dec1,ra2,dec2,...``."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) % 2 or len(parts) < 6 or not all(NUMBER.fullmatch(part) for part in parts):
        msg = f"polygon={text[:80]!r} is not allowed: give ra1,dec1,ra2,dec2,ra3,dec3 or more"
        raise InputError(msg)
    values = list(map(float, parts))
    return list(zip(values[::2], values[1::2], strict=True))


def column_names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas and quoted as in CSV; none of an empty text."""
    return tuple(name for line in csv.reader([text]) for name in line if name)


def reply(layer: str, found: Found, fmt: str) -> StreamingResponse:
    """Return rows as a stream whose first part is there, so that its errors have a status."""
    known = FORMATS[fmt]
    body = known.write(found)
    first = next(body, b"")
    headers = {"cache-control": "no-cache", "skyshade-truncated": str(found.truncated).lower()}
    if found.total is not None:
        headers["skyshade-total"] = str(found.total)
    if fmt != "json":
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in layer)
        headers["content-disposition"] = f'attachment; filename="{safe[:100]}.{fmt}"'
    return StreamingResponse(chain([first], body), media_type=known.media_type, headers=headers)
