"""A real server in its own process and a real Chromium for the browser tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY = re.compile(r"Skyshade is ready at (http://\S+)")


@dataclass
class Served:
    """A running ``skyshade open``: its address and what it printed."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)


def serve(*arguments: str) -> Iterator[Served]:
    """Run ``skyshade`` with `arguments` on a free port until the test is over."""
    script = Path(sys.executable).with_name("skyshade")
    yield from serve_with([str(script), *arguments, "--no-browser", "--port", "0"])


def serve_script(code: str, *arguments: str) -> Iterator[Served]:
    """Run Python `code` with `arguments`, which serves `atlas` in the end."""
    last = """
from skyshade.app.server import Server
from skyshade.app.settings import Settings
Server(atlas, Settings(port=0)).serve(lambda url: print("Skyshade is ready at", url, flush=True))
"""
    yield from serve_with([sys.executable, "-c", code + last, *arguments])


def serve_with(command: list[str]) -> Iterator[Served]:
    """Run a command that tells where it serves, until the test is over."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    ) as process:
        served = Served(process)
        assert process.stdout is not None
        for line in process.stdout:
            served.lines.append(line.rstrip())
            if found := READY.search(line):
                served.url = found[1]
                break
        else:
            pytest.fail("the server ended before it was ready:\n" + "\n".join(served.lines))
        reader = Thread(
            target=lambda: served.lines.extend(x.rstrip() for x in process.stdout or ())
        )
        reader.start()
        try:
            yield served
        finally:
            process.terminate()
            process.wait(20)
            reader.join(5)


@pytest.fixture(scope="package")
def demo() -> Iterator[Served]:
    """``skyshade demo``."""
    yield from serve("demo")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium; skips on a user's machine without one, fails in CI.

    It must end with the package: Playwright keeps an event loop running in this thread, and tests
    that come later run loops of their own.
    """
    found = os.environ.get("SKYSHADE_CHROMIUM") or shutil.which("chromium")
    if not found:
        message = "no chromium on this machine (set SKYSHADE_CHROMIUM)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield started
        started.close()


@dataclass
class Visit:
    """A page with all that it asked for and complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def tiles(self) -> list[str]:
        """Return the tile URLs that were asked for so far."""
        return [url for url in self.requests if "/tiles/" in url]


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A fresh 1280 x 720 page; a screenshot is left in ``tests/browser/shots`` at the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    seen = Visit(page)

    def failed(asked: Request) -> None:
        if asked.failure and "ERR_ABORTED" not in asked.failure:
            seen.failures.append(f"{asked.url}: {asked.failure}")

    page.on("request", lambda asked: seen.requests.append(asked.url))
    page.on("requestfailed", failed)
    page.on(
        "console",
        lambda message: (
            seen.console.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: seen.console.append(str(error)))
    yield seen
    shots = Path(__file__).parent / "shots"
    shots.mkdir(exist_ok=True)
    page.screenshot(path=shots / f"{request.node.name}.png")
    context.close()


@pytest.fixture(scope="session")
def nearest_star(demo_data: Path) -> Callable[[float, float], tuple[float, float]]:
    """Position of the demo star that is nearest to a position, both in ICRS degrees."""
    table = pq.read_table(demo_data / "tycho2_bright.parquet", columns=["ra", "dec"])
    ra, dec = table["ra"].to_numpy(), table["dec"].to_numpy()

    def find(near_ra: float, near_dec: float) -> tuple[float, float]:
        across = (ra - near_ra + 180) % 360 - 180
        best = np.argmin(np.hypot(across * np.cos(np.radians(near_dec)), dec - near_dec))
        return float(ra[best]), float(dec[best])

    return find
