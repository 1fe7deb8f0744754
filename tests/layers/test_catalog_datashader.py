"""Catalogue layers against datashader's Canvas on the same window (law 6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from skyshade.errors import InputError
from skyshade.geometry import SKY
from skyshade.layers.catalog import CatalogLayer
from skyshade.types import Tile, Window
from tests.layers.tables import ArrayTable

ds = pytest.importorskip("datashader")

N = 20_000
WINDOWS = [
    Window(SKY, 0, 0, 0, 512, 256),
    Window.of(SKY, Tile(2, 5, 1)),
    Window.of(SKY, Tile(4, 0, 3), 512),
    Window(SKY, 3, 1000, 500, 300, 177),
]


@pytest.fixture(scope="module")
def layer() -> CatalogLayer:
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, N), np.degrees(np.arcsin(rng.uniform(-1, 1, N)))
    vt = rng.normal(9, 2, N)
    vt[::7] = np.nan
    kinds = np.array(["a", "b", "c"], object)[rng.integers(0, 3, N)]
    return CatalogLayer(ArrayTable(ra, dec, {"vt": vt, "type": kinds}), id="stars")


def canvas(layer: CatalogLayer, window: Window, reduction: Any) -> Any:
    """Return datashader's own aggregate of positions in degrees, rows from the top.

    datashader computes pixels as ``int(x * scale + offset)`` in float64, we as ``floor(N t)``: a
    position within some 1e-12 of a pixel's edge may fall to either side, and datashader counts a
    position on the window's last edge into the last pixel. These random positions are never so
    near to an edge, so results are equal, without a tolerance for counts and extremes; sums are
    taken in another order (1e-12 relative).
    """
    side = SKY.pixel_size(window.z)
    x0, y1 = -180 + window.col * side, 90 - window.row * side
    rows = layer.table
    assert isinstance(rows, ArrayTable)
    frame = pd.DataFrame({"x": (180 - rows.ra) % 360 - 180, "y": rows.dec, "vt": rows.values["vt"]})
    frame["type"] = pd.Categorical(rows.values["type"])
    made = ds.Canvas(
        window.width,
        window.height,
        x_range=(x0, x0 + window.width * side),
        y_range=(y1 - window.height * side, y1),
    ).points(frame, "x", "y", agg=reduction)
    return made.to_numpy()[::-1]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", ["sum", "mean", "min", "max", "std", "count"])
def test_reductions_of_a_column(layer: CatalogLayer, window: Window, name: str) -> None:
    reduction = getattr(ds, name)("vt")
    ours = layer.select(reduction=reduction).compute(window).values
    theirs = canvas(layer, window, reduction)
    if name in ("min", "max", "count"):
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-7 if name == "std" else 0)
    assert np.isfinite(ours).any()


@pytest.mark.parametrize("window", WINDOWS)
def test_counts(layer: CatalogLayer, window: Window) -> None:
    ours = layer.select(reduction=ds.count()).compute(window).values
    theirs = canvas(layer, window, ds.count())
    assert ours.dtype == theirs.dtype == np.uint32
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("window", WINDOWS)
def test_counts_by_category(layer: CatalogLayer, window: Window) -> None:
    found = layer.select(reduction=ds.count_cat("type")).compute(window)
    np.testing.assert_array_equal(found.values, canvas(layer, window, ds.count_cat("type")))
    assert found.categories == ("a", "b", "c")


@pytest.mark.parametrize("window", WINDOWS[1:])
@pytest.mark.parametrize(
    "make",
    [
        lambda: ds.var("vt"),
        lambda: ds.any(),
        lambda: ds.first("vt"),
        lambda: ds.by("type", ds.mean("vt")),
    ],
)
def test_reductions_that_only_datashader_knows(
    layer: CatalogLayer, window: Window, make: Any
) -> None:
    reduction = make()
    ours = layer.select(reduction=reduction, where="vt < 20 | type > ''").compute(window)
    theirs = canvas(layer, window, reduction)
    np.testing.assert_array_equal(ours.values, theirs)
    assert ours.values.any()


def test_what_datashader_refuses_is_an_input_error(layer: CatalogLayer) -> None:
    with pytest.raises(InputError, match=r"datashader cannot compute var\(type\) here"):
        layer.select(reduction=ds.var("type")).compute(WINDOWS[1])


def test_selections_of_datashader_objects_have_statistics(layer: CatalogLayer) -> None:
    chosen = layer.select(reduction=ds.var("vt"))
    assert chosen.statistics().n_valid > 0
    assert chosen.info.quantity == "var(vt)"
    assert chosen.version != layer.version
