from __future__ import annotations

import morecantile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import InputError, OutsideGridError, UnknownNameError
from skyshade.geometry import SKY, grid_named, square_window
from skyshade.geometry.planes import SkyPlane
from skyshade.types import Extent, Tile, Window

tiles = st.integers(0, 20).flatmap(
    lambda z: st.builds(
        Tile, st.just(z), st.integers(0, (2 << z) - 1), st.integers(0, (1 << z) - 1)
    )
)
ras = st.floats(0, 360, exclude_max=True)
decs = st.floats(-90, 90)


@given(tiles)
def test_four_children_tile_their_parent_exactly(tile: Tile) -> None:
    z, x, y = tile
    parent = SKY.tile_extent(tile)
    upper_left = SKY.tile_extent(Tile(z + 1, 2 * x, 2 * y))
    lower_right = SKY.tile_extent(Tile(z + 1, 2 * x + 1, 2 * y + 1))
    assert (upper_left.xmin, upper_left.ymax) == (parent.xmin, parent.ymax)
    assert (lower_right.xmax, lower_right.ymin) == (parent.xmax, parent.ymin)
    assert (upper_left.xmax, upper_left.ymin) == (lower_right.xmin, lower_right.ymax)


@given(tiles)
def test_centre_lies_in_its_tile_only(tile: Tile) -> None:
    extent = SKY.tile_extent(tile)
    ra, dec = SkyPlane().to_sky(
        np.array([(extent.xmin + extent.xmax) / 2]), np.array([(extent.ymin + extent.ymax) / 2])
    )
    assert SKY.tile_of(ra[0], dec[0], tile.z) == tile


@given(tiles)
def test_bounds_agree_with_morecantile_mirrored(tile: Tile) -> None:
    tms = morecantile.tms.get("WorldCRS84Quad")
    bounds = tms.bounds(morecantile.Tile((2 << tile.z) - 1 - tile.x, tile.y, tile.z))
    extent = SKY.tile_extent(tile)
    assert extent == pytest.approx((-bounds.right, bounds.bottom, -bounds.left, bounds.top))


@given(ras, decs, st.integers(0, 21))
def test_levels_nest(ra: float, dec: float, z: int) -> None:
    col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
    fine_col, fine_row = SKY.lattice(np.array([ra]), np.array([dec]), z + 1)
    assert (fine_col[0] >> 1, fine_row[0] >> 1) == (col[0], row[0])


@pytest.mark.parametrize("z", [0, 3, 22])
@pytest.mark.parametrize(
    ("ra", "dec", "x", "y"),
    [
        (180, 90, 0.0, 0.0),  # x = 0 starts at RA 180, y = 0 touches the north pole
        (0, 0, 0.5, 0.5),  # RA 0 is the left edge of x = 2**z
        (360, -90, 0.5, 1.0),
        (179.999999999, 0, 0.0, 0.5),
        (np.nextafter(180, 181), -90, 1.0, 1.0),
    ],
)
def test_corners_of_the_sky(z: int, ra: float, dec: float, x: float, y: float) -> None:
    col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
    height, width = SKY.lattice_shape(z)
    assert abs(col[0] - min(x * width, width - 1)) <= 1 + (width >> 30)
    expected = y * height - (1 if dec == 0 else 0)
    assert row[0] == min(expected, height - 1)
    assert 0 <= col[0] < width


def test_east_is_left() -> None:
    col, _ = SKY.lattice(np.array([10.0, 20.0]), np.array([0.0, 0.0]), 5)
    assert col[1] < col[0]


@given(ras, st.floats(-90, 90), st.integers(0, 12))
def test_lattice_pixel_contains_its_position(ra: float, dec: float, z: int) -> None:
    col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
    pixel_ra, pixel_dec = SKY.sky_axes(z, col + 0.5, row + 0.5)
    side = SKY.pixel_size(z)
    assert abs((pixel_ra[0] - ra + 180) % 360 - 180) <= side / 2 * (1 + 1e-6)
    assert abs(pixel_dec[0] - dec) <= side / 2 * (1 + 1e-6)


def test_tiles_of_an_extent() -> None:
    assert list(SKY.tiles(SKY.extent, 1)) == [Tile(1, x, y) for y in range(2) for x in range(4)]
    tile = Tile(7, 100, 33)
    assert list(SKY.tiles(SKY.tile_extent(tile), 7)) == [tile]
    assert list(SKY.tiles(Extent(200, 0, 210, 1), 3)) == []


def test_zoom_for_is_the_first_level_fine_enough() -> None:
    for z in range(10):
        assert SKY.zoom_for(SKY.pixel_size(z)) == z
        assert SKY.zoom_for(SKY.pixel_size(z) * 0.99) == z + 1
    assert SKY.zoom_for(1e-12) == SKY.max_zoom
    with pytest.raises(InputError, match="resolution 0"):
        SKY.zoom_for(0)


@pytest.mark.parametrize("tile", [(-1, 0, 0), (23, 0, 0), (0, 2, 0), (0, 0, 1), (3, -1, 0)])
def test_beyond_the_grid(tile: tuple[int, int, int]) -> None:
    with pytest.raises(OutsideGridError, match="sky"):
        SKY.check(Tile(*tile))


def test_unknown_grid_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown grid 'moon'; known: sky"):
        grid_named("moon")


def test_512_pixel_tiles_lie_on_the_next_lattice() -> None:
    assert Window.of(SKY, Tile(3, 5, 2), 512) == Window(SKY, 4, 2560, 1024, 512, 512)
    assert Window.of(SKY, Tile(3, 5, 2)).pad(2).shape == (260, 260)


def test_square_root_maps_onto_sky() -> None:
    assert square_window(Tile(4, 9, 3)) == Window.of(SKY, Tile(3, 9, 3))
    assert square_window(Tile(4, 9, 8)) is None
    top = square_window(Tile(0, 0, 0))
    assert top is not None
    assert top.shape == SKY.lattice_shape(top.z) == (128, 256)
    wide = square_window(Tile(0, 0, 0), 512)
    assert wide is not None
    assert wide.shape == SKY.lattice_shape(wide.z) == (256, 512)
    with pytest.raises(OutsideGridError, match="square"):
        square_window(Tile(1, 2, 0))


def test_ogc_form() -> None:
    ogc = SKY.to_ogc()
    assert ogc["tileMatrices"][3]["matrixWidth"] == 16
    assert ogc["tileMatrices"][0]["cellSize"] == 360 / 512


@given(ras, decs)
def test_plane_round_trip(ra: float, dec: float) -> None:
    plane = SkyPlane()
    back_ra, back_dec = plane.to_sky(*plane.from_sky(np.array([ra]), np.array([dec])))
    assert abs((back_ra[0] - ra + 180) % 360 - 180) < 1e-9
    assert back_dec[0] == dec
    assert 0 <= back_ra[0] < 360
    assert np.isnan(plane.to_sky(np.array([0.0]), np.array([90.1]))[1][0])
