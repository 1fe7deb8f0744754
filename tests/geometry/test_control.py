from __future__ import annotations

import numpy as np
import pytest

from skyshade.geometry.control import ControlGrid, Coordinates
from skyshade.geometry.grids import SKY
from skyshade.geometry.wcs import PixelMap
from skyshade.types import Window
from tests.geometry.skies import ALL


def window_at(z: int, ra: float, dec: float, size: int = 256) -> Window:
    height, _ = SKY.lattice_shape(z)
    size = min(size, height)
    col, row = SKY.lattice(np.array([ra]), np.array([dec]), max(z, 0))
    down = 1 if z < 0 else 0
    return Window(
        SKY,
        z,
        (int(col[0]) >> down) // size * size,
        (int(row[0]) >> down) // size * size,
        size,
        size,
    )


def centres(window: Window) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(window.row, window.row + window.height) + 0.5
    cols = np.arange(window.col, window.col + window.width) + 0.5
    ra, dec = SKY.sky_axes(window.z, cols, rows)
    return tuple(np.meshgrid(ra, dec))  # type: ignore[return-value]


def full(grid: ControlGrid, window: Window) -> Coordinates | None:
    found = grid.coordinates(window)
    return found and found.full()


@pytest.mark.parametrize("name", ALL)
def test_registration_stays_under_a_twentieth_of_a_displayed_pixel(name: str) -> None:
    """Where a control grid puts a pixel, led back to the sky by wcslib, is where it is drawn."""
    pixels = PixelMap(*ALL[name])
    grid = ControlGrid(pixels)
    native = SKY.zoom_for(pixels.resolution)
    rng = np.random.default_rng(len(name))
    for z in sorted({-1, 0, 1, 2, 4, max(native - 1, 0), native, native + 3}):
        ny, nx = pixels.shape
        ra, dec = pixels.pixel_to_sky(rng.uniform(0, nx - 1, 20), rng.uniform(0, ny - 1, 20))
        at = np.flatnonzero(np.isfinite(ra))[0]
        window = window_at(z, float(ra[at]), float(dec[at]))
        found = full(grid, window)
        assert found is not None
        ra, dec = centres(window)
        true = pixels.inside(*pixels.sky_to_pixel(ra, dec))
        both = true & pixels.inside(found.x, found.y)
        assert both.sum() >= true.sum() - 2 * window.width * 0.02  # only pixels at the very edge
        ra2, dec2 = pixels.pixel_to_sky(found.x[both], found.y[both])
        height, width = SKY.lattice_shape(z)
        along = ((ra[both] - ra2 + 180.0) % 360.0 - 180.0) / 360.0 * width
        down = (dec[both] - dec2) / 180.0 * height
        away = np.hypot(along, down)
        assert np.isnan(away).sum() <= 0.001 * away.size  # a hair beyond the limb of SIN
        assert np.nanmax(away, initial=0.0) < 0.05


@pytest.mark.parametrize("name", ["car", "car galactic", "tan", "tan pole", "ait galactic", "sin"])
@pytest.mark.parametrize("z", [0, 3])
def test_windows_agree_to_the_last_bit(name: str, z: int) -> None:
    grid = ControlGrid(PixelMap(*ALL[name]))
    ra, dec = grid.pixels.pixel_to_sky(np.array([30.0]), np.array([40.0]))
    if np.isnan(ra[0]):
        ra, dec = np.array([100.0]), np.array([-40.0])
    window = window_at(z, float(ra[0]), float(dec[0]), 128)
    whole = full(grid, window)
    part = full(grid, Window(SKY, z, window.col + 37, window.row + 21, 90, 90))
    turned = full(grid, Window(SKY, z, window.col - SKY.lattice_shape(z)[1], window.row, 128, 128))
    assert whole is not None
    assert part is not None
    assert turned is not None
    np.testing.assert_array_equal(part.x, whole.x[21:111, 37:127])
    np.testing.assert_array_equal(part.y, whole.y[21:111, 37:127])
    np.testing.assert_array_equal(turned.x, whole.x)


def test_maps_elsewhere_cost_nothing() -> None:
    grid = ControlGrid(PixelMap(*ALL["tan"]))
    assert grid.coordinates(window_at(6, 180.0, -60.0)) is None
    assert grid.coordinates(Window(SKY, 3, 0, -64, 64, 64)) is None


def test_only_plain_icrs_cylinders_are_separable() -> None:
    turned = ("oblique", "rotated", "galactic", "ecliptic", "fk5", "swapped")
    for name, entry in ALL.items():
        plain = name.split()[0] in ("car", "cea", "mer", "cyp")
        plain = plain and not any(word in name for word in turned)
        assert ControlGrid(PixelMap(*entry)).separable == plain, name


@pytest.mark.parametrize("name", ["car", "car galactic", "zea"])
def test_rows_beyond_the_poles_are_missing(name: str) -> None:
    found = full(ControlGrid(PixelMap(*ALL[name])), Window(SKY, 1, 0, -20, 64, 64))
    assert found is not None
    beyond = np.isnan(found.x) | np.isnan(found.y)
    assert beyond[:20].all()
    assert not beyond[20:].any()
