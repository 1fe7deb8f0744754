"""WCS of many kinds, for tests of geometry and of maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, Sip

Shape = tuple[int, int]


def make_wcs(
    code: str = "CAR",
    crval: tuple[float, float] = (0.0, 0.0),
    cdelt: tuple[float, float] = (-1.0, 1.0),
    crpix: tuple[float, float] = (180.5, 90.5),
    axes: str = "RA",
    **more: Any,
) -> WCS:
    """Return a celestial WCS; `more` are attributes of its parameter block."""
    lon, lat = {"RA": ("RA--", "DEC-"), "G": ("GLON", "GLAT"), "E": ("ELON", "ELAT")}[axes]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"{lon}-{code}", f"{lat}-{code}"]
    wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix = crval, cdelt, crpix
    for name, value in more.items():
        setattr(wcs.wcs, name, value)
    wcs.wcs.set()
    return wcs


def rotation(degrees: float) -> np.ndarray:
    """Return a PC matrix."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def with_sip(crpix: tuple[float, float] = (500, 500)) -> WCS:
    """Return a TAN-SIP WCS whose corners are off by some pixels."""
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[2, 0], a[1, 1], b[0, 2], b[3, 0] = 1e-5, -2e-5, 2e-5, 1e-8
    wcs = make_wcs("TAN", (80, 30), (-0.001, 0.001), crpix)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.sip = Sip(a, b, None, None, crpix)
    wcs.wcs.set()
    return wcs


def cd_matrix() -> WCS:
    """Return a rotated TAN WCS given by CD."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150, 2], [300, 200]
    wcs.wcs.cd = [[-0.003, 0.001], [0.001, 0.003]]
    wcs.wcs.set()
    return wcs


def crota() -> WCS:
    """Return a TAN WCS with CROTA2, as read from a header."""
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 85.0}
    cards |= {"CDELT1": -0.01, "CDELT2": 0.01, "CRPIX1": 200.0, "CRPIX2": 150.0, "CROTA2": 30.0}
    return WCS(cards, naxis=2)


def with_pv(code: str, values: list[tuple[int, int, float]], side: float = 0.001) -> WCS:
    """Return a WCS with PVi_m cards, given as (i, m, value)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix = (80, 30), (-side, side), (500, 500)
    wcs.wcs.set_pv(values)
    wcs.wcs.set()
    return wcs


