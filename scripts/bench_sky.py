"""The catalogues of bench_catalogs.py: a synthetic clustered sky of any size, and its index."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

CHUNK = 1_000_000  # rows made at a time
CLUSTERS = 3_000
TYPES = ("star", "binary", "galaxy", "quasar")
AGGREGATE = ("vt:mean", "type:category")
POLE, CENTRE = np.radians((192.85948, 27.12825)), np.radians((266.40499, -28.93617))


def unit(ra: Any, dec: Any) -> np.ndarray:
    """Return unit vectors of positions in radians, shape (3, n)."""
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def galactic_axes() -> np.ndarray:
    """Return the axes of galactic coordinates as rows: they turn galactic vectors to ICRS."""
    x, z = unit(*CENTRE), unit(*POLE)
    return np.stack([x, np.cross(z, x), z])


def chunk(number: int, rows: int) -> dict[str, np.ndarray]:
    """Return rows of the sky: half in the galactic plane, a third in clusters, the rest spread."""
    rng = np.random.default_rng((7, number))
    sky = np.random.default_rng(11)
    centres = sky.uniform(0, 2 * np.pi, CLUSTERS), np.arcsin(sky.uniform(-1, 1, CLUSTERS))
    sizes = np.radians(10 ** sky.uniform(-2, 0.3, CLUSTERS))
    plane, clustered = rows // 2, rows // 3
    lon, lat = rng.uniform(0, 2 * np.pi, plane), np.radians(rng.laplace(0, 8, plane))
    parts = [galactic_axes().T @ unit(lon, np.clip(lat, -1.5, 1.5))]
    mine = rng.integers(0, CLUSTERS, clustered)
    spread = rng.normal(size=(3, clustered)) * sizes[mine]
    parts.append(unit(centres[0][mine], centres[1][mine]) + spread)
    parts.append(rng.normal(size=(3, rows - plane - clustered)))
    x, y, z = np.concatenate(parts, axis=1)[:, rng.permutation(rows)]
    vt = (21 - rng.exponential(1.8, rows)).astype(np.float32)
    return {
        "ra": np.degrees(np.arctan2(y, x)) % 360,
        "dec": np.degrees(np.arctan2(z, np.hypot(x, y))),
        "vt": vt,
        "bt": vt + rng.normal(0.8, 0.4, rows).astype(np.float32),
        "type": rng.choice(4, rows, p=(0.8, 0.1, 0.08, 0.02)).astype(np.int8),
    }


def table(number: int, rows: int) -> Any:
    """Return a chunk as an arrow table."""
    import pyarrow as pa

    columns: dict[str, Any] = dict(chunk(number, rows))
    columns["type"] = pa.DictionaryArray.from_arrays(columns["type"], list(TYPES))
    return pa.table(columns)


def catalogue(folder: Path, rows: int) -> Path:
    """Return the unsorted Parquet file of the sky, made at the first call."""
    from pyarrow import parquet

    path = folder / f"sky_{rows}.parquet"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with parquet.ParquetWriter(part, table(0, 10).schema, compression="zstd") as writer:
        for number in range(-(-rows // CHUNK)):
            count = min(CHUNK, rows - number * CHUNK)
            writer.write_table(table(number, count), row_group_size=CHUNK)
    part.rename(path)
    return path


def built(folder: Path, rows: int) -> tuple[Path, dict[str, float]]:
    """Return the index of the sky and the figures of its build, made at the first call."""
    target, record = folder / f"index_{rows}", folder / f"index_{rows}.json"
    if target.exists() and record.exists():
        return target, json.loads(record.read_text())
    source = catalogue(folder, rows)
    shutil.rmtree(target, ignore_errors=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        figures = process.submit(_build, source, target).result()
    record.write_text(json.dumps(figures))
    return target, figures


def _build(source: Path, target: Path) -> dict[str, float]:
    """Build the index; in a process of its own, whose peak memory is looked at."""
    from skyshade import index_catalog
    from skyshade.kernels import dispatch

    dispatch.compile_all()
    base, start = peak(), time.perf_counter()
    made = index_catalog([source], target, aggregate=AGGREGATE, work=target.parent / "work")
    took = time.perf_counter() - start
    sizes = plane_sizes(target)
    return {"seconds": took, "rate": made.rows / took, "peak": peak(), "base": base, **sizes}


def peak() -> float:
    """Return the peak of this process's resident memory in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return 1024.0 * int(line.split()[1])
    return float("nan")


def plane_sizes(index: Path) -> dict[str, float]:
    """Return the bytes of the packed planes of every stored state."""
    from skyshade.index.format import PLANE, read_manifest

    manifest = read_manifest((index / "manifest.json").read_bytes(), index.name)
    total = dict.fromkeys(manifest.states, 0.0)
    for segment in manifest.segments:
        records = np.load(index / "segments" / segment.name / "planes.npy").astype(PLANE)
        for number, state in enumerate(manifest.states):
            total[state] += float(records["size"][records["state"] == number].sum())
    return total


def source_bytes(folder: Path, rows: int) -> int:
    """Return the bytes of the source."""
    return catalogue(folder, rows).stat().st_size


def opened(index: Path) -> Any:
    """Return the index with caches of its own, its files in the page cache or not."""
    from skyshade.index.reader import DiskIndex

    return DiskIndex(index)


def layer_of(index: Any) -> Any:
    """Return the layer of an index."""
    from skyshade.layers.catalog import CatalogLayer

    return CatalogLayer(index, id="sky")
