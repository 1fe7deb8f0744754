"""Rows drawn one by one: where they lie, how large, in which colour, and that tiles join."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.grids import MERCATOR, SKY, WORLD, tan_grid
from skyshade.kernels.marks import mark_reach
from skyshade.layers import points
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.marks import Sizes, magnitude_of
from skyshade.shaders.shader import shader_for
from skyshade.testing import LayerTests
from skyshade.tiles.make import make_tile
from skyshade.types import Tile, Window
from tests.layers.tables import ArrayTable, sphere

N = 4000


@pytest.fixture(scope="module")
def catalogue() -> CatalogLayer:
    rng = np.random.default_rng(8)
    ra, dec = sphere(N)
    vt = rng.normal(9, 2, N)
    vt[::9] = np.nan
    kinds = np.array(["a", "b", "c", None], object)[rng.integers(0, 4, N)]
    columns = {"id": np.arange(N), "vt": vt, "type": kinds}
    return CatalogLayer(ArrayTable(ra, dec, columns), id="stars")


class TestPoints(LayerTests):
    @pytest.fixture
    def layer(self, catalogue):
        return catalogue.points(detail="points")


class TestAutomatic(LayerTests):
    @pytest.fixture
    def layer(self, catalogue):
        return catalogue.points()


class TestColoured(LayerTests):
    @pytest.fixture
    def layer(self, catalogue):
        return catalogue.points(color="vt", detail="points", shape="diamond")


class TestClasses(LayerTests):
    @pytest.fixture
    def layer(self, catalogue):
        return catalogue.points(color="type", detail="points", shape="cross")


class TestFormula(LayerTests):
    @pytest.fixture
    def layer(self, catalogue):
        return catalogue.points(color="vt - id / 1000", detail="points")


def test_a_formula_colours_rows_and_means(catalogue) -> None:
    layer = catalogue.points(color="vt * 2 - 1", detail="points")
    plain = catalogue.points(color="vt", detail="points")
    window = Window(SKY, 3, 1024, 768, 512, 512)
    made, expected = layer.compute(window), plain.compute(window).values * 2 - 1
    np.testing.assert_allclose(made.values, expected, rtol=1e-6)
    assert layer.info.quantity == "vt * 2 - 1"
    assert layer.statistics().mean == pytest.approx(plain.statistics().mean * 2 - 1)
    assert layer.value(0.0, 40.0) == pytest.approx(plain.value(0.0, 40.0) * 2 - 1)
    far = Window(SKY, catalogue.view.level, 0, 0, 16, 8)
    numbers = catalogue.points(color="vt * 2 - 1").compute(far).values
    means = catalogue.select(reduction="mean:vt").compute(far).values
    np.testing.assert_allclose(numbers, means * 2 - 1)
    with pytest.raises(UnknownNameError, match="nonesuch"):
        catalogue.points(color="vt - nonesuch")
    assert layer.select(where="vt < 9").look == layer.look


LOOKS = [
    {"detail": "points", "color": "vt - id / 1000"},
    {"detail": "points"},
    {"detail": "points", "size": 7.5, "shape": "square"},
    {"detail": "points", "color": "vt"},
    {"detail": "points", "color": "type", "shape": "cross"},
    {},
]


def arrays(made):
    return [a for a in (made.values, made.opacity, made.under) if a is not None]


@pytest.mark.parametrize("grid", [SKY, WORLD, MERCATOR, tan_grid(30.0, 80.0)], ids=lambda g: g.id)
@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_tiles_side_by_side_are_one_window(catalogue, look, grid) -> None:
    layer = catalogue.points(**look)
    z = 4 if grid.id.startswith("tan") else 3
    height, width = grid.lattice_shape(z)
    col, row = width // 2 - 128, height // 2 - 128
    whole = layer.compute(Window(grid, z, col, row, 256, 256))
    if look:
        assert whole.opacity is not None
        assert 0 < np.count_nonzero(whole.opacity) < whole.opacity.size
    for y in (0, 96, 128):
        for x in (0, 128, 160):
            part = layer.compute(Window(grid, z, col + x, row + y, 96, 96))
            for big, small in zip(arrays(whole), arrays(part), strict=True):
                np.testing.assert_array_equal(big[y : y + 96, x : x + 96], small)


@pytest.mark.parametrize("row", [0, 200, 1024 - 256])
def test_tiles_join_across_ra_180_and_at_the_poles(catalogue, row) -> None:
    layer = catalogue.points(detail="points", size=12)
    left = layer.compute(Window(SKY, 2, 2048 - 128, row, 128, 256))
    right = layer.compute(Window(SKY, 2, 0, row, 128, 256))
    both = layer.compute(Window(SKY, 2, 2048 - 128, row, 256, 256))
    joined = np.concatenate([left.opacity, right.opacity], axis=1)
    np.testing.assert_array_equal(joined, both.opacity)
    assert joined[:, 120:136].any()


def test_a_window_wider_than_the_sky_repeats_it(catalogue) -> None:
    made = catalogue.points(detail="points").compute(Window(SKY, 0, -100, 0, 712, 256))
    np.testing.assert_array_equal(made.opacity[:, :200], made.opacity[:, 512:])


def test_a_mark_lies_where_its_row_is() -> None:
    layer = CatalogLayer(ArrayTable([10.0], [20.0]), id="one").points(detail="points", size=4)
    z = 9
    col, row = (int(v[0]) for v in SKY.lattice(np.array([10.0]), np.array([20.0]), z))
    made = layer.compute(Window(SKY, z, col - 20, row - 30, 64, 64))
    y, x = np.nonzero(made.opacity)
    weights = made.opacity[y, x].astype(float)
    at_ra = 180.0 - 360.0 * (col - 20 + np.average(x + 0.5, weights=weights)) / (512 << z)
    at_dec = 90.0 - 180.0 * (row - 30 + np.average(y + 0.5, weights=weights)) / (256 << z)
    assert (at_ra, at_dec) == pytest.approx((10.0, 20.0), abs=0.03 * SKY.pixel_size(z))
    assert weights.sum() / 255 == pytest.approx(np.pi * 16, rel=0.02)
    assert np.isposinf(made.values[y, x]).all()
    assert np.isnan(made.values[made.opacity == 0]).all()


def test_brighter_rows_are_larger_and_a_missing_magnitude_is_the_smallest() -> None:
    mags = [5.0, 7.0, 9.0, 11.0, 13.0, np.nan]
    ra = 10.0 + np.arange(6) * 0.5
    layer = CatalogLayer(ArrayTable(ra, np.zeros(6), {"vmag": mags}), id="m").points(
        detail="points"
    )
    assert (layer.sizes.column, layer.sizes.magnitudes) == ("vmag", True)
    z = 9
    cols, rows = SKY.lattice(ra, np.zeros(6), z)
    areas = [
        layer.compute(Window(SKY, z, int(c) - 24, int(r) - 24, 48, 48)).opacity.sum(dtype=float)
        for c, r in zip(cols, rows, strict=True)
    ]
    assert areas[0] > areas[1] > areas[2] > areas[3] > areas[4]
    assert areas[5] == pytest.approx(areas[4], rel=0.4)


def test_the_area_goes_with_a_power_of_the_flux() -> None:
    sizes = Sizes("vt", True, faint=14.0, bright=4.0)
    radii = sizes.radii(np.array([13.0, 11.0, 9.0, 7.0]), 4, 0)
    np.testing.assert_allclose(np.diff(np.log(radii)), np.log(radii[1] / radii[0]))
    assert sizes.radii(np.array([99.0, -99.0]), 2, 0).tolist() == [
        sizes.radii(np.array([14.0]), 1, 0)[0],
        sizes.largest(0),
    ]
    assert sizes.largest(40) >= sizes.radii(np.array([-99.0]), 1, 40)[0]


def test_of_other_columns_larger_values_are_larger() -> None:
    flux = Sizes("flux", False, faint=0.0, bright=10.0)
    assert np.all(np.diff(flux.radii(np.array([0.0, 1.0, 5.0, 10.0]), 4, 2)) > 0)


@pytest.mark.parametrize(
    ("columns", "units", "found"),
    [
        (("id", "bt", "vt"), {}, "vt"),
        (("ra", "phot_bp_mean_mag", "phot_g_mean_mag"), {}, "phot_g_mean_mag"),
        (("Gmag", "e_Gmag"), {}, "Gmag"),
        (("e_mag", "flux"), {}, None),
        (("e_mag", "brightness"), {"brightness": "mag", "e_mag": "mag"}, "brightness"),
        (("i_mag", "image"), {}, "i_mag"),
    ],
)
def test_magnitudes_are_known_by_name_or_unit(columns, units, found) -> None:
    assert magnitude_of(columns, units) == found


def test_the_smallest_of_equals_is_on_top() -> None:
    table = ArrayTable([10.0, 10.0], [0.0, 0.0], {"mag": [4.0, 9.0], "kind": [1.0, 2.0]})
    layer = CatalogLayer(table, id="two").points(detail="points", color="kind")
    col, row = (int(v[0]) for v in SKY.lattice(np.array([10.0]), np.array([0.0]), 8))
    made = layer.compute(Window(SKY, 8, col - 16, row - 16, 32, 32))
    assert made.values[16, 16] == 2.0
    assert np.nanmin(made.values) == 1.0


def test_colours_are_the_rows_values_and_classes(catalogue) -> None:
    window = Window(SKY, 3, 1024, 768, 512, 512)
    made = catalogue.points(color="vt", detail="points").compute(window)
    shown = made.values[(made.opacity > 0) & ~np.isnan(made.values)]
    vt = catalogue.table.values["vt"]
    assert set(np.unique(shown)) <= set(vt[np.isfinite(vt)].astype(np.float32))
    classes = catalogue.points(color="type", detail="points").compute(window)
    assert classes.categories == ("a", "b", "c")
    assert set(np.unique(classes.values)) == {0, 1}
    assert classes.values.sum(axis=2).max() == 1
    without = (classes.opacity > 0) & (classes.values.sum(axis=2) == 0)
    assert without.any()  # rows without a class are drawn, too


@pytest.fixture(scope="module")
def many() -> CatalogLayer:
    rng = np.random.default_rng(3)
    table = ArrayTable(*sphere(60_000), {"mag": rng.normal(10, 2, 60_000)})
    return CatalogLayer(table, id="many")


def test_automatic_shows_numbers_far_out_and_rows_close_in(many) -> None:
    layer = many.points()
    first = layer.first_level
    assert first > max(many.view.level, 0)
    deep = layer.compute(Window.of(SKY, Tile(first, 1 << first, (1 << first) // 2)))
    assert deep.opacity is not None
    far = Window(SKY, many.view.level, 0, 0, 8, 8)
    assert layer.compute(far).opacity is None
    means = many.select(reduction="mean", column="mag")
    shallow = Window(SKY, first - 1, 0, 0, 64, 64)
    np.testing.assert_array_equal(
        means.points().compute(shallow).values, means.compute(shallow).values
    )


def test_the_first_level_has_few_rows_in_a_pixel(many) -> None:
    rows = 60_000 / np.prod(SKY.lattice_shape(many.points().first_level))
    assert 0.02 < rows < 0.2


def test_crowded_tiles_show_the_numbers_below_marks(monkeypatch) -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 45, 9000), rng.uniform(0, 45, 9000)
    ra[:8000] = rng.uniform(24, 44, 8000)
    monkeypatch.setattr("skyshade.index.memory.THRESHOLD", 3000)
    catalogue = CatalogLayer(ArrayTable(ra, dec), id="crowd")
    layer = catalogue.points(detail="points", size=3)
    z = 3
    window = Window.of(SKY, SKY.tile_of(30.0, 12.0, z))
    made = layer.compute(window)
    assert made.under is not None
    np.testing.assert_array_equal(made.under, catalogue.compute(window).values)
    right = replace(window, col=window.col + 128, width=256)
    half = layer.compute(right)
    np.testing.assert_array_equal(half.under[:, :128], made.under[:, 128:])
    assert np.isnan(half.under[:, 128:]).all()
    np.testing.assert_array_equal(half.opacity[:, :128], made.opacity[:, 128:])


def test_the_brightest_lie_over_the_smoothed_density(many) -> None:
    layer = many.points()
    z = layer.first_level - 1
    made = layer.compute(Window.of(SKY, Tile(z, 1 << z, (1 << z) // 2)))
    assert made.under is not None
    covered = np.count_nonzero(made.opacity) / made.opacity.size
    assert 0.0 < covered < 0.1
    density = made.under[np.isfinite(made.under)]
    assert density.mean() == pytest.approx(60_000 / 41252.96, rel=0.05)


def test_a_selection_keeps_the_look(catalogue) -> None:
    layer = catalogue.points(size=3, detail="points")
    fewer = layer.select(where="vt < 9")
    assert (fewer.look, fewer.info.title) == (layer.look, layer.info.title)
    window = Window(SKY, 5, 4096, 4096, 512, 512)
    assert fewer.compute(window).opacity.sum() < layer.compute(window).opacity.sum()
    assert fewer.version != layer.version


def test_everything_but_the_drawing_is_the_catalogues(catalogue) -> None:
    layer = catalogue.points()
    assert layer.info == catalogue.info
    assert layer.statistics() == catalogue.statistics()
    assert layer.nearest(90.0, 90.0, 5.0)["row"] == catalogue.nearest(90.0, 90.0, 5.0)["row"]
    assert layer.value(0.0, 0.0) == catalogue.value(0.0, 0.0)


@pytest.mark.parametrize(
    ("look", "words"),
    [
        ({"size": "nonesuch"}, "nonesuch"),
        ({"size": 99}, "99"),
        ({"size": "type"}, "no numbers"),
        ({"color": "nonesuch"}, "nonesuch"),
        ({"shape": "star"}, "star"),
        ({"detail": "much"}, "much"),
    ],
)
def test_what_is_not_allowed_is_named(catalogue, look, words) -> None:
    with pytest.raises((InputError, UnknownNameError), match=words):
        catalogue.points(**look).compute(Window(SKY, 8, 0, 0, 8, 8))


def test_versions_tell_looks_apart(catalogue) -> None:
    looks = [{}, {"detail": "points"}, {"size": 3}, {"size": "id"}, {"shape": "square"}]
    assert len({catalogue.points(**look).version for look in looks} | {catalogue.version}) == 6


def test_pictures_of_marks_are_small_and_exact(catalogue) -> None:
    window = Window.of(SKY, Tile(5, 31, 16))
    style = catalogue.info.style
    layer = catalogue.points(detail="points")
    tile = make_tile(layer, window, style, "png")
    assert tile.quality == "exact"
    picture = shader_for(style, layer.statistics())(layer.compute(window))
    assert picture.palette is not None  # one byte a pixel
    np.testing.assert_array_equal(picture.rgba()[..., 3], layer.compute(window).opacity)


def test_the_halo_is_no_larger_than_a_tile() -> None:
    assert mark_reach(points.Sizes("m", True).largest(99)) < 64
