"""Measure catalogues: building an index, cold tiles, filters, peers, a server under load.

One table: name, figure, limit, ok or over. The sky is synthetic and clustered, made by the
benchmark, as is its index. Peers are measured in the same run on the same rows, and compared by
ratios. Each group runs in a process of its own; files lie in the page cache.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import bench_catalogs_served as served
import bench_sky as sky
import bench_sources
import numpy as np
from bench_rows import Row, compile_kernels, seconds
from bench_tools import warm_page_cache

LEVELS = range(19)
COLD = 24  # tiles a level and way of choosing them
ZOOMS = (0, 3, 8)
WHERE = "vt < 18 & bt - vt > 0.9"


@dataclass(frozen=True)
class Given:
    """What every group is given.

    Parameters
    ----------
    cache : Path
        Folder of the skies and indexes.
    rows : int
        Of the sky.
    seconds : float
        How long clients pan.
    """

    cache: Path
    rows: int
    seconds: float

    @property
    def index(self) -> Path:
        """The index of the sky, in the page cache."""
        made = sky.built(self.cache, self.rows)[0]
        for path in made.rglob("*"):
            if path.is_file():
                warm_page_cache(path)
        return made

    def isolated(self) -> None:
        """Have a column cache of one's own, empty."""
        place = self.cache / "columns"
        shutil.rmtree(place, ignore_errors=True)
        os.environ["SKYSHADE_CACHE"] = str(place)


def build(given: Given) -> list[Row]:
    """Rate, memory and sizes of building the index."""
    _, found = sky.built(given.cache, given.rows)
    source = sky.source_bytes(given.cache, given.rows)
    return [
        Row(f"index of {given.rows:,} rows (s)", found["seconds"]),
        Row("index, million rows a second", found["rate"] / 1e6, 1.5, least=True),
        Row("index, peak memory (GB)", found["peak"] / 1e9, 1),
        Row("planes of counts, part of the source (%)", 100 * found["count"] / source, 5),
        Row("planes of a float column, part of the source (%)", 100 * found["sum:vt"] / source, 25),
        Row("planes of categories, part of the source (%)",
            100 * found["category:type"] / source),
    ]  # fmt: skip


def places(index: Any, count: int, *, area: bool) -> list[tuple[int, int]]:
    """Return (column, row) of the keys' lattice: of random rows, or spread over the sky."""
    from skyshade.geometry.keys import decode, keys_of

    rng = np.random.default_rng(5)
    if area:
        dec = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
        keys = keys_of(rng.uniform(0, 360, count), dec)
    else:
        segment = index.segments[0]
        rows = np.sort(rng.integers(0, segment.rows, count))
        groups = np.searchsorted(segment.starts, rows, "right") - 1
        at = rows - segment.starts[groups]
        found = [segment.column(int(g), "_key")[i] for g, i in zip(groups, at, strict=True)]
        keys = np.array(found)[rng.permutation(count)]
    return list(zip(*(v.tolist() for v in decode(keys)), strict=True))


def tile_at(place: tuple[int, int], z: int) -> Any:
    """Return the window of the tile of a level that holds a place of the keys' lattice."""
    from skyshade.geometry.grids import SKY
    from skyshade.types import Tile, Window

    return Window.of(SKY, Tile(z, place[0] >> (30 - z), place[1] >> (30 - z)))


def cold_tiles(given: Given) -> list[Row]:
    """Cold tiles of level 0 to 18: what was decoded is forgotten before each, footers too."""
    given.isolated()
    folder = given.index
    compile_kernels()
    index, other = sky.opened(folder), sky.opened(folder)
    layer = sky.layer_of(index)
    rows, shown = [], []
    for area in (False, True):
        times = []
        chosen = places(other, COLD * len(LEVELS), area=area)
        layer.compute(tile_at(chosen[0], 18))
        for number, place in enumerate(chosen):
            index.chunks.clear()
            index.segments[0].footers.clear()
            window = tile_at(place, LEVELS[number % len(LEVELS)])
            start = time.perf_counter()
            made = layer.compute(window)
            times.append(1e3 * (time.perf_counter() - start))
            shown.append(made)
        how = "anywhere" if area else "where rows are"
        rows += [
            Row(f"cold tile {how}, z 0-18, aggregate only, p50 (ms)", np.percentile(times, 50), 2),
            Row(f"cold tile {how}, z 0-18, aggregate only, p99 (ms)", np.percentile(times, 99), 20),
        ]
    return [*rows, encoding(layer, shown)]


