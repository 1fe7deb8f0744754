"""``/api/boxes``, ``/api/grids``, ``/api/colormaps`` and the tree."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from skyshade.app.api_grids import describe_grids, describe_tan
from skyshade.app.api_json import Json
from skyshade.app.api_services import Services
from skyshade.shaders.colormaps import colormap_names


def overlays_router(services: Services) -> APIRouter:
    """Return the routes of what lies over the layers, and of what styles and grids there are."""
    router = APIRouter(prefix="/api", default_response_class=Json)
    atlas = services.atlas

    @router.get("/boxes", tags=["overlays"], summary="Every highlight box")
    def boxes() -> Json:
        return Json([asdict(box) for box in atlas.boxes()])

    @router.get("/tree", tags=["layers"], summary="Everything that is published, by kind")
    def tree() -> Json:
        return Json(atlas.tree())

    @router.get("/grids", tags=["tiles"], summary="Tile grids as OGC TileMatrixSets")
    def grids() -> Json:
        return Json(describe_grids())

    @router.get("/grids/tan", tags=["tiles"], summary="The tangent plane grid for a centre")
    def tan(ra: float, dec: float) -> Json:
        return Json(describe_tan(ra, dec))

    @router.get("/colormaps", tags=["tiles"], summary="Names of the colour maps")
    def colormaps() -> Json:
        return Json(list(colormap_names()))

    return router
