from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skyshade.errors import DataError
from skyshade.loaders.api import load
from tests.loaders.conftest import Write, car_header

CUBE = np.arange(3 * 20 * 40, dtype=np.float32).reshape(3, 20, 40)


@pytest.mark.parametrize(
    ("cards", "kind", "axis", "planes"),
    [
        ({}, np.float32, "stokes", ["I", "Q", "U"]),
        ({"CTYPE3": "STOKES"}, np.float64, "stokes", ["I", "Q", "U"]),
        ({"CTYPE3": "STOKES", "CRVAL3": 2}, np.float32, "stokes", ["Q", "U", "V"]),
        ({}, np.int16, "plane", ["1", "2", "3"]),
        ({"CTYPE3": "PLANE", "OBJECT": "Tycho-2 counts, mean BT-VT, mean VT"}, np.float32, "plane",
         ["counts", "mean BT-VT", "mean VT"]),
        ({"CTYPE3": "PLANE", "OBJECT": "one, two"}, np.float32, "plane", ["1", "2", "3"]),
        ({"CTYPE3": "FREQ", "CRVAL3": 9e9, "CDELT3": 1e9, "CUNIT3": "Hz"}, np.float32, "freq",
         ["9 GHz", "10 GHz", "11 GHz"]),
        ({"CTYPE3": "Energy", "CRVAL3": 9e9, "CDELT3": 1e9}, np.float32, "energy", ["1", "2", "3"]),
        ({"CTYPE3": "FREQ", "CDELT3": 0.0}, np.float32, "freq", ["1", "2", "3"]),
    ],
)  # fmt: skip
def test_planes_are_named(
    write: Write, cards: dict[str, Any], kind: type, axis: str, planes: list[str]
) -> None:
    images = load(write(CUBE.astype(kind), **cards)).images
    assert len(images) == 1
    assert [i.plane for i in images[0]] == planes
    assert {i.plane_axis for i in images[0]} == {axis}
    for k, image in enumerate(images[0]):
        assert (image.reader.read(0, 20, 0, 40) == CUBE[k]).all()


def test_axes_of_one_are_squeezed(write: Write) -> None:
    data = CUBE[None, :1]
    (image,) = load(write(data, CTYPE3="FREQ", CTYPE4="STOKES")).images[0]
    assert image.plane == ""
    assert (image.reader.read(0, 20, 0, 40) == CUBE[0]).all()
    planes = load(write(CUBE[:, None], "b.fits", CTYPE4="STOKES")).images[0]
    assert [p.plane for p in planes] == ["I", "Q", "U"]
    assert (planes[2].reader.read(0, 20, 0, 40) == CUBE[2]).all()


def test_declination_first_is_turned_round(write: Write) -> None:
    data = CUBE[0]
    swapped = {
        "CTYPE1": "DEC--CAR",
        "CTYPE2": "RA---CAR",
        "CRVAL1": 0.0,
        "CRVAL2": 30.0,
        "CDELT1": 0.5,
        "CDELT2": -0.5,
    }
    path = write(data, **swapped)
    image = load(path).images[0][0]
    assert image.reader.shape == (40, 20)
    theirs = WCS(fits.getheader(path))
    dec, ra = theirs.wcs_pix2world([[7, 3]], 0)[0]
    x, y = image.wcs.wcs_world2pix([[ra, dec]], 0)[0].round().astype(int)
    assert image.reader.read(y, y + 1, x, x + 1)[0, 0] == data[3, 7]
    assert image.reader.read(0, 40, 0, 20, 3).shape == (14, 7)


def test_text_of_the_header_is_one_line(write: Write) -> None:
    path = write(CUBE[0], OBJECT="<b>x</b>", BUNIT="10**(-6)ergs/s/furlong")
    raw = path.read_bytes().replace(b"<b>x</b>", b"<b>\n\xb5\x1b/b")
    path.write_bytes(raw)
    image = load(path).images[0][0]
    assert image.title == "<b> ??/b"
    assert image.units == "10**(-6)ergs/s/furlong"


