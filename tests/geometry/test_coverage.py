from __future__ import annotations

import numpy as np
import pytest

from skyshade.geometry.coverage import coverage_of, overlap
from skyshade.geometry.grids import SKY
from skyshade.geometry.wcs import PixelMap
from skyshade.types import Coverage, Window
from tests.geometry.skies import ALL, make_wcs, rotation


@pytest.mark.parametrize("name", ALL)
def test_every_pixel_is_covered(name: str) -> None:
    pixels = PixelMap(*ALL[name])
    ny, nx = pixels.shape
    rng = np.random.default_rng(0)
    ra, dec = pixels.pixel_to_sky(rng.uniform(0, nx - 1, 3000), rng.uniform(0, ny - 1, 3000))
    ra, dec = ra[np.isfinite(ra)], dec[np.isfinite(ra)]
    found = coverage_of(pixels)
    tall, wide = found.dec_max - found.dec_min, found.ra_east - found.ra_west
    assert 0.0 <= found.ra_west < 360.0
    assert 0.0 < wide <= 360.0
    offset = np.mod(ra - found.ra_west + 0.01 * wide, 360.0)
    assert np.all((offset <= 1.02 * wide) | (wide == 360.0))
    assert np.all((dec >= found.dec_min - 0.01 * tall) & (dec <= found.dec_max + 0.01 * tall))


def test_known_rectangles() -> None:
    assert coverage_of(PixelMap(*ALL["car"])) == pytest.approx((360, 0, -90, 90), abs=1e-4)
    patch = make_wcs(crval=(0, 0), cdelt=(-1, 1), crpix=(10.5, 5.5))  # across RA 0
    assert coverage_of(PixelMap(patch, (10, 20))) == pytest.approx((370, 350, -5, 5), abs=1e-4)
    pole = coverage_of(PixelMap(*ALL["tan pole"]))
    assert (pole.ra_east, pole.ra_west, pole.dec_max) == (360.0, 0.0, 90.0)


@pytest.mark.parametrize("code", ["TAN", "SIN", "ZEA", "CAR", "SFL"])
@pytest.mark.parametrize("dec", [-62.0, -20.0, 0.0, 45.0, 64.0])
@pytest.mark.parametrize("axes", ["RA", "G"])
def test_a_small_image_is_covered_to_a_hundredth(code: str, dec: float, axes: str) -> None:
    """It is sampled at fewer places: the rectangle around many more is hardly any larger."""
    turn = {"pc": rotation(33.0)} if code in ("TAN", "SIN") else {}
    wcs = make_wcs(code, (10.0, dec), (-0.13, 0.11), (31.0, 45.0), axes, **turn)
    pixels = PixelMap(wcs, (70, 80))
    x, y = np.meshgrid(np.linspace(-0.49, 79.49, 500), np.linspace(-0.49, 69.49, 500))
    ra, dec_ = pixels.pixel_to_sky(x, y)
    found = coverage_of(pixels)
    tall, wide = found.dec_max - found.dec_min, found.ra_east - found.ra_west
    offset = np.mod(ra - found.ra_west + 0.01 * wide, 360.0)
    assert offset.max() - 0.01 * wide == pytest.approx(wide, abs=0.01 * wide)
    assert offset.min() - 0.01 * wide == pytest.approx(0.0, abs=0.01 * wide)
    assert dec_.min() == pytest.approx(found.dec_min, abs=0.01 * tall)
    assert dec_.max() == pytest.approx(found.dec_max, abs=0.01 * tall)


def test_a_small_image_at_a_pole_reaches_it() -> None:
    beside = make_wcs("TAN", (10.0, 89.9), (-0.01, 0.01), (50.0, 50.0))  # the pole is on it
    found = coverage_of(PixelMap(beside, (100, 100)))
    assert (found.ra_east - found.ra_west, found.dec_max) == (360.0, 90.0)


@pytest.mark.parametrize("west", [0.0, 100.0, 170.0, 355.0])
def test_cells_that_touch_a_rectangle(west: float) -> None:
    """The chosen cells are those that hold any of a dense set of points in it."""
    coverage = Coverage(west + 10.0, west, 20.0, 30.0)
    window = Window(SKY, 2, -512, 0, 2048, 1024)
    cells = overlap(coverage, window, 16, 0.0)
    rows, cols = cells.any(axis=1), cells.any(axis=0)
    np.testing.assert_array_equal(cells, rows[:, None] & cols)
    ra, dec = np.meshgrid(np.arange(west, west + 10.0, 0.05), np.arange(20.0, 30.0, 0.05))
    col, row = SKY.lattice(ra.ravel(), dec.ravel(), 2)
    want_rows, want_cols = np.zeros(64, bool), np.zeros(128, bool)
    want_rows[row // 16], want_cols[np.mod(col + 512, 2048) // 16] = True, True
    assert np.all(rows[want_rows])
    assert np.all(cols[want_cols])
    assert rows.sum() <= want_rows.sum() + 2
    assert cols.sum() <= want_cols.sum() + 2
