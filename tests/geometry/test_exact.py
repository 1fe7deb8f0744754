"""Exactness: the pixel that is shown at a place, against wcslib's, on every grid and level.

Positions are drawn on the image and taken to ICRS by astropy alone (`WCS`, `SkyCoord`). Skyshade's
coordinates at the centre of the displayed pixel that owns a position are led back the same way, and
must come out within a twentieth of a displayed pixel of that centre.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord
from astropy.wcs.utils import wcs_to_celestial_frame

from skyshade.geometry.control import CELL, ControlGrid
from skyshade.geometry.grids import HIPS, MERCATOR, SKY, WORLD, TileGrid, tan_grid
from skyshade.geometry.wcs import PixelMap
from skyshade.types import Window
from tests.geometry.skies import ALL

N = 1000
WINDOWS = 16  # a level
LIMIT = 0.05


class Truth:
    """An image as astropy knows it: positions, and copies a turn of longitude apart."""

    def __init__(self, name: str) -> None:
        self.wcs, self.shape = ALL[name]
        self.frame = self._frame()
        free = self.wcs.deepcopy()
        free.wcs.bounds_check(False, False)  # native longitudes beyond 180 degrees too
        self._free = free
        self.turn = np.zeros(2)
        if str(self.wcs.wcs.ctype[self.wcs.wcs.lng])[5:8] in ("CAR", "CEA", "MER", "CYP"):
            goal = np.zeros(2)
            goal[self.wcs.wcs.lng] = 360.0
            self.turn = np.linalg.solve(self.wcs.pixel_scale_matrix, goal)

    def _frame(self) -> Any:
        if self.wcs.wcs.lngtyp == "ELON":  # astropy takes it for ICRS
            return BarycentricMeanEcliptic(equinox="J2000")
        return wcs_to_celestial_frame(self.wcs)

    def sky(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ICRS ra and dec of pixels, degrees."""
        world = self._free.all_pix2world(x, y, 0)
        lng = self.wcs.wcs.lng
        lon, lat = (np.asarray(v) for v in (world[lng], world[1 - lng]))
        fine = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90.0)
        place = SkyCoord(
            np.where(fine, lon, 0.0) * units.deg,
            np.where(fine, lat, 0.0) * units.deg,
            frame=self.frame,
        ).icrs
        return tuple(np.where(fine, v, np.nan) for v in (place.ra.deg, place.dec.deg))

    def pixels(self, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels of ICRS positions, NaN where there are none."""
        place = SkyCoord(ra * units.deg, dec * units.deg).transform_to(self.frame).spherical
        world = [place.lon.deg, place.lat.deg]
        if self.wcs.wcs.lng == 1:
            world.reverse()
        return self.wcs.all_world2pix(*world, 0, quiet=True)

    @lru_cache(maxsize=1)  # noqa: B019 (the object lives for one test)
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ICRS positions of `N` places on the image, found both ways by wcslib."""
        ny, nx = self.shape
        rng = np.random.default_rng(7)
        x, y = rng.uniform(-0.5, nx - 0.5, 4 * N), rng.uniform(-0.5, ny - 0.5, 4 * N)
        ra, dec = self.sky(x, y)
        fine = np.isfinite(ra)
        x, y, ra, dec = x[fine], y[fine], ra[fine], dec[fine]
        off = np.array(self.pixels(ra, dec)) - (x, y)
        if self.turn.any():
            turns = np.round(self.turn @ off / (self.turn @ self.turn))
            off = off - self.turn[:, None] * turns
        same = np.hypot(*off) < 1e-4  # what lies beyond a limb comes back elsewhere
        assert same.sum() > 0.2 * same.size
        ra, dec = ra[same][:N], dec[same][:N]
        assert ra.size == N
        return ra, dec


@lru_cache(maxsize=2)
def case(name: str) -> tuple[Truth, ControlGrid]:
    return Truth(name), ControlGrid(PixelMap(*ALL[name]))


def fraction(grid: TileGrid, z: int, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return fractional lattice (columns, rows), by the definition of the grid's plane."""
    height, width = grid.lattice_shape(z)
    x, y = grid.plane.from_sky(ra, dec)
    x0, y0, x1, y1 = grid.extent
    return np.array([(x - x0) / (x1 - x0) * width, (y1 - y) / (y1 - y0) * height])


def missed(grid: TileGrid, z: int, ra: Any, dec: Any, col: Any, row: Any) -> np.ndarray:
    """Return how far positions lie from the centres of lattice pixels, in displayed pixels."""
    along, down = fraction(grid, z, ra, dec) - (col + 0.5, row + 0.5)
    width = grid.lattice_shape(z)[1]
    if grid.periodic:
        along = along - width * np.round(along / width)
    return np.hypot(along, down)


def check(name: str, grid: TileGrid, z: int) -> int:
    """Check `N` displayed pixels of a level, in windows around places on the image."""
    truth, control = case(name)
    ra, dec = truth.places()
    col, row = grid.lattice(ra, dec, z)
    height, width = grid.lattice_shape(z)
    shown = (col >= 0) & (col < width) & (row >= 0) & (row < height)
    if not shown.any():
        return 0
    side = min(8 * CELL, height)
    owned = np.stack([col[shown], row[shown]])
    corners = np.unique(owned // side * side, axis=1)
    rng = np.random.default_rng(z + 2)
    corners = rng.permutation(corners, axis=1)[:, :WINDOWS]
    each = -(-N // corners.shape[1])
    parts = []
    for corner in corners.T:
        found = control.coordinates(Window(grid, z, *corner.tolist(), side, side))
        mine = owned[:, np.all(owned // side * side == corner[:, None], axis=0)]
        mine = mine[:, rng.integers(0, mine.shape[1], each // 2)]
        here = np.append(mine, rng.integers(0, side, (2, each - each // 2)) + corner[:, None], 1)
        x, y = here - corner[:, None]
        full = found and found.full()
        at = np.full((2, each), np.nan) if full is None else (full.x[y, x], full.y[y, x])
        parts.append(np.concatenate([at, here]))
    x, y, col, row = np.concatenate(parts, axis=1)
    judge(truth, control, grid, z, ((x, y), col, row))
    return int(np.isfinite(x).sum())


def judge(truth: Truth, control: ControlGrid, grid: TileGrid, z: int, shown: Any) -> None:
    (x, y), col, row = shown
    centre_ra, centre_dec = grid.sky(z, col + 0.5, row + 0.5)
    on = np.isfinite(x) & control.pixels.inside(x, y)
    away = missed(grid, z, *truth.sky(x[on], y[on]), col[on], row[on])
    assert away.max(initial=0.0) < LIMIT
    # no centre that wcslib puts on the image, clear of its border, is missing
    true_x, true_y = truth.pixels(centre_ra, centre_dec)
    back = missed(grid, z, *truth.sky(true_x, true_y), col, row)
    true_x = np.where(back < 0.01, true_x, np.nan)  # polynomials lead back from anywhere
    margin = 0.1 + LIMIT * 2.0 * grid.pixel_degrees(z) / control.pixels.resolution
    clear = np.zeros(col.shape, bool)
    ny, nx = truth.shape
    for k in (-1, 0, 1):
        px, py = true_x + k * truth.turn[0], true_y + k * truth.turn[1]
        inner = (px > margin - 0.5) & (px < nx - 0.5 - margin)
        clear |= inner & (py > margin - 0.5) & (py < ny - 0.5 - margin)
    assert np.all(on[clear])


@pytest.mark.parametrize("name", ALL)
def test_sky_is_exact_on_every_level(name: str) -> None:
    control = case(name)[1]
    native = SKY.zoom_for(control.pixels.resolution)
    looked = sum(check(name, SKY, z) for z in range(-1, native + 2))
    assert looked >= N


@pytest.mark.parametrize("name", ALL)
def test_other_grids_are_exact(name: str) -> None:
    truth, control = case(name)
    native = SKY.zoom_for(control.pixels.resolution)
    ra, dec = truth.places()
    looked = 0
    for grid in (WORLD, MERCATOR, HIPS, tan_grid(ra[0], dec[0]), tan_grid(ra[1], dec[1])):
        deep = native + round(np.log2(grid.pixel_degrees(0) / SKY.pixel_degrees(0)))
        looked += sum(check(name, grid, z) for z in {0, deep // 2, deep + 1})
    assert looked >= N


POLES = [(200.0, 90.0), (10.0, -90.0)]


@pytest.mark.parametrize("name", ["car", "car galactic", "zea", "ait galactic", "tan pole", "hpx"])
@pytest.mark.parametrize("pole", POLES)
@pytest.mark.parametrize("z", [0, 2, 4])
def test_poles_are_exact(name: str, pole: tuple[float, float], z: int) -> None:
    """Every displayed pixel of windows that touch a pole, row 0 and the last one included."""
    truth, control = case(name)
    for grid in (SKY, tan_grid(*pole)):
        col, row = (int(v[0]) for v in grid.lattice(np.array([pole[0]]), np.array([pole[1]]), z))
        window = Window(grid, z, col // CELL * CELL, row // CELL * CELL, CELL, CELL)
        found = control.coordinates(window)
        if found is None:
            assert name == "tan pole"
            continue
        full = found.full()
        rows, cols = np.indices(window.shape)
        at = np.array([full.x.ravel(), full.y.ravel()])
        judge(truth, control, grid, z, (at, cols.ravel() + window.col, rows.ravel() + window.row))
