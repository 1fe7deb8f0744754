"""Numbers spread over neighbouring pixels, against datashader's spread and dynspread."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.grids import SKY
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.spread import auto_px, spread
from skyshade.testing import LayerTests
from skyshade.types import Tile, Window
from tests.layers.tables import ArrayTable, sphere

tf = pytest.importorskip("datashader.transfer_functions")


@pytest.fixture(scope="module")
def catalogue() -> CatalogLayer:
    rng = np.random.default_rng(2)
    vt = rng.normal(9, 2, 3000)
    vt[::7] = np.nan
    kinds = rng.choice(np.array(["a", "b"], object), 3000)
    return CatalogLayer(ArrayTable(*sphere(3000), {"vt": vt, "type": kinds}), id="stars")


class TestSpread(LayerTests):
    @pytest.fixture
    def layer(self, catalogue):
        return catalogue.spread(2)


class TestSpreadClasses(LayerTests):
    @pytest.fixture
    def layer(self, catalogue):
        return catalogue.select(reduction="count_cat:type").spread("auto")


def theirs(values, px, how, shape):
    dims = ("y", "x", "c")[: values.ndim]
    return tf.spread(xr.DataArray(values, dims=dims), px, shape=shape, how=how).to_numpy()


@pytest.mark.parametrize("shape", ["circle", "square"])
@pytest.mark.parametrize("px", [1, 2, 3, 5])
@pytest.mark.parametrize("how", ["add", "max", "min"])
@pytest.mark.parametrize("dtype", [np.uint32, np.float32, np.float64])
def test_it_is_datashaders_spread(how, px, shape, dtype) -> None:
    rng = np.random.default_rng(px)
    values = rng.integers(1, 90, (40, 50)).astype(dtype)
    values[rng.random((40, 50)) < 0.9] = np.nan if dtype != np.uint32 else 0
    np.testing.assert_array_equal(spread(values, px, how, shape), theirs(values, px, how, shape))


def test_classes_are_spread_one_by_one() -> None:
    values = np.random.default_rng(1).poisson(0.05, (30, 30, 3)).astype(np.uint32)
    np.testing.assert_array_equal(spread(values, 2, "add"), theirs(values, 2, "add", "circle"))


@pytest.mark.parametrize(
    ("reduction", "how"),
    [
        ("count", "add"),
        ("density", "max"),
        ("mean:vt", "max"),
        ("min:vt", "min"),
        ("sum:vt", "add"),
    ],
)
def test_a_layer_spreads_its_whole_sky_as_datashader_does(catalogue, reduction, how) -> None:
    layer = catalogue.select(reduction=reduction)
    window = Window(SKY, 1, 100, 100, 120, 90)
    wide = layer.compute(window.pad(3)).values
    expected = theirs(wide, 3, how, "circle")[3:-3, 3:-3]
    np.testing.assert_allclose(layer.spread(3).compute(window).values, expected, rtol=1e-12)


def test_tiles_join_exactly(catalogue) -> None:
    layer = catalogue.select(reduction="count").spread("auto")
    whole = layer.compute(Window(SKY, 3, 2000, 900, 256, 256)).values
    assert layer.pixels(Window(SKY, 3, 0, 0, 1, 1)) > 0
    for y in (0, 128):
        for x in (0, 128):
            part = layer.compute(Window(SKY, 3, 2000 + x, 900 + y, 128, 128)).values
            np.testing.assert_array_equal(whole[y : y + 128, x : x + 128], part)


def test_auto_spreads_as_far_as_dynspread_on_a_random_field() -> None:
    rng = np.random.default_rng(5)
    for rows in (0.3, 0.08, 0.02, 0.006, 0.002, 0.0001):
        field = rng.poisson(rows, (600, 600)).astype(np.uint32)
        array = xr.DataArray(field, dims=("y", "x"))
        made = tf.dynspread(array, threshold=0.5, max_px=3).to_numpy()
        px = auto_px(rows)
        np.testing.assert_array_equal(made, theirs(field, px, "add", "circle") if px else field)


def test_how_far_follows_the_level(catalogue) -> None:
    layer = catalogue.spread()
    far = [layer.pixels(Window.of(SKY, Tile(z, 0, 0))) for z in range(8)]
    assert far == sorted(far)
    assert (far[0], far[-1]) == (0, 3) or far[-1] == 3


def test_what_is_not_allowed_is_named(catalogue) -> None:
    with pytest.raises(InputError, match="99"):
        catalogue.spread(99)
    with pytest.raises(UnknownNameError, match="star"):
        catalogue.spread(1, "star")
