"""The grid ``hips`` against astropy-healpix: which pixel owns a position, where pixels lie."""

from __future__ import annotations

import numpy as np
import pytest
from astropy_healpix import HEALPix
from hypothesis import given
from hypothesis import strategies as st

from skyshade.geometry.coverage import window_coverage
from skyshade.geometry.grids import HIPS, grid_named
from skyshade.geometry.wcs import separation
from skyshade.types import Tile, Window

ras, decs = st.floats(0, 360), st.floats(-90, 90)
LAYOUT = {11: (0, 3), 7: (0, 4), 8: (1, 2), 4: (1, 3), 3: (1, 4), 9: (2, 1), 5: (2, 2)}
LAYOUT |= {0: (2, 3), 10: (3, 0), 6: (3, 1), 1: (3, 2), 2: (4, 1)}  # face -> row, column
FACES = {(col, row) for row, col in LAYOUT.values()}


def nested(cols: np.ndarray, rows: np.ndarray, z: int) -> np.ndarray:
    """Return NESTED numbers of lattice cells, from the layout in the module's docstring."""
    nside = 256 << z
    face = {place: number for number, place in LAYOUT.items()}
    found = []
    for col, row in zip(cols.ravel().tolist(), rows.ravel().tolist(), strict=True):
        number = face[row // nside, col // nside]
        x, y = row % nside, col % nside
        for bit in range(nside.bit_length() - 2, -1, -1):
            number = number << 2 | (y >> bit & 1) << 1 | (x >> bit & 1)
        found.append(number)
    return np.array(found).reshape(cols.shape)


@pytest.mark.parametrize("z", [0, 1, 5, 12, 20])
def test_pixels_are_those_of_healpix(z: int) -> None:
    rng = np.random.default_rng(z)
    ra, dec = rng.uniform(0, 360, 2000), np.degrees(np.arcsin(rng.uniform(-1, 1, 2000)))
    cols, rows = HIPS.lattice(ra, dec, z)
    theirs = HEALPix(256 << z, "nested").lonlat_to_healpix(*np.radians([ra, dec]) * _rad())
    same = nested(cols, rows, z) == theirs
    assert same.mean() > 0.999  # rounding at edges may differ on the deepest level
    faces = (np.array([cols, rows]) // (256 << z)).tolist()
    assert set(zip(*faces, strict=True)) == FACES


@pytest.mark.parametrize("z", [0, 3, 12, 20])
def test_pixel_centres_are_those_of_healpix(z: int) -> None:
    rng = np.random.default_rng(z)
    ra, dec = rng.uniform(0, 360, 2000), np.degrees(np.arcsin(rng.uniform(-1, 1, 2000)))
    cols, rows = HIPS.lattice(ra, dec, z)
    found = HIPS.sky(z, cols + 0.5, rows + 0.5)
    theirs = HEALPix(256 << z, "nested").healpix_to_lonlat(nested(cols, rows, z))
    off = separation(*found, theirs[0].deg, theirs[1].deg)
    assert off.max() < 0.01 * HIPS.pixel_degrees(z) + 1e-9


@given(ra=ras, dec=decs, z=st.integers(0, 18))
def test_positions_come_back(ra: float, dec: float, z: int) -> None:
    col, row = HIPS.lattice(np.array([ra]), np.array([dec]), z)
    back = HIPS.lattice(*HIPS.sky(z, col + 0.5, row + 0.5), z)
    assert (back[0][0], back[1][0]) == (col[0], row[0])


def test_edges_belong_to_the_face_that_is_there() -> None:
    for x, y in FACES:
        cols = np.array([x * 256, (x + 1) * 256])
        rows = np.array([[y * 256], [(y + 1) * 256]])
        ra, dec = HIPS.sky(0, cols, rows)
        assert np.isfinite(ra).all()
        inside = HIPS.sky(0, cols + np.array([1e-6, -1e-6]), rows + np.array([[1e-6], [-1e-6]]))
        assert separation(ra, dec, *inside).max() < 1e-4


def test_neighbouring_faces_join() -> None:
    for x, y in FACES:
        if (x + 1, y) in FACES:
            at = np.linspace(0.1, 0.9, 9) * 256 + y * 256
            left, right = (HIPS.sky(0, (x + 1) * 256 + d, at) for d in (-1e-6, 1e-6))
            assert separation(*left, *right).max() < 1e-5


def test_squares_without_a_face_show_no_sky() -> None:
    assert np.isnan(HIPS.sky(0, 10.0, 10.0)[0])
    assert np.isnan(HIPS.sky(0, -1.0, 800.0)[0])
    assert window_coverage(Window.of(HIPS, Tile(1, 0, 0))) is None


@pytest.mark.parametrize("z", [0, 1, 4, 10])
def test_coverage_holds_every_pixel(z: int) -> None:
    rng = np.random.default_rng(z)
    for ra, dec in [(0, 90), (0, -90), (0, 0), (359.99, 45), *rng.uniform(-60, 60, (20, 2))]:
        tile = HIPS.tile_of(ra % 360, dec, z)
        window = Window.of(HIPS, tile)
        found = window_coverage(window)
        assert found is not None
        at = np.linspace(0, 256, 41)
        a, d = HIPS.sky(z, window.col + at, window.row + at[:, None])
        assert (d >= found.dec_min - 1e-9).all()
        assert (d <= found.dec_max + 1e-9).all()
        west = np.mod(found.ra_east - a[np.abs(d) < 89.99], 360.0)
        assert (west <= found.ra_east - found.ra_west + 1e-9).all()


def test_a_tile_is_known_by_its_name() -> None:
    assert grid_named("hips") is HIPS
    assert HIPS.pixel_areas(3, 0, np.arange(4)[:, None]).sum() == pytest.approx(
        4 * 41252.96 / (12 * (256 << 3) ** 2), rel=1e-6
    )


def _rad() -> object:
    from astropy import units

    return units.rad
