"""HEALPix maps in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from skyshade.errors import DataError, InputError, UnknownNameError, UnsupportedError
from skyshade.loaders.api import load, open_map
from skyshade.loaders.healpix import healpix
from skyshade.types import SphereImage
from tests.loaders.test_fits_healpix import ramp, write

MAP = ramp(16)
THREE = [ramp(16) + n for n in range(3)]


@pytest.mark.parametrize("item", [MAP, MAP.astype("f8"), da.from_array(MAP), np.ma.array(MAP)])
def test_an_array_is_ring_and_galactic(item: Any) -> None:
    item = item if isinstance(item, np.ndarray) else [item]
    (image,) = load(item).spheres[0]
    assert (image.reader.nside, image.reader.nested, image.frame) == (16, False, "galactic")
    np.testing.assert_array_equal(image.reader.read(5, 3000), MAP[5:3000])
    runs = np.array([[0, 4], [9, 9], [1000, 1009]])
    np.testing.assert_array_equal(image.reader.read_runs(runs), [*MAP[:4], *MAP[1000:1009]])


def test_the_user_says_the_frame_and_the_name() -> None:
    (image,) = load(MAP, frame="icrs", name="mine").spheres[0]
    assert (image.frame, image.name) == ("icrs", "mine")


@pytest.mark.parametrize("item", [THREE, tuple(THREE), np.stack(THREE)])
def test_three_arrays_are_stokes_parameters(item: Any) -> None:
    (images,) = load(item).spheres
    assert [i.plane for i in images] == ["I", "Q", "U"]
    assert images[0].plane_axis == "stokes"
    assert images[2].reader.read(0, 2).tolist() == [2, 3]


def test_missing_pixels() -> None:
    values = np.ma.array(ramp(4), mask=ramp(4) == 3)
    values[5], values[6], values[7] = np.nan, np.inf, -1.6375e30
    found = healpix(values)[0].reader.read(0, 192)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 5, 6, 7]


def test_planes_by_name() -> None:
    images = healpix({"TEMPERATURE": MAP, "Q_STOKES": MAP, "U_STOKES": MAP}, nested=True, frame="C")
    assert [i.plane for i in images] == ["I", "Q", "U"]
    assert images[0].reader.nested
    assert images[0].frame == "icrs"
    named = healpix(THREE[:2], planes=["a", "b"], units="K", name="x")
    assert [(i.plane, i.units, i.name) for i in named] == [("a", "K", "x"), ("b", "K", "x")]
    assert load(named).spheres == [named]
    assert load(named[1]).spheres == [[named[1]]]


def test_integers_are_not_mixed() -> None:
    assert healpix(ramp(4, "i4"))[0].integer
    assert not healpix(ramp(4))[0].integer


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: healpix(np.zeros(100)), UnsupportedError, "100 pixels"),
        (lambda: healpix(np.zeros(12 * 9)), UnsupportedError, "power of two"),
        (lambda: healpix(np.zeros((2, 2, 12))), UnsupportedError, "shape"),
        (lambda: healpix(np.zeros(12, complex)), UnsupportedError, "complex"),
        (lambda: healpix([np.zeros(12), np.zeros(48)]), DataError, "12 and 48"),
        (lambda: healpix(np.zeros((65, 12))), UnsupportedError, "65 planes"),
        (lambda: healpix(np.zeros(12), frame="lunar"), UnknownNameError, "lunar"),
        (lambda: healpix(THREE, planes=["a"]), InputError, "3 different names"),
        (lambda: load(np.zeros(100)), UnsupportedError, "ndarray"),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_a_dataarray_there_and_back(tmp_path: Path) -> None:
    columns = {"I_STOKES": MAP, "Q_STOKES": -MAP, "U_STOKES": MAP * 2}
    path = write(tmp_path / "a.fits", columns, 1024, ORDERING="NESTED", COORDSYS="C", TUNIT1="uK")
    array = open_map(path)
    assert array.dims == ("stokes", "pix")
    assert isinstance(array.data, da.Array)
    attrs = {k: array.attrs[k] for k in ("nside", "ordering", "frame")}
    assert attrs == {"nside": 16, "ordering": "NESTED", "frame": "icrs"}
    np.testing.assert_array_equal(array.sel(stokes="Q")[100:90:-3], -MAP[100:90:-3])
    np.testing.assert_array_equal(array[[2, 0], 7], [14, 7])
    assert float(array[1, 5]) == -5
    again = load(array).spheres[0]
    assert [i.plane for i in again] == ["I", "Q", "U"]
    assert (again[0].reader.nested, again[0].frame) == (True, "icrs")
    np.testing.assert_array_equal(again[1].reader.read(0, 3072), -MAP)
    one = open_map(path, plane="U")
    assert one.dims == ("pix",)
    assert one[1000:1002].values.tolist() == [2000, 2002]


def test_dataarrays_of_others() -> None:
    array = xr.DataArray(MAP, dims=["cells"], attrs={"nested": True, "frame": "ecliptic"})
    (image,) = load(array).spheres[0]
    assert (image.reader.nested, image.frame) == (True, "ecliptic")
    assert isinstance(image, SphereImage)
    with pytest.raises(UnsupportedError, match="WCS"):
        load(xr.DataArray(MAP, dims=["x"]))


def test_hdus_in_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", {"T": MAP, "N": MAP * 2}, 4, ORDERING="NESTED", COORDSYS="E")
    with fits.open(path) as file:
        images = load(file).spheres[0]
        assert [i.plane for i in images] == ["T", "N"]
        assert (images[0].frame, images[0].reader.nested) == ("ecliptic", True)
        np.testing.assert_array_equal(images[1].reader.read(0, 3072), MAP * 2)
        file[1].header["INDXSCHM"] = "EXPLICIT"
        with pytest.raises(UnsupportedError, match="partial"):
            load(file[1])
