"""`skyshade.view` in a real JupyterLab; skips where JupyterLab is not installed."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
]
SECONDS = 60_000  # milliseconds: a kernel's first start compiles
COUNT = (
    "import threading\n"
    "print('servers', sum(t.name == 'skyshade-server' for t in threading.enumerate()))"
)


@dataclass
class Lab:
    """A running JupyterLab: where its notebooks lie and how to open one."""

    folder: Path
    port: int
    token: str

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/lab/tree/{name}?token={self.token}&reset"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Lab(folder, port, secrets.token_hex(8))
    options = ["--no-browser", "--allow-root", f"--port={port}", f"--ServerApp.token={made.token}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/api?token={made.token}")
        yield made
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str) -> None:
    for _ in range(150):
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail("JupyterLab did not start")


@pytest.fixture
def notebook(lab: Lab, demo_data: Path) -> str:
    source = [
        f"import skyshade\nv = skyshade.view({str(demo_data / 'tycho2_planes.fits')!r})\nv",
        "print('map', v.cmap)",
    ]
    cells = [
        {"cell_type": "code", "id": f"c{n}", "source": text, "metadata": {}, "outputs": [],
         "execution_count": None}
        for n, text in enumerate(source)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    stored = {"cells": cells, "nbformat": 4, "nbformat_minor": 5}
    (lab.folder / "view.ipynb").write_text(
        json.dumps({**stored, "metadata": {"kernelspec": kernel}}), "utf-8"
    )
    return lab.url("view.ipynb")


class Notebook:
    """The notebook in the page."""

    def __init__(self, visit: Visit, url: str) -> None:
        self.visit, self.page = visit, visit.page
        self.page.set_default_timeout(SECONDS)
        self.open(url)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        self.page.get_by_text("| Idle").wait_for()

    def menu(self, top: str, item: str) -> None:
        self.page.click(f".lm-MenuBar-itemLabel:text-is('{top}')")
        self.page.click(f".lm-Menu-itemLabel:text-is('{item}')")

    def run(self, number: int, code: str | None = None) -> Locator:
        """Run a cell, with other code when given; return its outputs."""
        cell = self.page.locator(".jp-Notebook .jp-Cell").nth(number)
        before = cell.locator(".jp-InputPrompt").inner_text()
        cell.locator(".cm-content").click()
        if code is not None:
            self.page.keyboard.press("Control+a")
            self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Control+Enter")
        prompt = cell.locator(".jp-InputPrompt")
        expect(prompt).not_to_have_text(before, timeout=SECONDS)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=SECONDS)
        return cell.locator(".jp-OutputArea")

    def colours(self) -> Locator:
        return self.page.locator(".bk-input-group:has(label:text-is('Colour map')) select")

    def wait_for_tiles(self, cmap: str) -> None:
        for _ in range(150):
            if any(f"cmap={cmap}" in url for url in self.visit.tiles()):
                return
            self.page.wait_for_timeout(100)
        pytest.fail(f"no tile was asked for in {cmap}")


def test_view_in_jupyterlab(visit: Visit, lab: Lab, notebook: str) -> None:
    page = Notebook(visit, notebook)
    page.run(0)
    expect(page.colours()).to_have_value("inferno")
    page.wait_for_tiles("inferno")

    page.colours().select_option("viridis")
    page.wait_for_tiles("viridis")
    expect(page.run(1)).to_contain_text("map viridis")

    page.run(1, "v.cmap = 'gray'")
    expect(page.colours()).to_have_value("gray")
    page.wait_for_tiles("gray")

    for _ in range(3):
        page.run(0)
    expect(page.colours()).to_have_value("inferno")
    expect(page.run(1, COUNT)).to_contain_text("servers 1")

    page.run(1, "v")
    expect(page.page.locator(".jp-OutputArea").first).to_contain_text("shown by another cell")
    expect(page.colours()).to_have_count(1)
    page.run(1, "pass")
    page.run(0)

    page.menu("File", "Save Notebook")
    page.page.wait_for_timeout(2000)
    stored = (lab.folder / "view.ipynb").read_text("utf-8")
    assert len(stored) < 1_000_000
    assert "data:image/jpeg;base64" in stored
    page.open(notebook)  # the same kernel, a page that has none of the scripts
    page.colours().select_option("plasma")
    page.wait_for_tiles("plasma")
    expect(page.run(1, "print('map', v.cmap)")).to_contain_text("map plasma")

    away = [url for url in visit.requests if not url.startswith(("http://127.0.0.1", "data:"))]
    assert not [url for url in away if not url.startswith("blob:")]
    # a view that is replaced may still ask its server, which has ended by then
    assert not [text for text in visit.failures if "ERR_CONNECTION_REFUSED" not in text]
    assert not [text for text in visit.console if "Panel" in text or "Bokeh" in text]
