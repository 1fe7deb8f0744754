"""Catalogues on the grids that their index was not made for."""

from __future__ import annotations

import numpy as np
import pytest

from skyshade.errors import InputError
from skyshade.geometry.grids import HIPS, MERCATOR, SKY, WORLD, TileGrid, tan_grid
from skyshade.layers.catalog import CatalogLayer
from skyshade.types import Tile, Window
from tests.layers.tables import ArrayTable, sphere

N = 3000
OTHERS = [MERCATOR, HIPS, tan_grid(0.0, 0.0), tan_grid(83.0, -5.0), tan_grid(200.0, 90.0)]


@pytest.fixture(scope="module")
def layer() -> CatalogLayer:
    rng = np.random.default_rng(0)
    kinds = np.array(["star", "galaxy", None], object)[rng.integers(0, 3, N)]
    columns = {"vt": rng.normal(9, 2, N), "type": kinds}
    return CatalogLayer(ArrayTable(*sphere(N), columns), id="stars")


def shown(layer: CatalogLayer, grid: TileGrid, z: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lattice columns and rows of the rows that a grid shows, and which those are."""
    cols, rows = grid.lattice(layer.table.ra, layer.table.dec, z)
    height, width = grid.lattice_shape(z)
    on = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    return cols[on], rows[on], on


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("z", [0, 1, 3])
@pytest.mark.parametrize("grid", OTHERS, ids=lambda g: g.id)
def test_counts_of_all_tiles_are_the_rows_that_the_grid_shows(
    layer: CatalogLayer, grid: TileGrid, z: int, size: int
) -> None:
    """Law 2, on grids that do not show the whole sky; every pixel holds what it owns."""
    counts = layer.select(reduction="count")
    high, wide = grid.rows << z, grid.columns << z
    tiles = [
        [counts.compute(Window.of(grid, Tile(z, x, y), size)).values for x in range(wide)]
        for y in range(high)
    ]
    whole = np.block(tiles)
    cols, rows, _ = shown(layer, grid, z + (size == 512))
    expected = np.zeros(whole.shape, np.uint32)
    np.add.at(expected, (rows, cols), 1)
    assert 500 < expected.sum() < N + (grid is HIPS)
    np.testing.assert_array_equal(whole, expected)


@pytest.mark.parametrize("reduction", ["density", "count", "mean:vt", "std:vt", "count_cat:type"])
@pytest.mark.parametrize("size", [256, 512])
def test_world_crs84_quad_is_the_mirror_image(
    layer: CatalogLayer, reduction: str, size: int
) -> None:
    chosen = layer.select(reduction=reduction)
    for z, x, y in [(0, 0, 0), (2, 3, 1), (3, 0, 7)]:
        mirrored = chosen.compute(Window.of(WORLD, Tile(z, x, y), size))
        sky = chosen.compute(Window.of(SKY, Tile(z, 2 ** (z + 1) - 1 - x, y), size))
        np.testing.assert_array_equal(mirrored.values, sky.values[:, ::-1])
        assert mirrored.values.flags.c_contiguous
        assert (mirrored.units, mirrored.categories) == (sky.units, sky.categories)


@pytest.mark.parametrize("grid", [WORLD, *OTHERS], ids=lambda g: g.id)
def test_densities_integrate_to_the_rows(layer: CatalogLayer, grid: TileGrid) -> None:
    height, width = grid.lattice_shape(2)
    values = layer.compute(Window(grid, 2, 0, 0, width, height)).values.astype(float)
    areas = grid.pixel_areas(2, np.arange(width), np.arange(height)[:, None])
    total = np.nansum(values * areas)
    assert total == pytest.approx(shown(layer, grid, 2)[2].sum(), rel=1e-6)


@pytest.mark.parametrize("grid", OTHERS, ids=lambda g: g.id)
def test_columns_and_datashader_reductions_agree_with_brute_force(
    layer: CatalogLayer, grid: TileGrid
) -> None:
    import datashader as ds

    cols, rows, on = shown(layer, grid, 1)
    total = np.zeros(grid.lattice_shape(1))
    np.add.at(total, (rows, cols), layer.table.column("vt")[on])
    col, row = (1400, 600) if grid is HIPS else (100, 150)  # over the seam of two faces
    window = Window(grid, 1, col, row, 301, 200)
    part = total[row : row + 200, col : col + 301]
    ours = layer.select(reduction="sum:vt").compute(window).values
    np.testing.assert_allclose(np.nan_to_num(ours), part, rtol=1e-12)
    first = layer.select(reduction=ds.first("vt")).compute(window).values
    assert np.isfinite(first).sum() == np.isfinite(ours).sum() > 10
    kinds = layer.select(reduction="count_cat:type").compute(window)
    assert kinds.values.shape == (200, 301, 2)
    assert (kinds.values.sum(axis=2) <= np.isfinite(ours) * 10).all()


def test_mercator_columns_are_periodic_and_tangent_ones_are_not(layer: CatalogLayer) -> None:
    counts = layer.select(reduction="count")
    here = counts.compute(Window(MERCATOR, 0, -40, -20, 400, 300)).values
    lattice = counts.compute(Window(MERCATOR, 0, 0, 0, 256, 256)).values
    np.testing.assert_array_equal(here[20:276], np.take(lattice, np.arange(-40, 360) % 256, axis=1))
    assert not here[:20].any()
    assert not here[276:].any()
    tan = tan_grid(10.0, 20.0)
    here = counts.compute(Window(tan, 0, -40, -20, 400, 300)).values
    lattice = counts.compute(Window(tan, 0, 0, 0, 256, 256)).values
    np.testing.assert_array_equal(here[20:276, 40:296], lattice)
    assert here.sum() == lattice.sum()


def test_windows_beyond_the_lattice_are_empty(layer: CatalogLayer) -> None:
    tan = tan_grid(10.0, 20.0)
    assert np.isnan(layer.compute(Window(tan, 2, -300, 0, 256, 256)).values).all()
    assert np.isnan(layer.compute(Window(MERCATOR, 2, 0, 1024, 256, 256)).values).all()


def test_too_deep_a_level_is_refused(layer: CatalogLayer) -> None:
    with pytest.raises(InputError, match=r"level 24 is too deep for a catalogue: .* ends at 23"):
        layer.compute(Window(tan_grid(0, 0), 24, 0, 0, 1, 1))


@pytest.mark.parametrize("grid", OTHERS, ids=lambda g: g.id)
def test_the_deepest_tiles_hold_their_rows(layer: CatalogLayer, grid: TileGrid) -> None:
    ra, dec = layer.table.ra, layer.table.dec
    for i in np.flatnonzero(shown(layer, grid, 2)[2])[:12]:
        tile = grid.tile_of(ra[i], dec[i], grid.max_zoom)
        window = Window.of(grid, tile, 512)
        values = layer.select(reduction="count").compute(window).values
        col, row = grid.lattice(ra[i : i + 1], dec[i : i + 1], window.z)
        assert values[row[0] - window.row, col[0] - window.col] >= 1
