from __future__ import annotations

import datashader.transfer_functions as tf
import matplotlib
import numpy as np
import pytest
import xarray as xr
from datashader.colors import Sets1to3
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import InputError, UnknownNameError
from skyshade.kernels.dispatch import compile_all
from skyshade.shaders.categories import COLOUR_KEY
from skyshade.shaders.colormaps import colormap
from skyshade.shaders.norms import cumulative_from
from skyshade.shaders.shader import Shader, shader_for
from skyshade.types import Aggregate, Statistics, Style
from tests.shaders.test_norms import statistics_of

# One step of a grey ramp of 256 is one count of a channel, so "one palette step" is a difference
# of 1. (datashader truncates a colour interpolated among 256; we round to one of 255.)
GREYS = [f"#{i:02x}{i:02x}{i:02x}" for i in range(256)]
DTYPES = ["f4", "f8", "u4", "i4", "u1", "i8", "bool"]


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_all()


def random_tile(dtype: str, seed: int = 0, scale: float = 20.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.gamma(1.0, scale, (48, 40))
    if dtype == "bool":
        return values > scale
    made = values.astype(dtype)
    if made.dtype.kind == "f":
        made[rng.random(made.shape) < 0.1] = np.nan
    return made


def by_datashader(values: np.ndarray, **options) -> np.ndarray:
    dims = ("y", "x", "category")[: values.ndim]
    array = xr.DataArray(values, dims=dims, coords=options.pop("coords", None))
    shaded = tf.shade(array, **options).values
    return shaded.view(np.uint8).reshape(*shaded.shape, 4).astype(int)


def ours(shader: Shader, values: np.ndarray, **options) -> np.ndarray:
    return shader(Aggregate(values, **options)).rgba().astype(int)


@pytest.mark.parametrize("scale", [20.0, 20000.0])
@pytest.mark.parametrize("how", ["linear", "log", "eq_hist"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_equals_datashader_on_its_own_range(dtype: str, how: str, scale: float) -> None:
    values = random_tile(dtype, scale=scale if dtype != "u1" else 20.0)
    expected = by_datashader(values, cmap=GREYS, how=how)
    assert np.abs(ours(Shader(GREYS, stretch=how), values) - expected).max() <= 1


@pytest.mark.parametrize("how", ["linear", "log"])
@pytest.mark.parametrize("dtype", DTYPES[:-1])
def test_equals_datashader_on_a_span(dtype: str, how: str) -> None:
    values = random_tile(dtype)
    expected = by_datashader(values, cmap=GREYS, how=how, span=(5, 60))
    made = ours(Shader(GREYS, vmin=5, vmax=60, stretch=how), values)
    assert np.abs(made - expected).max() <= 1


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from(["linear", "log"]),
    st.floats(-50, 50),
    st.floats(0.5, 500),
)
def test_equals_datashader_on_any_span(seed, how, low, width) -> None:
    values = random_tile("f8", seed)[:8, :8]
    expected = by_datashader(values, cmap=GREYS, how=how, span=(low, low + width))
    made = ours(Shader(GREYS, vmin=low, vmax=low + width, stretch=how), values)
    assert np.abs(made - expected).max() <= 1


@pytest.mark.parametrize("name", ["viridis", "fire", "planck", "RdBu"])
def test_equals_datashader_for_real_colour_maps(name: str) -> None:
    values = random_tile("f4")
    table = colormap(name)[:, :3]
    step = np.abs(np.diff(table.astype(int), axis=0)).max() + 1
    expected = by_datashader(values, cmap=[tuple(map(int, row)) for row in table], how="linear")
    assert np.abs(ours(Shader(name), values) - expected).max() <= step


def test_equals_datashader_for_matplotlib_objects_and_short_lists() -> None:
    values = random_tile("f8")
    magma = matplotlib.colormaps["magma"]
    difference = ours(Shader(magma), values) - by_datashader(values, cmap=magma, how="linear")
    step = np.abs(np.diff(colormap("magma").astype(int), axis=0)).max()
    assert np.abs(difference).max() <= step
    two = ["lightblue", "darkblue"]
    assert (
        np.abs(ours(Shader(two), values) - by_datashader(values, cmap=two, how="linear")).max() <= 2
    )


@pytest.mark.parametrize("values", [np.full((4, 4), 7.0), np.full((4, 4), 3, "u4")])
@pytest.mark.parametrize("how", ["linear", "log", "eq_hist"])
def test_one_value_takes_the_last_colour_as_in_datashader(values, how) -> None:
    expected = by_datashader(values, cmap=GREYS, how=how)
    np.testing.assert_array_equal(ours(Shader(GREYS, stretch=how), values), expected)


@pytest.mark.parametrize("values", [np.full((3, 2), np.nan), np.zeros((3, 2), "u4")])
@pytest.mark.parametrize("how", ["linear", "eq_hist", "asinh"])
def test_nothing_is_transparent(values: np.ndarray, how: str) -> None:
    assert not ours(Shader(stretch=how), values).any()


CATS = ("a", "b", "c")


@pytest.mark.parametrize("how", ["linear", "log", "eq_hist"])
@pytest.mark.parametrize("dtype", ["u4", "f8"])
def test_categories_equal_datashader(dtype: str, how: str) -> None:
    rng = np.random.default_rng(4)
    values = rng.poisson(0.8, (30, 31, 3)).astype(dtype)
    if dtype == "f8":
        values[values == 0] = np.nan
    key = {"a": "#ff0000", "b": "lime", "c": "#0000ff"}
    expected = by_datashader(values, how=how, color_key=key, coords={"category": list(CATS)})
    made = ours(Shader(stretch=how, color_key=key), values, categories=CATS)
    seen = expected[..., 3] > 0
    np.testing.assert_array_equal(made[..., 3] > 0, seen)
    assert np.abs(made - expected)[seen].max() <= 1


def test_categories_on_a_span_with_a_baseline_and_the_default_key() -> None:
    values = np.random.default_rng(5).poisson(2.0, (30, 31, 3)).astype("u4")
    expected = by_datashader(
        values, how="linear", span=(1, 8), color_baseline=0, coords={"category": list(CATS)}
    )
    made = ours(Shader(vmin=1, vmax=8, baseline=0.0), values, categories=CATS)
    seen = expected[..., 3] > 0
    assert np.abs(made - expected)[seen].max() <= 1
    assert tuple(Sets1to3) == COLOUR_KEY


def test_category_colours_are_checked() -> None:
    aggregate = Aggregate(np.ones((2, 2, 3), "u4"), categories=CATS)
    with pytest.raises(InputError, match="no colour for category 'b'"):
        Shader(color_key={"a": "red"})(aggregate)
    with pytest.raises(InputError, match="has 2 colours, but there are 3 categories"):
        Shader(color_key=["red", "blue"])(aggregate)


def test_a_data_array_does_as_well() -> None:
    values = random_tile("f4")
    aggregate = Aggregate(values)
    np.testing.assert_array_equal(
        Shader()(aggregate.to_xarray()).pixels, Shader()(aggregate).pixels
    )
    categories = Aggregate(np.ones((2, 2, 3), "u4"), categories=CATS)
    key = {"a": "#f00", "b": "#0f0", "c": "#00f"}
    np.testing.assert_array_equal(
        Shader(color_key=key)(categories.to_xarray()).pixels,
        Shader(color_key=key)(categories).pixels,
    )


@pytest.mark.parametrize("stretch", ["linear", "log", "asinh", "sqrt", "abs", "eq_hist"])
def test_neighbouring_tiles_join(stretch: str) -> None:
    """Two halves coloured alone equal the whole: the layer's numbers rule, not the tile's."""
    values = np.random.default_rng(6).normal(3, 50, (32, 64))
    values[:, 32:] *= 3
    statistics = statistics_of(values.ravel())
    shader = shader_for(Style(stretch=stretch), statistics)
    halves = [shader(Aggregate(half)).rgba() for half in np.split(values, 2, axis=1)]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), shader(Aggregate(values)).rgba())


