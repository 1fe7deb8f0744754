"""Orientation and registration of real maps, against astropy's own reading of the same files.

Positions are drawn on the image, taken to ICRS and back to pixels by astropy alone, and compared
with the API: its `value`, and the pixel of a magnified tile that owns the position.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from skyshade.app.settings import Settings
from skyshade.atlas.build import open_atlas
from tests.app.conftest import AsgiClient

N, FEW = 200, 40  # places on the first plane of a file, and on the others
HAIR = 1e-4  # map pixels: astropy's frames and ours differ by less
SEAM = 0.06  # displayed pixels: tiles may be off by 0.05
MAPS = (
    "car/MM_unlensed_071123.fits",
    "car/bexpmap_01.fits",
    "car/gc_bolocam_gps.fits",
    "car/gc_msx_e.fits",
    "car/spitzer_example_image.fits",
    "car/surveyMask.fits.gz",
    "car/wmap_W_iqu_car_derived.fits",
    "image/HorseHead.fits",
    "image/allsky_rosat.fits",
    "image/gc_2mass_k.fits",
    "image/herschel_spire.fits.gz",
    "image/nocdelt.fits",
    "image/reprojected_sdss_i.fits.bz2",
    "image/test_image.fits",
    "fz/m13.fits",
    "fz/m13_gzip.fits",
    "fz/m13_hcomp.fits",
    "fz/m13_plio.fits",
    "fz/m13_rice.fits",
    "cube/M17_SWex_unittest.fits",
    "cube/fermi-3fhl-gc-counts-cube.fits.gz",
    "tess/tess-s0001-4-3_107.27_-70.0_5x5_astrocut.fits",
)
NOT_SHOWN = ("image/M13_blue_0001.fits", "cube/l1448_13co.fits")


class Truth:
    """One plane as astropy reads it."""

    def __init__(self, wcs: WCS, data: np.ndarray) -> None:
        self.wcs, self.data = wcs, data
        x_turns = wcs.wcs.ctype[0][5:8] in ("CAR", "CEA")
        self.period = 360.0 / proj_plane_pixel_scales(wcs)[0] if x_turns else 0.0

    def places(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ICRS ra and dec of `count` places on the image, degrees."""
        ny, nx = self.data.shape
        rng = np.random.default_rng(11)
        x, y = rng.uniform(-0.5, nx - 0.5, 3 * count), rng.uniform(-0.5, ny - 0.5, 3 * count)
        sky = self.wcs.pixel_to_world(x, y).icrs
        shown = np.isfinite(sky.ra.deg) & np.isfinite(sky.dec.deg)
        assert shown.sum() > count
        return sky.ra.deg[shown][:count], sky.dec.deg[shown][:count]

    def pixels(self, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pixel coordinates of ICRS positions."""
        x, y = self.wcs.world_to_pixel(SkyCoord(ra * units.deg, dec * units.deg))
        if self.period:
            x = x - self.period * np.floor((x + 0.5) / self.period)
        return x, y

    def indices(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return (column, row) of the pixels that hold coordinates; -1 off the image."""
        ny, nx = self.data.shape
        i, j = (np.floor(np.nan_to_num(c, nan=-9.0) + 0.5).astype(int) for c in (x, y))
        on = (i >= 0) & (i < nx) & (j >= 0) & (j < ny)
        return np.where(on, [i, j], -1)

    def picked(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return pixels, NaN where there are none."""
        values = self.data[j, i]
        return np.where((i >= 0) & np.isfinite(values), values, np.nan)


def truths(path: Path) -> list[Truth]:
    """Return every plane of every celestial image in a file."""
    found = []
    with fits.open(path) as hdus:
        for hdu in hdus:
            if not hdu.is_image or hdu.data is None or hdu.data.ndim < 2:
                continue
            wcs = celestial(hdu.header)
            if wcs is not None:
                planes = np.asarray(hdu.data, np.float64).reshape(-1, *hdu.data.shape[-2:])
                found += [Truth(wcs, plane) for plane in planes]
    return found


def celestial(header: fits.Header) -> WCS | None:
    """Return the WCS of the first two axes; None where they are not on the sky."""
    if "CTYPE1" not in header:
        return None
    if header.get("NAME") == "TGS436Z003":  # nocdelt.fits: WCS(header) raises MemoryError
        cards = ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "EQUINOX")
        matrix = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
        return WCS({key: header[key] for key in (*cards, *matrix)})
    return WCS(header).celestial


@pytest.fixture(params=MAPS)
def opened(request: pytest.FixtureRequest, shared_data: Path) -> Iterator[Any]:
    """Return a client and, for every layer, its id and what astropy reads."""
    path = shared_data / "real" / request.param
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # about headers
        planes = truths(path)
    atlas = open_atlas([path])
    ids = [entry.id for entry in atlas.entries() if entry.layer]
    assert len(ids) == len(planes) > 0
    client = AsgiClient(atlas, Settings())
    yield client, list(zip(ids, planes, strict=True))
    client.close()


def test_every_map_is_listed(shared_data: Path) -> None:
    real = shared_data / "real"
    folders = ("car", "image", "fz", "cube", "tess")
    found = {f"{folder}/{p.name}" for folder in folders for p in (real / folder).iterdir()}
    assert found == {*MAPS, *NOT_SHOWN}


def test_values_are_those_of_the_pixels(opened: Any) -> None:
    client, layers = opened
    for number, (name, truth) in enumerate(layers):
        ra, dec = truth.places(FEW if number else N)
        x, y = truth.pixels(ra, dec)
        clear = (from_edge(x) > HAIR) & (from_edge(y) > HAIR)
        assert clear.sum() > 0.9 * ra.size
        wanted = truth.picked(*truth.indices(x, y))
        for k in np.flatnonzero(clear):
            where = {"ra": float(ra[k]), "dec": float(dec[k])}
            shown = client.get(f"/api/layers/{name}/value", params=where).json()["value"]
            shown = np.nan if shown is None else shown
            np.testing.assert_allclose(shown, wanted[k], rtol=1e-6, err_msg=f"{name} {where}")


def from_edge(x: np.ndarray) -> np.ndarray:
    """Return the distance to the nearest pixel edge."""
    return np.abs((x % 1.0) - 0.5)


def test_magnified_tiles_show_the_pixels(opened: Any) -> None:
    client, layers = opened
    for number, (name, truth) in enumerate(layers):
        z = client.get(f"/api/layers/{name}").json()["max_zoom"] + 2
        n = 256 << z
        ra, dec = truth.places(FEW if number else N)
        col = np.floor(2 * n * (((180.0 - ra) / 360.0) % 1.0)).astype(int)
        row = n - 1 - np.minimum(np.floor(n * (dec + 90.0) / 180.0), n - 1).astype(int)
        wanted, clear = owned(truth, n, col, row)
        assert clear.sum() > 0.5 * ra.size
        shown = np.array([pixel(client, name, z, *at) for at in zip(col, row, strict=True)])
        np.testing.assert_allclose(
            shown[clear], wanted[clear].astype(np.float32), rtol=1e-6, err_msg=name
        )


def owned(truth: Truth, n: int, col: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the map's values at lattice pixels, and which are further than SEAM from others."""
    found = []
    for right, down in itertools.product((0.0, -SEAM, SEAM), repeat=2):
        ra = (180.0 - 360.0 * (col + 0.5 + right) / (2 * n)) % 360.0
        dec = 90.0 - 180.0 * (row + 0.5 + down) / n
        found.append(truth.indices(*truth.pixels(ra, dec)))
    clear = np.all(np.array(found) == found[0], axis=(0, 1))
    return truth.picked(*found[0]), clear


@functools.lru_cache(maxsize=256)
def pixel(client: Any, name: str, z: int, col: int, row: int) -> float:
    return float(tile(client, name, z, col // 256, row // 256)[row % 256, col % 256])


@functools.lru_cache(maxsize=64)
def tile(client: Any, name: str, z: int, x: int, y: int) -> np.ndarray:
    reply = client.get(f"/tiles/{name}/sky/{z}/{x}/{y}.f4")
    assert reply.status_code == 200, reply.text
    return np.frombuffer(reply.content, "<f4").reshape(256, 256)
