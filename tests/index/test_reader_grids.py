"""Planes of other grids: exact where an index has them, over any window."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import skyshade
from skyshade.atlas import index_recipe
from skyshade.geometry.grids import grid_named
from skyshade.index.job import Recipe
from skyshade.index.reader import DiskIndex
from skyshade.layers.catalog import CatalogLayer
from skyshade.types import Tile, Window
from tests.index.skies import places

GRID = grid_named("WebMercatorQuad")
SIZES = {"run_rows": 3000, "leaf_rows": 4000, "threshold": 300, "group_rows": 128}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskIndex:
    monkeypatch.setattr(index_recipe, "Recipe", functools.partial(Recipe, **SIZES))
    ra, dec = places(9000)
    table = {"ra": ra, "dec": dec, "v": np.arange(ra.size) % 50 * 1.0}
    pq.write_table(pa.table(table), tmp_path / "sky.parquet")
    skyshade.index_catalog(
        tmp_path / "sky.parquet", tmp_path / "out", aggregate=["v:mean"], grids=[GRID.id]
    )
    return DiskIndex(tmp_path / "out")


def test_stored_planes_are_exact_on_their_grid(index: DiskIndex) -> None:
    windows = [Window.of(GRID, Tile(*t)) for t in ((0, 0, 0), (1, 1, 0), (3, 2, 5), (9, 100, 200))]
    windows += [Window.of(GRID, Tile(1, 0, 1), 512), Window(GRID, 2, 100, 300, 500, 200)]
    for reduction in ("count", "mean:v", "sum:v"):
        layer: Any = CatalogLayer(index, id="s", reduction=reduction)
        plain: Any = CatalogLayer(index, id="s", reduction=reduction, where="v > -1")
        for window in windows:
            index.reads.clear()
            made = layer.compute(window)
            assert made.quality == "exact"
            np.testing.assert_allclose(
                made.values, plain.compute_exact(window).values, rtol=1e-12, equal_nan=True
            )
    index.reads.clear()
    CatalogLayer(index, id="s").compute(windows[0])
    reads = index.reads.clear()
    assert (reads.rows, reads.planes) == (0, 1)