def tpd() -> WCS:
    """Return a TAN WCS with a polynomial of paper IV (TPD, sequent), as read from a header."""
    header = fits.Header({"WCSAXES": 2, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header.update({"CRVAL1": 80.0, "CRVAL2": 30.0, "CRPIX1": 500.0, "CRPIX2": 500.0})
    header.update({"CDELT1": -0.001, "CDELT2": 0.001, "CQDIS1": "TPD", "CQDIS2": "TPD"})
    for axis, bend in ((1, 2e-5), (2, -2e-5)):
        terms = {"NAXES": 2, "AXIS.1": axis, "AXIS.2": 3 - axis, "TPD.FWD.0": 0.3}
        terms |= {"TPD.FWD.1": 1.001, "TPD.FWD.4": bend, "TPD.FWD.7": 1e-8}
        for name, value in terms.items():
            header.append(fits.Card.fromstring(f"DQ{axis}     = '{name}: {value}'"))
    return WCS(header)


def in_units(unit: str, factor: float) -> WCS:
    """Return a TAN WCS whose world coordinates are not degrees; `factor` of them are one."""
    cards: dict[str, Any] = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": unit}
    cards |= {"CUNIT2": unit, "CRVAL1": 150.0 * factor, "CRVAL2": 2.0 * factor}
    cards |= {"CDELT1": -0.002 * factor, "CDELT2": 0.002 * factor}
    return WCS(cards | {"CRPIX1": 250.0, "CRPIX2": 250.0}, naxis=2)


TPV = [(1, 0, 1e-4), (1, 1, 1.002), (1, 2, 1e-3), (1, 4, 2e-3), (1, 7, 5e-3)]
TPV += [(2, 0, -2e-4), (2, 1, 0.999), (2, 2, -1e-3), (2, 6, 3e-3), (2, 9, 4e-3)]
ZPN = [(2, 1, 1.0), (2, 3, -0.05), (2, 5, 0.01)]

ALL: dict[str, tuple[WCS, Shape]] = {
    "car": (make_wcs(), (180, 360)),
    "car flipped": (make_wcs(cdelt=(1, -1)), (180, 360)),
    "car x flipped": (make_wcs(cdelt=(1, 1), crval=(200, 0)), (180, 360)),
    "car cut": (make_wcs(crval=(123, 0), cdelt=(-0.1, 0.1), crpix=(5000, 900)), (400, 1200)),
    "car wide": (make_wcs(crval=(10, 0), cdelt=(-0.5, 0.5), crpix=(400, 180.5)), (360, 800)),
    "car oblique": (make_wcs(crval=(20, 35), cdelt=(-0.1, 0.1), crpix=(300, 200)), (400, 600)),
    "car rotated": (make_wcs(crval=(20, 0), cdelt=(-0.1, 0.1), pc=rotation(20)), (200, 300)),
    "car galactic": (make_wcs(axes="G", cdelt=(-0.5, 0.5), crpix=(360.5, 180.5)), (360, 720)),
    "car ecliptic": (make_wcs(axes="E", cdelt=(-0.5, 0.5), crpix=(360.5, 180.5)), (360, 720)),
    "cea fk5": (
        make_wcs("CEA", cdelt=(-0.2, 0.2), crpix=(900.5, 250), radesys="FK5", equinox=2000.0),
        (500, 1800),
    ),
    "mer": (make_wcs("MER", cdelt=(-0.2, 0.2), crpix=(900.5, 500)), (1000, 1800)),
    "tan": (make_wcs("TAN", (359.9, 60), (-0.01, 0.01), (500, 500)), (1000, 1000)),
    "tan pole": (make_wcs("TAN", (10, 90), (-0.05, 0.05), (500, 500)), (1000, 1000)),
    "tan turned": (
        make_wcs("TAN", (180.1, -20), (-0.01, 0.01), (500, 500), pc=rotation(40)),
        (1000, 1000),
    ),
    "tan tiny": (make_wcs("TAN", (266, -29), (-1e-5, 1e-5), (300, 300)), (600, 600)),
    "tan cd": (cd_matrix(), (400, 600)),
    "tan crota": (crota(), (300, 400)),
    "tan sip": (with_sip(), (1000, 1000)),
    # a cutout that the distortion moves by more than its own width
    "tan sip far": (with_sip((-900, 1200)), (9, 11)),
    "tan fk4": (
        make_wcs("TAN", (266, -29), (-0.01, 0.01), (300, 300), radesys="FK4", equinox=1950.0),
        (600, 600),
    ),
    "sin": (make_wcs("SIN", (100, -40), (-0.1, 0.1), (600, 600)), (1200, 1200)),
    "zea": (make_wcs("ZEA", (0, 90), (-0.15, 0.15), (1000, 1000)), (2000, 2000)),
    "arc": (make_wcs("ARC", (300, 10), (-0.15, 0.15), (1200, 1200)), (2400, 2400)),
    "stg": (make_wcs("STG", (30, -80), (-0.05, 0.05), (600, 600)), (1200, 1200)),
    "ait galactic": (make_wcs("AIT", axes="G", cdelt=(-0.3, 0.3), crpix=(600, 300)), (600, 1200)),
    "mol": (make_wcs("MOL", (90, 0), cdelt=(-0.3, 0.3), crpix=(600, 300)), (600, 1200)),
    "sfl": (make_wcs("SFL", cdelt=(-0.3, 0.3), crpix=(600, 300)), (600, 1200)),
    "swapped": (
        make_wcs("TAN", (60, 200), (0.01, 0.01), (500, 500), ctype=["DEC--TAN", "RA---TAN"]),
        (1000, 1000),
    ),
    "car y flipped": (make_wcs(cdelt=(-1, -1)), (180, 360)),
    # pixell: the reference pixel lies on the equator, far from a southern map
    "car pixell": (make_wcs(crval=(52.5, 0), cdelt=(-0.05, 0.05), crpix=(900, 1402)), (500, 1800)),
    "car across 180": (make_wcs(crval=(180, 0), cdelt=(-0.1, 0.1), crpix=(300, 200)), (400, 600)),
    "car of 514.3 px": (make_wcs(cdelt=(-0.7, 0.7), crpix=(257.5, 128.5)), (256, 515)),
    "car of 513.7 px": (make_wcs(cdelt=(0.7008, 0.7), crpix=(257.5, 128.5)), (256, 513)),
    "car swapped": (
        make_wcs("CAR", (0, 30), (0.5, 0.5), (180.5, 360.5), ctype=["DEC--CAR", "RA---CAR"]),
        (720, 360),
    ),
    "car rotated seam": (
        make_wcs(crval=(20, 0), cdelt=(-0.1, 0.1), crpix=(-1650, 100), pc=rotation(20)),
        (500, 700),
    ),
    "car rotated whole": (
        make_wcs(cdelt=(-0.5, 0.5), crpix=(400.5, 250.5), pc=rotation(15)),
        (500, 800),
    ),
    "car hardly rotated": (
        make_wcs(cdelt=(-0.5, 0.5), crpix=(360.5, 180.5), pc=rotation(0.01)),
        (360, 720),
    ),
    "cea": (make_wcs("CEA", cdelt=(-0.2, 0.2), crpix=(900.5, 285)), (570, 1800)),
    "cea galactic rotated": (
        make_wcs("CEA", (200, 0), (0.2, 0.2), (900.5, 285), "G", pc=rotation(-8)),
        (570, 1800),
    ),
    "cyp": (make_wcs("CYP", cdelt=(-0.2, 0.2), crpix=(900.5, 300)), (600, 1800)),
    "hpx": (make_wcs("HPX", cdelt=(-0.3, 0.3), crpix=(600.5, 300.5)), (600, 1200)),
    "hpx turned": (  # the usual way: facets lie straight on the pixels
        make_wcs("HPX", (0, 0), (-0.2, 0.2), (800, 800), "G", pc=rotation(45)),
        (1600, 1600),
    ),
    "tpv": (with_pv("TPV", TPV), (1000, 1000)),
    "tpd": (tpd(), (1000, 1000)),
    "zpn": (with_pv("ZPN", ZPN, 0.02), (1000, 1000)),
    "slant sin": (with_pv("SIN", [(2, 1, 0.3), (2, 2, -0.2)], 0.02), (1000, 1000)),
    "tan arcsec": (in_units("arcsec", 3600.0), (500, 500)),
    "tan rad": (in_units("rad", np.pi / 180.0), (500, 500)),
    "tan ecliptic": (make_wcs("TAN", (270, 66), (-0.02, 0.02), (250, 250), "E"), (500, 500)),
    "sin fk5 1975": (
        make_wcs("SIN", (1, 1), (-0.01, 0.01), (250, 250), radesys="FK5", equinox=1975.0),
        (500, 500),
    ),
    "zea south": (make_wcs("ZEA", (0, -90), (-0.15, -0.15), (1000, 1000)), (2000, 2000)),
    "sfl galactic": (make_wcs("SFL", (120, 0), (-0.3, 0.3), (600, 300), "G"), (600, 1200)),
    "mol ecliptic": (make_wcs("MOL", (0, 0), (-0.3, 0.3), (600, 300), "E"), (600, 1200)),
    "coe": (with_pv("COE", [(2, 1, 45.0), (2, 2, 25.0)], 0.05), (1000, 1000)),
}
