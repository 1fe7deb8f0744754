from __future__ import annotations

import numpy as np
import pytest
from astropy.visualization import make_lupton_rgb

from skyshade.errors import InputError, UnknownNameError
from skyshade.shaders.rgb import RgbShader, rgb_shader_for, white_at
from skyshade.shaders.shader import Shader, shader_for
from skyshade.types import Aggregate, Statistics, Style

BANDS = ((0.0, 2.0), (1.0, 5.0), (-1.0, 1.0))
COLOURS = Statistics(n_valid=1, bands=BANDS)


def galaxy(seed: int = 2) -> np.ndarray:
    """Bands over four decades, some of it below the background."""
    rng = np.random.default_rng(seed)
    return (rng.lognormal(0.0, 1.5, (64, 48, 3)) - 0.5).astype(np.float32)


def bands_of(values: np.ndarray) -> Aggregate:
    return Aggregate(values, categories=("red", "green", "blue"), axis="band")


@pytest.mark.parametrize("q", [0.5, 3.0, 8.0, 20.0])
@pytest.mark.parametrize(("minimum", "stretch"), [(0.0, 5.0), (0.1, 0.5), (-0.5, 50.0)])
def test_equals_astropys_lupton_to_one_count(q: float, minimum: float, stretch: float) -> None:
    values = galaxy()
    expected = make_lupton_rgb(*np.moveaxis(values, 2, 0), minimum=minimum, stretch=stretch, Q=q)
    shader = RgbShader((minimum,) * 3, (minimum + stretch,) * 3, "lupton", q)
    found = shader(bands_of(values)).rgba()
    assert np.abs(found[..., :3].astype(int) - expected).max() <= 1  # astropy rounds down
    assert (found[..., 3] == 255).all()
    assert len(np.unique(expected)) > 50  # not all black or white


def test_bands_of_other_ranges_are_scaled_first() -> None:
    values, high = galaxy(), np.array([2.0, 4.0, 0.5], np.float32)
    expected = make_lupton_rgb(*np.moveaxis(values / high, 2, 0), minimum=0, stretch=1, Q=8)
    found = RgbShader((0.0,) * 3, tuple(high.tolist()), "lupton", 8.0)(bands_of(values)).rgba()
    assert np.abs(found[..., :3].astype(int) - expected).max() <= 1


def test_linear_clips_each_band() -> None:
    values = np.array([[[0, 1, 2], [-1, 0.5, np.nan]]], np.float32)
    found = RgbShader(stretch="linear")(bands_of(values)).rgba()
    assert found.tolist() == [[[0, 255, 255, 255], [0, 128, 0, 255]]]


def test_missing_pixels_are_transparent_or_coloured() -> None:
    values = np.full((1, 2, 3), np.nan, np.float32)
    values[0, 1, 0] = 1.0
    clear = RgbShader(stretch="linear")(bands_of(values)).rgba()
    assert clear[0, 0].tolist() == [0, 0, 0, 0]
    assert clear[0, 1].tolist() == [255, 0, 0, 255]
    marked = RgbShader(stretch="linear", nan="#102030", bg="#ffffff")(bands_of(values)).rgba()
    assert marked[0, 0].tolist() == [16, 32, 48, 255]
    behind = RgbShader(stretch="linear", bg="#ffffff")(bands_of(values)).rgba()
    assert behind[0, 0].tolist() == [255] * 4


def test_colours_of_a_picture_are_shown_as_they_are() -> None:
    colours = np.random.default_rng(1).integers(0, 255, (4, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(RgbShader()(bands_of(colours)).rgba(), colours)
    opaque = RgbShader()(bands_of(colours[..., :3])).rgba()
    np.testing.assert_array_equal(opaque[..., :3], colours[..., :3])
    assert (opaque[..., 3] == 255).all()


def test_a_window_without_data_is_clear() -> None:
    assert not RgbShader()(Aggregate(np.full((2, 3), np.nan))).rgba().any()


def test_open_ends_come_from_the_bands() -> None:
    linear = rgb_shader_for(Style(stretch="linear"), COLOURS)
    assert (linear.low, linear.high) == ((0.0, 1.0, -1.0), (2.0, 5.0, 1.0))
    both = rgb_shader_for(Style(stretch="linear", vmin=1.0, vmax=3.0), COLOURS)
    assert (both.low, both.high) == ((1.0,) * 3, (3.0,) * 3)
    lupton = rgb_shader_for(Style(stretch="lupton", q=8.0), COLOURS)
    values = np.array(BANDS, np.float32)[:, 1].reshape(1, 1, 3)  # the upper ends
    assert lupton(bands_of(values)).rgba()[0, 0].tolist() == [255] * 4
    just_below = np.array(BANDS)[:, 0] + 0.9 * np.diff(BANDS, axis=1)[:, 0]
    assert lupton(bands_of(just_below.reshape(1, 1, 3))).rgba()[0, 0, 0] < 255


def test_white_is_where_astropy_is_white() -> None:
    for q in (1.0, 8.0, 100.0):
        at = white_at(q)
        image = np.array([[0.99 * at, 1.01 * at]])
        found = make_lupton_rgb(image, image, image, minimum=0, stretch=1, Q=q)
        assert found[0, 1, 0] == 255
        assert found[0, 0, 0] < 255


def test_shader_for_tells_colours_from_numbers() -> None:
    assert isinstance(shader_for(Style(stretch="lupton"), COLOURS), RgbShader)
    assert isinstance(shader_for(Style(), Statistics(n_valid=0)), Shader)
    with pytest.raises(UnknownNameError, match="'lupton'; known: linear, log"):
        shader_for(Style(stretch="lupton"), Statistics(n_valid=0))


def test_the_legend_is_grey() -> None:
    values, colours = rgb_shader_for(Style(stretch="linear", vmin=0, vmax=1), COLOURS).legend(11)
    assert (values[0], values[-1]) == (0.0, 1.0)
    np.testing.assert_array_equal(colours[:, 0], colours[:, 2])
    assert colours[[0, -1], 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("style", "said"),
    [
        (Style(stretch="log"), "stretch of a colour layer 'log'; known: lupton, linear"),
        (Style(stretch="lupton", q=0.0), "q=0.0 is not allowed: give a number above 0"),
        (Style(stretch="lupton", q=float("nan")), "q=nan is not allowed"),
        (Style(stretch="linear", vmin=3.0, vmax=3.0), "vmin=3 is not below vmax=3"),
        (Style(stretch="linear", bg="nocolour"), "nocolour"),
    ],
)
def test_what_is_not_allowed_is_named(style: Style, said: str) -> None:
    with pytest.raises(InputError, match=said):
        shader_for(style, COLOURS)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 2, 2\)"):
        RgbShader()(Aggregate(np.zeros((2, 2, 2))))
