"""WorldCRS84Quad, WebMercatorQuad and the tangent planes."""

from __future__ import annotations

import json

import morecantile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import InputError, OutsideGridError, UnknownNameError
from skyshade.geometry.coverage import window_coverage
from skyshade.geometry.grids import (
    GRIDS,
    MERCATOR,
    SKY,
    TAN_GRIDS,
    WORLD,
    TileGrid,
    grid_named,
    tan_grid,
    unmirrored,
)
from skyshade.geometry.wcs import separation
from skyshade.types import Plane, Tile, Window
from tests.geometry.skies import make_wcs

ras, decs = st.floats(0, 360), st.floats(-90, 90)
centres = st.tuples(ras, decs)
ALL = [SKY, WORLD, MERCATOR, tan_grid(0, 0), tan_grid(83, -5), tan_grid(200, 90), tan_grid(9, -90)]
EVERY = pytest.mark.parametrize("grid", ALL, ids=lambda g: g.id)
QUADS = pytest.mark.parametrize("grid", [WORLD, MERCATOR], ids=lambda g: g.id)


def near(ra: float, other: float) -> float:
    return abs((ra - other + 180.0) % 360.0 - 180.0)


@QUADS
@given(data=st.data())
def test_tile_bounds_agree_with_morecantile(grid: TileGrid, data: st.DataObject) -> None:
    tms = morecantile.tms.get(grid.id)
    z = data.draw(st.integers(0, 22))
    x = data.draw(st.integers(0, (grid.columns << z) - 1))
    y = data.draw(st.integers(0, (grid.rows << z) - 1))
    assert grid.tile_extent(Tile(z, x, y)) == pytest.approx(
        tuple(tms.xy_bounds(morecantile.Tile(x, y, z))), rel=1e-12, abs=1e-6
    )
    west, south, east, north = tms.bounds(morecantile.Tile(x, y, z))
    cols, rows = np.array([x, x + 1]) * 256, np.array([y, y + 1]) * 256
    ra, dec = grid.sky_axes(z, cols, rows)
    assert near(ra[0], west) < 1e-9
    assert near(ra[1], east) < 1e-9
    assert dec == pytest.approx([north, south], abs=1e-9)


@QUADS
def test_ogc_documents_are_morecantiles(grid: TileGrid) -> None:
    theirs = json.loads(morecantile.tms.get(grid.id).model_dump_json(exclude_none=True))
    ours = grid.to_ogc()
    assert (ours["id"], ours["crs"], ours["uri"]) == (theirs["id"], theirs["crs"], theirs["uri"])
    for mine, their in zip(ours["tileMatrices"], theirs["tileMatrices"], strict=False):
        assert mine["pointOfOrigin"] == pytest.approx(their["pointOfOrigin"])
        assert mine["cellSize"] == pytest.approx(their["cellSize"])
        assert mine["scaleDenominator"] == pytest.approx(their["scaleDenominator"])
        same = ("id", "cornerOfOrigin", "tileWidth", "tileHeight", "matrixWidth", "matrixHeight")
        assert {key: mine[key] for key in same} == {key: their[key] for key in same}


@QUADS
@given(ra=ras, dec=st.floats(-85.05, 85.05), z=st.integers(0, 15))
def test_positions_fall_into_morecantiles_tiles(
    grid: TileGrid, ra: float, dec: float, z: int
) -> None:
    bounds = morecantile.tms.get(grid.id).bounds(morecantile.Tile(*_xyz(grid.tile_of(ra, dec, z))))
    lon = (ra + 180.0) % 360.0 - 180.0
    hair = 1e-9
    assert bounds.left - hair <= lon <= bounds.right + hair or near(lon, bounds.right) < hair
    assert bounds.bottom - hair <= dec <= bounds.top + hair


def _xyz(tile: Tile) -> tuple[int, int, int]:
    return tile.x, tile.y, tile.z


@given(ras, decs, st.integers(-1, 22))
def test_world_crs84_quad_mirrors_the_formula_of_sky(ra: float, dec: float, z: int) -> None:
    col, row = WORLD.lattice(np.array([ra]), np.array([dec]), z)
    sky_col, sky_row = SKY.lattice(np.array([ra]), np.array([dec]), z)
    assert (col[0], row[0]) == (SKY.lattice_shape(z)[1] - 1 - sky_col[0], sky_row[0])


