"""The tile server of a notebook's viewer, and what an output needs from it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from types import ModuleType

import httpx
import pytest

from skyshade.app import notebook
from skyshade.app.guard import Guard
from skyshade.app.notebook import SCRIPTS, TileServer, base_url, output_script
from skyshade.app.server import notebook_settings
from skyshade.app.settings import Settings
from skyshade.app.viewer.session import Session
from skyshade.atlas.atlas import Atlas


@pytest.fixture
def server(atlas: Atlas):
    made = TileServer(atlas).start()
    yield made
    made.stop()


def end(server: TileServer) -> None:
    thread = server._server._thread
    server.stop()
    thread.join(10)


def test_a_page_gets_its_scripts_and_styles_without_the_token(server: TileServer) -> None:
    with httpx.Client(base_url=server.base_url) as client:
        for path in (*SCRIPTS, "static/extensions/panel/css/loading.css"):
            reply = client.get(path)
            assert reply.status_code == 200, path
            assert ("javascript" in reply.headers["content-type"]) == path.endswith("js")
        assert client.get("api/grids").status_code == 403
        assert client.get("api/grids", params={"token": server.token}).status_code == 200
        assert client.get("static/../api/grids").status_code in (403, 404)


def test_it_comes_back_at_the_same_address(server: TileServer) -> None:
    address, token = server.base_url, server.token
    end(server)
    assert not server.running
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}health")
    assert server.start().start().base_url == address
    assert server.token == token
    assert httpx.get(f"{address}health").status_code == 200


def test_it_comes_back_elsewhere_when_its_port_was_taken(atlas: Atlas, server: TileServer) -> None:
    address = server.base_url
    end(server)
    other = TileServer(atlas)
    other._settings = server._settings
    other.start()
    try:
        assert other.base_url == address
        assert server.start().base_url != address
        assert httpx.get(f"{server.base_url}health").status_code == 200
    finally:
        end(other)


def test_any_host_name_only_with_a_token() -> None:
    def status(settings: Settings) -> int:
        headers = {"host": "hub.example.org", "authorization": f"token {settings.token}"}
        guard = Guard(settings)
        return guard.check("GET", "/api/grids", "", lambda name: headers.get(name, "")).status

    assert status(notebook_settings()) == 0
    assert status(Settings(allowed_hosts=("*",))) == 421
    assert status(Settings(token="t")) == 421


def test_constants_of_a_script_are_json() -> None:
    script = output_script(id="a", scripts=["b"], probe='"</x>\n')
    assert f"const probe = {json.dumps(chr(34) + '</x>' + chr(10))};" in script
    assert script.count("JupyterCommManager()") >= 2
    assert "cdn." not in script


def test_the_address_behind_a_jupyter_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert base_url(9, {"JPY_PARENT_PID": "7"}) == "http://127.0.0.1:9/"
    running = ModuleType("jupyter_server.serverapp")
    running.list_running_servers = lambda: [  # type: ignore[attr-defined]
        {"pid": 6, "base_url": "/no/"},
        {"pid": 7, "base_url": "/lab/"},
    ]
    monkeypatch.setattr(notebook.importlib.util, "find_spec", lambda _: True)
    monkeypatch.setitem(sys.modules, "jupyter_server", ModuleType("jupyter_server"))
    monkeypatch.setitem(sys.modules, "jupyter_server.serverapp", running)
    assert base_url(9, {"JPY_PARENT_PID": "7"}) == "/lab/proxy/9/"
    assert base_url(9, {"JPY_PARENT_PID": "8"}) == "http://127.0.0.1:9/"
    assert base_url(9, {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}) == "/user/ada/proxy/9/"


def test_parts_of_two_messages_do_not_mix() -> None:
    seen: list[int] = []

    def send(number: int) -> None:
        for _ in range(3):
            seen.append(number)
            time.sleep(0.002)

    whole = notebook._one_at_a_time(send)
    threads = [threading.Thread(target=whole, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(set(seen[i : i + 3])) == 1 for i in range(0, 24, 3))


def test_in_a_kernel_numbers_arrive_on_its_own_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from bokeh.models import Div

    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))

    async def cell() -> list[object]:
        session, found = Session(Div()), []
        arrived = asyncio.Event()

        def then(value: int) -> None:
            found.extend((value, threading.current_thread()))
            arrived.set()

        session.later(lambda: 5, then)
        await asyncio.wait_for(arrived.wait(), 10)
        return found

    assert asyncio.run(cell()) == [5, threading.current_thread()]


def test_what_changes_before_the_page_opens_arrives_once_and_in_order() -> None:
    class Line:
        def __init__(self) -> None:
            self._comm, self._on_open, self.sent = None, None, []

        def init(self) -> None:
            self._comm = self

        def send(self, data: int, **_: object) -> None:
            self.sent.append(data)

    to_page, from_page = Line(), Line()
    from_page._on_open = lambda _: to_page.init()
    notebook._keep_until_open(to_page, from_page)
    for n in range(3):
        to_page._comm.send(data=n)
    assert to_page.sent == []
    from_page._on_open({})
    to_page._comm.send(data=3)
    from_page._on_open({})
    assert to_page.sent == [0, 1, 2, 3]
