"""``/api/layers``: what there is, and values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from skyshade.app.api_docs import query_schema
from skyshade.app.api_json import Json
from skyshade.app.api_services import Services
from skyshade.app.params import CHOICE, Choice, Parameter, parse_values
from skyshade.atlas.atlas import Entry
from skyshade.types import Layer

Ra = Annotated[float, Query(ge=0, le=360, allow_inf_nan=False, description="ICRS degrees, 0..360")]
Dec = Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, description="ICRS degrees")]
Radius = Annotated[float, Query(gt=0, le=180, allow_inf_nan=False, description="Degrees")]
_CHOICE = {"parameters": query_schema(CHOICE)}


def layers_router(services: Services) -> APIRouter:
    """Return the routes below ``/api/layers``."""
    router = APIRouter(prefix="/api/layers", tags=["layers"], default_response_class=Json)
    atlas = services.atlas

    def chosen(name: str, request: Request, own: tuple[str, ...] = ()) -> Layer:
        layer = atlas.layer(name)
        choice = choice_of(request, own)
        return services.selected(name, layer, choice)

    @router.get("", summary="Every layer, rejected files included")
    def layers() -> Json:
        return Json([brief(entry) for entry in atlas.entries()])

    @router.get("/{layer}", summary="One layer with statistics and default style")
    def layer(layer: str) -> Json:
        return Json(full(atlas.entry(layer)))

    @router.get("/{layer}/value", summary="Value at a position", openapi_extra=_CHOICE)
    def value(layer: str, ra: Ra, dec: Dec, request: Request) -> Json:
        found = chosen(layer, request, ("ra", "dec"))
        info = found.info
        place = {"id": layer, "ra": ra, "dec": dec, "value": found.value(ra, dec)}
        return Json({**place, "units": info.units, "quantity": info.quantity})

    return router


def choice_of(request: Request, own: tuple[str, ...] = ()) -> Choice:
    """Return the choice parameters of a request that also takes `own` ones; refuse others."""
    mine = tuple(Parameter(name, lambda _, text: text, {}, "") for name in own)
    values = parse_values(request.scope.get("query_string", b""), (*mine, *CHOICE))
    return Choice(**{name: value for name, value in values.items() if name not in own})


def brief(entry: Entry) -> dict[str, Any]:
    """Return a layer's line in the list; reads no data."""
    line: dict[str, Any] = {
        "id": entry.id,
        "title": entry.title,
        "kind": entry.layer.info.kind if entry.layer else None,
        "state": entry.state,
        "reason": entry.reason,
    }
    if entry.layer is not None:
        info = entry.layer.info
        line |= {
            "units": info.units,
            "quantity": info.quantity,
            "size": info.size,
            "projection": info.projection,
            "frame": info.frame,
            "max_zoom": info.max_zoom,
            "version": entry.layer.version,
        }
    return line


def full(entry: Entry) -> dict[str, Any]:
    """Return everything about a layer; the first call may read its data."""
    found = brief(entry)
    if entry.layer is None:
        return found
    info, statistics = entry.layer.info, entry.layer.statistics()
    return found | {
        "coverage": info.coverage._asdict(),
        "resolution": info.resolution,
        "percentiles": dict(statistics.percentiles),
        "minimum": statistics.minimum,
        "maximum": statistics.maximum,
        "mean": statistics.mean,
        "std": statistics.std,
        "scale": entry.layer.scale(),
        "style": asdict(info.style),
        "planes": list(info.planes),
        "columns": list(info.columns),
        "categories": list(info.categories),
        "notes": list(info.notes),
    }
