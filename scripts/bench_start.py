"""Measure whole processes: start to first tile, CPU of a tile, `--help` and `import`.

Servers run in alternation, one at a time, on the same map in the page cache; medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench_tools import ServerProcess, big_map, tilemaker, warm_page_cache

SKYSHADE = str(Path(sys.executable).with_name("skyshade"))
TILEMAKER_PX = 675
BATCH = 100  # tiles a measurement: the clock of CPU time ticks in 10 ms
USED = 320  # tiles asked for before cold ones are measured
# name, unit, and the largest value that the project allows itself
LIMITS = {
    "start, ratio to TileMaker": 0.6,
    "first start, ratio to TileMaker": 1.5,
    "cold 256 px PNG tile, deepest level (ms CPU)": 2.1,
    "warm 256 px PNG tile (ms CPU)": 1.0,
    "skyshade --help (s)": 0.3,
    "import skyshade (s)": 0.2,
}


def skyshade_command(path: Path) -> list[str]:
    """Return the command that serves `path`."""
    return [SKYSHADE, "open", str(path), "--no-browser", "--port", "{port}"]


def start_skyshade(path: Path, env: dict[str, str] | None = None) -> float:
    """Return seconds from exec to the first tile; its id follows from the file's name."""
    with ServerProcess(skyshade_command(path), env) as server:
        return server.wait_for(f"/tiles/{path.stem}-i/sky/1/1/1.png", "image/")[0]


def start_unwarmed(path: Path) -> float:
    """Return seconds from exec to the first tile with no kernel compiled before."""
    cache = tempfile.mkdtemp(prefix="skyshade-numba-")
    try:
        return start_skyshade(path, {"NUMBA_CACHE_DIR": cache})
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def start_tilemaker(path: Path, command: str) -> float:
    """Return seconds from exec to TileMaker's first tile of the same part of the sky.

    Its ids are made anew at every start: the list of layers must come first.
    """
    with ServerProcess([command, "open", str(path), "--port", "{port}"]) as server:
        layer = json.loads(server.wait_for("/layers/default")[1])["layer"]["layer_id"]
        return server.wait_for(f"/layers/{layer}/1/0/1/tile.png", "image/")[0]


def starts(path: Path, other: str | None, runs: int) -> dict[str, list[float]]:
    """Return the seconds of all starts, one after the other in turn."""
    times: dict[str, list[float]] = {"skyshade": [], "first": [], "tilemaker": []}
    for _ in range(runs):
        times["skyshade"].append(start_skyshade(path))
        times["first"].append(start_unwarmed(path))
        if other:
            times["tilemaker"].append(start_tilemaker(path, other))
    return times


def tile_paths(server: ServerProcess, count: int) -> list[str]:
    """Return addresses of `count` different tiles of the deepest level, inside the data."""
    layer = json.loads(server.wait_for("/api/layers")[1])[0]["id"]
    z = server.json(f"/api/layers/{layer}")["max_zoom"]
    inside = [(x, y) for x in range(2 << z) for y in range(1 << z) if -60 < tile_dec(z, y) < 20]
    chosen = random.Random(1).sample(inside, min(count, len(inside)))
    return [f"/tiles/{layer}/sky/{z}/{x}/{y}.png" for x, y in chosen]


def tile_dec(z: int, y: int) -> float:
    """Return the declination of the middle of a tile."""
    return 90 - (y + 0.5) * 180 / 2**z


def tiles_skyshade(path: Path, count: int) -> dict[str, float]:
    """Return CPU milliseconds of a cold and of a warm tile of a server that has been used.

    Overviews are built and the cache of aggregates is full: until then every tile also pays for
    memory that is new to the process.
    """
    with ServerProcess(skyshade_command(path)) as server:
        paths = tile_paths(server, count + USED)
        server.cpu_of(paths[:20], "image/png")
        server.wait_idle()
        warm_page_cache(path)
        server.cpu_of(paths[20:USED], "image/png")
        batches = [paths[at : at + BATCH] for at in range(USED, len(paths), BATCH)]
        cold = median(server.cpu_of(batch, "image/png") for batch in batches)
        warm = server.cpu_of(paths[USED:] * 2, "image/png")
        return {"cold": 1e3 * cold, "warm": 1e3 * warm, "tiles": len(paths) - USED}


