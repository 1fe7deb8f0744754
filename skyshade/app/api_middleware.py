"""Every ASGI middleware of the API, outermost first: `Guarded`, `Boundary`, `HeadAsGet`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from skyshade.app.api_errors import INTERNAL, dump
from skyshade.app.guard import SAFE_HEADERS, Guard

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("skyshade")
_SAFE = [(n.lower().encode(), v.encode()) for n, v in SAFE_HEADERS]


class Guarded:
    """Checks Host and token before `app`, and adds the security headers after it.

    Parameters
    ----------
    app : ASGI app
    guard : Guard
    """

    def __init__(self, app: App, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request; lifespan messages pass."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        given = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
        query = scope.get("query_string", b"").decode("latin-1")
        verdict = self._guard.check(
            scope["method"], scope["path"], query, lambda name: given.get(name.encode(), "")
        )
        if verdict.status:
            await answer(verdict.status, verdict.detail, send, (*SAFE_HEADERS, *verdict.headers))
            return
        scope["query_string"] = verdict.query.encode("latin-1")
        scope["skyshade.token"] = verdict.token
        extra = [*_SAFE, *((n.lower().encode(), v.encode()) for n, v in verdict.headers)]

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self._app(scope, receive, send_more)


class Boundary:
    """Turns an error that nobody foresaw into a log entry and a 500 that says nothing of it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:  # boundary: one bad request must not stop a server
            log.exception("%s %s failed", scope.get("method"), scope.get("path"))
            if started:
                raise  # too late to answer: the server cuts the connection
            await answer(500, INTERNAL, send)


class HeadAsGet:
    """Answers HEAD as GET without the body; an endless answer ends after its headers."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on all but HEAD unchanged."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = asyncio.Event()

        async def gone() -> Message:
            await answered.wait()
            return {"type": "http.disconnect"}

        async def headers_only(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                answered.set()

        await self._app({**scope, "method": "GET"}, gone, headers_only)


async def answer(
    status: int, detail: str, send: Send, headers: Sequence[tuple[str, str]] = ()
) -> None:
    """Send one JSON sentence."""
    body = dump({"detail": detail})
    own = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((n.lower().encode(), v.encode("latin-1")) for n, v in headers),
    ]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body})
