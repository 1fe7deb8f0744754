"""HEALPix files that are too large to read: nside 8192 is 3.2 GB, here mostly holes on disk."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from skyshade.geometry.frames import to_icrs
from skyshade.geometry.grids import SKY
from skyshade.geometry.healpix import pixel_centres
from skyshade.kernels import files
from skyshade.kernels import healpix as kernels
from skyshade.layers.healpix import HealpixLayer
from skyshade.loaders.api import load
from skyshade.loaders.fits_spheres import Series
from skyshade.types import Tile, Window

NAMES = (
    *("find_window", "find_pixels", "renumber", "coarse_rings", "child_rings", "mark", "pick"),
    *("fold_sums", "fold_extremes", "native_floats"),
)


@pytest.fixture(autouse=True)
def compiled() -> Iterator[None]:
    found = [*(getattr(kernels, name) for name in NAMES), files.read_pieces]
    before = [k.loop for k in found]
    for k in found:
        k.compile()
    yield
    for k, loop in zip(found, before, strict=True):
        k.loop = loop


def sparse(path: Path, nside: int, order: str, columns: int = 1, per_row: int = 1024) -> int:
    """Write the headers of a galactic map and a hole; return where the data begin."""
    rows = 12 * nside * nside // per_row
    cards = [
        "XTENSION= 'BINTABLE'",
        "BITPIX  = 8",
        "NAXIS   = 2",
        f"NAXIS1  = {4 * per_row * columns}",
        f"NAXIS2  = {rows}",
        "PCOUNT  = 0",
        "GCOUNT  = 1",
        f"TFIELDS = {columns}",
        *(f"TFORM{n + 1}  = '{per_row}E'" for n in range(columns)),
        "PIXTYPE = 'HEALPIX'",
        f"ORDERING= '{order}'",
        f"NSIDE   = {nside}",
        "INDXSCHM= 'IMPLICIT'",
        "COORDSYS= 'G'",
        "END",
    ]
    first = ["SIMPLE  =                    T", "BITPIX  = 8", "NAXIS   = 0", "END"]
    raw = b"".join(
        "".join(card.ljust(80) for card in part).ljust(2880).encode() for part in (first, cards)
    )
    with path.open("wb") as file:
        file.write(raw)
        file.truncate(len(raw) + 4 * per_row * columns * rows)
    return len(raw)


def put(path: Path, at: int, pixel: int, value: float) -> None:
    with path.open("r+b") as file:
        file.seek(at + 4 * pixel)
        file.write(np.array(value, ">f4").tobytes())


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the numbers that are read from files."""
    counted: list[int] = []
    before = Series.read

    def count(self: Series, runs: np.ndarray) -> np.ndarray:
        found = before(self, runs)
        counted.append(found.size)
        return found

    monkeypatch.setattr(Series, "read", count)
    return counted


@pytest.mark.parametrize("order", ["RING", "NESTED"])
def test_a_deep_tile_of_nside_8192_reads_what_it_shows(
    tmp_path: Path, order: str, read: list[int]
) -> None:
    path = tmp_path / "huge.fits"
    at = sparse(path, 8192, order)
    pixel = 500_000_000
    put(path, at, pixel, 42.0)
    lon, lat = pixel_centres(8192, [pixel], order == "NESTED")
    ra, dec = to_icrs(lon, lat, "galactic")
    layer = HealpixLayer(load(path).spheres[0], id="huge")
    assert layer.info.size == f"nside 8192, {order}"
    assert layer.value(float(ra[0]), float(dec[0])) == 42.0
    z = layer.info.max_zoom + 1
    tile = SKY.tile_of(float(ra[0]), float(dec[0]), z)
    tracemalloc.start()
    made = layer.compute(Window.of(SKY, tile, 512))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.quality == "exact"
    assert np.nanmax(made.values) == 42.0
    assert sum(read) < 3_000_000  # of 805 million
    assert peak < 60e6
    read.clear()
    preview = layer.compute(Window.of(SKY, Tile(0, 0, 0)))
    assert preview.quality == "preview"
    assert sum(read) < 20_000


@pytest.mark.parametrize("order", ["RING", "NESTED"])
def test_an_overview_takes_one_pass_and_little_memory(
    tmp_path: Path, order: str, read: list[int]
) -> None:
    path = tmp_path / "large.fits"
    at = sparse(path, 1024, order, columns=3)
    put(path, at, 5, -8.0)  # pixel 5 of the first column
    put(path, at, 1024 + 7, 8.0)  # of the second
    first, second, _ = load(path).spheres[0]
    layer = HealpixLayer([first, second], id="large", reduction="absmax")
    tracemalloc.start()
    with ThreadPoolExecutor(2) as pool:
        layer.start_overview(pool)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert layer.ready
    count = 12 * 1024 * 1024
    assert count <= sum(read) < 1.1 * count
    assert peak < 150e6
    whole = Window(SKY, 0, 0, 0, 512, 256)
    assert np.nanmax(layer.compute(whole).values) == 8.0
    assert np.nanmin(layer.select(reduction="min").compute(whole).values) == -8.0


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["std", "max"])
def test_the_overview_of_nside_8192(tmp_path: Path, reduction: str) -> None:
    path = tmp_path / "huge.fits"
    at = sparse(path, 8192, "RING" if reduction == "std" else "NESTED")
    for pixel in (0, 500_000_000, 805_306_367):
        put(path, at, pixel, 42.0)
    layer = HealpixLayer(load(path).spheres[0], id="huge", reduction=reduction)
    tracemalloc.start()
    with ThreadPoolExecutor(2) as pool:
        layer.start_overview(pool)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert layer.ready
    assert peak < 300e6
    shown = layer.compute(Window(SKY, 1, 0, 0, 1024, 512)).values
    if reduction == "max":
        assert np.count_nonzero(shown == 42.0) >= 3
    assert np.isfinite(shown).all()
