"""``GET /tiles/...`` as one small ASGI app: no framework on the way to a tile.

Answers from the cache are given on the event loop; everything else is computed in the pool, with a
deadline. `skyshade.app.api` mounts the same object, so every server gives the same answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import numpy as np

from skyshade.app.api_errors import OverloadError, dump, sentence, status_of
from skyshade.app.api_grids import describe, grid_here, window_of
from skyshade.app.api_services import Look, Services, kept_bytes
from skyshade.app.params import parse_tile
from skyshade.errors import ChangedError, DataError, InputError, UnknownNameError
from skyshade.geometry.grids import TILE_SIZE
from skyshade.tiles.make import TileBytes, shade_and_encode
from skyshade.types import Aggregate, Layer, Tile, Window

log = logging.getLogger("skyshade")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]

PREFIX = "/tiles/"
FORMATS = ("png", "webp", "jpg", "f2", "f4")
VALUES = ("f2", "f4")
_LAST = re.compile(r"([^@./]*)(@2x)?\.(\w{1,8})")
_INTEGER = re.compile(r"-?[0-9]{1,12}")
_IMMUTABLE = 31_536_000
PAUSES = (0.01, 0.03, 0.1)  # seconds before a tile is tried again whose file has changed


class Address(NamedTuple):
    """A tile's place, as its path says it."""

    layer: str
    grid: str
    window: Window | None
    size: int
    fmt: str


class TileApp:
    """The ASGI app behind ``/tiles``."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive
        head = scope["method"] == "HEAD"
        try:
            status, headers, body = await self._answer(scope)
        except Exception as error:  # noqa: BLE001 (boundary: one bad tile must not stop a server)
            status, headers, body = _refusal(scope, error)
        headers.append((b"content-length", str(len(body)).encode()))
        if status == 304:
            headers.pop()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})

    async def _answer(self, scope: Scope) -> tuple[int, Headers, bytes]:
        if scope["method"] not in ("GET", "HEAD"):
            allow = [(b"allow", b"GET, HEAD"), *_JSON]
            return 405, allow, dump({"detail": f"{scope['method']} is not allowed: use GET"})
        path, query = _path(scope), scope.get("query_string", b"")
        if path.endswith("/tilejson.json"):
            return await self._tilejson(path, query, scope.get("skyshade.token", ""))
        address = parse_path(path)
        for pause in PAUSES:  # while a file is being changed
            with suppress(ChangedError):
                return await self._tile(scope, address, query)
            await asyncio.sleep(pause)
        return await self._tile(scope, address, query)

    async def _tile(
        self, scope: Scope, address: Address, query: bytes
    ) -> tuple[int, Headers, bytes]:
        base = self.services.atlas.layer(address.layer)
        try:
            look = await self._look(address, base, query)
            key = (look.key, address.window and address.window.key, address.size, address.fmt)
            etag = _etag(key)
            if _matches(scope, etag):
                return 304, [(b"etag", etag), self._kept_for(look)], b""
            reply = self.services.tiles.get(key) or await self._make(key, address, look)
        except ChangedError:
            raise
        except DataError as error:
            self.services.atlas.degrade(address.layer, str(error))
            raise
        return 200, self._headers(reply, look, etag), reply.data

    async def _look(self, address: Address, base: Layer, query: bytes) -> Look:
        """Return the layer's numbers and colours; only the first of their kind reads data."""
        services, values = self.services, address.fmt in VALUES
        key = (address.layer, base.version, query, values)
        found = services.looks.get(key)
        if found is not None:
            return found
        params = parse_tile(query)
        future = services.looks.submit(
            services.pool,
            key,
            lambda look: look.weight,
            lambda: services.look(address.layer, base, params, values=values),
        )
        return await self._in_time(future)

    async def _make(self, key: Any, address: Address, look: Look) -> TileBytes:
        deadline = time.monotonic() + self.services.settings.tile_seconds
        future = self.services.tiles.submit(
            self.services.pool,
            key,
            kept_bytes,
            lambda: self._render(address, look, deadline),
        )
        return await self._in_time(future)

    async def _in_time(self, future: Future[T]) -> T:
        """Wait for a pool's future, but not longer than a tile may take; others may go on."""
        seconds = self.services.settings.tile_seconds
        found = await settled(future, seconds)
        if found is None:
            msg = f"the tile was not ready within {seconds:g} s; try again"
            raise OverloadError(msg)
        return found.result()

    def _render(self, address: Address, look: Look, deadline: float) -> TileBytes:
        """Aggregate, shade and encode one tile; runs in the pool."""
        if time.monotonic() > deadline:
            msg = "the tile waited too long for its turn; try again"
            raise OverloadError(msg)
        if address.window is None:
            nothing = np.full((address.size, address.size), np.nan, np.float32)
            aggregate = Aggregate(nothing, version=look.layer.version)
        else:
            aggregate = self.services.aggregate(look.layer, address.window, look.version)
        made = shade_and_encode(aggregate, look.shader, address.fmt, look.scale)
        self.services.tile_is_out()
        return made

    def _headers(self, reply: TileBytes, look: Look, etag: bytes) -> Headers:
        headers = [(b"content-type", reply.media_type.encode("latin-1"))]
        if reply.quality == "exact":
            headers += [(b"etag", etag), self._kept_for(look)]
        else:
            quality = reply.quality.encode("latin-1")
            headers += [(b"cache-control", b"no-store"), (b"skyshade-quality", quality)]
        if reply.scale is not None:
            headers.append((b"skyshade-scale", repr(reply.scale).encode("latin-1")))
        return headers

    def _kept_for(self, look: Look) -> tuple[bytes, bytes]:
        """Return Cache-Control: for ever only when the client named the current version."""
        settings = self.services.settings
        who = "public" if settings.token is None else "private"
        if look.v in look.versions:
            return b"cache-control", f"{who}, max-age={_IMMUTABLE}, immutable".encode()
        return b"cache-control", f"{who}, max-age={0 if look.v else settings.max_age}".encode()

    async def _tilejson(self, path: str, query: bytes, token: str) -> tuple[int, Headers, bytes]:
        parts = path.removeprefix(PREFIX).split("/")
        if len(parts) != 3:
            raise UnknownNameError("tile format", path, ("{layer}/{grid}/tilejson.json",))
        layer = self.services.atlas.layer(parts[0])
        grid = grid_here(parts[1])
        parse_tile(query)
        text = query.decode("latin-1") or f"v={layer.version}"
        if token:  # who needed one here needs it for the tiles
            text += f"&{urlencode({'token': token})}"
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self.services.pool, describe, layer, grid, text)
        return 200, [*_JSON, _NO_CACHE], dump(made)


