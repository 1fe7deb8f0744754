"""An index on disk gives what the same rows give in memory, and never reads more than a tile's."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry import SKY
from skyshade.geometry.grids import grid_named, tan_grid
from skyshade.geometry.keys import decode, tile_key_range
from skyshade.index.columns import ColumnCache
from skyshade.index.memory import MemoryIndex
from skyshade.index.reader import DiskIndex
from skyshade.index.states import COUNT
from skyshade.layers.catalog import CatalogLayer
from skyshade.storage.cache_folder import CacheFolder
from skyshade.testing import LayerTests
from skyshade.types import DEC, RA, Coverage, State, Tile, Window
from tests.index.skies import places
from tests.index.written import Writer, write
from tests.layers.tables import ArrayTable

N, T, GROUP_ROWS = 8000, 256, 128
STATES = ("count", "moments:v", "min:v", "max:v", "category:c")
FEW = {"c": ("a", "b", "c")}
REDUCTIONS = ("density", "count", "count:v", "count:c", "sum:v", "mean:v", "std:v", "min:v")
ALL = np.array([[0, np.iinfo(np.int64).max]])


def columns(n: int, seed: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    v = rng.normal(9, 2, n)
    v[::7] = np.nan
    c = np.array(["a", "b", "c"], object)[rng.integers(0, 3, n)]
    c[::11] = None
    return {"v": v, "c": c, "k": rng.integers(0, 100, n), "f": v > 9}


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any, dict[str, Any]]:
    return *places(N), columns(N)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ColumnCache:
    return ColumnCache(CacheFolder(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, rows: Any) -> dict[str, Path]:
    """Return an index of one segment, and one of two."""
    ra, dec, table = rows
    root = tmp_path_factory.mktemp("index")
    options = {"states": STATES, "threshold": T, "group_rows": GROUP_ROWS, "categories": FEW}
    one = write(root / "one", ra, dec, table, **options)
    writer = Writer(root / "two", **options)
    half = np.arange(N) % 3 == 0
    for part in (half, ~half):
        writer.add(ra[part], dec[part], {name: values[part] for name, values in table.items()})
    return {"one": one, "two": writer.finish()}


@pytest.fixture(scope="module", params=["one", "two"])
def disk(request: pytest.FixtureRequest, folders: dict[str, Path], cache: ColumnCache) -> DiskIndex:
    return DiskIndex(folders[request.param], columns=cache)


@pytest.fixture(scope="module")
def one(folders: dict[str, Path], cache: ColumnCache) -> DiskIndex:
    return DiskIndex(folders["one"], columns=cache)


@pytest.fixture(scope="module")
def memory(rows: Any) -> MemoryIndex:
    return MemoryIndex(ArrayTable(*rows))


def windows() -> Iterator[Window]:
    """Yield tiles, and windows that lie anyhow: across RA 0, the poles, the whole sky."""
    rng = np.random.default_rng(5)
    yield Window.of(SKY, Tile(0, 0, 0))
    yield Window.of(SKY, Tile(3, 5, 3))
    yield Window(SKY, -2, 0, 0, 128, 64)
    yield Window(SKY, 2, -100, -20, 700, 400)
    yield Window(SKY, 0, 0, 0, 1200, 256)
    for z in (1, 4, 7, 12):
        height, width = SKY.lattice_shape(z)
        yield Window(SKY, z, int(rng.integers(0, width)), int(rng.integers(0, height)), 300, 200)


def same(mine: Any, theirs: Any) -> None:
    """Check two aggregates: counts exactly, values to 1e-12."""
    assert mine.categories == theirs.categories
    assert mine.quality == theirs.quality == "exact"
    if theirs.values.dtype.kind == "u":
        np.testing.assert_array_equal(mine.values, theirs.values)
    else:
        scale = np.nanmax(np.abs(theirs.values), initial=1.0)
        np.testing.assert_allclose(mine.values, theirs.values, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "max:v", "max:k", "mean:f", "count_cat:c"])
def test_every_reduction_is_that_of_memory(
    disk: DiskIndex, memory: MemoryIndex, reduction: str
) -> None:
    mine = CatalogLayer(disk, id="s", reduction=reduction)
    mine.wait_exact()
    theirs = CatalogLayer(memory, id="s", reduction=reduction)
    for window in windows():
        same(mine.compute(window), theirs.compute(window))


@pytest.mark.parametrize("where", ["v < 9", "v > 8 & k < 30", 'c == "a" | ~(v < 12)', "f"])
@pytest.mark.parametrize("reduction", ["density", "mean:v", "count_cat:c"])
def test_filters_are_those_of_memory(
    disk: DiskIndex, memory: MemoryIndex, where: str, reduction: str
) -> None:
    mine = CatalogLayer(disk, id="s", reduction=reduction, where=where)
    theirs = CatalogLayer(memory, id="s", reduction=reduction, where=where)
    mine.wait_exact()
    assert mine.ready
    for window in windows():
        same(mine.compute(window), theirs.compute(window))


def test_rows_are_those_of_memory(disk: DiskIndex, memory: MemoryIndex) -> None:
    mine, theirs = CatalogLayer(disk, id="s"), CatalogLayer(memory, id="s")
    for place in ((10.0, 10.0, 30.0), (0.0, 89.9, 5.0), (359.9, 0.0, 20.0)):
        a = mine.query(ra=place[0], dec=place[1], radius=place[2])
        b = theirs.query(ra=place[0], dec=place[1], radius=place[2])
        assert a.total == b.total > 0
        np.testing.assert_allclose(a.separation, b.separation, atol=1e-9)
        order = [np.lexsort((r.columns["k"], r.columns["ra"], r.columns["dec"])) for r in (a, b)]
        for name in ("ra", "dec", "v", "c", "k", "f"):
            one, two = (list(r.columns[name][o]) for r, o in zip((a, b), order, strict=True))
            np.testing.assert_array_equal(one, two)
    box = Coverage(40.0, 20.0, -30.0, 30.0)
    assert mine.query(coverage=box).total == theirs.query(coverage=box).total > 0
    found, wanted = mine.nearest(123.0, 45.0, 10.0), theirs.nearest(123.0, 45.0, 10.0)
    assert found is not None
    assert wanted is not None
    assert {k: v for k, v in found.items() if k not in ("row", "separation")} == pytest.approx(
        {k: v for k, v in wanted.items() if k not in ("row", "separation")}, nan_ok=True
    )


def test_facts_and_descriptions_are_those_of_memory(one: DiskIndex, memory: MemoryIndex) -> None:
    mine, theirs = CatalogLayer(one, id="s"), CatalogLayer(memory, id="s")
    assert (one.facts.coverage, one.facts.max_zoom) == (
        memory.facts.coverage,
        memory.facts.max_zoom,
    )
    assert one.facts.level == memory.facts.level
    assert mine.statistics() == theirs.statistics()
    assert mine.scale() == theirs.scale()
    assert one.facts.categories == FEW
    assert len(one) == N
    assert mine.info.size == "8,000 rows"
    for place in ((10.0, 10.0), (0.0, 90.0), (200.0, -45.0)):
        assert mine.value(*place) == theirs.value(*place)


def test_categories_that_nobody_stored(disk: DiskIndex, memory: MemoryIndex) -> None:
    assert disk.base.categories("f") == memory.base.categories("f") == ("False", "True")
    with pytest.raises(InputError, match="count_cat takes at most 32"):
        disk.base.categories("k")


def test_rows_by_their_numbers(disk: DiskIndex) -> None:
    blocks = list(disk.base.blocks(ALL, [RA, DEC, "v", "c"]))
    numbers = np.concatenate([block.rows for block in blocks])
    assert sorted(numbers.tolist()) == list(range(N))
    wanted = np.random.default_rng(1).permutation(N)[:500]
    found = disk.base.take(wanted, ["v", "c", DEC])
    at = np.argsort(numbers)[wanted]
    for name, values in found.items():
        every = np.concatenate([block.columns[name] for block in blocks])
        np.testing.assert_array_equal(values, every[at])
    empty = disk.base.take(np.empty(0, np.int64), ["v", "c", "k", "f"])
    assert [values.dtype.kind for values in empty.values()] == ["f", "O", "i", "b"]
    with pytest.raises(UnknownNameError, match="column 'w'"):
        disk.base.take(wanted, ["w"])


def tiles_with_rows(index: DiskIndex, z: int, most: int) -> list[Tile]:
    """Return tiles of a level that hold rows: those with most of them, and some others."""
    keys = np.sort(np.concatenate([block.keys for block in index.base.blocks(ALL)]))
    cells, counts = np.unique(keys >> (2 * (22 - z) + 16), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = cells[np.concatenate([order[:most], order[most :: max(order.size // most, 1)]])]
    return [Tile(z, int(x), int(y)) for x, y in zip(*decode(kept), strict=True)]


@pytest.mark.parametrize("z", range(23))
def test_a_tile_reads_no_more_than_a_tile(one: DiskIndex, z: int) -> None:
    """Issue: rows binned <= T, row groups read <= T / 65,536 + 2, for every zoom."""
    layer = CatalogLayer(one, id="s", reduction="mean:v")
    for tile in tiles_with_rows(one, z, 6):
        one.reads.clear()
        layer.compute(Window.of(SKY, tile))
        reads = one.reads.clear()
        assert reads.rows <= T
        assert reads.groups <= T / GROUP_ROWS + 2
        assert reads.planes <= 1
        assert reads.rows + reads.planes > 0


def test_below_the_keys_lattice_planes_are_enlarged(one: DiskIndex, memory: MemoryIndex) -> None:
    """Level 23 has no keys: where one tile holds too many rows its plane serves, as approximate."""
    dense = tiles_with_rows(one, 22, 1)[0]
    assert one.base.plane(dense, COUNT) is not None
    window = Window.of(SKY, dense, 512)
    assert (window.z, window.width) == (23, 512)
    for reduction in ("count", "density", "sum:v", "mean:v", "std:v", "count_cat:c"):
        mine = CatalogLayer(one, id="s", reduction=reduction)
        theirs = CatalogLayer(memory, id="s", reduction=reduction)
        one.reads.clear()
        made = mine.compute(window)
        assert one.reads.clear().rows <= T
        assert made.quality == "approximate"
        exact = mine.compute_exact(window)
        same(exact, theirs.compute_exact(window))
        if reduction in ("count", "sum:v", "count_cat:c"):
            total = np.nansum(exact.values)
            assert np.nansum(made.values) == pytest.approx(total, rel=1e-12)
    far = Window.of(SKY, tiles_with_rows(one, 22, 8)[-1], 512)
    same(CatalogLayer(one, id="s").compute(far), CatalogLayer(memory, id="s").compute(far))


@pytest.mark.parametrize("grid", [grid_named("WebMercatorQuad"), tan_grid(123.0, 45.0)])
def test_other_grids_are_approximate_where_rows_are_many(
    one: DiskIndex, memory: MemoryIndex, grid: Any
) -> None:
    """Sums are kept, every row lies within half a pixel of where it belongs."""
    for reduction in ("count", "sum:v", "std:v", "min:v", "count_cat:c"):
        mine = CatalogLayer(one, id="s", reduction=reduction)
        theirs = CatalogLayer(memory, id="s", reduction=reduction)
        window = Window.of(grid, Tile(0, 0, 0))
        one.reads.clear()
        made, exact = mine.compute(window), theirs.compute(window)
        assert one.reads.clear().rows <= 64 * T
        assert made.quality == "approximate"
        if reduction in ("count", "sum:v", "count_cat:c"):
            rough, true = (pooled(a.values) for a in (made, exact))
            assert rough.sum() == pytest.approx(true.sum(), rel=0.02)
            assert np.abs(rough - true).sum() < 0.2 * np.abs(true).sum()
        same(mine.compute_exact(window), theirs.compute_exact(window))
        deep = Window.of(grid, grid_tile(grid))
        same(mine.compute(deep), theirs.compute(deep))


def pooled(values: Any) -> Any:
    """Return sums over 16 x 16 pixels."""
    plain = np.nan_to_num(values.astype(float))
    plain = plain.sum(axis=2) if plain.ndim == 3 else plain
    return plain.reshape(16, 16, 16, 16).sum(axis=(1, 3))


def grid_tile(grid: Any) -> Tile:
    """Return a deep tile around a place with rows."""
    return grid.check(Tile(9, *(int(v[0]) // 256 for v in grid.lattice(
        np.array([124.0]), np.array([44.0]), 9))))  # fmt: skip


def test_a_filter_shows_a_sample_until_it_is_exact(
    folders: dict[str, Path], cache: ColumnCache, memory: MemoryIndex
) -> None:
    index = DiskIndex(folders["one"], columns=cache)
    base = CatalogLayer(index, id="s", reduction="count")
    told = threading.Event()
    base.start_overview(None, told.set)
    assert base.ready
    layer = base.select(where="v < 10")
    window = Window.of(SKY, Tile(0, 0, 0))
    assert not layer.ready
    first = layer.compute(window)
    assert first.quality == "sample"
    true = CatalogLayer(memory, id="s", reduction="count", where="v < 10").compute(window)
    total = int(true.values.sum())
    assert first.values.sum() % 4 == 0
    assert abs(int(first.values.sum()) - total) < 4 * 4 * math.sqrt(total / 4)
    assert told.wait(20)
    assert layer.ready
    same(layer.compute(window), true)
    deep = Window.of(SKY, tiles_with_rows(index, 9, 4)[0])
    same(base.select(where="v < 3").compute(deep), CatalogLayer(
        memory, id="s", reduction="count", where="v < 3").compute(deep))  # fmt: skip


def test_exact_is_waited_for(folders: dict[str, Path], cache: ColumnCache) -> None:
    layer = CatalogLayer(DiskIndex(folders["two"], columns=cache), id="s", where="k < 50")
    window = Window(SKY, 0, 0, 0, 512, 256)
    assert layer.compute(window).quality == "sample"
    assert layer.aggregate(window, exact=True).attrs["quality"] == "exact"


def test_a_sample_looks_like_the_whole(disk: DiskIndex, rows: Any) -> None:
    """Statistics and values of a filter come from the sample: they are near the true ones."""
    layer = CatalogLayer(disk, id="s", where="k < 50")
    found = layer.statistics()
    true = N * np.mean(rows[2]["k"] < 50)
    level = layer.view.level
    cells, counts = layer.view.rough.cells(level)
    assert cells.size == np.unique(cells).size
    assert counts.sum() == pytest.approx(true, rel=0.2)
    assert found.n_valid > 0
    state = State("moments", "v")
    plane = layer.view.rough.plane(Tile(0, 0, 0), state)
    assert plane is not None
    assert plane.quality == "sample"
    east = (rows[0] > 0) & (rows[0] <= 180)  # where that tile is
    inside = east & (rows[2]["k"] < 50) & ~np.isnan(rows[2]["v"])
    assert plane.n.sum() == pytest.approx(inside.sum(), rel=0.25)


def test_datashader_reductions_take_a_sample_of_many_rows(one: DiskIndex) -> None:
    ds = pytest.importorskip("datashader")
    layer = CatalogLayer(one, id="s", reduction=ds.var("v"))
    wide, deep = Window(SKY, 0, 0, 0, 512, 256), Window.of(SKY, tiles_with_rows(one, 11, 3)[2])
    assert layer.compute(wide).quality == "sample"
    assert layer.compute(deep).quality == "exact"
    assert layer.compute_exact(wide).quality == "exact"
    shown = np.isfinite(layer.compute_exact(wide).values).sum()
    assert 0 < np.isfinite(layer.compute(wide).values).sum() < shown


def test_many_threads_decode_a_chunk_once(folders: dict[str, Path]) -> None:
    index = DiskIndex(folders["one"])
    window = Window.of(SKY, Tile(9, *tiles_with_rows(index, 9, 2)[0][1:]))
    layer = CatalogLayer(index, id="s", reduction="max:k")
    alone = DiskIndex(folders["one"])
    CatalogLayer(alone, id="s", reduction="max:k").compute(window)
    index.chunks.clear()
    index.reads.clear()
    threads = [threading.Thread(target=layer.compute, args=(window,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.reads.decoded == alone.reads.decoded > 0


def test_memory_is_bounded(folders: dict[str, Path]) -> None:
    index = DiskIndex(folders["one"], cache_bytes=64 << 10)
    for block in index.base.blocks(ALL, ["v", "k"]):
        assert block.keys.size
    for tile in tiles_with_rows(index, 6, 40):
        list(index.base.blocks(np.array([tile_key_range(tile)]), ["v", "k"]))
        assert index.chunks.stats().bytes <= 64 << 10


class TestLayer(LayerTests):
    """A catalogue on an index on disk is a layer like any other."""

    @pytest.fixture
    def layer(self, one: DiskIndex) -> CatalogLayer:
        return CatalogLayer(one, id="stars")


class TestFiltered(LayerTests):
    """So is one whose numbers have to be waited for."""

    @pytest.fixture
    def layer(self, disk: DiskIndex) -> CatalogLayer:
        return CatalogLayer(disk, id="stars", reduction="mean:k", where="v < 11")


@pytest.mark.parametrize("z", [3, 5])
def test_cells_of_deep_levels_are_those_of_some_tiles(one: DiskIndex, z: int) -> None:
    """Those that are given are exact, and lie all over the sky."""
    cells, counts = one.base.cells(z)
    keys = np.sort(np.concatenate([block.keys for block in one.base.blocks(ALL)]))
    names, true = np.unique(keys >> (2 * (22 - z)), return_counts=True)
    assert 0 < cells.size < names.size
    at = np.searchsorted(names, cells)
    np.testing.assert_array_equal(names[at], cells)
    np.testing.assert_array_equal(true[at], counts)
    assert (np.diff(cells) > 0).all()
    assert cells[0] < names[names.size // 8]
    assert cells[-1] > names[-(names.size // 8)]


@pytest.mark.parametrize("z", [-5, -1, 0, 2])
def test_cells_of_shallow_levels_are_all(disk: DiskIndex, memory: MemoryIndex, z: int) -> None:
    for mine, theirs in zip(disk.base.cells(z), memory.base.cells(z), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_rows_near_count_every_row_group_once(disk: DiskIndex) -> None:
    """A deep window is covered by many small ranges that share a row group."""
    rng = np.random.default_rng(2)
    keys = np.sort(np.concatenate([block.keys for block in disk.base.blocks(ALL)]))
    assert disk.near(ALL) == N
    assert disk.near(np.empty((0, 2), np.int64)) == 0
    for size in (1, 40, 300):
        ends = np.unique(rng.choice(keys, 2 * size))
        ranges = ends[: ends.size // 2 * 2].reshape(-1, 2)
        held = int(np.diff(np.searchsorted(keys, ranges)).sum())
        groups = [segment.groups_of(ranges) for segment in disk.segments]
        assert all(len(set(g)) == len(g) and g == sorted(g) for g in groups)
        rows = sum(
            int(np.diff(s.starts)[g].sum()) for s, g in zip(disk.segments, groups, strict=True)
        )
        assert held <= disk.near(ranges) == rows
        assert [s.groups_near(ranges) for s in disk.segments] == list(map(len, groups))
    first = int(keys[1000])
    close = np.array([[first + 2 * i, first + 2 * i + 1] for i in range(64)])
    assert disk.near(close) <= 3 * GROUP_ROWS * len(disk.segments)
