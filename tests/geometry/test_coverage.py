from __future__ import annotations

import numpy as np
import pytest

from skyshade.geometry.coverage import coverage_of, overlap
from skyshade.geometry.grids import SKY
from skyshade.geometry.wcs import PixelMap
from skyshade.types import Coverage, Window
from tests.geometry.skies import ALL, make_wcs


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
