"""Aggregates of catalogues go straight into datashader's transfer functions."""

from __future__ import annotations

import numpy as np
import pytest

from skyshade.geometry.grids import SKY
from skyshade.layers.catalog import CatalogLayer
from skyshade.types import Window
from tests.layers.tables import ArrayTable, sphere

ds = pytest.importorskip("datashader")
tf = pytest.importorskip("datashader.transfer_functions")

WINDOW = Window(SKY, 0, 0, 0, 512, 256)


@pytest.fixture(scope="module")
def layer() -> CatalogLayer:
    rng = np.random.default_rng(4)
    kinds = rng.choice(np.array(["a", "b", "c"], object), 5000)
    columns = {"vt": rng.normal(9, 2, 5000), "type": kinds}
    return CatalogLayer(ArrayTable(*sphere(5000), columns), id="stars")


@pytest.mark.parametrize("reduction", ["density", "count", "mean:vt", "max:vt", "std:vt", "sum:vt"])
@pytest.mark.parametrize("how", ["eq_hist", "log", "linear", "cbrt"])
def test_shade(layer, reduction, how) -> None:
    array = layer.select(reduction=reduction).aggregate(WINDOW)
    picture = tf.shade(array, how=how)
    assert picture.shape == WINDOW.shape
    values = array.to_numpy()
    empty = values == 0 if values.dtype.kind == "u" else np.isnan(values)
    alpha = picture.to_numpy().view(np.uint8).reshape(*picture.shape, 4)[..., 3]
    np.testing.assert_array_equal(alpha == 0, empty)


def test_shade_of_classes_takes_the_key(layer) -> None:
    array = layer.select(reduction="count_cat:type").aggregate(WINDOW)
    assert list(array["category"].to_numpy()) == ["a", "b", "c"]
    picture = tf.shade(array, color_key={"a": "#ff0000", "b": "#00ff00", "c": "#0000ff"})
    pixels = picture.to_numpy().view(np.uint8).reshape(*picture.shape, 4)
    only_a = (array[..., 0] > 0) & (array[..., 1:].sum("category") == 0)
    assert np.all(pixels[only_a.to_numpy()][:, :3] == (255, 0, 0))


def test_stack_and_dynspread(layer) -> None:
    counts = layer.select(reduction="count").aggregate(WINDOW)
    means = layer.select(reduction="mean:vt").aggregate(WINDOW)
    both = tf.stack(tf.shade(counts), tf.shade(means, cmap=["red", "blue"]))
    assert both.shape == WINDOW.shape
    for array in (counts, means):
        wide = tf.dynspread(array, threshold=0.9, max_px=2)
        assert (wide.to_numpy() > 0).sum() > (array.to_numpy() > 0).sum()
    assert tf.dynspread(tf.shade(counts), max_px=1).shape == WINDOW.shape


def test_marks_are_numbers_too(layer) -> None:
    array = layer.points(color="vt", detail="points").aggregate(WINDOW)
    assert tf.shade(array, how="linear").shape == WINDOW.shape


def test_any_other_reduction_goes_through_the_canvas(layer) -> None:
    array = layer.select(reduction=ds.var("vt")).aggregate(WINDOW)
    assert tf.shade(array).shape == WINDOW.shape