def encoding(layer: Any, aggregates: Sequence[Any]) -> Row:
    """Return what it costs to shade and encode tiles."""
    from skyshade.shaders.shader import shader_for
    from skyshade.tiles.make import shade_and_encode

    shader, times = shader_for(layer.info.style, layer.statistics()), []
    shade_and_encode(aggregates[0], shader, "png", 1.0)
    for made in aggregates:
        start = time.perf_counter()
        shade_and_encode(made, shader, "png", 1.0)
        times.append(1e3 * (time.perf_counter() - start))
    return Row("to shade and encode such a tile, p50 (ms)", median(times), 2)


def peers(given: Given) -> list[Row]:
    """A tile against datashader on the same rows in memory, and DuckDB on the unsorted file."""
    given.isolated()
    folder, source = given.index, sky.catalogue(given.cache, given.rows)
    warm_page_cache(source)
    compile_kernels()
    index = sky.opened(folder)
    layer = sky.layer_of(index).select(reduction="count")  # as theirs
    chosen = places(index, 200, area=False)
    windows = {z: densest(index, chosen, z) for z in ZOOMS}
    from_parquet = {z: ours(index, layer, w, warm=False) for z, w in windows.items()}
    index.demand._columns.fill(index.segments[0], [], index.type_of)
    warm = {z: ours(index, layer, w, warm=True) for z, w in windows.items()}
    rows = [
        Row(f"tile at z {z}: from the column cache, from Parquet (ms)",
            f"{1e3 * warm[z]:.2f}, {1e3 * from_parquet[z]:.2f}")
        for z in ZOOMS
    ]  # fmt: skip
    theirs = datashader_seconds(source, windows)
    duck = {z: duckdb_seconds(source, w) for z, w in windows.items()}
    for z in ZOOMS:
        rows += [
            Row(f"z {z}: times as fast as datashader, warm", theirs[z] / warm[z], 500, least=True),
            Row(f"z {z}: times as fast as datashader, from Parquet",
                theirs[z] / from_parquet[z], 150, least=True),
            Row(f"z {z}: times as fast as DuckDB", duck[z] / from_parquet[z], 300, least=True),
        ]  # fmt: skip
    return rows


