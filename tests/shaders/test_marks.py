"""Smooth marks: opacity, what lies below them, one colour, classes and what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from skyshade.errors import InputError
from skyshade.shaders.categories import COLOUR_KEY, MORE, key_colours, parse_key
from skyshade.shaders.shader import MISSING, Shader, shader_for
from skyshade.types import Aggregate, Statistics, Style

OPACITY = np.array([[0, 64, 128, 255]], np.uint8)


def marks(values, **more) -> Aggregate:
    array = np.array([values], np.float32)
    return Aggregate(array, opacity=np.where(np.isnan(array), 0, OPACITY).astype(np.uint8), **more)


def test_marks_without_a_number_take_the_last_colour() -> None:
    made = Shader("gray", 0.0, 1.0)(marks([np.nan, np.inf, np.inf, np.inf]))
    assert made.palette is not None
    np.testing.assert_array_equal(made.rgba()[0, 1:], [[255, 255, 255, a] for a in (64, 128, 255)])
    assert made.rgba()[0, 0, 3] == 0


def test_a_background_shows_through() -> None:
    made = Shader("gray", 0.0, 1.0, bg="#000000")(marks([np.nan, np.inf, np.inf, np.inf]))
    np.testing.assert_array_equal(made.rgba()[0, :, 0], [0, 64, 128, 255])
    assert np.all(made.rgba()[..., 3] == 255)


def test_numbers_colour_marks_and_missing_ones_are_grey() -> None:
    aggregate = Aggregate(
        np.array([[np.nan, 0.0, 1.0, np.nan]]), opacity=np.array([[255, 255, 128, 0]], np.uint8)
    )
    made = Shader("gray", 0.0, 1.0)(aggregate).rgba()[0]
    grey = int(MISSING[1:3], 16)
    brightness = made[:3, :3].max(axis=1).astype(int)
    np.testing.assert_allclose(brightness, [grey, 0, 255], atol=8)  # 32 colours
    np.testing.assert_allclose(made[:, 3].astype(int), [255, 255, 128, 0], atol=20)
    red = Shader("gray", 0.0, 1.0, nan="#ff0000")(aggregate).rgba()[0, 0]
    np.testing.assert_array_equal(red, [255, 0, 0, 255])


def test_marks_lie_over_the_numbers_below() -> None:
    under = np.array([[0.25, 0.25, 0.25, 0.25]], np.float32)
    aggregate = marks([np.nan, np.inf, np.inf, np.inf], under=under)
    made = Shader("gray", 0.0, 1.0)(aggregate)
    assert made.palette is not None  # between the colour below and the last one
    levels = made.rgba()[0, :, 0].astype(int)
    np.testing.assert_allclose(levels, 64 + 191 * (OPACITY[0] / 255), atol=2)
    assert np.all(made.rgba()[..., 3] == 255)


def test_where_nothing_is_below_marks_stay_clear() -> None:
    under = np.array([[np.nan, np.nan, 0.5, np.nan]], np.float32)
    made = Shader("gray", 0.0, 1.0)(marks([np.nan, np.inf, np.inf, np.inf], under=under)).rgba()[0]
    np.testing.assert_array_equal(made[:, 3], [0, 64, 255, 255])
    assert made[2, 0] == pytest.approx(127 + 64, abs=2)


def test_classes_take_their_colours_and_opacity() -> None:
    values = np.zeros((1, 4, 2), np.uint32)
    values[0, 1, 0] = values[0, 2, 1] = 1
    aggregate = Aggregate(values, categories=("a", "b"), opacity=OPACITY)
    made = Shader(color_key={"a": "#ff0000", "b": "#0000ff"}, vmin=0, vmax=1)(aggregate).rgba()[0]
    np.testing.assert_allclose(made[1].astype(int), [255, 0, 0, 64], atol=2)  # 85 opacities
    np.testing.assert_allclose(made[2].astype(int), [0, 0, 255, 128], atol=2)
    assert made[3].tolist() == [141, 141, 141, 255]  # a row without a class is drawn grey
    assert made[0, 3] == 0


def test_a_key_may_name_some_classes_only() -> None:
    key = parse_key("b:#00f, a:c:red")
    colours = key_colours(key, ["a:c", "b", "d"])
    np.testing.assert_array_equal(colours[:2, :3], [[255, 0, 0], [0, 0, 255]])
    np.testing.assert_array_equal(colours[2], key_colours(None, ["x", "y", "d"])[2])
    others = key_colours(parse_key("a:red,*:#888"), ["a", "b", "d"])
    assert others[1:].tolist() == [[136, 136, 136, 255]] * 2


@pytest.mark.parametrize("text", ["a", "a:", ":red", "a:red,,b:blue", "a:nocolour"])
def test_a_key_that_cannot_be_read_is_refused(text) -> None:
    with pytest.raises(InputError):
        parse_key(text)


def test_thirty_two_classes_have_colours_of_their_own() -> None:
    assert len({*COLOUR_KEY, *MORE}) == len(COLOUR_KEY) + len(MORE) >= 32
    colours = key_colours(None, [str(i) for i in range(32)])
    assert len({tuple(c) for c in colours.tolist()}) == 32


def test_a_style_brings_the_key() -> None:
    shader = shader_for(Style(colors="a:#ff0000"), Statistics(0))
    assert isinstance(shader, Shader)
    values = np.array([[[3, 0]]], np.uint32)
    made = shader(Aggregate(values, categories=("a", "b"))).rgba()[0, 0]
    np.testing.assert_array_equal(made[:3], [255, 0, 0])


def test_classes_lie_over_the_numbers_below() -> None:
    values = np.zeros((1, 4, 2), np.uint32)
    values[0, :, 0] = 1
    under = np.zeros((1, 4, 2), np.uint32)
    under[0, :3, 1] = 5
    aggregate = Aggregate(values, categories=("a", "b"), opacity=OPACITY, under=under)
    made = Shader(color_key=["#ff0000", "#0000ff"], vmin=0, vmax=1)(aggregate).rgba()[0]
    np.testing.assert_array_equal(made[:, 3], 255)
    np.testing.assert_allclose(made[:3, 0].astype(int), OPACITY[0, :3], atol=1)
    np.testing.assert_array_equal(made[3], [255, 0, 0, 255])
