"""The real server: start, stop, ports, the page beside the API."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from skyshade.app.server import Server, free_port, notebook_settings
from skyshade.app.settings import Settings
from skyshade.atlas.atlas import Atlas
from skyshade.errors import InputError, PortInUseError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server(atlas: Atlas):
    with Server(atlas, Settings(port=0), background=False).start_in_thread() as made:
        yield made


def test_port_in_use_names_a_free_one(atlas):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError) as found:
            Server(atlas, Settings(port=port)).bind()
        assert str(port) in str(found.value)
        with socket.socket() as free:
            free.bind(("127.0.0.1", found.value.free))


def test_free_port_wraps_round():
    assert 0 < free_port("127.0.0.1", 65535) <= 65535


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_host_that_is_not_ours(atlas, host):
    with pytest.raises(InputError, match=re.escape(repr(host))):
        Server(atlas, Settings(host=host, port=0)).bind()


def test_bind_twice_is_once(atlas):
    server = Server(atlas, Settings(port=0), background=False)
    port = server.bind()
    assert port == server.bind() == server.port > 0
    with server.start_in_thread():
        assert httpx.get(f"{server.base_url}/ready").json()["ready"] is True


def test_other_machines_need_a_token(atlas):
    server = Server(atlas, Settings(host="0.0.0.0", port=0), background=False)
    assert len(server.token or "") >= 32
    assert f"/?token={server.token}" in server.url
    with pytest.raises(InputError, match=r"0\.0\.0\.0"):
        server.start_in_thread()
    assert Server(atlas, Settings(host="0.0.0.0", token="mine")).token == "mine"


def test_notebook_settings_have_a_secret():
    one, other = notebook_settings(), notebook_settings()
    assert one.port == 0
    assert one.token
    assert one.token != other.token


def test_stop_is_final_and_may_be_repeated(atlas):
    server = Server(atlas, Settings(port=0), background=False).start_in_thread()
    url = server.base_url
    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/ready")
    assert not [t for t in threading.enumerate() if t.name == "skyshade-server"]


def test_body_limit(atlas):
    server = Server(atlas, Settings(port=0, body_bytes=1000), background=False)
    with server.start_in_thread():
        reply = raw(server, b"POST /api/layers HTTP/1.1", b"Content-Length: 5000", b"", b"x" * 5000)
        assert reply.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))
        small = raw(server, b"POST /api/layers HTTP/1.1", b"Content-Length: 3", b"", b"abc")
        assert small.startswith(b"HTTP/1.1 405")
        assert httpx.get(f"{server.base_url}/health").status_code == 200


def raw(server, *lines):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        host = f"Host: localhost:{server.port}".encode()
        sock.sendall(b"\r\n".join([lines[0], host, b"Connection: close", *lines[1:]]) + b"\r\n\r\n")
        found = b""
        while True:
            try:
                part = sock.recv(65536)
            except ConnectionResetError:
                return found
            if not part:
                return found
            found += part


@pytest.mark.parametrize(
    "line",
    [
        b"GET /tiles/fake/sky/0/0/0.png?cmap=\xff HTTP/1.1",
        b"GET /tiles/\xff\xfe/sky/0/0/0.png HTTP/1.1",
        b"GET //api/layers HTTP/1.1",
        b"GET http://evil.example/api/layers HTTP/1.1",
        b"GET * HTTP/1.1",
        b"BREW /api/layers HTTP/1.1",
        b"GET /api/layers HTTP/9.9",
        b"nonsense",
        b"GET /tiles/" + b"a" * 60000 + b" HTTP/1.1",
    ],
)
def test_hostile_request_lines(server, line):
    status = raw(server, line)[9:12]
    assert status in (b"", b"200", b"400", b"404", b"405", b"422", b"431")
    assert httpx.get(f"{server.base_url}/health").status_code == 200


def test_client_that_leaves_early(atlas, layer, server, caplog):
    layer.delay = 0.3
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(b"GET /tiles/fake/sky/0/0/0.png HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(0.5)
    assert httpx.get(f"{server.base_url}/tiles/fake/sky/0/0/0.png").status_code == 200
    assert "Traceback" not in caplog.text


def test_page_and_its_websocket(server):
    page = httpx.get(f"{server.base_url}/", timeout=60)
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    away = [u for u in re.findall(r"""(?:src|href)=["']([^"']+)""", page.text) if "//" in u]
    assert away == []
    for path in re.findall(r"""(?:src|href)=["']([^"']*static/[^"']+)""", page.text)[:3]:
        assert httpx.get(f"{server.base_url}/{path.lstrip('./')}").status_code == 200
    assert httpx.get(f"{server.base_url}/nope").status_code == 404


def websocket_status(server, origin, **headers):
    """Return the status of a websocket handshake."""
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    lines = [b"GET /ws HTTP/1.1", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", key]
    lines += [f"Origin: {origin}".encode()]
    lines += [f"{name}: {value}".encode() for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        host = f"Host: localhost:{server.port}".encode()
        sock.sendall(
            b"\r\n".join([lines[0], host, b"Connection: Upgrade", *lines[1:]]) + b"\r\n\r\n"
        )
        return int(sock.recv(1000)[9:12])


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:9182", 101),
        ("http://127.0.0.1:1", 101),
        ("http://[::1]:8000", 101),
        ("http://evil.example", 403),
        ("http://localhost.evil.example:8000", 403),
    ],
)
def test_websocket_origins(server, origin, status):
    assert websocket_status(server, origin) == status


def test_websocket_needs_the_token(atlas):
    settings = Settings(port=0, token="s3cret")
    with Server(atlas, settings, background=False).start_in_thread() as server:
        origin = f"http://localhost:{server.port}"
        assert websocket_status(server, origin) == 403
        moved = httpx.get(server.url)
        assert (moved.status_code, moved.headers["location"]) == (302, "./")
        cookie = moved.headers["set-cookie"].partition(";")[0]
        assert websocket_status(server, origin, Cookie=cookie) == 101
        page = httpx.get(server.base_url, headers={"Cookie": cookie}, timeout=60)
        assert page.status_code == 200
        assert cookie.partition("=")[2] not in page.text
        assert "s3cret" not in page.text
        assert httpx.get(server.base_url).status_code == 403


def test_page_refuses_other_hosts(server):
    reply = httpx.get(server.base_url, headers={"Host": "evil.example"})
    assert reply.status_code == 421
    assert "'evil.example'" in reply.json()["detail"]


def test_a_page_that_cannot_be_made(atlas, monkeypatch, caplog):
    from skyshade.app import server_page

    def fail(*_):
        raise ImportError("no panel at /home/me")

    monkeypatch.setattr(server_page, "_load", fail)
    with Server(atlas, Settings(port=0), background=False).start_in_thread() as server:
        reply = httpx.get(server.base_url)
        assert reply.status_code == 500
        assert "/home/me" not in reply.text
        assert "no panel" in caplog.text
        assert httpx.get(f"{server.base_url}/api/layers").status_code == 200


def test_background_starts_after_the_first_tile(atlas, layer):
    started = threading.Event()
    layer.start_overview = lambda _, ready: (started.set(), ready())
    with (
        atlas.events.subscribe() as news,
        Server(atlas, Settings(port=0)).start_in_thread() as server,
    ):
        assert httpx.get(f"{server.base_url}/tiles/fake/sky/0/0/0.png").status_code == 200
        assert started.wait(10)
        assert news.wait(5) == [{"type": "layer", "id": "fake", "quality": "exact"}]


def test_settled_once_the_first_tile_is_out_or_nobody_asks_for_one(atlas, layer, monkeypatch):
    monkeypatch.setattr("skyshade.app.server.IDLE_SECONDS", 20.0)
    with Server(atlas, Settings(port=0), background=False).start_in_thread() as server:
        assert not server.settled.is_set()
        assert httpx.get(f"{server.base_url}/tiles/fake/sky/0/0/0.png").status_code == 200
        assert server.settled.wait(10)
    monkeypatch.setattr("skyshade.app.server.IDLE_SECONDS", 0.01)
    with Server(atlas, Settings(port=0), background=False).start_in_thread() as server:
        assert server.settled.wait(10)


PROGRAM = """
import sys
from skyshade.app.server import Server
from skyshade.app.settings import Settings
from skyshade.atlas.atlas import Atlas
def ready(url):
    heavy = [m for m in ("fastapi", "panel", "bokeh", "pandas", "xarray") if m in sys.modules]
    print(url, heavy, flush=True)
Server(Atlas(), Settings(port=0)).serve(ready)
print("bye", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_server(number):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    url, _, heavy = process.stdout.readline().strip().partition(" ")
    assert heavy == "[]"  # the first tile does not wait for these
    assert httpx.get(f"{url}/ready").status_code == 200
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert out == "bye\n"
    assert "Traceback" not in err


def test_websocket_speaks_bokeh(server):
    """A session of the page opens: the first message is Bokeh's ACK."""
    import asyncio

    page = httpx.get(f"{server.base_url}/", timeout=60).text
    found = re.search(r'"token":\s*"([^"]+)"', page)
    assert found is not None

    async def first_message() -> str:
        request = HTTPRequest(
            f"ws://127.0.0.1:{server.port}/ws",
            headers={"Origin": f"http://localhost:{server.port}"},
        )
        socket = await websocket_connect(request, subprotocols=["bokeh", found[1]])
        text = await asyncio.wait_for(socket.read_message(), 20)
        socket.close()
        while await socket.read_message() is not None:
            pass
        return str(text)

    assert json.loads(asyncio.run(first_message()))["msgtype"] == "ACK"


def test_two_hundred_cold_requests_are_one_computation(atlas, layer):
    """Every connection asks before the first answer is there."""
    import asyncio

    layer.gate = threading.Event()
    count, url = 200, "/tiles/fake/sky/3/4/2.png"

    async def ask(server):
        limits = httpx.Limits(max_connections=count)
        async with httpx.AsyncClient(base_url=server.base_url, limits=limits, timeout=60) as client:
            asked = [asyncio.create_task(client.get(url)) for _ in range(count)]
            while len(layer.computed) < 1:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            layer.gate.set()
            return await asyncio.gather(*asked)

    with Server(atlas, Settings(port=0), background=False).start_in_thread() as server:
        replies = asyncio.run(ask(server))
        assert {(r.status_code, r.content) for r in replies} == {(200, replies[0].content)}
        assert len(layer.computed) == 1
        etag = {"If-None-Match": replies[0].headers["etag"]}
        again = httpx.get(server.base_url + url, headers=etag)
        assert (again.status_code, again.content) == (304, b"")
        assert len(layer.computed) == 1
