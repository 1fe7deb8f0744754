"""Catalogues too large for memory: a sample at once, in place where deep, then the index."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import skyshade
from skyshade.atlas import large
from skyshade.atlas.build import Opening
from skyshade.atlas.items import How
from skyshade.geometry import SKY
from skyshade.geometry.keys import keys_of
from skyshade.index.inplace import InPlaceIndex
from skyshade.index.reader import DiskIndex
from skyshade.layers.catalog import CatalogLayer
from skyshade.loaders.api import load
from skyshade.storage.cache_folder import CacheFolder
from skyshade.types import Tile, Window
from tests.index.skies import places
from tests.loaders.test_hats import catalogue

N = 40_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ra, dec = places(N)
    sort = np.argsort(keys_of(ra, dec))  # so that row groups lie together
    rng = np.random.default_rng(3)
    table = pa.table(
        {
            "ra": ra[sort],
            "dec": dec[sort],
            "vt": rng.normal(9, 2, N),
            "kind": pa.array(np.array(["a", "b", "c"])[rng.integers(0, 3, N)]),
        }
    )
    where = tmp_path_factory.mktemp("large") / "stars.parquet"
    pq.write_table(table, where, row_group_size=1000)
    return where


@pytest.fixture(autouse=True)
def small_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(large.VARIABLE, "1000")
    monkeypatch.setenv("SKYSHADE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("skyshade.index.inplace.FEW", 0.05)  # of the threshold: 6,553 rows
    monkeypatch.setattr("skyshade.index.sampled.ROWS", 4000)
    monkeypatch.setattr("skyshade.index.sampled.PIECE_ROWS", 2000)
    monkeypatch.setattr("skyshade.index.inplace.PIECE_ROWS", 2000)


def held(path: Path) -> tuple[CatalogLayer, CatalogLayer, threading.Event]:
    """Return the layer of a large table whose index waits for an event, and that in memory."""
    table: Any = load(path).tables[0]
    go = threading.Event()
    found = large.catalog_of(table)
    assert isinstance(found, InPlaceIndex)
    build = found._build
    found._build = lambda: (go.wait(30), build())[1]  # type: ignore[misc]
    found.sample = type(found.sample)(type(found.sample.table)(table, 4000))  # type: ignore[call-arg]
    return CatalogLayer(found, id="s"), CatalogLayer(table, id="m"), go


def test_small_tables_stay_in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(large.VARIABLE, str(N))
    table = load(path).tables[0]
    assert large.catalog_of(table) is table
    monkeypatch.setenv(large.VARIABLE, "ten")
    with pytest.raises(skyshade.errors.InputError, match="'ten' is not allowed: give a number"):
        large.catalog_of(table)


def test_a_sample_is_shown_at_once(path: Path) -> None:
    layer, memory, go = held(path)
    window = Window.of(SKY, Tile(0, 0, 0))
    found = layer.select(reduction="count").compute(window)
    true = memory.select(reduction="count").compute(window).values.sum()
    assert found.quality == "sample"
    assert int(found.values.sum()) == pytest.approx(int(true), rel=0.1)
    mean = layer.select(reduction="mean:vt").compute(window)
    assert mean.quality == "sample"
    assert np.nanmean(mean.values) == pytest.approx(9, abs=0.3)
    assert "a sample of 10 times fewer rows, until the index is built" in layer.info.notes
    assert layer.info.size == "40,000 rows"
    go.set()


@pytest.mark.parametrize("reduction", ["count", "std:vt", "count_cat:kind"])
def test_deep_tiles_are_read_in_place(path: Path, reduction: str) -> None:
    layer, memory, go = held(path)
    ours, theirs = (m.select(reduction=reduction, where="vt < 10") for m in (layer, memory))
    exact = 0
    for ra, dec in zip(*places(80), strict=True):
        tile = SKY.tile_of(ra, dec, 5)
        found = ours.compute(Window.of(SKY, tile))
        if found.quality == "exact":
            expected = theirs.compute(Window.of(SKY, tile))
            np.testing.assert_allclose(found.values, expected.values, rtol=1e-12)
            exact += 1
    assert exact > 25
    go.set()


@pytest.mark.parametrize("ordered", [True, False])
def test_hats_catalogues_are_read_in_place(tmp_path: Path, ordered: bool) -> None:
    table: Any = load(catalogue(tmp_path, ordered=ordered)).tables[0]
    index = InPlaceIndex(table)
    layer = CatalogLayer(index, id="hats").select(reduction="count")
    memory = CatalogLayer(table, id="m").select(reduction="count")
    assert layer.compute(Window.of(SKY, Tile(0, 0, 0))).quality == "sample"
    looked = set()
    read = table.read_chunk

    def counted(start: int, stop: int, columns: Any = None) -> Any:
        looked.add((start, stop))
        return read(start, stop, columns)

    table.read_chunk = counted
    tile = SKY.tile_of(100.0, 30.0, 6)
    found = layer.compute(Window.of(SKY, tile))
    assert found.quality == "exact"
    np.testing.assert_array_equal(found.values, memory.compute(Window.of(SKY, tile)).values)
    assert 0 < sum(stop - start for start, stop in looked) < 6000  # a partition or two of 20,000


def test_rows_are_found_in_place(path: Path) -> None:
    layer, memory, go = held(path)
    ra, dec = (float(v[100]) for v in places(N))
    ours, theirs = (m.nearest(ra, dec, 0.1) for m in (layer, memory))
    assert ours is not None
    assert theirs is not None
    assert {k: v for k, v in ours.items() if k != "row"} == pytest.approx(
        {k: v for k, v in theirs.items() if k != "row"}
    )
    go.set()


def test_the_index_replaces_the_sample_and_is_kept(path: Path) -> None:
    layer, memory, go = held(path)
    window = Window.of(SKY, Tile(0, 0, 0))
    counts = layer.select(reduction="count")
    assert counts.compute(window).quality == "sample"
    told = threading.Event()
    layer.index.listen(told.set)
    go.set()
    assert told.wait(30)
    found = counts.compute(window)
    assert found.quality == "exact"
    expected = memory.select(reduction="count").compute(window).values
    np.testing.assert_array_equal(found.values, expected)
    assert not any("sample" in note for note in layer.info.notes)
    again = large.catalog_of(load(path).tables[0])
    assert isinstance(again, DiskIndex)
    assert [e.kind for e in CacheFolder().entries()].count("indexes") == 1


def test_waiting_for_exact_numbers(path: Path) -> None:
    layer, memory, go = held(path)
    threading.Timer(0.3, go.set).start()
    window = Window.of(SKY, Tile(1, 1, 0))
    found = layer.select(reduction="count").aggregate(window, exact=True)
    expected = memory.select(reduction="count").compute(window).values
    np.testing.assert_array_equal(found.to_numpy(), expected)


def test_an_index_too_large_for_the_cache_is_not_built(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYSHADE_CACHE_BYTES", "1000000")
    index: Any = large.catalog_of(load(path).tables[0])
    with pytest.raises(skyshade.errors.InputError, match="takes about 4,000,000 bytes, the cache"):
        index.wait(30)
    assert any("raise SKYSHADE_CACHE_BYTES" in note for note in index.notes)
    assert not list((tmp_path / "cache").rglob("*.parquet"))


def test_a_failed_build_leaves_the_sample(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table: Any = load(path).tables[0]

    def broken() -> Any:
        raise skyshade.errors.DataError("stars", "the disk is full")

    index = InPlaceIndex(table, broken)
    layer = CatalogLayer(index, id="s")
    layer.compute(Window.of(SKY, Tile(0, 0, 0)))
    with pytest.raises(skyshade.errors.DataError, match="the disk is full"):
        index.wait(30)
    assert layer.compute(Window.of(SKY, Tile(0, 0, 0))).quality == "sample"
    assert any("the disk is full" in note for note in layer.info.notes)


@pytest.mark.parametrize("far", [False, True])
def test_an_index_is_opened_and_appended_rows_are_seen(
    path: Path, tmp_path: Path, far: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skyshade.atlas.watch.PATIENCE", 0.0)
    made: Any = f"memory://{uuid.uuid4().hex}/index" if far else tmp_path / "index"
    skyshade.index_catalog(path, made)
    opening = Opening([made], How())
    atlas = opening.run()
    entry = atlas.entries()[0]
    assert entry.layer is not None
    assert entry.id == "stars"
    assert entry.layer.info.size == "40,000 rows"
    more = tmp_path / "more.parquet"
    table = pq.read_table(path).slice(0, 500)
    pq.write_table(table, more)
    skyshade.index_catalog(more, made, append=True)
    watch = opening._watch
    for _ in range(3):
        watch.look()
    layer = atlas.layer("stars")
    assert layer.info.size == "40,500 rows"
    counts = layer.select(reduction="count")
    total = sum(counts.compute(Window.of(SKY, Tile(0, x, 0))).values.sum() for x in (0, 1))
    assert total == N + 500
