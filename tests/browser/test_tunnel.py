"""The page through a forwarded port and with a token, as over SSH on a shared login node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import Served, Visit, serve
from tests.browser.test_viewer import settle

pytestmark = pytest.mark.browser


FORWARD = """
import asyncio, sys

async def copy(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()

async def connect(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer), return_exceptions=True)

async def main():
    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def forward(port: int) -> Iterator[int]:
    """Forward another port of this machine to `port`, as ``ssh -L`` does."""
    command = [sys.executable, "-c", FORWARD, str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


@pytest.fixture(scope="module")
def guarded(demo_data: Path) -> Iterator[Served]:
    """A server that asks for a token."""
    yield from serve("open", str(demo_data / "tycho2_planes.fits"), "--token", "secret")


@pytest.fixture
def tunnel(guarded: Served) -> Iterator[int]:
    """Port of a tunnel to the server."""
    port = urlsplit(guarded.url).port
    assert port is not None
    yield from forward(port)


def test_the_viewer_works_through_a_tunnel_with_a_token(
    visit: Visit, guarded: Served, tunnel: int
) -> None:
    assert "?token=secret" in guarded.url
    visit.page.goto(f"http://localhost:{tunnel}/?token=secret")
    settle(visit.page)
    assert "token" not in visit.page.url, "the token must not stay in the address bar"
    assert visit.tiles()
    assert {urlsplit(url).port for url in visit.requests if url.startswith("http")} == {tunnel}
    assert visit.console == []
    assert visit.failures == []
    cookies = visit.page.context.cookies()
    assert cookies
    assert all(cookie["httpOnly"] for cookie in cookies)


def test_without_the_token_nothing_is_shown(visit: Visit, guarded: Served, tunnel: int) -> None:
    answer = visit.page.goto(f"http://localhost:{tunnel}/")
    assert answer is not None
    assert answer.status == 403
    visit.console.clear()
