"""An ASGI app inside a Tornado server: the same API in Bokeh's process as under uvicorn.

Bodies are bounded, answers may be streamed (server-sent events), a client that goes away becomes
``http.disconnect``, and an error becomes a 500 without its traceback. Lifespan is not run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http.client import responses
from typing import Any
from urllib.parse import unquote

from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler, stream_request_body

from skyshade.app.api_errors import INTERNAL, dump

log = logging.getLogger("skyshade")

Message = MutableMapping[str, Any]
App = Callable[[MutableMapping[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


@stream_request_body
class AsgiHandler(RequestHandler):  # type: ignore[misc] # tornado is not typed for us
    """Runs one request through an ASGI app.

    Parameters
    ----------
    app : ASGI app
    body_bytes : int
        Largest body that is read; 413 beyond it.
    """

    SUPPORTED_METHODS = METHODS

    def initialize(self, app: App, body_bytes: int) -> None:
        """Take the handler's options from its route."""
        self._app, self._limit = app, body_bytes
        self._body = bytearray()
        self._gone: asyncio.Event | None = None
        self._closed = self._started = self._asked = False

    def prepare(self) -> None:
        """Refuse a body that says it is too long before it is read."""
        length = self.request.headers.get("Content-Length", "0")
        if length.isdecimal() and int(length) > self._limit:
            self._refuse(413, f"a body of {length} bytes is too long: at most {self._limit}")

    def data_received(self, chunk: bytes) -> None:
        """Collect the body, up to the limit."""
        if len(self._body) + len(chunk) <= self._limit:
            self._body += chunk
        elif not self._finished:
            self._refuse(413, f"the body is too long: at most {self._limit} bytes")

    async def _run(self, *_: str) -> None:
        if self._finished:
            return
        try:
            await self._app(self._scope(), self._receive, self._send)
        except StreamClosedError:
            log.debug("client left %s", self.request.path)
        except Exception:
            log.exception("%s %s failed", self.request.method, self.request.path)
            self._fail()

    get = head = post = put = delete = patch = options = _run

    def _scope(self) -> dict[str, Any]:
        request = self.request
        path, _, query = request.uri.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.protocol,
            "path": unquote(path) if "%" in path else path,
            "raw_path": path.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
                for name, value in request.headers.get_all()
            ],
            "client": (request.remote_ip, 0),
            "server": None,
        }

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": bytes(self._body), "more_body": False}
        if self._gone is None:
            self._gone = asyncio.Event()
            if self._closed or self._finished:
                self._gone.set()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._closed:  # nobody listens any more
            return
        if message["type"] == "http.response.start":
            self._start(message)
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            if body and self.request.method != "HEAD":
                self.write(bytes(body))
            if message.get("more_body"):
                await self.flush()
            elif not self._finished:
                self._end()

    def _start(self, message: Message) -> None:
        self._started = True
        self.set_status(message["status"])
        headers = HTTPHeaders()
        for name, value in message.get("headers", ()):
            headers.add(name.decode("latin-1").title(), value.decode("latin-1"))
        self._headers = headers

    def _end(self) -> None:
        self.finish()
        if self._gone is not None:
            self._gone.set()

    def _fail(self) -> None:
        """Answer 500, or cut the connection when an answer is already on its way."""
        if self._headers_written:
            self.request.connection.close()
        elif not self._closed and not self._finished:
            self._write_buffer: list[bytes] = []
            self._refuse(500, INTERNAL)

    def _refuse(self, status: int, detail: str) -> None:
        self.set_status(status)
        self._headers = HTTPHeaders(
            {"Content-Type": "application/json", "Cache-Control": "no-store"}
        )
        if status == 413:  # the rest of the body is not read
            self._headers["Connection"] = "close"
        self.finish(dump({"detail": detail}))

    def send_error(self, status_code: int = 500, **_: Any) -> None:
        """Answer what Tornado refuses by itself: unknown methods, and requests cut by a stop."""
        if self._headers_written:
            self.request.connection.close()
        elif not self._finished:
            self._refuse(status_code, responses.get(status_code, INTERNAL).lower())

    def compute_etag(self) -> None:
        """Leave ETags to the app."""

    def set_etag_header(self) -> None:
        """Leave ETags to the app."""

    def check_etag_header(self) -> bool:
        """Leave If-None-Match to the app."""
        return False

    def on_connection_close(self) -> None:
        """Tell the app that the client has gone."""
        self._closed = True
        if self._gone is not None:
            self._gone.set()

    def log_exception(self, *_: Any) -> None:
        """Do nothing: errors were logged where they were caught."""
