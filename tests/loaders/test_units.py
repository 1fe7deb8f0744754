from __future__ import annotations

import subprocess
import sys

import pytest
from astropy import units as u

from skyshade.loaders.units import parse_unit, unit_name


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("uK", "uK"), ("muK", "uK"), ("microK", "uK"), ("micro K", "uK"), ("µK", "uK"),
        ("uK_CMB", "uK"), ("K_CMB", "K"), ("mK_RJ", "mK"), ("mK(RJ)", "mK"), ("Kcmb", "K"),
        ("mK,thermodynamic", "mK"), ("uK_CMB^2", "uK2"), ("K^2", "K2"), ("1/uK^2", "uK-2"),
        ("MJy/sr", "MJy / sr"), ("MJY/SR", "MJy / sr"), ("Jy/beam", "Jy / beam"),
        ("JY/BEAM", "Jy / beam"), ("JY/PIXEL", "Jy / pix"), ("mJy/beam", "mJy / beam"),
        ("Jy/beam.km/s", "Jy km / (beam s)"), ("K km s-1", "K km / s"), ("W/m^2-sr", "W / (m2 sr)"),
        ("counts/s", "ct / s"), ("COUNTS/S", "ct / s"), ("ct/s", "ct / s"), ("counts", "ct"),
        ("10**(-6)counts/s", "1e-6 ct / s"), ("10^-6 counts/s", "1e-6 ct / s"),
        ("1e-6 erg/s/cm2", "1e-6 erg / (s cm2)"), ("electrons/s", "electron / s"),
        ("ELECTRONS/S", "electron / s"), ("e-/s", "electron / s"), ("dn", "DN"), ("adu", "adu"),
        ("DN/s", "DN / s"), ("erg/s/cm2/AA", "erg / (s cm2 Angstrom)"),
        ("ERG/CM2/S/A", "erg / (s cm2 Angstrom)"), ("nanomaggy", "nmgy"),
        ("photon/cm**2/s/sr", "ph / (cm2 s sr)"), ("mag/arcsec2", "mag / arcsec2"),
    ],
)  # fmt: skip
def test_what_people_write(text: str, unit: str) -> None:
    label, found = parse_unit(text)
    assert label == text
    assert found is not None
    assert found == u.Unit(unit)
    assert u.Unit(unit_name(text)) == found


@pytest.mark.parametrize(
    "text", ["10**(-6)ergs/s/furlong", "(((", "BJD - 2457000, days", "<b>x</b>", "K" * 59, "1/0"]
)
def test_an_unknown_unit_is_text(text: str) -> None:
    assert parse_unit(text) == (text, None)
    assert unit_name(text) == ""


def test_labels_are_one_short_line() -> None:
    assert parse_unit(" uK \n") == ("uK", u.uK)
    assert len(parse_unit("x" * 500)[0]) == 60
    for nothing in ("", "1", "None", "dimensionless"):
        assert parse_unit(nothing) == ("", None)


def test_skyshade_does_without_until_it_needs_units() -> None:
    code = "import sys, skyshade; print('astropy.units' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