@given(st.integers(0, 20), st.integers(0, 10**9), st.integers(0, 10**9))
def test_world_crs84_quad_mirrors_windows(z: int, a: int, b: int) -> None:
    x, y = a % (2 << z), b % (1 << z)
    for size in (256, 512):
        window, flipped = unmirrored(Window.of(WORLD, Tile(z, x, y), size))
        assert flipped
        assert window == Window.of(SKY, Tile(z, (2 << z) - 1 - x, y), size)
    here = WORLD.sky(z, x * 256 + np.arange(256) + 0.5, y * 256 + 0.5)
    there = SKY.sky(z, window.col // 2 + np.arange(256) + 0.5, y * 256 + 0.5)
    np.testing.assert_array_equal(here[0], there[0][::-1])


def test_other_windows_are_not_mirrored() -> None:
    for grid in (SKY, MERCATOR, tan_grid(3, 4)):
        window = Window.of(grid, Tile(3, 2, 1))
        assert unmirrored(window) == (window, False)


@EVERY
@given(data=st.data())
def test_pixels_own_their_centres(grid: TileGrid, data: st.DataObject) -> None:
    z = data.draw(st.integers(0, 23))
    height, width = grid.lattice_shape(z)
    cols = np.array([data.draw(st.integers(0, width - 1)), 0, width - 1])
    rows = np.array([data.draw(st.integers(0, height - 1)), height - 1, 0])
    found = grid.lattice(*grid.sky(z, cols + 0.5, rows + 0.5), z)
    np.testing.assert_array_equal(found, (cols, rows))


@EVERY
@given(ra=ras, dec=decs, z=st.integers(0, 22))
def test_levels_nest(grid: TileGrid, ra: float, dec: float, z: int) -> None:
    col, row = (v[0] for v in grid.lattice(np.array([ra]), np.array([dec]), z))
    fine_col, fine_row = (v[0] for v in grid.lattice(np.array([ra]), np.array([dec]), z + 1))
    height, width = grid.lattice_shape(z)
    if 0 <= col < width and 0 <= row < height:
        assert (fine_col >> 1, fine_row >> 1) == (col, row)
    else:  # just beyond the lattice, on every level
        assert not (0 <= fine_col < 2 * width and 0 <= fine_row < 2 * height)


@EVERY
@given(position=centres)
def test_planes_round_trip(grid: TileGrid, position: tuple[float, float]) -> None:
    plane = grid.plane
    assert isinstance(plane, Plane)
    ra, dec = np.array([position[0]]), np.array([position[1]])
    x, y = plane.from_sky(ra, dec)
    if np.isnan(x[0]):
        assert separation(ra, dec, *plane.to_sky(np.zeros(1), np.zeros(1)))[0] > 89.0
    elif np.isfinite(y[0]):
        assert separation(ra, dec, *plane.to_sky(x, y))[0] < 1e-9


@EVERY
def test_sky_is_nan_beyond_the_lattice_or_goes_on(grid: TileGrid) -> None:
    height, width = grid.lattice_shape(2)
    cols, rows = (
        np.array([-0.5, 0.5, 9.5, 9.5, width + 0.5]),
        np.array([9.5, 9.5, -0.5, height, 9.5]),
    )
    ra, dec = grid.sky(2, cols, rows)
    beyond = np.array([not grid.periodic, False, True, False, not grid.periodic])
    np.testing.assert_array_equal(np.isnan(ra), beyond)
    np.testing.assert_array_equal(np.isnan(dec), beyond)
    ra, dec = grid.sky(2, cols, rows, beyond=True)
    assert np.isfinite(ra).all()
    assert np.abs(dec).max() <= 90.0
    steps = grid.sky(2, np.full(5, 30.5), np.arange(-2.0, 3.0), beyond=True)
    apart = separation(steps[0][1:], steps[1][1:], steps[0][:-1], steps[1][:-1])
    assert apart == pytest.approx(apart[0], rel=0.1)  # no jump at the edge


@EVERY
def test_pixel_areas_are_those_of_their_corners(grid: TileGrid) -> None:
    z = 3
    height, width = grid.lattice_shape(z)
    cols = np.array([0, width // 3, width // 2, width - 1])
    rows = np.array([1, height // 4, height // 2, height - 2])
    ra, dec = (
        np.radians(v)
        for v in grid.sky(z, cols[:, None] + [0, 1, 1, 0], rows[:, None] + [0, 0, 1, 1])
    )
    a, b, c, d = np.moveaxis(
        np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]), 2, 0
    )
    flat = np.cross(c - a, d - b, axis=0) / 2.0  # half the cross product of the diagonals
    expected = np.degrees(np.degrees(np.linalg.norm(flat, axis=0)))
    np.testing.assert_allclose(grid.pixel_areas(z, cols, rows), expected, rtol=2e-3)


def test_true_scale() -> None:
    """Level z of the tangent planes has sky's pixels; Web Mercator has twice as large ones."""
    for grid, times in ((SKY, 1), (WORLD, 1), (MERCATOR, 2), (tan_grid(50, 60), 1)):
        assert grid.pixel_degrees(5) == pytest.approx(times * 180.0 / (256 << 5))
        height, width = grid.lattice_shape(5)
        ra, dec = grid.sky(5, width / 2 + np.array([-0.5, 0.5]), np.full(2, height / 2))
        apart = separation(ra[:1], dec[:1], ra[1:], dec[1:])[0]
        assert apart == pytest.approx(grid.pixel_degrees(5), rel=1e-6)
        assert grid.zoom_for(grid.pixel_degrees(7)) == 7


@EVERY
def test_orientation(grid: TileGrid) -> None:
    """North is up; east is left on sky and tan, right on the geographic grids."""
    height, width = grid.lattice_shape(3)
    ra, dec = grid.sky(3, width / 2 + np.array([0.5, 1.5]), height / 2 + 0.5)
    east = (ra[0] - ra[1] + 180.0) % 360.0 - 180.0
    assert (east > 0.0) == (grid not in (WORLD, MERCATOR)) or abs(dec[0]) > 80.0
    _, dec = grid.sky(3, width / 2, np.array([0.4, 0.45]) * height)
    assert dec[0] > dec[1] or dec[0] > 60.0


@given(centres)
def test_tangent_planes_are_those_of_wcslib(centre: tuple[float, float]) -> None:
    grid = tan_grid(*centre)
    plane = grid.plane
    z = 4
    height, width = grid.lattice_shape(z)
    side = grid.pixel_degrees(z)
    wcs = make_wcs("TAN", (plane.ra, plane.dec), (-side, side), (width / 2 + 0.5, height / 2 + 0.5))
    rng = np.random.default_rng(1)
    cols, rows = rng.uniform(0, width, 50), rng.uniform(0, height, 50)
    ra, dec = grid.sky(z, cols, rows)
    x, y = wcs.all_world2pix(ra, dec, 0)
    np.testing.assert_allclose(x + 0.5, cols, atol=1e-6)
    np.testing.assert_allclose(height - 0.5 - y, rows, atol=1e-6)


@given(centres)
def test_tangent_planes_are_near_their_centre_and_shared(centre: tuple[float, float]) -> None:
    grid = tan_grid(*centre)
    ra, dec = grid.plane.ra, grid.plane.dec
    assert separation(*np.array([[centre[0]], [centre[1]], [ra], [dec]]))[0] < 1.9
    assert tan_grid(ra, dec) is grid
    assert grid_named(grid.id) is grid


def test_tangent_planes_are_named_by_nested_healpix_pixels() -> None:
    assert tan_grid(45.0, 1.2) is grid_named("tan-0")  # the southern corner of base pixel 0
    assert tan_grid(315.0, -88.9).id == f"tan-{11 * 1024}"
    pytest.importorskip("astropy_healpix")
    from astropy_healpix import HEALPix

    grid = tan_grid(123.4, -56.7)
    lon, lat = HEALPix(32, order="nested").healpix_to_lonlat(int(grid.id[4:]))
    assert (grid.plane.ra, grid.plane.dec) == pytest.approx((lon.deg, lat.deg))


@pytest.mark.parametrize(
    "name", ["tan", "tan-", f"tan-{TAN_GRIDS}", "tan--1", "tan-007", "tan-1.5", "tan-٣", "TAN-1"]
)
def test_unknown_tangent_planes_are_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"WebMercatorQuad, hips, tan-0 \.\.\. tan-12287"):
        grid_named(name)


@pytest.mark.parametrize("centre", [(np.nan, 0), (0, 90.1), (0, np.nan), (np.inf, 0)])
def test_centres_that_are_none(centre: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"centre .* is not allowed"):
        tan_grid(*centre)


def test_what_a_grid_does_not_show_has_no_tile() -> None:
    assert set(GRIDS) == {"sky", "WorldCRS84Quad", "WebMercatorQuad", "hips"}
    with pytest.raises(OutsideGridError, match="WebMercatorQuad"):
        MERCATOR.tile_of(10.0, 86.0, 3)
    with pytest.raises(OutsideGridError, match="tan-"):
        tan_grid(10.0, 10.0).tile_of(190.0, -10.0, 3)
    with pytest.raises(InputError, match="has no axes"):
        tan_grid(10.0, 10.0).sky_axes(0, np.zeros(1), np.zeros(1))


@EVERY
@given(data=st.data())
def test_the_rectangle_around_a_window_holds_it(grid: TileGrid, data: st.DataObject) -> None:
    z = data.draw(st.integers(0, 12))
    height, width = grid.lattice_shape(z)
    col = data.draw(st.integers(-300, width + 300))
    row = data.draw(st.integers(-300, height + 300))
    window = Window(grid, z, col, row, 200, 100)
    cols, rows = np.meshgrid(np.linspace(col, col + 200, 9), np.linspace(row, row + 100, 9))
    ra, dec = (v[np.isfinite(v)] for v in grid.sky(z, cols, rows))
    found = window_coverage(window)
    if found is None:
        assert not ((cols > 0) & (cols < width) & (rows > 0) & (rows < height)).any() or (
            grid.periodic and not ((rows > 0) & (rows < height)).any()
        )
        return
    hair = 1e-7
    assert np.all((dec >= found.dec_min - hair) & (dec <= found.dec_max + hair))
    west = np.mod(ra - found.ra_west + hair, 360.0)
    off_pole = np.abs(dec) < 90.0 - hair
    assert np.all(west[off_pole] <= found.ra_east - found.ra_west + 2 * hair)


def test_rectangles_around_tiles_are_tight() -> None:
    assert window_coverage(Window.of(SKY, Tile(1, 0, 0))) == (180.0, 90.0, 0.0, 90.0)
    assert window_coverage(Window.of(WORLD, Tile(1, 0, 0))) == (270.0, 180.0, 0.0, 90.0)
    assert window_coverage(Window.of(MERCATOR, Tile(1, 1, 1)))[:3] == pytest.approx(
        (180.0, 0.0, -85.0511287798)
    )
