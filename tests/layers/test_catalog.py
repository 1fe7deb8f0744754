"""The laws of catalogue layers, against brute force on the rows."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import ChangedError, FrameMismatchError, InputError, UnknownNameError
from skyshade.geometry import SKY
from skyshade.geometry.grids import TileGrid
from skyshade.layers.catalog import CatalogLayer
from skyshade.testing import LayerTests, positions
from skyshade.types import Extent, Layer, Tile, Window
from tests.layers.tables import ArrayTable, sphere

N = 3000


def table(n: int = N, **options: Any) -> ArrayTable:
    rng = np.random.default_rng(0)
    vt = rng.normal(9, 2, n)
    vt[::7] = np.nan
    kinds = np.array(["star", "galaxy", None], object)[rng.integers(0, 3, n)]
    columns = {"vt": vt, "type": kinds, "id": np.arange(n), "flag": np.arange(n) % 2}
    return ArrayTable(*sphere(n), columns, units={"vt": "mag"}, **options)


@pytest.fixture(scope="module")
def layer() -> CatalogLayer:
    return CatalogLayer(table(), id="stars")


class TestConformance(LayerTests):
    @pytest.fixture
    def layer(self) -> Layer:
        return CatalogLayer(table(), id="stars")


class TestConformanceOfColumns(LayerTests):
    @pytest.fixture
    def layer(self) -> Layer:
        return CatalogLayer(table(), id="stars", reduction="std:vt", where="flag == 1")


def brute(window: Window, ra: Any, dec: Any) -> tuple[Any, Any]:
    """Return which rows fall into a window and their flat pixels, by the lattice formula alone."""
    cols, rows = SKY.lattice(ra, dec, window.z)
    x, y = (cols - window.col) % SKY.lattice_shape(window.z)[1], rows - window.row
    inside = (x < window.width) & (y >= 0) & (y < window.height)
    return inside, (y * window.width + x)[inside]


@settings(max_examples=25, deadline=None)
@given(st.lists(positions(), max_size=40), st.integers(0, 3))
def test_counts_of_all_tiles_add_up_to_the_rows(places: list[tuple[float, float]], z: int) -> None:
    ra, dec = np.array(places).reshape(-1, 2).T
    layer = CatalogLayer(ArrayTable(ra, dec), id="law2", reduction="count")
    total = sum(
        int(layer.compute(Window.of(SKY, tile)).values.sum()) for tile in SKY.tiles(SKY.extent, z)
    )
    assert total == len(places)


@settings(max_examples=50, deadline=None)
@given(st.lists(positions(), min_size=1, max_size=10), st.integers(0, 22))
def test_every_position_is_counted_by_its_own_tile(
    places: list[tuple[float, float]], z: int
) -> None:
    """The law again where a level has too many tiles to visit: those that own rows suffice."""
    ra, dec = np.array(places).T
    layer = CatalogLayer(ArrayTable(ra, dec), id="law2", reduction="count")
    tiles = {SKY.tile_of(r, d, z) for r, d in places}
    assert sum(int(layer.compute(Window.of(SKY, t)).values.sum()) for t in tiles) == len(places)


@pytest.mark.parametrize("tile", [Tile(0, 0, 0), Tile(0, 1, 0), Tile(2, 3, 0), Tile(3, 8, 3)])
@pytest.mark.parametrize("reduction", ["count", "sum:vt", "count_cat:type"])
def test_parent_is_the_sum_of_its_children(layer: CatalogLayer, tile: Tile, reduction: str) -> None:
    chosen = layer.select(reduction=reduction)
    parent = np.nan_to_num(chosen.compute(Window.of(SKY, tile)).values)
    fine = np.nan_to_num(chosen.compute(Window.of(SKY, tile, 512)).values)
    sums = fine.reshape(256, 2, 256, 2, *fine.shape[2:]).sum(axis=(1, 3))
    assert sums.any()
    np.testing.assert_allclose(parent, sums, rtol=1e-12, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    z=st.integers(-2, 4),
    col=st.integers(-600, 9000),
    row=st.integers(-50, 4096),
    size=st.tuples(st.integers(1, 700), st.integers(1, 300)),
)
def test_any_window_equals_brute_force(
    layer: CatalogLayer, z: int, col: int, row: int, size: tuple[int, int]
) -> None:
    window = Window(SKY, z, col, row, *size)
    if size[0] > SKY.lattice_shape(z)[1]:
        window = Window(SKY, z, col, row, 1, size[1])
    counts = layer.select(reduction="count").compute(window).values
    inside, pixels = brute(window, layer.table.ra, layer.table.dec)  # type: ignore[attr-defined]
    expected = np.bincount(pixels, minlength=counts.size)
    assert counts.dtype == np.uint32
    np.testing.assert_array_equal(counts.ravel(), expected)
    assert counts.sum() == inside.sum()


@pytest.mark.parametrize("name", ["sum", "mean", "min", "max", "std"])
@pytest.mark.parametrize("tile", [Tile(0, 0, 0), Tile(3, 7, 2), Tile(1, 3, 1)])
def test_column_reductions_equal_brute_force(layer: CatalogLayer, name: str, tile: Tile) -> None:
    window = Window.of(SKY, tile)
    values = layer.select(reduction=name, column="vt").compute(window).values
    inside, pixels = brute(window, layer.table.ra, layer.table.dec)  # type: ignore[attr-defined]
    vt = layer.table.column("vt")[inside]
    expected = np.full(values.size, np.nan)
    for pixel in np.unique(pixels):
        group = vt[(pixels == pixel) & ~np.isnan(vt)]
        if group.size:
            expected[pixel] = getattr(np, name)(group)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values.ravel(), expected, rtol=1e-12, atol=1e-12)


def test_count_of_a_column_leaves_out_missing_values(layer: CatalogLayer) -> None:
    sky = Window(SKY, 0, 0, 0, 512, 256)
    vt, kinds = layer.table.column("vt"), layer.table.column("type")
    by_vt = layer.select(reduction="count:vt").compute(sky).values
    by_type = layer.select(reduction="count:type").compute(sky).values
    assert by_vt.sum() == np.isfinite(vt).sum() < N
    assert by_type.sum() == sum(k is not None for k in kinds) < N
    assert by_vt.dtype == np.uint32


def test_categories(layer: CatalogLayer) -> None:
    found = layer.select(reduction="count_cat:type").compute(Window(SKY, 0, 0, 0, 512, 256))
    kinds = layer.table.column("type")
    assert found.categories == ("galaxy", "star")
    assert found.dims == ("y", "x", "category")
    assert found.values.sum(axis=(0, 1)).tolist() == [
        sum(k == name for k in kinds) for name in found.categories
    ]
    with pytest.raises(InputError, match="'id' has 3,000 different values: count_cat takes"):
        layer.select(reduction="count_cat:id").compute(Window(SKY, 0, 0, 0, 1, 1))


@pytest.mark.parametrize(("z", "row"), [(0, 0), (3, 1000), (22, 2**29), (22, 2**30 - 3)])
def test_density_is_rows_over_solid_angle(z: int, row: int) -> None:
    _, dec = SKY.sky_axes(z, np.array([0, 0]), np.array([row + 0.5, row + 1.5]))
    layer = CatalogLayer(ArrayTable([10.0, 10.0, 10.0], [dec[0], dec[0], dec[1]]), id="d")
    col = int(SKY.lattice(np.array([10.0]), dec[:1], z)[0][0])
    values = layer.compute(Window(SKY, z, col, row, 2, 2)).values
    edges = np.radians(90 - 180 * (np.arange(row, row + 3) / SKY.lattice_shape(z)[0]))
    sines = -np.diff(np.sin(edges.astype(np.longdouble)))
    expected = [2, 1] / (SKY.pixel_size(z) * np.degrees(sines.astype(float)))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[:, 0], expected, rtol=1e-5 if z < 22 else 1e-3)
    assert np.isnan(values[:, 1]).all()  # no rows: no data, not zero


def test_density_of_the_whole_sky_integrates_to_the_rows(layer: CatalogLayer) -> None:
    window = Window(SKY, 0, 0, 0, 512, 256)
    areas = SKY.pixel_areas(0, 0, np.arange(256))
    assert areas.sum() * 512 == pytest.approx(41252.96125, rel=1e-9)
    total = np.nansum(layer.compute(window).values.astype(float) * areas[:, None])
    assert total == pytest.approx(N, rel=1e-6)


def test_levels_beyond_the_keys_lattice(layer: CatalogLayer) -> None:
    """Level 23 is that of 512 px tiles of level 22."""
    assert isinstance(layer.table, ArrayTable)
    for i in range(12):
        tile = SKY.tile_of(layer.table.ra[i], layer.table.dec[i], 22)
        counts = layer.select(reduction="count").compute(Window.of(SKY, tile, 512)).values
        coarse = layer.select(reduction="count").compute(Window.of(SKY, tile)).values
        assert counts.shape == (512, 512)
        np.testing.assert_array_equal(counts.reshape(256, 2, 256, 2).sum(axis=(1, 3)), coarse)
        col, row = SKY.lattice(layer.table.ra[i : i + 1], layer.table.dec[i : i + 1], 23)
        assert counts[row[0] - tile.y * 512, col[0] - tile.x * 512] >= 1
        mean = layer.select(reduction="max:id").compute(Window.of(SKY, tile, 512)).values
        assert np.nanmax(mean) >= i
    with pytest.raises(InputError, match="level 24 is too deep"):
        layer.compute(Window(SKY, 24, 0, 0, 1, 1))


def test_a_window_wider_than_the_sky_repeats(layer: CatalogLayer) -> None:
    wide = layer.select(reduction="count").compute(Window(SKY, -1, -3, 0, 300, 128)).values
    np.testing.assert_array_equal(wide[:, :44], wide[:, 256:])
    assert wide[:, :256].sum() == N


def test_where_filters_rows(layer: CatalogLayer) -> None:
    sky = Window(SKY, 0, 0, 0, 512, 256)
    vt, flag = layer.table.column("vt"), layer.table.column("flag")
    bright = layer.select(where="vt < 9", reduction="count")
    assert bright.compute(sky).values.sum() == (vt < 9).sum()
    both = bright.select(where="flag == 1")  # added to the filter that is there
    assert both.compute(sky).values.sum() == ((vt < 9) & (flag == 1)).sum()
    assert both.select(reduction="min:vt").compute(sky).values.shape == (256, 512)
    assert layer.select(where="vt < -99", reduction="count").compute(sky).values.sum() == 0
    assert np.isnan(layer.select(where="vt < -99").compute(sky).values).all()
    assert layer.select(where="vt < -99").statistics().n_valid == 0
    with pytest.raises(UnknownNameError, match="'mag'"):
        layer.select(where="mag < 9")


def test_selection_shares_the_index() -> None:
    rows = table()
    layer = CatalogLayer(rows, id="stars")
    window = Window(SKY, 3, 0, 0, 64, 64)

    def use(reduction: str) -> None:
        layer.select(reduction=reduction).compute(window)

    threads = [
        threading.Thread(target=use, args=(r,)) for r in ("count", "mean:vt", "max:vt", "density")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(rows.reads) == ["positions", "vt"]


def test_versions_follow_table_and_selection(layer: CatalogLayer) -> None:
    other = table()
    other.tag = "2"
    versions = [
        layer.version,
        CatalogLayer(other, id="stars").version,
        layer.select(reduction="count").version,
        layer.select(reduction="mean", column="vt").version,
        layer.select(where="vt < 9").version,
        layer.select(where="vt < 8").version,
    ]
    assert len(set(versions)) == len(versions)
    assert layer.select().version == layer.version
    assert CatalogLayer(table(), id="stars", where="vt < 9").version == versions[4]


def test_a_table_that_changed_is_noticed() -> None:
    rows = table()
    layer = CatalogLayer(rows, id="stars")
    layer.compute(Window(SKY, 0, 0, 0, 1, 1))
    rows.tag = "2"
    with pytest.raises(ChangedError, match="stars: changed since it was opened"):
        layer.select(column="vt").compute(Window(SKY, 0, 0, 0, 1, 1))


@pytest.mark.parametrize("name", ["plane", "time"])
def test_a_catalogue_has_no_plane_and_no_time(layer: CatalogLayer, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} 'Q' is not allowed: catalogue 'stars' has no"):
        layer.select(**{name: "Q"})  # type: ignore[arg-type]


def test_columns_that_are_not_numbers(layer: CatalogLayer) -> None:
    with pytest.raises(InputError, match="column 'type' does not hold numbers"):
        layer.select(column="type").compute(Window(SKY, 0, 0, 0, 1, 1))


def test_free_planes_are_refused(layer: CatalogLayer) -> None:
    class Flat:
        frame, period = "plane", None

    flat = TileGrid("plane", "", Flat(), Extent(0, 0, 1, 1), 1, 1)  # type: ignore[arg-type]
    with pytest.raises(FrameMismatchError, match="'stars' lies on the sky, grid 'plane' does not"):
        layer.compute(Window(flat, 0, 0, 0, 1, 1))


def test_an_empty_table() -> None:
    layer = CatalogLayer(ArrayTable([], [], {"vt": np.empty(0)}), id="none")
    for reduction in ("density", "count", "mean:vt", "std:vt"):
        chosen = layer.select(reduction=reduction)
        values = chosen.compute(Window(SKY, 0, 0, 0, 8, 8)).values
        assert not np.nan_to_num(values).any()
        assert chosen.statistics().n_valid == 0
    assert layer.value(0, 0) is None
    assert layer.info.size == "0 rows"
    assert layer.query(ra=0, dec=0, radius=1).total == 0
