"""Rows of an index on disk are those of the same table in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skyshade.index.reader import DiskIndex
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.catalog_rows import find
from skyshade.layers.regions import Cone, Polygon, Rectangle
from tests.index.skies import places
from tests.index.written import Writer
from tests.layers.tables import ArrayTable

N = 6000
REGIONS = [
    None,
    Cone(0.0, 90.0, 25.0),
    Cone(200.0, -10.0, 120.0),
    Rectangle(400.0, 320.0, -50.0, 20.0),
    Polygon([(350.0, -30.0), (60.0, -20.0), (80.0, 40.0), (20.0, 70.0)]),
]
FILTERS = [
    None,
    "v < 9 & k >= 50",
    "c == 'a' | isnull(c)",
    "c in ('b', 'nothing') & 7 < v < 10",
    "c > 'a'",
    "name in ('n1', 'n2', 'n5000')",
    "f & ~isnull(v)",
    "v > 1e9",
]


def columns() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    v = rng.normal(9, 2, N).astype(np.float32)
    v[::7] = np.nan
    c = np.array(["a", "b", "c"], object)[rng.integers(0, 3, N)]
    c[::11] = None
    names = np.array([f"n{i}" for i in range(N)], object)
    return {"v": v, "c": c, "k": rng.integers(0, 100, N), "f": v > 9, "name": names}


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> tuple[CatalogLayer, CatalogLayer]:
    """Return the layer on disk, of two segments, and the one in memory."""
    ra, dec = places(N)
    table = columns()
    few = {"c": ("a", "b", "c")}
    writer = Writer(tmp_path_factory.mktemp("index") / "two", group_rows=128, categories=few)
    half = np.arange(N) % 3 == 0
    for part in (half, ~half):
        writer.add(ra[part], dec[part], {name: values[part] for name, values in table.items()})
    disk = DiskIndex(writer.finish())
    memory = ArrayTable(ra, dec, table, units={"v": "mag"})
    return CatalogLayer(disk, id="disk"), CatalogLayer(memory, id="memory")


@pytest.mark.parametrize("where", FILTERS)
@pytest.mark.parametrize("region", REGIONS)
def test_the_same_rows(layers: Any, region: Any, where: str | None) -> None:
    mine, theirs = (layer.query(region, where=where, limit=None) for layer in layers)
    assert (mine.total, mine.truncated) == (theirs.total, theirs.truncated)
    a, b = (np.argsort(found.columns["name"]) for found in (mine, theirs))
    assert list(mine.columns) == list(theirs.columns)
    for name in mine.columns:
        np.testing.assert_array_equal(mine.columns[name][a], theirs.columns[name][b])
    if isinstance(region, Cone):
        np.testing.assert_array_equal(mine.separation, theirs.separation)
    assert mine.units == theirs.units == {"v": "mag", "ra": "deg", "dec": "deg"}


def test_nearest_rows(layers: Any) -> None:
    rng = np.random.default_rng(9)
    for ra, dec in zip(rng.uniform(0, 360, 20), rng.uniform(-90, 90, 20), strict=True):
        mine, theirs = (layer.nearest(ra, dec, 180.0) for layer in layers)
        assert mine.pop("row") is not None
        theirs.pop("row")
        np.testing.assert_equal(mine, theirs)  # NaN is equal to NaN


def test_few_rows_of_many_are_read(layers: Any) -> None:
    """The first rows of a large region come from its first row groups."""
    layer = layers[0]
    index = layer.index
    before = index.reads.groups
    found = find(layer.view, Rectangle(360.0, 0.0, -90.0, 90.0), 10, (), {}, scan=500)
    assert len(found) == 10
    assert found.total is None
    assert index.reads.groups - before < 20
    whole = find(layer.view, Rectangle(360.0, 0.0, -90.0, 90.0), None, (), {})
    assert found.rows.tolist() == whole.rows[:10].tolist()


def test_the_number_of_all_rows_is_known_at_once(layers: Any) -> None:
    for layer in layers:
        before = layer.index.reads.groups if layer is layers[0] else 0
        found = layer.find(limit=5, scan=0)
        assert (found.total, found.truncated, len(found)) == (N, True, 5)
        if layer is layers[0]:
            assert layer.index.reads.groups - before <= 2


def test_parts_are_the_whole(layers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyshade.layers.catalog_rows.PART", 77)
    for layer in layers:
        found = layer.find(Cone(0.0, 90.0, 25.0), limit=None)
        parts = list(found.parts())
        assert len(parts) == -(-len(found) // 77) > 1
        whole = found.part()
        for name, values in whole.columns.items():
            joined = np.concatenate([part.columns[name] for part in parts])
            np.testing.assert_array_equal(joined, values)
