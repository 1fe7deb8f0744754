"""The HTTP API as one FastAPI app; `skyshade.app.bridge` or uvicorn carries it.

Middleware is listed in `skyshade.app.api_middleware`; errors become statuses in one table,
`skyshade.app.api_errors.STATUS`.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

import skyshade
from skyshade.app.api_analysis_routes import analysis_router
from skyshade.app.api_docs import PAGE, POLICY, plain_paths
from skyshade.app.api_errors import INTERNAL, sentence, status_of
from skyshade.app.api_json import Json
from skyshade.app.api_layers import layers_router
from skyshade.app.api_middleware import Boundary, Guarded, HeadAsGet
from skyshade.app.api_overlays import overlays_router
from skyshade.app.api_probes import PATHS, Probes
from skyshade.app.api_rows import rows_router
from skyshade.app.api_services import Services
from skyshade.app.api_sources import sources_router
from skyshade.app.events import stream
from skyshade.app.guard import Guard
from skyshade.app.settings import Settings
from skyshade.app.tiles_route import TileApp
from skyshade.atlas.atlas import Atlas
from skyshade.errors import SkyshadeError, one_line
from skyshade.quiet import FILTERS

ABOUT = "Sky maps and catalogues as tiles. Positions are ICRS degrees, RA 0..360."


def make_api(atlas: Atlas, settings: Settings | None = None) -> FastAPI:
    """Return the whole API, with its own caches and pool, behind the guard.

    This is what ``uvicorn`` runs; in Bokeh's process `skyshade.app.server` guards page and API
    together.
    """
    settings = settings or Settings()
    with FILTERS:  # see skyshade.app.api_light
        api = build_api(Services(atlas, settings))
    api.add_middleware(Guarded, guard=Guard(settings))
    return api


def build_api(services: Services) -> FastAPI:
    """Return the API on given services, not guarded."""
    api = FastAPI(
        title="Skyshade",
        version=skyshade.__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would answer with an absolute address
        default_response_class=Json,
    )
    api.router.routes.append(
        Route("/tiles/{rest:path}", TileApp(services), include_in_schema=False)
    )
    probes = Probes(services)
    for path in PATHS:
        api.router.routes.append(Route(path, probes, include_in_schema=False))
    api.include_router(layers_router(services))
    api.include_router(analysis_router(services))
    api.include_router(rows_router(services))
    api.include_router(overlays_router(services))
    api.include_router(sources_router(services))
    _add_events(api, services)
    _add_docs(api)
    _add_errors(api)
    api.add_middleware(HeadAsGet)
    api.add_middleware(Boundary)
    return api


def _add_events(api: FastAPI, services: Services) -> None:
    @api.get("/api/events", tags=["server"], summary="News as server-sent events")
    async def events() -> StreamingResponse:
        """Send ``{"type": "layer", "id": ..., "quality": "exact"}`` when better tiles exist."""
        body = stream(services.atlas.events, services.settings.heartbeat_seconds)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)


def _add_docs(api: FastAPI) -> None:
    @api.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"content-security-policy": POLICY})

    def openapi() -> dict[str, Any]:
        if not api.openapi_schema:
            made = get_openapi(
                title=api.title,
                version=api.version,
                description=api.description,
                routes=api.routes,
            )
            made["paths"] |= plain_paths()
            api.openapi_schema = made
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _add_errors(api: FastAPI) -> None:
    def refused(request: Request, error: Exception) -> Response:
        del request
        status = status_of(error)
        later = {"retry-after": "1"} if status == 503 else None
        return Json({"detail": sentence(error)}, status, headers=later)

    def invalid(request: Request, error: Exception) -> Response:
        del request
        problems = error.errors() if isinstance(error, RequestValidationError) else []
        said = "; ".join(_problem(p) for p in problems)
        return Json({"detail": one_line(said or "the request is not valid")}, 422)

    def http(request: Request, error: Exception) -> Response:
        detail = error.detail if isinstance(error, HTTPException) else INTERNAL
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 404:
            detail = f"no such address: {request.url.path[:200]!r}; /docs lists them"
        elif status == 405:
            detail = f"{request.method} is not allowed for {request.url.path[:200]!r}"
        headers = dict(getattr(error, "headers", None) or {})
        return Json({"detail": one_line(detail)}, status, headers=headers)

    api.add_exception_handler(SkyshadeError, refused)
    api.add_exception_handler(TimeoutError, refused)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(HTTPException, http)


def _problem(problem: Any) -> str:
    name = problem["loc"][-1] if problem.get("loc") else "value"
    if problem.get("type") == "missing":
        return f"parameter {name!r} is missing"
    return f"{name}={str(problem.get('input'))[:80]!r} is not allowed: {problem.get('msg', '')}"
