"""ASGI inside Tornado: bodies, streams, errors, clients that leave."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application

from skyshade.app.bridge import AsgiHandler
from skyshade.app.server import listen


@contextmanager
def carried(app, body_bytes=1000):
    """Serve an ASGI app through the bridge; give its address."""
    started, stop, found = threading.Event(), [], []

    async def run():
        end = asyncio.Event()
        options = {"app": app, "body_bytes": body_bytes}
        server = HTTPServer(Application([(r"/.*", AsgiHandler, options)]))
        sockets = listen("127.0.0.1", 0)
        server.add_sockets(sockets)
        found.append(f"http://127.0.0.1:{sockets[0].getsockname()[1]}")
        stop.append((asyncio.get_running_loop(), end))
        started.set()
        await end.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(5)
    try:
        yield found[0]
    finally:
        loop, end = stop[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(5)


def start(status=200, *headers):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def echo(scope, receive, send):
    message = await receive()
    text = repr(
        [
            scope["method"],
            scope["path"],
            scope["raw_path"],
            scope["query_string"],
            dict(scope["headers"]).get(b"x-one"),
            message["body"],
            message["more_body"],
        ]
    )
    await send(start(201, (b"x-two", b"a"), (b"x-two", b"b"), (b"content-type", b"text/odd")))
    await send(body(text.encode()))


def test_request_and_answer_arrive_whole():
    with carried(echo) as url:
        reply = httpx.post(f"{url}/a%20b/%C3%A9?c=%20d", content=b"hello", headers={"X-One": "1"})
    assert reply.status_code == 201
    assert reply.headers.get_list("x-two") == ["a", "b"]
    assert reply.headers["content-type"] == "text/odd"
    expected = ["POST", "/a b/é", b"/a%20b/%C3%A9", b"c=%20d", b"1", b"hello", False]
    assert reply.text == repr(expected)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_methods(method):
    with carried(echo) as url:
        reply = httpx.request(method, url)
    assert reply.status_code == 201
    assert (reply.text == "") == (method == "HEAD")


@pytest.mark.parametrize("chunked", [False, True])
def test_body_limit(chunked):
    long = b"x" * 1001
    with carried(echo) as url:
        content = iter([long[:600], long[600:]]) if chunked else long
        assert httpx.post(url, content=content).status_code == 413
        assert httpx.post(url, content=b"x" * 1000).status_code == 201


def test_error_before_the_answer(caplog):
    async def app(scope, receive, send):
        raise RuntimeError("secret")

    with carried(app) as url:
        reply = httpx.get(url)
    assert reply.status_code == 500
    assert list(reply.json()) == ["detail"]
    assert "secret" not in reply.text
    assert "RuntimeError: secret" in caplog.text


def test_error_after_the_head_but_before_anything_is_sent(caplog):
    async def app(scope, receive, send):
        await send(start(200, (b"content-length", b"100")))
        raise RuntimeError("secret")

    with carried(app) as url:
        assert httpx.get(url).status_code == 500


def test_error_in_the_middle_cuts_the_connection(caplog):
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"half", more=True))
        raise RuntimeError("secret")

    with carried(app) as url, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url)
    assert "secret" in caplog.text


def test_parts_are_sent_at_once():
    gate = asyncio.Event()
    loops = []

    async def app(scope, receive, send):
        loops.append(asyncio.get_running_loop())
        await send(start())
        await send(body(b"one", more=True))
        await gate.wait()
        await send(body(b"two"))

    with carried(app) as url, httpx.stream("GET", url) as reply:
        parts = reply.iter_bytes()
        assert next(parts) == b"one"
        loops[0].call_soon_threadsafe(gate.set)
        assert b"".join(parts) == b"two"


def test_a_client_that_leaves_is_a_disconnect():
    entered, left = threading.Event(), threading.Event()
    seen = []

    async def app(scope, receive, send):
        await receive()
        entered.set()
        seen.append((await receive())["type"])
        await send(start())
        await send(body(b"nobody reads this"))
        left.set()

    with carried(app) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert entered.wait(5)
        assert left.wait(5)
    assert seen == ["http.disconnect"]


def test_a_finished_answer_is_a_disconnect_too():
    ended = threading.Event()

    async def app(scope, receive, send):
        await receive()
        await send(start())
        await send(body(b"done"))
        assert (await receive())["type"] == "http.disconnect"
        ended.set()

    with carried(app) as url:
        assert httpx.get(url).text == "done"
        assert ended.wait(5)


def test_unknown_methods():
    with carried(echo) as url:
        reply = httpx.request("BREW", url)
    assert reply.status_code == 405
    assert reply.json() == {"detail": "method not allowed"}


def test_not_modified_has_no_body():
    async def app(scope, receive, send):
        await send(start(304, (b"etag", b'"x"')))
        await send(body())

    with carried(app) as url:
        reply = httpx.get(url)
    assert (reply.status_code, reply.content) == (304, b"")
    assert reply.headers["etag"] == '"x"'
    assert "content-type" not in reply.headers


def test_many_requests_on_one_connection():
    with carried(echo) as url, httpx.Client(base_url=url) as client:
        for n in range(20):
            assert f"'/{n}'" in client.get(f"/{n}").text
