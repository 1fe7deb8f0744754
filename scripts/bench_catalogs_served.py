"""Groups of bench_catalogs.py that measure ``skyshade open`` as a process, through HTTP."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path
from typing import Any

import bench_sky as sky
import numpy as np
from bench_load import load
from bench_rows import Row
from bench_start import skyshade_command
from bench_tools import ServerProcess, warm_page_cache

TYCHO = 2_500_000  # rows
CLIENTS = 32
STEPS = 400  # tiles of a walk
MEMORY = 1.6  # GB: interpreter and page 0.3, caches of tiles, aggregates, columns, sample 0.9


def tycho(given: Any) -> list[Row]:
    """A bare catalogue of 2.5 million rows: from the server's first answer to an exact tile."""
    path = sky.catalogue(given.cache, TYCHO)
    warm_page_cache(path)
    with ServerProcess(skyshade_command(path)) as server:
        ready, body = server.wait_for("/api/layers")
        place = f"/tiles/{json.loads(body)[0]['id']}/sky/0/0/0.png"
        exact = exact_tile(server, place)
    return [
        Row("2.5 million rows: start to the server's first answer (s)", ready),
        Row("2.5 million rows: from there to the first exact tile (s)", exact - ready, 1.5),
    ]


def exact_tile(server: ServerProcess, path: str, limit: float = 60.0) -> float:
    """Return seconds since the start until a tile comes that is exact."""
    while time.perf_counter() - server.started < limit:
        server.connection.request("GET", path)
        answer = server.connection.getresponse()
        answer.read()
        if answer.status == 200 and answer.getheader("skyshade-quality") is None:
            return time.perf_counter() - server.started
        time.sleep(0.005)
    msg = f"{path} was not exact within {limit} s"
    raise RuntimeError(msg)


def walks(count: int, steps: int) -> list[tuple[int, int, int]]:
    """Return the tiles of people who pan and zoom, one walk after the other."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(count):
        z, x, y = 3, int(rng.integers(0, 16)), int(rng.integers(0, 8))
        for _ in range(steps):
            turn = rng.random()
            if turn < 0.08 and z < 14:
                z, x, y = z + 1, 2 * x + int(rng.integers(0, 2)), 2 * y + int(rng.integers(0, 2))
            elif turn < 0.15 and z > 0:
                z, x, y = z - 1, x // 2, y // 2
            else:
                x = (x + int(rng.integers(-1, 2))) % (2 << z)
                y = min(max(y + int(rng.integers(-1, 2)), 0), (1 << z) - 1)
            found.append((z, x, y))
    return found


class Watch:
    """Follows the memory of a process."""

    def __init__(self, process: int) -> None:
        self.highest = 0.0
        self._path = Path(f"/proc/{process}/status")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(0.5):
            self.highest = max(self.highest, resident(self._path))


def resident(path: Path) -> float:
    """Return the private resident memory of a process in GB: mapped files can be dropped."""
    for line in path.read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1]) / 1e9
    return float("nan")


def pan(given: Any) -> list[Row]:
    """32 clients panning over the sky."""
    folder = given.index
    with ServerProcess(skyshade_command(folder)) as server:
        layer = json.loads(server.wait_for("/api/layers")[1])[0]["id"]
        tiles = walks(CLIENTS, STEPS)
        paths = [f"/tiles/{layer}/sky/{z}/{x}/{y}.png" for z, x, y in tiles]
        server.wait_for(paths[0], "image/")
        with Watch(server.process.pid) as watch:
            found = load(server.port, CLIENTS, given.seconds, paths=paths, stride=STEPS)
        alive = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        alive.request("GET", "/healthz")
        alive.getresponse().read()
    errors = sum(n for status, n in found["statuses"].items() if status != "200")
    return [
        Row(f"{CLIENTS} clients panning for {given.seconds:g} s: errors", errors, 0),
        Row("tiles a second", found["rate"]),
        Row("p50 (ms)", found["p50"]),
        Row("p99 (ms)", found["p99"]),
        Row("highest private memory of the server (GB)", watch.highest, MEMORY),
    ]