def densest(index: Any, chosen: Sequence[tuple[int, int]], z: int) -> Any:
    """Return the window of one of the tiles at a level whose rows are many."""
    from skyshade.geometry.keys import window_key_ranges

    windows = [tile_at(place, z) for place in chosen]
    rows = [index.near(window_key_ranges(w)) for w in windows]
    return windows[int(np.argsort(rows)[len(rows) // 2])]


def ours(index: Any, layer: Any, window: Any, *, warm: bool) -> float:
    """Return the median seconds of a tile; without `warm` nothing decoded is kept."""

    def cold() -> None:
        index.chunks.clear()
        layer.compute(window)

    return seconds((lambda: layer.compute(window)) if warm else cold, 15)


def datashader_seconds(source: Path, windows: dict[int, Any]) -> dict[int, float]:
    """Return seconds of datashader's Canvas for every window, scanning all rows in memory."""
    import datashader as ds
    import pandas as pd
    from pyarrow import parquet

    places = parquet.read_table(source, columns=["ra", "dec"])
    x = (180.0 - places["ra"].to_numpy()) / 360.0 % 1.0
    y = (places["dec"].to_numpy() + 90.0) / 180.0
    frame = pd.DataFrame({"x": x, "y": y})
    del places, x, y
    found = {}
    for z, window in windows.items():
        width, height = 512 << z, 256 << z
        x_range = (window.col / width, (window.col + window.width) / width)
        y_range = (1 - (window.row + window.height) / height, 1 - window.row / height)
        canvas = ds.Canvas(256, 256, x_range, y_range)
        canvas.points(frame[:1000], "x", "y", ds.count())  # compiles
        found[z] = seconds(lambda c=canvas: c.points(frame, "x", "y", ds.count()), 3)
    return found


def duckdb_seconds(source: Path, window: Any) -> float:
    """Return the seconds of DuckDB's counts of a tile from the unsorted file."""
    import duckdb

    width, height = 512 << window.z, 256 << window.z
    question = f"""
        SELECT px, py, count(*) FROM (
            SELECT floor({width} * ((180 - ra + 360) / 360 % 1)) AS px,
                   {height - 1} - floor({height} * ((dec + 90) / 180)) AS py
            FROM read_parquet('{source}'))
        WHERE px >= {window.col} AND px < {window.col + window.width}
          AND py >= {window.row} AND py < {window.row + window.height}
        GROUP BY px, py"""
    with duckdb.connect() as connection:
        return seconds(lambda: connection.execute(question).fetchnumpy(), 3)


def filters(given: Given) -> list[Row]:
    """A filter over the whole sky: the sample's answer, then the exact one."""
    given.isolated()
    folder = given.index
    compile_kernels()
    whole = tile_at((0, 0), 0)
    answers, exact = [], []
    for turn in range(4):  # the first decodes Parquet; the others find the columns in the cache
        layer = sky.layer_of(sky.opened(folder))
        _ = layer.info
        layer.index.base.rough.plane(whole_tile(), count_state())  # a server has shown something
        start = time.perf_counter()
        chosen = layer.select(where=f"{WHERE} & vt > -{turn}")
        quality = chosen.compute(whole).quality
        answers.append(1e3 * (time.perf_counter() - start))
        chosen.wait_exact()
        exact.append(time.perf_counter() - start)
        if given.rows >= 4_000_000 and (quality, chosen.compute(whole).quality) != (
            "sample",
            "exact",
        ):
            msg = f"the first tile was {quality}"
            raise RuntimeError(msg)
    return [
        Row("filter over the whole sky: a sample's answer (ms)", median(answers), 50),
        Row("the same exact, from Parquet (s)", exact[0], 4),
        Row("the same exact, from the column cache (s)", median(exact[1:]), 1),
    ]


def whole_tile() -> Any:
    """Return the tile at the root."""
    from skyshade.types import Tile

    return Tile(0, 0, 0)


def count_state() -> Any:
    """Return the state of counts."""
    from skyshade.index.states import COUNT

    return COUNT


def source_list(given: Given) -> list[Row]:
    """Measure the first paint of a source list; its size is its own."""
    del given
    return bench_sources.rows()


GROUPS: dict[str, Callable[[Given], list[Row]]] = {
    "build": build,
    "tiles": cold_tiles,
    "peers": peers,
    "filters": filters,
    "tycho": served.tycho,
    "sources": source_list,
    "pan": served.pan,
}


def measure(name: str, given: Given) -> list[Row]:
    """Return the rows of one group, measured in a process of its own."""
    start = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        try:
            rows = process.submit(GROUPS[name], given).result()
        except Exception as error:  # noqa: BLE001 (the other groups can be measured)
            rows = [Row(name, f"cannot be measured: {error!r}")]
    print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return rows


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="scripts/bench catalogs", description=__doc__)
    add = parser.add_argument
    add("--only", action="append", choices=list(GROUPS), help="measure this group (again: more)")
    add("--rows", type=int, default=100_000_000, help="of the synthetic sky (100 million)")
    add("--seconds", type=float, default=300.0, help="how long 32 clients pan (300)")
    add("--rebuild", action="store_true", help="build the index anew")
    add("--json", type=Path, help="also write the figures to this file")
    cache = Path(os.environ.get("SKYSHADE_BENCH_CACHE", tempfile.gettempdir())) / "skyshade-bench"
    add("--cache", type=Path, default=cache, help="folder for the sky and its index (temporary)")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, print, and return 1 when a limit is missed or a group failed."""
    arguments = parse()
    given = Given(arguments.cache, arguments.rows, arguments.seconds)
    if arguments.rebuild:
        (given.cache / f"index_{given.rows}.json").unlink(missing_ok=True)
    rows: list[Row] = []
    for name in arguments.only or list(GROUPS):
        found = measure(name, given)
        print(*found, sep="\n", flush=True)
        rows += found
    if arguments.json:
        lines = [asdict(row) | {"verdict": row.verdict} for row in rows]
        arguments.json.write_text(json.dumps(lines, indent=2) + "\n")
    missed = [row for row in rows if row.verdict == "over" or row.name in GROUPS]
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