def test_layer_eq_hist_is_near_datashader_s_on_the_whole_layer() -> None:
    """The layer's histogram has 256 bins and its percentiles, so colours agree to a few steps."""
    values = np.random.default_rng(7).normal(0, 1, (200, 200))
    expected = by_datashader(values, cmap=GREYS, how="eq_hist")
    statistics = statistics_of(values.ravel())
    shader = Shader(
        GREYS, statistics.minimum, statistics.maximum, "eq_hist",
        histogram=cumulative_from(statistics),
    )  # fmt: skip
    assert np.abs(ours(shader, values) - expected).max() <= 3


def test_colours_of_missing_and_background() -> None:
    values = np.array([[np.nan, 0.0, 1.0]])
    assert ours(Shader("gray"), values)[0].tolist() == [[0] * 4, [0, 0, 0, 255], [255] * 4]
    assert ours(Shader("gray", nan="#ff0000"), values)[0, 0].tolist() == [255, 0, 0, 255]
    assert ours(Shader("gray", bg="#0000ff"), values)[0, 0].tolist() == [0, 0, 255, 255]
    both = ours(Shader("gray", nan="#ff000080", bg="#0000ff"), values)[0, 0]
    assert both.tolist() == [128, 0, 127, 255]
    assert ours(Shader("gray", reverse=True), values)[0, 1].tolist() == [255] * 4


