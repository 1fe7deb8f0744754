"""Measure maps: overviews, previews, cold and warm tiles, memory, many files, many readers.

One table: name, figure, limit, ok or over. Peers are measured in the same run on the same pixels,
and compared by ratios. Each group runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import bench_files as files
import bench_served as served
import numpy as np
from bench_rows import Row, Setting, compile_kernels, only_layer
from bench_tools import tilemaker, warm_page_cache

SHRINK = 8  # pixels a side that become one in the first level of an overview


def build(layer: Any, pool: ThreadPoolExecutor) -> None:
    """Build the overview of `layer` with the threads of `pool`."""
    done = Event()
    layer.start_overview(pool, done.set)
    if not done.wait(300):
        msg = f"the overview of {layer.info.id} was not ready after 300 s"
        raise RuntimeError(msg)


def overview(setting: Setting) -> list[Row]:
    """Overview of a 0.9 GB map against copying its bytes, xarray and datashader, in turns."""
    path = files.bordered_map(setting.cache)
    warm_page_cache(path)
    compile_kernels()
    values = pixels_of(path)
    same_means(only_layer(path), raster(values), coarsened(values))
    target = np.empty_like(values)
    with ThreadPoolExecutor(2) as pool:
        works = {
            "datashader": lambda: raster(values),
            "copy": lambda: np.copyto(target, values),
            "read": lambda: list(pool.map(read_part, [path] * 2, (0, 1))),
            "ours": lambda: build(only_layer(path), pool),
        }
        in_turns(works, 1)  # the memory is there now, and all is compiled
        wall, cpu = in_turns(works, 2 * setting.runs + 1)
        slow = {"xarray": lambda: coarsened(values), "file": lambda: raster(pixels_of(path))}
        wall |= in_turns(slow, 3)[0]
    ours, faster = wall["ours"], "overview, times as fast as"
    return [
        Row("overview of 0.9 GB float32 with NaN borders, 2 threads (s)", ours),
        Row("the same, CPU seconds of both threads", cpu["ours"]),
        Row("pread alone of the same bytes, 2 threads (s)", wall["read"]),
        Row("np.copyto of the same bytes (s)", wall["copy"]),
        Row("overview, part of memcpy's speed (%)", 100 * wall["copy"] / ours, 40, least=True),
        Row(f"{faster} xarray.coarsen(8).mean", wall["xarray"] / ours, 8, least=True),
        Row(f"{faster} datashader raster of an array", wall["datashader"] / ours, 2, least=True),
        Row("the same, CPU seconds", cpu["datashader"] / cpu["ours"]),
        Row(f"{faster} datashader raster of the file", wall["file"] / ours, 2, least=True),
    ]


def in_turns(
    works: dict[str, Callable[[], Any]], runs: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return median wall and CPU seconds of works that are done one after the other, in rounds.

    Other work on the machine then slows all of them alike.
    """
    wall: dict[str, list[float]] = {name: [] for name in works}
    cpu: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            start, used = time.perf_counter(), time.process_time()
            work()
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - used)
    middle = [{name: median(times) for name, times in found.items()} for found in (wall, cpu)]
    return middle[0], middle[1]


def read_part(path: Path, half: int, piece: int = 1 << 20) -> None:
    """Read every second piece of a file into memory that stays in the cache."""
    buffer = bytearray(piece)
    with path.open("rb", buffering=0) as file:
        for start in range(half * piece, path.stat().st_size, 2 * piece):
            os.preadv(file.fileno(), [buffer], start)


def pixels_of(path: Path) -> np.ndarray:
    """Return the pixels of a one-image file in memory, native byte order."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        return hdus[0].data.astype(np.float32)


def coarsened(values: np.ndarray) -> np.ndarray:
    """Return xarray's means of 8 x 8 pixels, the first level of ours."""
    import xarray as xr

    array = xr.DataArray(values, dims=("y", "x"))
    return array.coarsen(y=SHRINK, x=SHRINK, boundary="trim").mean().values


