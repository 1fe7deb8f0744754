"""``/health`` and ``/ready``: two answers that need no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from skyshade.app.api_errors import dump
from skyshade.app.api_services import Services

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
PATHS = ("/health", "/ready")


class Probes:
    """The ASGI app behind both paths; says nothing about the data."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Answer one request."""
        del receive
        allowed = scope["method"] in ("GET", "HEAD")
        states = [entry.state for entry in self._services.atlas.entries()]
        if not allowed:
            answer: dict[str, Any] = {"detail": f"{scope['method']} is not allowed: use GET"}
        elif scope["path"].endswith("/ready"):
            answer = {"ready": True, "layers": len(states) - states.count("rejected")}
        else:
            answer = {"status": "ok"}
        body = dump(answer)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if not allowed:
            headers.append((b"allow", b"GET, HEAD"))
        status = 200 if allowed else 405
        await send({"type": "http.response.start", "status": status, "headers": headers})
        sent = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": sent})
