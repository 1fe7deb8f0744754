"""The same requests through ASGI and through a real Tornado server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from skyshade.app.api import make_api
from skyshade.app.server import Server
from skyshade.app.settings import Settings
from skyshade.atlas.atlas import Atlas, Entry
from tests.app.fakes import FakeLayer


class AsgiClient:
    """httpx over ASGI, one request at a time."""

    def __init__(self, atlas: Atlas, settings: Settings) -> None:
        self._transport = httpx.ASGITransport(make_api(atlas, settings))
        self._runner = asyncio.Runner()

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            base = "http://127.0.0.1:8000"
            async with httpx.AsyncClient(transport=self._transport, base_url=base) as client:
                return await client.request(method, url, **options)

        return self._runner.run(ask())

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def close(self) -> None:
        self._runner.close()


Connect = Callable[..., Any]


@pytest.fixture(params=["asgi", "tornado"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Return ``connect(atlas, **settings) -> client``."""
    with ExitStack() as stack:

        def make(atlas: Atlas, **settings: Any) -> Any:
            if request.param == "asgi":
                client = AsgiClient(atlas, Settings(**settings))
                stack.callback(client.close)
                return client
            server = Server(atlas, Settings(**{"port": 0, **settings}), background=False)
            stack.enter_context(server.start_in_thread())
            return stack.enter_context(httpx.Client(base_url=server.base_url, timeout=20))

        yield make


@pytest.fixture
def layer() -> FakeLayer:
    return FakeLayer()


@pytest.fixture
def atlas(layer: FakeLayer) -> Atlas:
    made = Atlas()
    made.add(Entry("fake", layer, title=layer.info.title))
    made.add(Entry("bad", None, "rejected", "bad.fits, HDU 1: not FITS", "bad.fits"))
    return made


@pytest.fixture
def client(connect: Connect, atlas: Atlas) -> Any:
    return connect(atlas)
