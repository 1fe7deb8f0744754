"""The API without waiting for FastAPI: tiles and probes answer while it is being imported."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from skyshade.app.api_lazy import Lazy
from skyshade.app.api_probes import PATHS, Probes
from skyshade.app.api_services import Services
from skyshade.app.tiles_route import PREFIX, TileApp
from skyshade.quiet import FILTERS

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class LightApi:
    """An ASGI app that gives what `skyshade.app.api.build_api` gives, the first tile sooner.

    Importing FastAPI takes half a second; it happens in a thread, on the first request that
    needs it or when `start` is called.
    """

    def __init__(self, services: Services) -> None:
        self._tiles, self._probes = TileApp(services), Probes(services)
        self._rest: Lazy[App] = Lazy(lambda: _build(services), "skyshade-api")

    def start(self) -> None:
        """Begin to import what the rest of the API needs."""
        self._rest.start()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path.startswith(PREFIX):
            await self._tiles(scope, receive, send)
        elif path in PATHS:
            await self._probes(scope, receive, send)
        else:
            await (await self._rest.get())(scope, receive, send)


def _build(services: Services) -> App:
    module = importlib.import_module("skyshade.app.api")
    with FILTERS:  # pydantic ignores warnings of its own meanwhile, a file may be opened just then
        made: App = module.build_api(services)
    return made