def test_several_images_are_told_apart(tmp_path: Path) -> None:
    header = car_header()
    hdus = [fits.PrimaryHDU()]
    hdus += [fits.ImageHDU(CUBE[i], header, name=n) for i, n in enumerate(["sci", "err", "err"])]
    hdus.append(fits.ImageHDU(CUBE[0], name="flat"))
    hdus.append(fits.ImageHDU(CUBE[0], car_header(CDELT1=0.0), name="broken"))
    fits.HDUList(hdus).writeto(tmp_path / "m.fits")
    loaded = load(tmp_path / "m.fits")
    assert [i[0].hdu for i in loaded.images] == ["SCI", "2", "3"]
    assert [i[0].name for i in loaded.images] == ["m"] * 3
    assert "HDU 4 (FLAT): no celestial WCS" in loaded.notes[0]
    assert [str(e)[:28] for e in loaded.rejected] == ["m.fits, HDU 5 (BROKEN): brok"]


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_packed_files(write: Write, ending: str, pack: Any) -> None:
    path = write(CUBE[0], "surveyMask.fits")
    packed = path.with_name(f"surveyMask.fits.{ending}")
    packed.write_bytes(pack(path.read_bytes()))
    image = load(packed).images[0][0]
    assert image.name == "surveyMask"
    assert (image.reader.read(0, 20, 0, 40) == CUBE[0]).all()
    version = image.reader.version()
    packed.write_bytes(pack(path.read_bytes() + bytes(2880)))
    assert load(packed).images[0][0].reader.version() != version


@pytest.mark.parametrize(
    ("cards", "cause"),
    [
        ({"CTYPE1": None, "CTYPE2": None}, r"no celestial WCS \(no CTYPE\)"),
        ({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, r"no celestial WCS \(CTYPE LINEAR, LINEAR\)"),
        ({"CTYPE2": "FREQ"}, "broken WCS"),
        ({"CTYPE1": "RA---XYZ", "CTYPE2": "DEC--XYZ"}, "broken WCS: .*XYZ"),
        ({"CDELT1": 0.0}, "broken WCS: .*singular"),
        ({"CRVAL1": "30.0"}, "broken WCS: CRVAL1 = '30.0' is not a number"),
        ({"CRPIX1": 1e300}, "broken WCS"),
        ({"A_ORDER": 9000, "B_ORDER": 2}, "broken WCS: A_ORDER = 9000 is not allowed: 0 to 20"),
        ({"A_ORDER": 2, "BP_ORDER": -1}, "broken WCS: BP_ORDER = -1 is not allowed: 0 to 20"),
    ],
)
def test_no_place_on_the_sky(write: Write, cards: dict[str, Any], cause: str) -> None:
    with pytest.raises(DataError, match=rf"a\.fits, HDU 0: {cause}") as caught:
        load(write(CUBE[0], **cards))
    assert "\n" not in str(caught.value)
    assert "cextern" not in str(caught.value)


def test_tables_of_distortion_are_named(write: Write) -> None:
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CPDIS1": "Lookup", "CPDIS2": "Lookup"}
    (image,) = load(write(CUBE[0], **cards)).images[0]
    assert image.notes == (
        "distortion tables (CPDIS1, CPDIS2) are not read; positions may be a little off",
    )


def test_cards_worth_keeping(write: Write) -> None:
    cards = {"POLCCONV": "IAU", "TELESCOP": "X", "FREQ": 150.0, "BUNIT": "uK_CMB", "BMAJ": 0.1}
    image = load(write(CUBE, **cards)).images[0][2]
    assert {k: image.attrs[k] for k in cards} == cards
    assert (image.units, image.attrs["unit"], image.plane) == ("uK_CMB", "uK", "U")


def test_half_a_plate_solution_is_overlooked(write: Write) -> None:
    cards = {"PLTSCALE": 67.2, "XPIXELSZ": 25.3, "YPIXELSZ": 25.3}
    image = load(write(CUBE[0], **cards)).images[0][0]
    assert image.wcs.wcs_pix2world([[19.5, 9.5]], 0)[0] == pytest.approx([30, 0])


def test_scamp_polynomials_under_the_name_tan(write: Write) -> None:
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "PV1_1": 1.0, "PV2_1": 1.0, "PV1_5": 1e-3}
    image = load(write(CUBE[0], **cards)).images[0][0]
    assert image.wcs.wcs.ctype[0].endswith(("TPV", "TAN"))
    assert image.wcs.wcs_pix2world([[19.5, 9.5]], 0)[0] == pytest.approx([30, 0])


def test_truncated_image_keeps_its_rows(write: Write) -> None:
    path = write(np.ones((20, 40), np.float32))
    path.write_bytes(path.read_bytes()[: 2880 + 1600])
    image = load(path).images[0][0]
    assert image.notes == ("truncated: 1600 of 3200 bytes; the missing rows are blank",)
    box = image.reader.read(0, 20, 0, 40)
    assert (np.isfinite(box).all(1) == (np.arange(20) < 10)).all()
    path.write_bytes(path.read_bytes()[: 2880 + 700])
    with pytest.raises(DataError, match="truncated: 700 of 3200 bytes"):
        load(path)
