"""What wcslib is given of a header against what astropy makes of all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS

from skyshade.errors import DataError
from skyshade.loaders.fits_headers import Hdu, walk
from skyshade.loaders.fits_wcs import celestial
from skyshade.quiet import quiet
from skyshade.storage import ByteFile

SHAPE = (40, 50)
PLAIN: dict[str, object] = {
    "NAXIS": 2, "NAXIS1": 50, "NAXIS2": 40,
    "CTYPE1": "RA---TAN", "CRPIX1": 20.5, "CRVAL1": 10.684708333333333, "CDELT1": -1 / 3600,
    "CTYPE2": "DEC--TAN", "CRPIX2": 30.5, "CRVAL2": 41.26875, "CDELT2": 1 / 3600,
}  # fmt: skip
VARIANTS: dict[str, dict[str, object]] = {
    "plain": {},
    "rotated": {"CROTA2": 33.3},
    "matrix": {"CD1_1": -2e-4, "CD1_2": 1e-5, "CD2_1": 2e-5, "CD2_2": 2e-4},
    "parts": {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8},
    "old parts": {"PC001002": 0.25, "PC002001": -0.25},
    "fk4": {"RADECSYS": "FK4", "EPOCH": 1950.0, "DATE-OBS": "31/12/95"},
    "fk5": {"RADESYS": "FK5", "EQUINOX": 2000, "MJD-OBS": 51544.5, "LONPOLE": 175.0},
    "units": {"CUNIT1": "deg", "CUNIT2": "arcmin", "CDELT2": 1 / 60, "CRVAL2": 41.26875 * 60},
    "gls": {"CTYPE1": "RA---GLS", "CTYPE2": "DEC--GLS"},
    "galactic": {"CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR", "CRVAL2": 0.0},
    "conic": {"CTYPE1": "RA---COE", "CTYPE2": "DEC--COE", "PV2_1": 45.0, "PV2_2": 10.0},
    "record": {"NOTE": "AXIS.1: 1.0"},
    "texts": {"NOTE": "O'Neill: a " + 60 * "x", "COLON": "12:30:00", "EMPTY": "", "YES": True},
    "long": {"NOTE": 90 * "y ", "HIERARCH ESO TEL ALT": 45.5, "HUGE": 10**30, "TINY": 1e-300},
    "alternate": {"CTYPE1A": "LINEAR", "CRVAL1A": 3.0, "WCSNAME": "tangent", "VELREF": 257},
    "sip": {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRPIX1": 25.0}
    | {"A_ORDER": 2, "A_2_0": 1e-4, "B_ORDER": 2, "B_0_2": -1e-4},
    "scamp": {"PV1_1": 1.0, "PV1_7": 1e-3, "PV2_1": 1.0, "PV2_7": 2e-3},
}


def same(header: Header, ours: WCS) -> None:
    """Check that a WCS is astropy's, float by float to what its header keeps of them."""
    with quiet():
        theirs = WCS(header, naxis=2)
        said, wanted = (dict(w.to_header(relax=True)) for w in (ours, theirs))
    assert said.keys() == wanted.keys()
    for key, value in wanted.items():
        expected = pytest.approx(value, rel=1e-11) if isinstance(value, float) else value
        assert said[key] == expected, key
    assert ours.pixel_shape == theirs.pixel_shape
    ny, nx = SHAPE
    x, y = np.meshgrid(np.linspace(0, nx, 9), np.linspace(0, ny, 9))
    places = [w.all_pix2world(x.ravel(), y.ravel(), 0) for w in (ours, theirs)]
    np.testing.assert_allclose(*places, rtol=0, atol=1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_same_as_astropy(variant: str) -> None:
    with quiet():
        header = Header((PLAIN | VARIANTS[variant]).items())
        header = Header.fromstring(header.tostring())
    ours, swapped = celestial(header, SHAPE, "a.fits", "HDU 0")
    assert not swapped
    same(header, ours)


def test_keeps_all_digits_of_a_float() -> None:
    header = Header(
        (PLAIN | {"CRVAL1": 0.00027777777777777778, "CRVAL2": -1.2345678901234567e-5}).items()
    )
    wcs, _ = celestial(header, SHAPE, "a.fits", "HDU 0")
    assert wcs.wcs.crval.tolist() == [0.00027777777777777778, -1.2345678901234567e-5]


@pytest.mark.parametrize("ctype", [1, 2.5, True])
def test_refuses_axis_types_that_are_no_texts(ctype: object) -> None:
    header = Header((PLAIN | {"CTYPE2": ctype}).items())
    with pytest.raises(DataError, match="broken WCS"):
        celestial(header, SHAPE, "a.fits", "HDU 0")


def test_same_as_astropy_on_a_real_map(shared_data: Path) -> None:
    path = shared_data / "real" / "image" / "gc_2mass_k.fits"
    hdu = next(h for h in walk(ByteFile.open(path)) if isinstance(h, Hdu) and len(h.axes) == 2)
    ours, swapped = celestial(hdu.header, (hdu.axes[1], hdu.axes[0]), path.name, hdu.part)
    assert not swapped
    same(hdu.header.full, ours)
