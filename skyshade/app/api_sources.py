"""``/api/sources``: lists of sources, a page, a view or a name at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response, StreamingResponse

from skyshade.app.api_json import Json
from skyshade.app.api_layers import Dec, Ra
from skyshade.app.api_services import Services
from skyshade.app.source_views import markers_of, outlines_of
from skyshade.atlas.atlas import Atlas
from skyshade.errors import InputError
from skyshade.overlays import FORMATS, SourceList, View

MAX_PAGE, MAX_MARKERS = 1000, 10_000
HEADERS = {"cache-control": "no-cache"}
Width = Annotated[float, Query(gt=0, le=1000, allow_inf_nan=False, description="Degrees")]
Step = Annotated[float, Query(gt=0, le=360, allow_inf_nan=False, description="Degrees")]
Offset = Annotated[int, Query(ge=0, description="Rows before the page")]
PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most rows of the page")]
Search = Annotated[str, Query(max_length=200, description="Text that names hold, case apart")]
Row = Annotated[int, Path(ge=0, description="Number of the source in its list, from 0")]


def sources_router(services: Services) -> APIRouter:
    """Return the routes of source lists."""
    router = APIRouter(prefix="/api/sources", tags=["overlays"], default_response_class=Json)
    _add_pages(router, services.atlas)
    _add_views(router, services.atlas)
    return router


def page_query(
    offset: Offset = 0,
    limit: PageSize = MAX_PAGE,
    sort: Annotated[str, Query(description="name, ra, dec or a column")] = "",
    order: Annotated[Literal["asc", "desc"], Query(description="Missing values last")] = "asc",
    search: Search = "",
    row: Annotated[int | None, Query(ge=0, description="Take the page with this row")] = None,
) -> dict[str, Any]:
    """Return what `skyshade.overlays.finding.Finder.page` takes."""
    return {
        "offset": offset,
        "limit": limit,
        "sort": sort,
        "descending": order == "desc",
        "search": search,
        "holding": row,
    }


def view_query(ra: Ra, dec: Dec, width: Width, height: Width) -> View:
    """Return the rectangle of a view: its middle, and degrees along the axes."""
    return View(ra, dec, width, height)


Asked = Annotated[dict[str, Any], Depends(page_query)]
Seen = Annotated[View, Depends(view_query)]


def _add_pages(router: APIRouter, atlas: Atlas) -> None:
    @router.get("", summary="Every source list")
    def sources() -> Json:
        return Json([brief(one) for one in atlas.source_lists()])

    @router.get("/search", summary="Sources of all lists by name")
    def search(asked: Asked, q: Search | None = None) -> Json:
        """Return equal names first, then those that begin with `q`, then those that hold it."""
        if q is None:  # a list may have this name
            return Json(page(atlas.sources("search"), **asked))
        return Json(found_by_name(atlas.source_lists(), q, min(asked["limit"], 50)))

    @router.get("/{name}", summary="Sources of one list, searched, sorted and by pages")
    def source_list(name: str, asked: Asked) -> Json:
        return Json(page(atlas.sources(name), **asked))

    @router.get("/{name}/rows/{row}", summary="One source with all its columns")
    def one(name: str, row: Row) -> Json:
        return Json(atlas.sources(name).record(row) | {"row": row})

    @router.get("/{name}/export", summary="A whole list as a file")
    def export(
        name: str, format: Annotated[str, Query(description=", ".join(FORMATS))] = "json"
    ) -> StreamingResponse:
        found = atlas.sources(name)
        parts = found.export(format)
        named = {"content-disposition": f'attachment; filename="{name}.{format}"'}
        return StreamingResponse(parts, media_type=FORMATS[format], headers=HEADERS | named)


def _add_views(router: APIRouter, atlas: Atlas) -> None:
    @router.get("/{name}/markers", summary="What a view marks, binary", response_class=Response)
    def markers(
        name: str,
        view: Seen,
        cell: Step,
        limit: Annotated[int, Query(ge=1, le=MAX_MARKERS)] = 2000,
    ) -> Response:
        """Return the sources of a view: all, or the first one of each cell when they are many.

        Bytes: uint32 length of a JSON header, the header, then for the `count` sources x and y
        (uint16, 65535ths of `width` from `east` and of `height` from `south`), the row (uint32)
        and, when `sized`, the size (uint8, tenths of a pixel). Little-endian.
        """
        return binary(markers_of(atlas.sources(name), view, cell, limit))

    @router.get("/{name}/outlines", summary="Shapes in a view, binary", response_class=Response)
    def outlines(name: str, view: Seen, pixel: Step) -> Response:
        """Return the lines of regions.

        Bytes: uint32 length of a JSON header, the header with the vertices of each line, its row
        and colour, then all x and y (float32, degrees from the middle of the view to the right and
        up). Little-endian.
        """
        return binary(outlines_of(atlas.sources(name), view, pixel))


def brief(sources: SourceList) -> dict[str, Any]:
    """Return a source list's line in the list of lists."""
    return {
        "id": sources.id,
        "title": sources.title,
        "count": len(sources),
        "total": sources.total,
        "truncated": sources.truncated,
        "regions": sources.outlines is not None,
        "columns": list(sources.columns),
        "units": dict(sources.units),
        "notes": list(sources.notes),
    }


def page(sources: SourceList, **asked: Any) -> dict[str, Any]:
    """Return some rows of a list with what is known of the list."""
    found = sources.finder.page(**asked)
    rows = found.rows.tolist()
    records = [
        {"row": row, **record} for row, record in zip(rows, sources.records(rows), strict=True)
    ]
    return {
        **brief(sources),
        "offset": found.offset,
        "matches": found.matches,
        "sources": records,
    }


def found_by_name(lists: list[SourceList], text: str, limit: int) -> dict[str, Any]:
    """Return the sources of all lists whose name holds a text, the best first."""
    if not text.strip():
        msg = "q='' is not allowed: give a part of a name"
        raise InputError(msg)
    found = [
        (quality(row), sources, row)
        for sources in lists
        for quality in [sources.finder.quality(text)]
        for row in sources.finder.search(text, limit)
    ]
    found.sort(key=lambda one: one[0])
    return {
        "q": text,
        "sources": [
            {
                "list": sources.id,
                "title": sources.title,
                "row": row,
                "name": sources.names[row],
                "ra": float(sources.ra[row]),
                "dec": float(sources.dec[row]),
            }
            for _, sources, row in found[:limit]
        ],
    }


def binary(body: bytes) -> Response:
    """Return bytes as an answer."""
    return Response(body, media_type="application/octet-stream", headers=HEADERS)
