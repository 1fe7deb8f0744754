"""The front router: the API at once, everything else to the page."""

from __future__ import annotations

from typing import Any

from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import Router
from tornado.web import Application

from skyshade.app.api_light import LightApi
from skyshade.app.api_middleware import Guarded
from skyshade.app.bridge import AsgiHandler
from skyshade.app.guard import Guard, is_api
from skyshade.app.server_page import Answer, Page, PageDelegate, note
from skyshade.app.settings import Settings


class Front(Router):  # type: ignore[misc] # tornado is not typed for us
    """Sends each request to the API or to the page; the guard stands before both."""

    def __init__(self, api: LightApi, page: Page, guard: Guard, settings: Settings) -> None:
        self._page, self._guard = page, guard
        self._tornado = Application(log_function=note)
        self._options: dict[str, Any] = {
            "app": Guarded(api, guard),
            "body_bytes": settings.body_bytes,
        }

    def find_handler(self, request: HTTPServerRequest, **_: Any) -> HTTPMessageDelegate:
        """Return who answers `request`."""
        if is_api(request.path):
            return self._tornado.get_handler_delegate(request, AsgiHandler, self._options)
        headers = request.headers
        verdict = self._guard.check(
            request.method, request.path, request.query, lambda name: headers.get(name, "")
        )
        if verdict.status:
            return Answer(request, verdict.status, verdict.detail, verdict.headers)
        return PageDelegate(request, self._page)
