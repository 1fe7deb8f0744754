"""Groups of bench_maps.py that measure ``skyshade open`` as a process, through HTTP."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import bench_files as files
from bench_load import load
from bench_rows import Row, Setting, compile_kernels, only_layer
from bench_start import TILEMAKER_PX, skyshade_command, tile_dec, tiles_skyshade, tiles_tilemaker
from bench_tools import ServerProcess, big_map, warm_page_cache

COLD, USED = 120, 40  # cold 512 px tiles, and those asked for before them
CONNECTIONS, LOAD_SECONDS = 32, 8.0
AT_ONCE = 200

Place = tuple[int, int, int]


def car(setting: Setting) -> list[Row]:
    """Cold and warm 256 px tiles of a plate carree map, beside TileMaker's."""
    path = big_map(setting.cache)
    warm_page_cache(path)
    found = tiles_skyshade(path, 400)
    speed = 256**2 / found["cold"] / 1e3
    rows = [
        Row("cold 256 px PNG tile, deepest level, CAR (ms CPU)", found["cold"], 2.1),
        Row("warm 256 px PNG tile (ms CPU)", found["warm"], 1),
    ]
    if setting.tilemaker is None:
        return [*rows, Row("TileMaker", f"not available: {setting.remark}")]
    theirs = TILEMAKER_PX**2 / tiles_tilemaker(path, setting.tilemaker, 60) / 1e3
    return [
        *rows,
        Row("cold 256 px tile, times TileMaker's pixels/s a core", speed / theirs, 5, least=True),
    ]


def projected(setting: Setting) -> list[Row]:
    """Cold 512 px tiles through a TAN, a ZEA and a HEALPix map."""
    maps = {"TAN": files.tan_map, "ZEA": files.zea_map, "HEALPix": files.healpix_map}
    return [
        Row(f"cold 512 px PNG tile, {name} (ms CPU)", cold_tile(make(setting.cache)), 12)
        for name, make in maps.items()
    ]


def cold_tile(path: Path) -> float:
    """Return CPU milliseconds of a cold 512 px tile of the deepest level of a served map."""
    warm_page_cache(path)
    with ServerProcess(skyshade_command(path)) as server:
        name, places = deepest(server, COLD + USED)
        paths = [f"/tiles/{name}/sky/{z}/{x}/{y}@2x.png" for z, x, y in places]
        server.cpu_of(paths[:10], "image/png")
        server.wait_idle()
        warm_page_cache(path)
        server.cpu_of(paths[10:USED], "image/png")
        return 1e3 * server.cpu_of(paths[USED:], "image/png")


def deepest(server: ServerProcess, count: int) -> tuple[str, list[Place]]:
    """Return the first layer and `count` tiles of 512 px of its deepest lattice, in any order.

    The map has a value in the middle of each.
    """
    layer = json.loads(server.wait_for("/api/layers")[1])[0]["id"]
    info = server.json(f"/api/layers/{layer}")
    z, box = info["max_zoom"] - 1, info["coverage"]
    step, width = 180 / 2**z, box["ra_east"] - box["ra_west"]
    columns = [x for x in range(2 << z) if (tile_ra(z, x) - box["ra_west"]) % 360 <= width]
    rows = [
        y for y in range(1 << z) if box["dec_min"] + step < tile_dec(z, y) < box["dec_max"] - step
    ]
    chosen = [(z, x, y) for x in columns for y in rows]
    random.Random(1).shuffle(chosen)
    found: list[Place] = []
    for place in chosen:
        if len(found) < count and has_value(server, layer, place):
            found.append(place)
    return layer, found


def tile_ra(z: int, x: int) -> float:
    """Return the right ascension of the middle of a tile."""
    return (180 - (x + 0.5) * 180 / 2**z) % 360


def has_value(server: ServerProcess, layer: str, place: Place) -> bool:
    """Return whether a map has a value in the middle of a tile."""
    z, x, y = place
    at = f"ra={tile_ra(z, x)}&dec={tile_dec(z, y)}"
    return server.json(f"/api/layers/{layer}/value?{at}")["value"] is not None


def under_load(setting: Setting) -> list[Row]:
    """Warm tiles for 32 connections at once, then the same with If-None-Match."""
    path = big_map(setting.cache)
    with ServerProcess(skyshade_command(path)) as server:
        layer, places = deepest(server, 100)
        paths = [f"/tiles/{layer}/sky/{z + 1}/{2 * x}/{2 * y}.png" for z, x, y in places]
        server.cpu_of(paths, "image/png")
        server.wait_idle()
        server.cpu_of(paths, "image/png")
        found = load(server.port, CONNECTIONS, LOAD_SECONDS, paths=paths)
        etag = {"If-None-Match": etag_of(server, paths[0])}
        again = load(server.port, CONNECTIONS, 2.0, paths=paths[:1], headers=etag)
    if set(found["statuses"]) != {"200"}:
        msg = f"statuses under load: {found['statuses']}"
        raise RuntimeError(msg)
    unchanged = again["statuses"].get("304", 0) / again["requests"]
    return [
        Row(f"warm tiles at {CONNECTIONS} connections (tiles/s)", found["rate"], 500, least=True),
        Row(f"warm tiles at {CONNECTIONS} connections, p99 (ms)", found["p99"], 80),
        Row("revalidated tiles answered 304 (%)", 100 * unchanged, 100, least=True),
    ]


