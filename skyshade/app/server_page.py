"""The viewer's page: Bokeh's Tornado application, made when it is first needed.

Importing Panel takes two seconds, which the first tile does not wait for; a request for the page
does, without blocking the event loop.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable
from http.client import responses
from typing import Any

from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.ioloop import IOLoop

from skyshade.app.api_errors import dump
from skyshade.app.api_lazy import Lazy
from skyshade.app.guard import PAGE_POLICY, SAFE_HEADERS
from skyshade.atlas.atlas import Atlas

log = logging.getLogger("skyshade")
PAGE_HEADERS = (*SAFE_HEADERS, ("Content-Security-Policy", PAGE_POLICY))


class Page:
    """Bokeh's side of the server.

    Parameters
    ----------
    atlas : Atlas
    origins : set of str
        Websocket origins, as Bokeh writes them: ``"localhost:*"``.
    """

    def __init__(self, atlas: Atlas, origins: set[str]) -> None:
        self._factory: Lazy[Callable[[], Any]] = Lazy(
            lambda: _load(atlas, origins), "skyshade-page"
        )
        self._app: Any = None
        self._lock = asyncio.Lock()

    @property
    def app(self) -> Any:
        """The running Tornado application, None until it is there."""
        return self._app

    def start(self) -> None:
        """Begin to import Panel and the viewer."""
        self._factory.start()

    async def get(self) -> Any:
        """Return the running Tornado application; call it on the event loop."""
        make = await self._factory.get()
        async with self._lock:
            if self._app is None:
                app = make()
                app.initialize(IOLoop.current())
                app.start()
                self._app = app
        return self._app

    def stop(self) -> None:
        """End Bokeh's periodic work; its sessions are dropped."""
        if self._app is not None:
            self._app.stop(wait=False)
            self._app = None


def _load(atlas: Atlas, origins: set[str]) -> Callable[[], Any]:
    """Import Panel and the viewer; return what makes the application on the event loop."""
    # Panel's own server module swaps its handlers into Bokeh's when it is imported.
    from bokeh.server.tornado import BokehTornado  # noqa: PLC0415 (slow, see above)
    from panel.io.application import build_applications  # noqa: PLC0415
    from panel.io.resources import DIST_DIR  # noqa: PLC0415
    from panel.io.server import INDEX_HTML  # noqa: PLC0415

    viewer = importlib.import_module("skyshade.app.viewer.page")

    def make() -> Any:
        return BokehTornado(
            build_applications({"/": lambda: viewer.viewer_page(atlas)}, title=atlas.title),
            extra_websocket_origins=origins,
            index=INDEX_HTML,
            ico_path=DIST_DIR / "images" / "favicon.ico",
            # the page holds a token made of these: none of our secrets may be in it
            include_cookies=[],
            exclude_headers=["Cookie", "Authorization"],
            log_function=note,
            websocket_compression_level=1,  # the document becomes a fifth of its size
        )

    return make


def note(handler: Any) -> None:
    """Log a finished request for who looks for it; Tornado would warn of every 404."""
    request = handler.request
    log.debug("%s %s %s", handler.get_status(), request.method, request.path)


class PageDelegate(HTTPMessageDelegate):  # type: ignore[misc] # tornado is not typed for us
    """Hands one request to the page, waiting for it when it is still being made."""

    def __init__(self, request: HTTPServerRequest, page: Page) -> None:
        request.connection = SafeConnection(request.connection)
        self._request, self._page = request, page
        self._inner: Any = None

    def headers_received(
        self, start_line: RequestStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Find the handler, at once if it can be found."""
        if self._page.app is None:
            return self._wait(start_line, headers)
        return self._pass_on(self._page.app, start_line, headers)

    async def _wait(self, start_line: RequestStartLine, headers: HTTPHeaders) -> None:
        try:
            app = await self._page.get()
        except Exception:  # boundary: without the page the API still serves
            log.exception("the viewer page could not be made; the API goes on")
            detail = "the viewer page could not be made; the server's log says why"
            self._inner = Answer(self._request, 500, detail)
        else:
            found = self._pass_on(app, start_line, headers)
            if found is not None:
                await found

    def _pass_on(
        self, app: Any, start_line: RequestStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._inner = app.find_handler(self._request)
        found: Awaitable[None] | None = self._inner.headers_received(start_line, headers)
        return found

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Pass on a part of the body."""
        found: Awaitable[None] | None = self._inner.data_received(chunk)
        return found

    def finish(self) -> None:
        """Run the handler."""
        self._inner.finish()

    def on_connection_close(self) -> None:
        """Tell the handler that the client has gone."""
        if self._inner is not None:
            self._inner.on_connection_close()


class SafeConnection:
    """A connection that adds the security headers to every answer."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def write_headers(
        self, start_line: ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> Any:
        """Write the answer's head."""
        for name, value in PAGE_HEADERS:
            headers[name] = value
        return self._connection.write_headers(start_line, headers, chunk)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Answer(HTTPMessageDelegate):  # type: ignore[misc]
    """Answers a request with one JSON sentence, whatever it is."""

    def __init__(
        self,
        request: HTTPServerRequest,
        status: int,
        detail: str,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._request, self._status, self._detail = request, status, detail
        self._headers = headers

    def finish(self) -> None:
        """Write the answer."""
        body = dump({"detail": self._detail})
        headers = HTTPHeaders(
            {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Cache-Control": "no-store",
            }
        )
        for name, value in (*SAFE_HEADERS, *self._headers):
            headers[name] = value
        line = ResponseStartLine("HTTP/1.1", self._status, responses.get(self._status, "Unknown"))
        connection = self._request.connection
        connection.write_headers(line, headers, b"" if self._request.method == "HEAD" else body)
        connection.finish()