def raster(values: np.ndarray) -> np.ndarray:
    """Return datashader's means of 8 x 8 pixels."""
    import datashader as ds
    import xarray as xr

    ny, nx = values.shape
    axes = {"y": np.arange(ny, dtype=float), "x": np.arange(nx, dtype=float)}
    array = xr.DataArray(values, coords=axes, dims=("y", "x"))
    return ds.Canvas(nx // SHRINK, ny // SHRINK).raster(array, agg="mean").values


def same_means(layer: Any, *others: np.ndarray) -> None:
    """Raise AssertionError unless peers give the means that our overview keeps."""
    from skyshade.layers.overview import FIRST, Overview

    made = Overview(layer.image.reader)
    made.wait()
    for other in others:
        np.testing.assert_allclose(other, made.level(FIRST).pixels, rtol=1e-5, atol=1e-3)


def first(setting: Setting) -> list[Row]:
    """First tile of a 1.8 GB map after it was opened: a preview, then the exact one."""
    path = files.large_map(setting.cache)
    warm_page_cache(path)
    compile_kernels()
    found = [first_tiles(path) for _ in range(setting.runs)]
    preview, exact = (median(column) for column in zip(*found, strict=True))
    return [
        Row("first tile of a 1.8 GB map after open: preview (ms CPU)", 1e3 * preview, 10),
        Row("top tile of a 1.8 GB map exact, after the preview (s)", exact, 1),
    ]


def first_tiles(path: Path) -> tuple[float, float]:
    """Return CPU seconds of the top tile's preview, and seconds from there to the exact tile."""
    from skyshade.geometry.grids import SKY
    from skyshade.tiles.make import make_tile
    from skyshade.types import Tile, Window

    layer, window = only_layer(path), Window.of(SKY, Tile(0, 0, 0), 256)
    before = time.process_time()
    preview = make_tile(layer, window, layer.info.style, "png")
    cpu, start = time.process_time() - before, time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        build(layer, pool)
        exact = make_tile(layer, window, layer.info.style, "png")
    if (preview.quality, exact.quality) != ("preview", "exact"):
        msg = f"the tiles were {preview.quality}, then {exact.quality}"
        raise RuntimeError(msg)
    return cpu, time.perf_counter() - start


def coordinates(setting: Setting) -> list[Row]:
    """Pixel coordinates of 512 px tiles against wcslib's of the same pixels."""
    maps = {"TAN": files.tan_map(setting.cache), "ZEA": files.zea_map(setting.cache)}
    compile_kernels()
    return [
        Row(f"coordinates of a 512 px tile, {name}, part of all_world2pix", ratio(path), 0.2)
        for name, path in maps.items()
    ]


def ratio(path: Path, tiles: int = 30) -> float:
    """Return our CPU time for coordinates over wcslib's, at the deepest level of a map."""
    from skyshade.geometry.control import ControlGrid
    from skyshade.geometry.grids import SKY
    from skyshade.types import Window

    layer = only_layer(path)
    grid, z = ControlGrid(layer.pixels), layer.info.max_zoom
    col, row = (int(v[0]) for v in SKY.lattice(np.array([40.0]), np.array([20.0]), z))
    windows = [Window(SKY, z, col + 512 * (n % 6 - 3), row + 512 * (n // 6 - 3), 512, 512)
               for n in range(tiles)]  # fmt: skip
    ours = median(cpu_seconds(lambda w=window: grid.coordinates(w)) for window in windows)
    theirs = []
    for window in windows:
        ra, dec = SKY.sky_axes(z, window.col + np.arange(512), window.row + np.arange(512))
        places = [part.ravel() for part in np.meshgrid(ra, dec)]
        theirs.append(cpu_seconds(lambda p=places: layer.image.wcs.all_world2pix(*p, 0)))
    return ours / median(theirs)


def cpu_seconds(work: Callable[[], Any]) -> float:
    """Return the CPU time of `work`."""
    start = time.process_time()
    work()
    return time.process_time() - start


GROUPS = {
    "overview": overview,
    "first": first,
    "car": served.car,
    "projected": served.projected,
    "coordinates": coordinates,
    "load": served.under_load,
    "once": served.one_computation,
    "memory": served.memory,
    "files": served.many_files,
}


def measure(name: str, setting: Setting) -> list[Row]:
    """Return the rows of one group, measured in a process of its own."""
    start = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        try:
            rows = process.submit(GROUPS[name], setting).result()
        except Exception as error:  # noqa: BLE001 (the other groups can be measured)
            rows = [Row(name, f"cannot be measured: {error}")]
    print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return rows


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="scripts/bench maps", description=__doc__)
    add = parser.add_argument
    add("--only", action="append", choices=list(GROUPS), help="measure this group (again: more)")
    add("--runs", type=int, default=5, help="times that quick things are measured (5)")
    add("--tilemaker", help="TileMaker's command, when it is installed already")
    add("--no-tilemaker", action="store_true", help="do not compare")
    add("--json", type=Path, help="also write the figures to this file")
    cache = Path(os.environ.get("SKYSHADE_BENCH_CACHE", tempfile.gettempdir())) / "skyshade-bench"
    add("--cache", type=Path, default=cache, help="folder for the maps and TileMaker (temporary)")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, print, and return 1 when a limit is missed or a group failed."""
    arguments = parse()
    names = arguments.only or list(GROUPS)
    other, remark = None, "not asked for"
    if "car" in names and not arguments.no_tilemaker:
        other, remark = tilemaker(arguments.cache, arguments.tilemaker)
    setting = Setting(arguments.cache, arguments.runs, other, remark)
    rows: list[Row] = []
    for name in names:
        found = measure(name, setting)
        print(*found, sep="\n", flush=True)
        rows += found
    if arguments.json:
        lines = [asdict(row) | {"verdict": row.verdict} for row in rows]
        arguments.json.write_text(json.dumps(lines, indent=2) + "\n")
    missed = [row for row in rows if row.verdict == "over" or row.name in GROUPS]
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
