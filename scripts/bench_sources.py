"""First paint of a source list of 200,000 in a real browser: seconds, and what travels for it.

Needs Chromium (``SKYSHADE_CHROMIUM``, or on the path) and playwright. The server runs in a process
of its own, warm, as it is for the second visitor; each visit is a browser with an empty cache.
Called by `scripts/bench`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bench_rows import Row

COUNT = 200_000
RUNS = 5
READY = re.compile(r"Skyshade is ready at (http://\S+)")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
# Notes when the map is first on the page, and when its markers have been painted.
WATCH = """
window.noted = {};
const tiled = (v) => v.model?.renderers?.some?.((r) => r.tile_source != null) ?? false;
const look = () => {
  const view = window.Bokeh?.index?.query == null ? null : [...Bokeh.index.query(tiled)][0];
  if (view != null) noted.map ??= performance.now();
  const data = view?.model.renderers.map((r) => r.data_source?.data).find((d) => d && "list" in d);
  if (data?.u?.length > 0) requestAnimationFrame(() => { noted.markers = performance.now(); });
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


@dataclass(frozen=True)
class Visit:
    """What one page took.

    Parameters
    ----------
    painted, after_map : float
        Seconds from the address to painted markers; from the map's appearance to that.
    answers, messages : int
        Bytes of the answers that hold sources; of all that Bokeh's websocket brought, deflated as
        the server does: its document holds the markers of the first view.
    """

    painted: float
    after_map: float
    answers: int
    messages: int


def rows() -> list[Row]:
    """Return the lines of the table; a line with the reason where there is no browser."""
    chromium = os.environ.get("SKYSHADE_CHROMIUM") or shutil.which("chromium")
    name = f"{COUNT:,} sources"
    if not chromium:
        return [Row(f"{name}: first paint", "no chromium on this machine")]
    with tempfile.TemporaryDirectory() as folder:
        path = make_list(Path(folder))
        visits = measured(path, chromium)
        whole = path.stat().st_size / 1e3
    return [
        Row(f"{name}: address to first paint of the markers (s)", mid(visits, "painted"), 1.0),
        Row(f"{name}: map on the page to painted markers (s)", mid(visits, "after_map")),
        Row(f"{name}: answers with sources and all messages (kB)",
            (mid(visits, "answers") + mid(visits, "messages")) / 1e3, 200.0),
        Row(f"{name}: the list as TileMaker sends it (kB)", whole),
    ]  # fmt: skip


def mid(visits: list[Visit], name: str) -> float:
    """Return the median of one figure."""
    return float(median(getattr(visit, name) for visit in visits))


def make_list(folder: Path) -> Path:
    """Write a list in TileMaker's form."""
    rng = np.random.default_rng(1)
    ra = rng.uniform(0, 360, COUNT).round(6).tolist()
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, COUNT))).round(6).tolist()
    snr = rng.exponential(5.0, COUNT).round(3).tolist()
    records = [
        {"ra": r, "dec": d, "name": f"SRC J{i:06d}", "extra": {"SNR": s}}
        for i, (r, d, s) in enumerate(zip(ra, dec, snr, strict=True))
    ]
    path = folder / "sources.json"
    path.write_text(json.dumps(records))
    return path


def measured(path: Path, chromium: str) -> list[Visit]:
    """Serve a list and visit it; the first visit warms the server and does not count."""
    from playwright.sync_api import sync_playwright

    script = Path(sys.executable).with_name("skyshade")
    command = [str(script), "open", str(path), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(found[1] for line in server.stdout if (found := READY.search(line)))
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                return [visit(browser, url) for _ in range(RUNS + 1)][1:]
        finally:
            server.terminate()
            server.wait(20)


def visit(browser: Any, url: str) -> Visit:
    """Open the page in a fresh context."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.add_init_script(WATCH)
    log = context.new_cdp_session(page)
    log.send("Network.enable")
    ours: set[str] = set()
    sizes = {"answers": 0, "messages": 0}
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)

    def add(name: str, size: float) -> None:
        sizes[name] += int(size)

    def message(event: Any) -> None:
        data = deflate.compress(event["response"]["payloadData"].encode())
        add("messages", len(data) + len(deflate.flush(zlib.Z_SYNC_FLUSH)))

    def asked(event: Any) -> None:
        if "/api/sources" in event["request"]["url"]:
            ours.add(event["requestId"])

    def came(event: Any) -> None:
        if event["requestId"] in ours:
            add("answers", event["encodedDataLength"])

    log.on("Network.requestWillBeSent", asked)
    log.on("Network.loadingFinished", came)
    log.on("Network.webSocketFrameReceived", message)
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => window.noted?.markers > 0", timeout=60_000)
    noted = page.evaluate("window.noted")
    page.wait_for_timeout(300)  # what is still on its way counts
    context.close()
    painted = noted["markers"] / 1e3
    return Visit(painted, painted - noted["map"] / 1e3, sizes["answers"], sizes["messages"])


if __name__ == "__main__":
    for row in rows():
        print(row)