def test_colour_maps_may_be_transparent() -> None:
    table = np.array([[255, 0, 0, 0], [255, 0, 0, 255]])
    made = ours(Shader(table, vmin=0, vmax=254), np.arange(255.0)[None])
    np.testing.assert_array_equal(made[0, :, 3], [int(255 * i / 254) for i in range(255)])


def test_percentile_range() -> None:
    values = np.arange(1001.0).reshape(7, 143)
    shader = Shader(percentile=(10, 90))
    assert shader.norm(values).span == (100.0, 900.0)


def test_legend_and_fraction() -> None:
    shader = Shader("gray", vmin=10, vmax=1010, stretch="log")
    values, colours = shader.legend(5)
    np.testing.assert_allclose(values[[0, -1]], [10, 1010])
    assert colours[:, 0].tolist() == shader(Aggregate(values[None])).rgba()[0, :, 0].tolist()
    np.testing.assert_allclose(shader.fraction(values), np.linspace(0, 1, 5))
    with pytest.raises(InputError, match="a legend needs vmin and vmax"):
        Shader().legend()


def test_shader_for_takes_percentiles_then_extremes() -> None:
    statistics = statistics_of(np.arange(10_001.0))
    shader = shader_for(Style(), statistics)
    assert (shader.vmin, shader.vmax) == pytest.approx((50, 9950))
    assert shader_for(Style(vmin=-4), statistics).vmin == -4
    past = shader_for(Style(vmin=9970), statistics)
    assert (past.vmin, past.vmax) == (9970, 10_000)
    beyond = shader_for(Style(vmin=20_000), statistics)
    assert beyond.vmin < beyond.vmax
    below = shader_for(Style(vmax=-1), statistics)
    assert below.vmin < below.vmax == -1


def test_shader_for_odd_statistics() -> None:
    empty = shader_for(Style(stretch="eq_hist"), Statistics(0))
    assert (empty.vmin, empty.vmax, empty.histogram) == (0.0, 1.0, None)
    assert not ours(empty, np.full((2, 2), np.nan)).any()
    one = shader_for(Style(), statistics_of(np.full(9, 4.0)))
    assert (one.vmin, one.vmax) == (2.0, 6.0)
    mask = shader_for(Style(), statistics_of(np.repeat([0.0, 1.0], [10_000, 3])))
    assert (mask.vmin, mask.vmax) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vmin": 2, "vmax": 1}, "vmin=2 is not below vmax=1"),
        ({"vmin": 1, "vmax": 1}, "vmin=1 is not below vmax=1"),
        ({"vmin": float("nan")}, "vmin=nan is not allowed"),
        ({"vmax": float("inf")}, "vmax=inf is not allowed"),
        ({"stretch": "cbrt"}, "unknown stretch 'cbrt'; known: linear"),
        ({"cmap": "virids"}, "unknown colour map 'virids'; known: viridis"),
        ({"cmap": 7}, "colour map of type 'int' is not allowed"),
        ({"cmap": []}, "a colour map of no colours"),
        ({"nan": "#12"}, "colour '#12' is not allowed"),
        ({"bg": "nocolour"}, "colour 'nocolour' is not allowed"),
        ({"percentile": (5, 5)}, "percentile"),
    ],
)
def test_errors_name_value_and_choice(options, message) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        Shader(**options)


def test_style_errors() -> None:
    with pytest.raises(UnknownNameError):
        shader_for(Style(cmap="nope"), Statistics(0))
    with pytest.raises(InputError, match="vmin=3 is not below vmax=2"):
        shader_for(Style(vmin=3, vmax=2), Statistics(0))


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((2, 2, 2, 2)), np.array([["a"]])])
def test_odd_aggregates_are_refused(values: np.ndarray) -> None:
    with pytest.raises(InputError, match="cannot be coloured"):
        Shader()(Aggregate(values))


def test_shaders_are_values() -> None:
    assert Shader(GREYS) == Shader(tuple(GREYS))
    assert hash(Shader(color_key={"a": "red"})) == hash(Shader(color_key={"a": "#ff0000"}))
    assert Shader(vmin=0, vmax=1) != Shader(vmin=0, vmax=2)
