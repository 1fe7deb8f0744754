"""Cubes: names of planes, several axes, thousands of planes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from hypothesis import assume, given
from hypothesis import strategies as st

from skyshade.loaders.api import load, open_map
from skyshade.loaders.axis_values import names_of, numbers
from skyshade.loaders.typical import typical_plane
from tests.loaders.conftest import Write, car_header

CUBE = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)


@pytest.mark.parametrize(
    ("cards", "axis", "planes"),
    [
        ({"CTYPE3": "FREQ", "CRVAL3": 1.42e9, "CDELT3": 1e7}, "freq",
         ["1.42 GHz", "1.43 GHz", "1.44 GHz"]),
        ({"CTYPE3": "FREQ", "CRVAL3": 1.42, "CDELT3": 0.01, "CUNIT3": "GHz"}, "freq",
         ["1.42 GHz", "1.43 GHz", "1.44 GHz"]),
        ({"CTYPE3": "FREQ", "CRVAL3": 8e8, "CD3_3": 1e3, "CDELT3": 5.0, "CRPIX3": 2}, "freq",
         ["799.999 MHz", "800 MHz", "800.001 MHz"]),
        ({"CTYPE3": "FREQ", "CRVAL3": 0.0, "CDELT3": 5.0, "PC3_3": 100.0}, "freq",
         ["0 Hz", "500 Hz", "1000 Hz"]),
        ({"CTYPE3": "VRAD", "CRVAL3": -3200.0, "CDELT3": 200.0, "CUNIT3": "m/s"}, "vrad",
         ["-3.2 km/s", "-3 km/s", "-2.8 km/s"]),
        ({"CTYPE3": "VELO-LSR", "CRVAL3": 3.2, "CDELT3": 0.1, "CUNIT3": "KM/S"}, "velo",
         ["3.2 km/s", "3.3 km/s", "3.4 km/s"]),
        ({"CTYPE3": "WAVE", "CRVAL3": 6562.8, "CDELT3": 1.25, "CUNIT3": "Angstrom"}, "wave",
         ["6562.8 Angstrom", "6564.05 Angstrom", "6565.3 Angstrom"]),
        ({"CTYPE3": "AWAV", "CRVAL3": 1.6e-6, "CDELT3": 1e-7, "CUNIT3": "m"}, "awav",
         ["1.6 um", "1.7 um", "1.8 um"]),
        ({"CTYPE3": "ENER", "CRVAL3": 0.5, "CDELT3": 0.5, "CUNIT3": "keV"}, "ener",
         ["500 eV", "1000 eV", "1500 eV"]),
        ({"CTYPE3": "FREQ", "CRVAL3": 1.0, "CDELT3": 1.0, "CUNIT3": "quux"}, "freq",
         ["1 quux", "2 quux", "3 quux"]),
        ({"CTYPE3": "TIME", "CRVAL3": 0.5, "CDELT3": 0.25, "CUNIT3": "s"}, "time",
         ["0.5 s", "0.75 s", "1 s"]),
        ({"CTYPE3": "TIME", "CUNIT3": "d", "CRVAL3": 0.0, "CDELT3": 1.0, "MJDREF": 57082.0},
         "time", ["2015-03-01T00:00", "2015-03-02T00:00", "2015-03-03T00:00"]),
        ({"CTYPE3": "UTC", "CUNIT3": "s", "CRVAL3": 30, "CDELT3": 30, "MJDREFI": 57082,
          "MJDREFF": 0.5}, "time",
         ["2015-03-01T12:00:30", "2015-03-01T12:01:00", "2015-03-01T12:01:30"]),
        ({"CTYPE3": "TIME", "CUNIT3": "h", "CRVAL3": 1.0, "CDELT3": 1.0,
          "DATEREF": "2015-03-01T10:00:00"}, "time",
         ["2015-03-01T11:00", "2015-03-01T12:00", "2015-03-01T13:00"]),
        ({"CTYPE3": "STOKES", "CRVAL3": -1, "CDELT3": -1}, "stokes", ["RR", "LL", "RL"]),
        ({"CTYPE3": "FREQ", "CRVAL3": "x", "CDELT3": 0.0}, "freq", ["1", "2", "3"]),
        ({"CTYPE3": "FREQ", "CRVAL3": 1e308, "CDELT3": 1e308}, "freq", ["1", "2", "3"]),
        ({"CTYPE3": "STOKES", "CRVAL3": 1e308, "CDELT3": 1e308}, "stokes", ["1", "2", "3"]),
        ({"CTYPE3": "TIME", "CRVAL3": 1e308, "CDELT3": 1e308, "MJDREF": 1}, "time",
         ["1", "2", "3"]),
        ({"CTYPE3": "FREQ", "CUNIT3": "GHz", "CRVAL3": 5e307, "CDELT3": 1e307}, "freq",
         ["5e+307 GHz", "6e+307 GHz", "7e+307 GHz"]),
        ({"CTYPE3": "VOPT-F2W", "CRVAL3": -1e300, "CDELT3": 1e300}, "vopt", ["1", "2", "3"]),
        ({"CTYPE3": "TIME", "CUNIT3": "d", "CRVAL3": 1e9, "CDELT3": 1e9, "MJDREF": 0.0}, "time",
         ["8.64e+13 s", "1.728e+14 s", "2.592e+14 s"]),
        ({"CTYPE3": "FREQ-LOG", "CRVAL3": 5e14, "CDELT3": 2e14}, "freq",
         ["500 THz", "746 THz", "1110 THz"]),
        ({"CTYPE3": "VOPT-F2W", "CUNIT3": "m/s", "CRVAL3": 1e6, "CDELT3": 2e7,
          "RESTWAV": 6.563e-7}, "vopt", ["1000 km/s", "22400 km/s", "47100 km/s"]),
    ],
)  # fmt: skip
def test_names_say_the_value(
    write: Write, cards: dict[str, Any], axis: str, planes: list[str]
) -> None:
    (images,) = load(write(CUBE, **cards)).images
    assert {i.plane_axis for i in images} == {axis}
    names = [i.plane for i in images]
    assert names == planes


def test_names_have_the_digits_they_need() -> None:
    assert numbers([1.0, 1.0001, 1.0002]) == ["1", "1.0001", "1.0002"]
    assert numbers([8675139.61884, 8675115.19507]) == ["8675140", "8675115"]
    assert names_of([1e3, 1e6, 1e12], "eV") == ["1 keV", "1 MeV", "1 TeV"]
    assert names_of([0.0, 0.0], "Hz") == ["0 Hz", "0 Hz"]
    assert names_of([1e-20, 2e-20], "") == ["1e-20", "2e-20"]
    many = names_of((1.4e9 + 1e3 * np.arange(5000)).tolist(), "Hz")
    assert len(set(many)) == 5000
    assert max(map(len, many)) <= 12


@given(
    start=st.floats(-1e12, 1e12),
    step=st.floats(1e-3, 1e9) | st.floats(-1e9, -1e-3),
    count=st.integers(2, 40),
    unit=st.sampled_from(["Hz", "m/s", "km/s", "m", "Angstrom", "eV", "MeV", "s", "parsecs"]),
)
def test_names_tell_planes_apart_and_are_near_the_value(
    start: float, step: float, count: int, unit: str
) -> None:
    values = [start + step * i for i in range(count)]
    assume(abs(step) > 1e-9 * max(map(abs, values)))
    names = names_of(values, unit)
    assert len(set(names)) == count
    assert all(name.isprintable() and len(name) < 30 for name in names)
    sizes = {"km/s": 1e3, "GHz": 1e9, "MHz": 1e6, "kHz": 1e3, "THz": 1e12, "Angstrom": 1e-10,
             "nm": 1e-9, "um": 1e-6, "mm": 1e-3, "cm": 1e-2, "keV": 1e3, "MeV": 1e6, "GeV": 1e9,
             "TeV": 1e12}  # fmt: skip
    for name, value in zip(names, values, strict=True):
        number, shown = name.split(" ")
        truth = value * sizes.get(unit, 1.0)
        error = abs(float(number) * sizes.get(shown, 1.0) - truth)
        assert error <= max(0.06 * abs(step) * sizes.get(unit, 1.0), 6e-4 * abs(truth))


def test_several_axes_are_named_after_all(write: Write) -> None:
    data = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    cards = {"CTYPE3": "FREQ", "CRVAL3": 1e9, "CDELT3": 1e8, "CTYPE4": "STOKES", "CDELT4": 1.0}
    (images,) = load(write(data, **cards)).images
    assert [i.plane for i in images] == [
        f"{stokes} {freq}" for stokes in "IQ" for freq in ("1 GHz", "1.1 GHz", "1.2 GHz")
    ]
    assert {i.plane_axis for i in images} == {"plane"}
    for k, image in enumerate(images):
        assert (image.reader.read(0, 4, 0, 5) == data[k // 3, k % 3]).all()
    turned = {"CTYPE3": "STOKES", "CTYPE4": "FREQ", "CRVAL4": 1e9, "CDELT4": 1e8}
    (images,) = load(write(data, "b.fits", **turned)).images
    assert [i.plane for i in images[:4]] == ["I 1 GHz", "Q 1 GHz", "U 1 GHz", "I 1.1 GHz"]
    (images,) = load(write(data.reshape(2, 1, 3, 4, 5), "c.fits", CTYPE4="FREQ")).images
    assert [i.plane for i in images[:4]] == ["1 1", "2 1", "3 1", "1 2"]


def test_bands_come_from_the_table_beside(tmp_path: Path) -> None:
    rows = np.array([(0, 1e4, 2e4), (1, 2e4, 5e6), (2, 5e6, 1e9)],
                    [("CHANNEL", "i2"), ("E_MIN", "f4"), ("E_MAX", "f4")])  # fmt: skip
    table = fits.BinTableHDU(rows, name="EBOUNDS")
    table.columns["E_MIN"].unit = "keV"
    hdus = [fits.PrimaryHDU(CUBE, car_header(5, 4, CTYPE3="Energy")), table]
    fits.HDUList(hdus).writeto(tmp_path / "e.fits")
    (images,) = load(tmp_path / "e.fits").images
    assert [i.plane for i in images] == ["10-20 MeV", "20-5000 MeV", "5-1000 GeV"]
    assert images[0].plane_axis == "energy"
    rows["E_MAX"][1] = np.inf
    hdus[1] = fits.BinTableHDU(rows, name="EBOUNDS")
    fits.HDUList(hdus).writeto(tmp_path / "inf.fits")
    assert [i.plane for i in load(tmp_path / "inf.fits").images[0]] == ["1", "2", "3"]


def test_real_cubes(shared_data: Path) -> None:
    def names(path: str) -> tuple[str, list[str]]:
        (images,) = load(shared_data / "real" / path).images
        assert len({i.plane for i in images}) == len(images)
        assert len({id(i.wcs) for i in images}) == 1
        return images[0].plane_axis, [i.plane for i in images]

    axis, planes = names("cube/M17_SWex_unittest.fits")
    assert (axis, planes[0], planes[-1]) == ("freq", "86.7514 GHz", "86.75042 GHz")
    axis, planes = names("cube/l1448_13co.fits")
    assert (axis, planes[0], planes[-1]) == ("vopt", "2.528 km/s", "5.982 km/s")
    axis, planes = names("cube/fermi-3fhl-gc-counts-cube.fits.gz")
    assert (axis, planes[0], planes[-1]) == ("energy", "10-14.3 GeV", "350-500 GeV")
    axis, planes = names("car/bexpmap_01.fits")
    assert (axis, planes) == ("energy", ["398 GeV", "631 GeV", "1000 GeV", "1580 GeV", "2510 GeV"])


def test_thousands_of_planes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.zeros((4096, 4, 8), np.float32)
    data[1000:3000] = np.arange(2000)[:, None, None] + np.arange(8)
    header = car_header(8, 4, CTYPE3="FREQ", CRVAL3=1e9, CDELT3=1e5)
    fits.PrimaryHDU(data, header).writeto(tmp_path / "big.fits")
    from skyshade.storage import ByteFile

    looks: list[int] = []
    read, stamp = ByteFile.read, ByteFile.stamp
    monkeypatch.setattr(ByteFile, "read", lambda s, *at: looks.append(1) or read(s, *at))
    monkeypatch.setattr(ByteFile, "stamp", lambda s: looks.append(1) or stamp(s))
    (images,) = load(tmp_path / "big.fits").images
    assert len(images) == 4096
    assert len(looks) < 20  # none for a single plane
    assert (images[1500].reader.read(0, 4, 0, 8) == data[1500]).all()
    assert images[1500].reader.version() != images[1501].reader.version()
    assert typical_plane(images) == 2048
    assert typical_plane(images[:1900]) == 1425
    assert typical_plane(images[3000:]) == 548


def test_planes_are_coordinates(shared_data: Path) -> None:
    path = shared_data / "real" / "cube" / "M17_SWex_unittest.fits"
    array = open_map(path)
    assert array.dims == ("freq", "y", "x")
    one = array.sel(freq="86.75091 GHz")
    np.testing.assert_array_equal(one, open_map(path, plane="86.75091 GHz"))
    with xr.open_dataset(path, engine="skyshade") as dataset:
        assert dataset["M17_SWex_unittest"].coords["freq"].values[0] == "86.7514 GHz"
        assert dataset["M17_SWex_unittest"].attrs["unit"] == "Jy / beam"