def tiles_tilemaker(path: Path, command: str, count: int) -> float:
    """Return CPU milliseconds of TileMaker's cold tile of its deepest level."""
    with ServerProcess([command, "open", str(path), "--port", "{port}"]) as server:
        layer = json.loads(server.wait_for("/layers/default")[1])["layer"]
        z = layer["number_of_levels"] - 1
        inside = [
            (x, y)
            for x in range(2 << z)
            for y in range(1 << z)
            if -60 < -tile_dec(z, y) < 20  # its rows count from the south
        ]
        chosen = random.Random(1).sample(inside, min(count + 3, len(inside)))
        paths = [f"/layers/{layer['layer_id']}/{z}/{y}/{x}/tile.png" for x, y in chosen]
        server.cpu_of(paths[:3], "image/png")
        server.wait_idle()
        warm_page_cache(path)
        return 1e3 * server.cpu_of(paths[3:], "image/png")


def run_seconds(command: list[str], runs: int) -> float:
    """Return the median wall time of `command`."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return median(times[1:])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return every figure under the name that the table shows."""
    folder = arguments.cache
    path = arguments.map or big_map(folder)
    other, remark = (None, "not asked for")
    if not arguments.no_tilemaker:
        other, remark = tilemaker(folder, arguments.tilemaker)
    warm_page_cache(path)
    times = starts(path, other, arguments.runs)
    tiles = tiles_skyshade(path, arguments.tiles)
    found: dict[str, Any] = {
        "start to first tile (s)": median(times["skyshade"]),
        "first start, nothing compiled (s)": median(times["first"]),
        "TileMaker": remark if other else f"not available: {remark}",
        "cold 256 px PNG tile, deepest level (ms CPU)": tiles["cold"],
        "cold tiles, Mpx/s a core": 256**2 / tiles["cold"] / 1e3,
        "warm 256 px PNG tile (ms CPU)": tiles["warm"],
        "skyshade --help (s)": run_seconds([SKYSHADE, "--help"], 9),
        "import skyshade (s)": run_seconds([sys.executable, "-c", "import skyshade"], 9),
        "all starts (s)": times,
    }
    if other:
        found |= compare(times, tiles["cold"], tiles_tilemaker(path, other, 60))
    return found


def compare(times: dict[str, list[float]], cold: float, theirs: float) -> dict[str, float]:
    """Return TileMaker's figures and the ratios, pair by pair for the starts."""
    pairs = list(zip(times["skyshade"], times["first"], times["tilemaker"], strict=True))
    speed = TILEMAKER_PX**2 / theirs / 1e3
    return {
        "TileMaker: start to first tile (s)": median(times["tilemaker"]),
        "start, ratio to TileMaker": median(a / c for a, _, c in pairs),
        "first start, ratio to TileMaker": median(b / c for _, b, c in pairs),
        f"TileMaker: cold {TILEMAKER_PX} px PNG tile (ms CPU)": theirs,
        "TileMaker: cold tiles, Mpx/s a core": speed,
        "cold tiles, times TileMaker's Mpx/s": 256**2 / cold / 1e3 / speed,
    }


def table(found: dict[str, Any]) -> str:
    """Return the figures as aligned lines, with the limit where there is one."""
    lines = []
    for name, value in found.items():
        if isinstance(value, dict):
            continue
        text = f"{value:.3g}" if isinstance(value, float) else str(value)
        limit = LIMITS.get(name)
        verdict = (
            "" if limit is None else f"  limit {limit}" + ("" if value <= limit else "  MISSED")
        )
        lines.append(f"{name:<46} {text:>10}{verdict}")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--map", type=Path, help="I,Q,U map to open instead of the 1.3 GB one that is made")
    add("--runs", type=int, default=5, help="starts of each kind (5)")
    add("--tiles", type=int, default=400, help="cold tiles (400)")
    add("--tilemaker", help="TileMaker's command, when it is installed already")
    add("--no-tilemaker", action="store_true", help="do not compare")
    add("--json", type=Path, help="also write the figures to this file")
    cache = Path(os.environ.get("SKYSHADE_BENCH_CACHE", tempfile.gettempdir())) / "skyshade-bench"
    add("--cache", type=Path, default=cache, help="folder for the map and TileMaker (temporary)")
    return parser.parse_args()


def main() -> int:
    """Measure, print, and return 1 when a limit is missed."""
    arguments = parse()
    found = measure(arguments)
    print(table(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any(found.get(name, 0) > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
