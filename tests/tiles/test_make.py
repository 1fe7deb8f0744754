from __future__ import annotations

import numpy as np
import pytest

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.grids import SKY, square_window
from skyshade.shaders.shader import Shader, shader_for
from skyshade.tiles.make import empty_tile, make_tile, pad_square, shade_and_encode
from skyshade.types import Aggregate, LayerInfo, Statistics, Style, Tile, Window
from tests.tiles.test_encode import decoded


class Ramp:
    """A layer whose value is the lattice column over the number of columns."""

    info = LayerInfo("ramp", "Ramp", "map")
    version = "1"

    def compute(self, window: Window) -> Aggregate:
        width = SKY.lattice_shape(window.z)[1]
        row = (window.col + np.arange(window.width, dtype=np.float32)) / width
        return Aggregate(np.tile(row, (window.height, 1)), quality="preview")

    def statistics(self) -> Statistics:
        return Statistics(100, 0.0, 1.0, 0.5, 0.3, {"0.5": 0.25, "99.5": 0.75})

    def scale(self) -> float:
        return 0.5


WINDOW = Window.of(SKY, Tile(0, 1, 0))


def test_the_straight_line() -> None:
    layer = Ramp()
    tile = make_tile(layer, WINDOW, Style(cmap="gray"), "png")
    shader = shader_for(Style(cmap="gray"), layer.statistics())
    expected = shader(layer.compute(WINDOW)).rgba()
    assert (tile.media_type, tile.quality, tile.scale) == ("image/png", "preview", None)
    np.testing.assert_array_equal(decoded(tile.data), expected)
    assert make_tile(layer, WINDOW, shader, "png") == tile


def test_value_tiles_need_no_colours() -> None:
    tile = make_tile(Ramp(), WINDOW, Style(cmap="no such map"), "f2")
    assert tile.scale == 0.5
    made = np.frombuffer(tile.data, "<f2").reshape(256, 256)
    np.testing.assert_allclose(made[7], (np.arange(256) + 256) / 256, rtol=1e-3)
    assert make_tile(Ramp(), WINDOW, Style(), "f4").scale is None


def test_the_square_root_shows_the_sky_in_its_upper_half() -> None:
    window = square_window(Tile(0, 0, 0))
    assert window is not None
    tile = make_tile(Ramp(), window, Style(), "png", size=256)
    made = decoded(tile.data)
    assert made.shape == (256, 256, 4)
    assert (made[:128, :, 3] == 255).all()
    assert not made[128:].any()


@pytest.mark.parametrize("dtype", ["f4", "u4", "bool"])
def test_padding_is_missing(dtype: str) -> None:
    made = pad_square(Aggregate(np.ones((2, 3), dtype), units="K"), 4)
    assert made.values.shape == (4, 4)
    assert made.values.dtype == dtype
    assert made.units == "K"
    seen = Shader(vmin=0, vmax=2)(made).rgba()[..., 3] > 0
    assert seen.sum() == 6
    assert seen[:2, :3].all()


def test_padding_refuses_larger_ones() -> None:
    aggregate = Aggregate(np.ones((4, 4)))
    assert pad_square(aggregate, 4) is aggregate
    with pytest.raises(InputError, match="4 x 4 pixels does not fit into 3 x 3"):
        pad_square(aggregate, 3)


@pytest.mark.parametrize("size", [256, 512])
def test_empty_tiles(size: int) -> None:
    assert empty_tile(size, "png") is empty_tile(size, "png")
    for fmt in ("png", "webp"):
        assert not decoded(empty_tile(size, fmt).data)[..., 3].any()
    assert decoded(empty_tile(size, "jpg").data).shape == (size, size, 4)
    for fmt in ("f2", "f4"):
        made = np.frombuffer(empty_tile(size, fmt).data, f"<{fmt}")
        assert made.size == size * size
        assert np.isnan(made).all()


def test_errors() -> None:
    with pytest.raises(UnknownNameError, match="unknown tile format 'gif'; known: png, webp"):
        make_tile(Ramp(), WINDOW, Style(), "gif")
    with pytest.raises(UnknownNameError):
        empty_tile(256, "exe")
    with pytest.raises(InputError, match="a png tile needs a shader"):
        shade_and_encode(Aggregate(np.ones((2, 2))), None, "png")
