"""Whole tiles, from the layer to PNG bytes; each is named for what makes it hard."""

from __future__ import annotations

import numpy as np
import pytest

from skyshade.geometry.grids import SKY
from skyshade.shaders.shader import shader_for
from skyshade.tiles.make import make_tile
from skyshade.types import Style, Tile, Window


def tile_at(ra, dec, z):
    """Return the tile of grid sky that holds a position."""
    x = int((180 - ra) / 360 % 1 * (2 << z))
    y = (1 << z) - 1 - int((dec + 90) / 180 * (1 << z))
    return Tile(z, x, y)


def made(benchmark, layer, tile, fmt="png", size=256, **style):
    look = shader_for(Style(**style), layer.statistics())
    window = Window.of(SKY, tile, size)
    tile = benchmark(make_tile, layer, window, look, fmt)
    assert len(tile.data) > 60
    return tile


MAP_CASES = {
    "deepest level": tile_at(150, 30, 3),
    "enlarged four times": tile_at(150, 30, 5),
    "zoomed out, from the overview": Tile(0, 0, 0),
    "across RA 180": tile_at(179.9, 0, 3),
    "across RA 0": tile_at(0.1, 0, 3),
    "at the north pole": tile_at(10, 89.9, 3),
}


@pytest.mark.parametrize("tile", MAP_CASES.values(), ids=MAP_CASES.keys())
def test_map(benchmark, sky_map, tile):
    assert made(benchmark, sky_map, tile).quality == "exact"


TANGENT_CASES = {
    "deepest level, turned axes": tile_at(150, 60, 9),
    "at the image's edge": tile_at(150, 58.6, 9),
    "one tile holds all": tile_at(150, 60, 5),
}


@pytest.mark.parametrize("tile", TANGENT_CASES.values(), ids=TANGENT_CASES.keys())
def test_tangent_plane(benchmark, tangent_map, tile):
    assert made(benchmark, tangent_map, tile).quality == "exact"


POINT_CASES = {
    "all rows in one tile": Tile(0, 1, 0),
    "crowded": tile_at(83, -5, 6),
    "crowded, deep": tile_at(83, -5, 10),
    "nearly empty": tile_at(200, 40, 10),
}


@pytest.mark.parametrize("tile", POINT_CASES.values(), ids=POINT_CASES.keys())
def test_points(benchmark, stars, tile):
    made(benchmark, stars, tile, cmap="magma", stretch="log")


def test_points_with_a_filter(benchmark, stars):
    layer = stars.select(where="mag < 14")
    made(benchmark, layer, tile_at(83, -5, 6))


def test_points_mean_of_a_column(benchmark, stars):
    layer = stars.select(reduction="mean", column="mag")
    made(benchmark, layer, tile_at(83, -5, 6))


@pytest.mark.parametrize("fmt", ["png", "webp", "jpg", "f2", "f4"])
def test_format(benchmark, sky_map, fmt):
    made(benchmark, sky_map, tile_at(150, 30, 3), fmt)


def test_512_pixels(benchmark, sky_map):
    made(benchmark, sky_map, tile_at(150, 30, 2), size=512)


@pytest.mark.parametrize("stretch", ["linear", "log", "asinh", "sqrt", "abs", "eq_hist"])
def test_shading_alone(benchmark, sky_map, stretch):
    shader = shader_for(Style(stretch=stretch), sky_map.statistics())
    aggregate = sky_map.compute(Window.of(SKY, tile_at(150, 30, 3)))
    assert len(np.unique(benchmark(shader, aggregate).pixels)) > 10
