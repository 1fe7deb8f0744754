"""Tiles against `reproject.reproject_interp` of the same pixels, on real maps.

Tolerance: coordinates may be off by 0.05 displayed pixel along each axis, so a bilinear value may
differ by a tenth of what the map varies over the 3 x 3 pixels around, plus float32 rounding. The
nearest pixel must be the same wherever the place lies 0.06 displayed pixel or more from the edge of
a map pixel. Compared off the outermost half pixel, where reproject repeats pixels and we join the
ends of a cyclic map. Beside missing pixels we renormalise weights and reproject gives NaN: what
reproject shows we must show.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS
from reproject import reproject_interp
from scipy.ndimage import maximum_filter, minimum_filter

from skyshade.geometry.grids import SKY, tan_grid
from skyshade.layers.map import MapLayer
from skyshade.types import Tile, Window
from tests.geometry.skies import make_wcs
from tests.layers.images import ArrayReader, image

FILES = {
    "car/gc_bolocam_gps.fits": 0.5,  # and where to look, as a part of the image along both axes
    "car/gc_msx_e.fits": 0.4,
    "car/spitzer_example_image.fits": 0.6,
    "car/wmap_W_iqu_car_derived.fits": 0.02,  # at the seam
    "car/MM_unlensed_071123.fits": 0.99,
    "image/allsky_rosat.fits": 0.45,
    "image/gc_2mass_k.fits": 0.5,
    "image/HorseHead.fits": 0.3,
    "image/test_image.fits": 0.5,
}
EDGE, OFF = 0.06, 0.05  # displayed pixels


def target(window: Window) -> WCS:
    """Return a window as astropy's WCS; its row 0 is the lowest."""
    height, width = window.grid.lattice_shape(window.z)
    side = window.grid.pixel_degrees(window.z)
    crpix = width / 2 + 0.5 - window.col, window.row + window.height + 0.5 - height / 2
    if window.grid is SKY:
        return make_wcs("CAR", (0.0, 0.0), (-side, side), crpix)
    plane: Any = window.grid.plane  # type: ignore[attr-defined]
    return make_wcs("TAN", (plane.ra, plane.dec), (-side, side), crpix)


class Case:
    """A real map, as astropy reads it and as a layer of the same numbers."""

    def __init__(self, path: Path, part: float) -> None:
        with warnings.catch_warnings(), fits.open(path) as hdus:
            warnings.simplefilter("ignore", AstropyWarning)
            data = np.asarray(hdus[0].data, np.float64)
            self.wcs = WCS(hdus[0].header).celestial
        self.data = data.reshape(-1, *data.shape[-2:])[0]
        ny, nx = self.data.shape
        place = self.wcs.pixel_to_world(part * nx, part * ny).icrs
        self.at = float(place.ra.deg), float(place.dec.deg)

    def layer(self, **more: Any) -> MapLayer:
        return MapLayer([image(self.wcs, ArrayReader(self.data.astype("f4")), **more)], id="real")

    def window(self, grid: Any, z: int) -> Window:
        tile = grid.tile_of(*self.at, z)
        return Window.of(grid, Tile(*tile))

    def reproject(self, data: np.ndarray, window: Window, order: str) -> np.ndarray:
        made, _ = reproject_interp((data, self.wcs), target(window), window.shape, order=order)
        return made[::-1]

    def pixels(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return the map's pixel coordinates of a window's centres, by astropy."""
        rows, cols = np.indices(window.shape)
        ra, dec = window.grid.sky(window.z, cols + window.col + 0.5, rows + window.row + 0.5)
        return self.wcs.world_to_pixel(SkyCoord(ra * units.deg, dec * units.deg))


@pytest.fixture(params=FILES)
def case(request: pytest.FixtureRequest, shared_data: Path) -> Case:
    return Case(shared_data / "real" / request.param, FILES[request.param])


@pytest.mark.parametrize("flat", [False, True], ids=["sky", "tan"])
def test_bilinear_tiles_agree(case: Case, flat: bool) -> None:
    layer = case.layer()
    window = case.window(tan_grid(*case.at) if flat else SKY, layer.info.max_zoom)
    ours = layer.compute(window).values
    theirs = case.reproject(case.data, window, "bilinear")
    filled = np.where(np.isfinite(case.data), case.data, 0.0)
    varies = maximum_filter(filled, 3) - minimum_filter(filled, 3)
    local = case.reproject(varies, window, "nearest-neighbor")
    x, y = case.pixels(window)
    ny, nx = case.data.shape
    inner = (x > 0.0) & (x < nx - 1.0) & (y > 0.0) & (y < ny - 1.0)
    both = np.isfinite(ours) & np.isfinite(theirs) & inner
    assert both.sum() > 2000
    limit = 2.0 * OFF * local + 1e-6 * np.abs(theirs) + 1e-30
    assert np.all(np.abs(ours - theirs)[both] <= limit[both])
    assert np.all(np.isfinite(ours)[np.isfinite(theirs) & inner])


@pytest.mark.parametrize("flat", [False, True], ids=["sky", "tan"])
def test_nearest_tiles_agree(case: Case, flat: bool) -> None:
    layer = case.layer(integer=True)
    window = case.window(tan_grid(*case.at) if flat else SKY, layer.info.max_zoom)
    ours = layer.compute(window).values
    theirs = case.reproject(case.data, window, "nearest-neighbor").astype(np.float32)
    edge = EDGE * window.grid.pixel_degrees(window.z) / layer.info.resolution * 2.0
    clear = np.ones(window.shape, bool)
    for at in case.pixels(window):
        clear &= np.abs((at % 1.0) - 0.5) > edge
    ny, nx = case.data.shape
    x, y = case.pixels(window)
    clear &= (x > 0.0) & (x < nx - 1.0) & (y > 0.0) & (y < ny - 1.0)
    assert clear.sum() > 1000
    np.testing.assert_array_equal(ours[clear], theirs[clear])
