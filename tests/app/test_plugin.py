"""The API beside other Panel applications."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application

from skyshade.app import plugin
from skyshade.app.server import free_port, listen
from skyshade.app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_files_from_the_environment():
    both = os.pathsep.join(["/a.fits", "/b.fits"])
    assert plugin.items_from({"SKYSHADE_FILES": both}) == ["/a.fits", "/b.fits"]
    odd = f"/a{os.pathsep}1.fits\n\n/b.fits\n"
    assert plugin.items_from({"SKYSHADE_FILES": odd}) == [f"/a{os.pathsep}1.fits", "/b.fits"]
    assert plugin.items_from({}) == plugin.demo_items()
    assert len(plugin.demo_items()) == 3


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="nope"):
        plugin.nope  # noqa: B018


def test_routes_serve_beside_others(atlas):
    import asyncio

    patterns = plugin.routes(atlas, Settings())

    async def run():
        server = HTTPServer(Application(patterns))
        sockets = listen("127.0.0.1", 0)
        server.add_sockets(sockets)
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url) as client:
            paths = (
                "/api/layers",
                "/tiles/fake/sky/0/0/0.png",
                "/ready",
                "/",
                "/apix",
                "/static/x",
            )
            found = [(await client.get(path)).status_code for path in paths]
        server.stop()
        await server.close_all_connections()
        return found

    assert asyncio.run(run()) == [200, 200, 200, 404, 404, 404]


def test_panel_serve(tmp_path):
    """The documented command line works, offline, with our own files."""
    port = free_port("127.0.0.1", 20000 + os.getpid() % 10000)
    dashboard = subprocess.run(
        [sys.executable, "-m", "skyshade.app.dashboard"], capture_output=True, text=True, check=True
    ).stdout.strip()
    command = [sys.executable, "-m", "panel", "serve", dashboard, "--port", str(port)]
    command += ["--plugins", "skyshade.app.plugin"]
    files = str(ROOT / "skyshade" / "data" / "tycho2_planes.fits")
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, "SKYSHADE_FILES": files}
        )
    try:
        url = f"http://localhost:{port}"
        _wait(f"{url}/ready", log)
        names = [entry["id"] for entry in httpx.get(f"{url}/api/layers").json()]
        assert names[0] == "tycho2_planes-counts"
        assert httpx.get(f"{url}/tiles/{names[0]}/sky/0/0/0.png").status_code == 200
        page = httpx.get(f"{url}/dashboard", timeout=60)
        assert page.status_code == 200, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.terminate()
        process.wait(20)


def _wait(url, log):
    end = time.monotonic() + 60
    while True:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)