def etag_of(server: ServerProcess, path: str) -> str:
    """Return the ETag of a tile."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.getheader("etag", "")


def memory(setting: Setting) -> list[Row]:
    """Peak memory of a server after every deepest tile of one 446 MB plane."""
    path = big_map(setting.cache)
    with ServerProcess(skyshade_command(path)) as server:
        layer = json.loads(server.wait_for("/api/layers")[1])[0]["id"]
        info = server.json(f"/api/layers/{layer}")
        z, box = info["max_zoom"], info["coverage"]
        half = 90 / 2**z
        rows = [y for y in range(1 << z) if touches(tile_dec(z, y), half, box)]
        paths = [f"/tiles/{layer}/sky/{z}/{x}/{y}.png" for y in rows for x in range(2 << z)]
        server.cpu_of(paths, "image/png")
        peak = peak_mb(server.process.pid)
    return [
        Row(f"peak memory after {len(paths):,} deepest tiles of 446 MB (MB)", peak, 600),
    ]


def touches(dec: float, half: float, box: dict[str, float]) -> bool:
    """Return whether a tile about `dec` shows some of a map."""
    return bool(dec + half > box["dec_min"] and dec - half < box["dec_max"])


def peak_mb(pid: int) -> float:
    """Return the most memory that a process has had, in MB (10^6 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def many_files(setting: Setting) -> list[Row]:
    """A thousand small files: the first tile, and the time that each file takes."""
    home = files.small_files(setting.cache)
    paths = sorted(home.glob("*.fits"))
    for path in paths:
        warm_page_cache(path)
    alone = median(opened(paths[:1])[0] for _ in range(3))
    tile, last = (median(column) for column in zip(*(opened(paths) for _ in range(3)), strict=True))
    return [
        Row(f"{len(paths):,} files: start to first tile (s)", tile),
        Row("times the same with one file (1: visible at once)", tile / alone, 1.5),
        Row(f"{len(paths):,} files: ms a file until all are there",
            1e3 * (last - alone) / len(paths), 5),
    ]  # fmt: skip


def opened(paths: list[Path]) -> tuple[float, float]:
    """Return seconds from exec to the first file's tile, and to the last file in the list."""
    command = [skyshade_command(paths[0])[0], "open", *map(str, paths)]
    with ServerProcess([*command, "--no-browser", "--port", "{port}"]) as server:
        tile, _ = server.wait_for(f"/tiles/{paths[0].stem}/sky/1/1/0.png", "image/")
        last = f"/tiles/{paths[-1].stem}/sky/0/0/0.png"
        while server.get(last)[0] != 200:
            time.sleep(0.1)
            if time.perf_counter() - server.started > 120:
                msg = f"{paths[-1].name} of {len(paths)} files is not there after 120 s"
                raise RuntimeError(msg)
        return tile, time.perf_counter() - server.started


class Counted:
    """A layer that counts what is computed; it takes its time, so that all requests meet."""

    def __init__(self, layer: Any) -> None:
        self._layer, self._lock, self.computed = layer, threading.Lock(), 0

    def compute(self, window: Any) -> Any:
        """Return the numbers on a window."""
        with self._lock:
            self.computed += 1
        time.sleep(0.3)
        return self._layer.compute(window)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)


def one_computation(setting: Setting) -> list[Row]:
    """Two hundred identical requests at once of a tile that nobody has asked for."""
    from skyshade.app.server import Server
    from skyshade.app.settings import Settings
    from skyshade.atlas.atlas import Atlas, Entry
    from skyshade.geometry.grids import SKY

    layer = Counted(only_layer(files.tan_map(setting.cache)))
    compile_kernels()
    atlas = Atlas()
    atlas.add(Entry("tan", layer, title="tan"))
    z, x, y = SKY.tile_of(40.0, 20.0, 7)
    with Server(atlas, Settings(port=0), background=False).start_in_thread() as server:
        port = int(server.base_url.rpartition(":")[2].rstrip("/"))
        found = load(port, AT_ONCE, 1.0, paths=[f"/tiles/tan/sky/{z}/{x}/{y}.png"], once=True)
    answered = found["statuses"].get("200", 0)
    return [
        Row(f"{AT_ONCE} identical cold requests at once: answered", answered, AT_ONCE, least=True),
        Row(f"{AT_ONCE} identical cold requests at once: computations", layer.computed, 1),
    ]
