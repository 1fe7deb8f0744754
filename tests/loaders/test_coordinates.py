from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import DataError, UnknownNameError
from skyshade.loaders.api import load
from skyshade.loaders.coordinates import KNOWN, Coordinates, as_float, find


@pytest.mark.parametrize(
    ("columns", "units", "guess"),
    [
        (["id", "ra", "dec"], {}, "ra, dec from ra, dec (deg)"),
        (["RA", "Dec"], {}, "ra, dec from RA, Dec (deg)"),
        (["RAJ2000", "DEJ2000", "GLON", "GLAT"], {}, "ra, dec from RAJ2000, DEJ2000 (deg)"),
        (["RADeg", "decDeg"], {}, "ra, dec from RADeg, decDeg (deg)"),
        (["coord_ra", "coord_dec"], {}, "ra, dec from coord_ra, coord_dec (rad)"),
        (["coord_ra", "coord_dec"], {"coord_ra": "deg", "coord_dec": "deg"},
         "ra, dec from coord_ra, coord_dec (deg)"),
        (["ra", "dec"], {"ra": "rad", "dec": "radian"}, "ra, dec from ra, dec (rad and radian)"),
        (["ra", "dec"], {"ra": "h", "dec": "deg"}, "ra, dec from ra, dec (h and deg)"),
        (["ra", "dec"], {"ra": "Jy"}, "ra, dec from ra, dec (deg)"),
        (["_RA", "_DE"], {}, "ra, dec from _RA, _DE (deg)"),
        (["glon", "GLAT"], {}, "ra, dec from glon, GLAT (deg, galactic to ICRS)"),
        (["lon", "lat"], {}, "ra, dec from lon, lat (deg)"),
        (["ALPHA_J2000", "DELTA_J2000"], {}, "ra, dec from ALPHA_J2000, DELTA_J2000 (deg)"),
        (["RA_ICRS", "DE_ICRS"], {}, "ra, dec from RA_ICRS, DE_ICRS (deg)"),
        (["source_ra", "object_dec", "source_dec"], {}, "ra, dec from source_ra, source_dec (deg)"),
    ],
)  # fmt: skip
def test_guess(columns: list[str], units: dict[str, str], guess: str) -> None:
    assert find(columns, units).guess == guess


def test_every_known_pair_is_found() -> None:
    for lon, lat, frame, _ in KNOWN:
        assert find(["x", lon.upper(), lat.upper()], {}).frame == frame


def test_named_columns_win() -> None:
    columns = ["ra", "dec", "ra_psf", "dec_psf"]
    assert find(columns, {}, ra="ra_psf", dec="DEC_PSF").guess.startswith(
        "ra, dec from ra_psf, dec_"
    )
    assert find(columns, {}, ra="ra", dec="dec", frame="galactic").frame == "galactic"
    with pytest.raises(DataError, match=r"t\.csv: no column 'x'; columns: ra, dec, ra_psf"):
        find(columns, {}, ra="x", dec="dec", name="t.csv")
    with pytest.raises(DataError, match="name both columns"):
        find(columns, {}, ra="ra")


def test_nothing_found_lists_the_columns() -> None:
    with pytest.raises(DataError, match=r"--ra and --dec \(ra=, dec=\); columns: a, b$"):
        find(["a", "b"], {})
    with pytest.raises(DataError, match=r"c38, c39 and 60 more$"):
        find([f"c{i}" for i in range(100)], {})


def test_unknown_frame_is_refused_at_once() -> None:
    with pytest.raises(UnknownNameError, match="unknown frame 'mars'; known: icrs"):
        load({"a": [1.0], "b": [1.0]}, ra="a", dec="b", frame="mars")


floats = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(floats, floats), max_size=20))
def test_positions_are_in_range_or_missing(pairs: list[tuple[float, float]]) -> None:
    lon, lat = np.array(pairs, np.float64).reshape(-1, 2).T
    ra, dec = Coordinates("a", "b").positions(lon, lat)
    valid = np.isfinite(lon) & (lon >= -180) & (lon <= 360) & (np.abs(lat) <= 90)
    assert (np.isfinite(ra) == valid).all()
    assert (np.isfinite(dec) == valid).all()
    assert ((ra[valid] >= 0) & (ra[valid] < 360)).all()
    assert (dec[valid] == lat[valid]).all()
    away = np.abs((ra[valid] - lon[valid] + 180) % 360 - 180)
    assert (away < 1e-9).all()


def test_input_is_not_changed() -> None:
    lon, lat = np.array([400.0, -1.0]), np.array([0.0, 95.0])
    Coordinates("a", "b").positions(lon, lat)
    assert lon.tolist() == [400.0, -1.0]
    assert lat.tolist() == [0.0, 95.0]


def test_galactic_positions_agree_with_astropy() -> None:
    lon, lat = np.array([0.0, 96.0, 300.0]), np.array([0.0, -60.0, 80.0])
    ra, dec = Coordinates("l", "b", frame="galactic").positions(lon, lat)
    truth = SkyCoord(lon * u.deg, lat * u.deg, frame="galactic").icrs
    np.testing.assert_allclose(ra, truth.ra.deg, atol=1e-7)
    np.testing.assert_allclose(dec, truth.dec.deg, atol=1e-7)


def test_numbers_in_text() -> None:
    values = as_float(np.array(["1.5", "x", None, "12:30:00"], object))
    np.testing.assert_array_equal(values, [1.5, np.nan, np.nan, np.nan])
    masked = np.ma.MaskedArray([1, 2], [False, True])
    np.testing.assert_array_equal(as_float(masked), [1, np.nan])
