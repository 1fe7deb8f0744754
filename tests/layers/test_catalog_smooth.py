"""The smoothed density: right on average, the same in every tile, and blind to the grid."""

from __future__ import annotations

import numpy as np
import pytest

from skyshade.geometry.grids import SKY
from skyshade.layers.catalog import CatalogLayer
from skyshade.layers.catalog_smooth import box_width, smoothed_classes, smoothed_density
from skyshade.types import Window
from tests.layers.tables import ArrayTable, sphere

N = 50_000


@pytest.fixture(scope="module")
def view():
    return CatalogLayer(ArrayTable(*sphere(N)), id="s").view


@pytest.mark.parametrize("width", [1, 3, 5, 11])
def test_a_uniform_sky_looks_uniform_up_to_the_poles(view, width) -> None:
    values = smoothed_density(view, Window(SKY, 0, 0, 0, 512, 256), width)[0]
    mean = N / 41252.96
    found = np.nan_to_num(values)
    for rows in (slice(1, 9), slice(10, 40), slice(100, 160), slice(215, 245), slice(247, 255)):
        assert found[rows].mean() == pytest.approx(mean, rel=0.12)
    middle, polar = found[100:156].std(), found[[4, 5, 6, 249, 250, 251]].std()
    assert polar < 2.0 * middle  # pixels are a hundred times smaller there


@pytest.mark.parametrize("width", [1, 3, 11])
@pytest.mark.parametrize("place", [(0, 0), (448, 100), (200, 192)])
def test_windows_join_exactly(view, width, place) -> None:
    col, row = place
    whole = smoothed_density(view, Window(SKY, 0, col, row, 128, 64), width)[0]
    for y in (0, 20):
        for x in (0, 64, 71):
            part = smoothed_density(view, Window(SKY, 0, col + x, row + y, 57, 44), width)[0]
            np.testing.assert_array_equal(whole[y : y + 44, x : x + 57], part)


def test_the_sky_is_round(view) -> None:
    here = smoothed_density(view, Window(SKY, 1, 1000, 40, 60, 60), 5)[0]
    there = smoothed_density(view, Window(SKY, 1, 1000 - 1024, 40, 60, 60), 5)[0]
    np.testing.assert_array_equal(here, there)


def test_one_row_becomes_a_triangle_of_the_same_total() -> None:
    view = CatalogLayer(ArrayTable([90.0], [0.0]), id="one").view
    window = Window(SKY, 0, 100, 100, 60, 60)
    values = np.nan_to_num(smoothed_density(view, window, 3)[0]).astype(float)
    areas = SKY.pixel_areas(0, 0, 100 + np.arange(60))
    assert (values * areas[:, None]).sum() == pytest.approx(1.0, rel=1e-3)
    assert np.count_nonzero(values) == 25
    assert values.max() == values[27, 28]


def test_boxes_grow_with_the_level() -> None:
    widths = [box_width(n) for n in range(-2, 5)]
    assert widths[:3] == [1, 1, 1]
    assert np.all(np.diff(widths[2:]) > 0)
    assert all(width % 2 for width in widths)


def test_classes_add_up_to_the_density() -> None:
    kinds = np.random.default_rng(2).choice(np.array(["a", "b"], object), N)
    view = CatalogLayer(ArrayTable(*sphere(N), {"type": kinds}), id="c").view
    window = Window(SKY, 1, 100, 0, 90, 70)
    classes = smoothed_classes(view, window, 5, "type")[0]
    density = smoothed_density(view, window, 5)[0]
    np.testing.assert_array_equal(np.isnan(classes).all(axis=2), np.isnan(density))
    ratio = np.nansum(classes, axis=2)[density > 0] / density[density > 0]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    occupied = view.cells(view.level)[1].mean()
    assert np.nanmean(np.nansum(classes, axis=2)) == pytest.approx(
        occupied * np.pi / 2,
        rel=0.25,  # occupied pixels are smaller than those on the equator
    )
