"""Server-sent events, streamed by the bridge and by plain ASGI."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time

import httpx
import pytest

from skyshade.app.api import make_api
from skyshade.app.events import HELLO, stream
from skyshade.app.server import Server
from skyshade.app.settings import Settings
from skyshade.atlas.atlas import Atlas
from skyshade.atlas.events import Events

NEWS = {"type": "layer", "id": "fake", "quality": "exact"}


def wait_until(true, seconds=5.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_events_arrive_while_the_answer_is_open(atlas: Atlas):
    settings = Settings(port=0, heartbeat_seconds=0.1)
    with (
        Server(atlas, settings, background=False).start_in_thread() as server,
        httpx.stream("GET", f"{server.base_url}/api/events", timeout=10) as reply,
    ):
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["cache-control"] == "no-store"
        lines = reply.iter_lines()
        assert next(lines) == ": connected"
        atlas.events.publish(NEWS)
        seen = []
        while ": alive" not in seen or not any(line.startswith("data:") for line in seen):
            seen.append(next(lines))
        data = next(line for line in seen if line.startswith("data:"))
        assert json.loads(data.removeprefix("data:")) == NEWS


def test_a_client_that_leaves_is_forgotten(atlas: Atlas):
    with Server(atlas, Settings(port=0), background=False).start_in_thread() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in sock.recv(1000)
            wait_until(lambda: len(atlas.events) == 1)
        wait_until(lambda: len(atlas.events) == 0)
        assert httpx.get(f"{server.base_url}/health").status_code == 200


def test_open_streams_do_not_hold_up_a_stop(atlas: Atlas, caplog):
    server = Server(atlas, Settings(port=0), background=False).start_in_thread()
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: len(atlas.events) == 1)
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 5
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    wait_until(lambda: len(atlas.events) == 0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_plain_asgi(atlas: Atlas, method):
    """httpx's ASGI transport collects whole answers, so the app is called by hand."""
    sent = []

    async def run() -> None:
        left = asyncio.Event()

        async def receive():
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if message.get("body") == HELLO:
                atlas.events.publish(NEWS)
            elif message["type"] == "http.response.body":
                left.set()

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "method": method,
            "path": "/api/events",
            "raw_path": b"/api/events",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(b"host", b"localhost")],
            "client": None,
            "server": None,
        }
        await asyncio.wait_for(make_api(atlas, Settings())(scope, receive, send), 5)

    asyncio.run(run())
    assert sent[0]["status"] == 200
    body = b"".join(m.get("body", b"") for m in sent)
    assert (b"data: " in body) == (method == "GET")
    assert len(atlas.events) == 0


def test_a_slow_listener_is_told_that_it_lost_something():
    async def read() -> list[bytes]:
        events = Events()
        parts = stream(events, 5)
        found = [await anext(parts)]
        thread = threading.Thread(
            target=lambda: [events.publish({"type": "n", "n": i}) for i in range(300)]
        )
        thread.start()
        thread.join()
        found += [await anext(parts) for _ in range(2)]
        await parts.aclose()
        assert len(events) == 0
        return found

    hello, first, second = asyncio.run(read())
    assert hello == HELLO
    assert b'"lost"' in first
    assert b'"n":44' in second