_JSON: Headers = [(b"content-type", b"application/json")]
_NO_CACHE = (b"cache-control", b"no-cache")


async def settled(future: Future[T], seconds: float) -> Future[T] | None:
    """Return a pool's future when it is done, None when that takes longer than `seconds`.

    Does what ``wait_for(shield(wrap_future(future)))`` does in a third of its time, and leaves the
    future, which others may share, alone.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[Future[T] | None] = loop.create_future()

    def settle(found: Future[T] | None) -> None:
        if not waiter.done():
            waiter.set_result(found)

    def tell(found: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, found)

    future.add_done_callback(tell)
    timer = loop.call_later(seconds, settle, None)
    try:
        return await waiter
    finally:
        timer.cancel()


def _path(scope: Scope) -> str:
    """Return the path below the place where the server is mounted."""
    path: str = scope["path"]
    root = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root) else path


@lru_cache(maxsize=8192)
def parse_path(path: str) -> Address:
    """Return what ``/tiles/{layer}/{grid}/{z}/{x}/{y}.{fmt}`` asks for.

    Raises
    ------
    UnknownNameError
        When the grid or the format is not known here.
    InputError
        When z, x or y is not an integer.
    OutsideGridError
        When the tile lies beyond the grid.
    """
    parts = path.removeprefix(PREFIX).split("/")
    found = _LAST.fullmatch(parts[-1]) if len(parts) == 5 else None
    if found is None:
        known = ("{layer}/{grid}/{z}/{x}/{y}.{png|webp|jpg|f2|f4}", "tilejson.json")
        raise UnknownNameError("tile format", path[:200], known)
    grid = grid_here(parts[1])
    if found[3] not in FORMATS:
        raise UnknownNameError("tile format", found[3], FORMATS)
    tile = Tile(*map(_integer, "zxy", (parts[2], parts[3], found[1])))
    size = TILE_SIZE * 2 if found[2] else TILE_SIZE
    return Address(parts[0], grid.id, window_of(grid, tile, size), size, found[3])


def _integer(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        msg = f"{name}={text[:80]!r} is not allowed: give an integer"
        raise InputError(msg)
    return int(text)


@lru_cache(maxsize=8192)
def _etag(key: Any) -> bytes:
    """Return a strong ETag: equal keys give equal bytes."""
    return b'"%s"' % hashlib.blake2b(repr(key).encode(), digest_size=15).hexdigest().encode()


def _matches(scope: Scope, etag: bytes) -> bool:
    """Return whether If-None-Match names the tile (weak comparison, as GET allows)."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            given = [part.strip().removeprefix(b"W/") for part in value.split(b",")]
            return etag in given or b"*" in given
    return False


def _refusal(scope: Scope, error: Exception) -> tuple[int, Headers, bytes]:
    status = status_of(error)
    if status == 500:
        log.error("tile %s failed", scope["path"], exc_info=error)
    headers = [*_JSON, (b"cache-control", b"no-store")]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    return status, headers, dump({"detail": sentence(error)})
