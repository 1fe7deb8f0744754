from __future__ import annotations

from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData, NDData
from astropy.table import MaskedColumn, QTable, Table
from astropy.wcs import WCS

from skyshade.errors import DataError, UnsupportedError
from skyshade.loaders.api import load, open_catalog, open_map
from tests.loaders.conftest import Write, car_header

DATA = np.random.default_rng(8).normal(size=(20, 40)).astype(np.float32)
PLACE = WCS(car_header())


def image(item: Any, **options: Any) -> Any:
    return load(item, **options).images[0][0]


@pytest.mark.parametrize(
    "item",
    [
        (DATA, PLACE),
        [DATA.astype(">f4"), car_header()],
        (da.from_array(DATA, chunks=7), PLACE),
        (DATA[None], WCS(car_header(CTYPE3="STOKES", WCSAXES=3))),
        fits.PrimaryHDU(DATA, car_header()),
        fits.ImageHDU(DATA[None], car_header()),
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(DATA, car_header())]),
        NDData(DATA, wcs=PLACE),
        CCDData(DATA, wcs=PLACE, unit="Jy"),
        xr.DataArray(DATA, dims=("y", "x"), attrs={"wcs": PLACE}),
        xr.DataArray(DATA.T, dims=("x", "y"), attrs={"wcs": PLACE}),
        xr.DataArray(DATA[None], dims=("freq", "y", "x"), attrs={"wcs": PLACE}),
        xr.DataArray(da.from_array(DATA, chunks=7), dims=("a", "b"), attrs={"wcs": PLACE}),
        xr.Dataset({"m": (("y", "x"), DATA, {"wcs": PLACE}), "n": (("y",), DATA[:, 0])}),
    ],
    ids=lambda item: type(item).__name__,
)
def test_images(item: Any) -> None:
    found = image(item)
    np.testing.assert_array_equal(found.reader.read(2, 19, 3, 40, 4), DATA[2:19:4, 3:40:4])
    assert found.reader.dtype == np.float32
    assert found.wcs.wcs_pix2world([[19.5, 9.5]], 0)[0] == pytest.approx([30, 0])
    assert image(item).reader.version() != found.reader.version()  # memory may have changed


def test_planes_units_and_names() -> None:
    cube = np.stack([DATA, DATA + 1, DATA + 2])
    planes = load((cube, PLACE), name="mine").images[0]
    assert [(p.name, p.plane) for p in planes] == [("mine", "I"), ("mine", "Q"), ("mine", "U")]
    array = xr.DataArray(cube, dims=("band", "y", "x"), coords={"band": ["g", "r", "i"]}, name="b",
                         attrs={"wcs": PLACE, "units": "mJy"})  # fmt: skip
    planes = load(array).images[0]
    assert [(p.name, p.plane, p.plane_axis, p.units) for p in planes][1] == (
        "b",
        "r",
        "band",
        "mJy",
    )
    assert image(CCDData(DATA, wcs=PLACE, unit="Jy")).units == "Jy"
    assert image((np.ones((20, 40), bool), PLACE)).integer


def test_masked_and_infinite_pixels_are_missing() -> None:
    mask = np.zeros((20, 40), bool)
    mask[1, 2] = True
    data = DATA.copy()
    data[3, 4] = np.inf
    box = image(NDData(data, mask=mask, wcs=PLACE)).reader.read(0, 20, 0, 40)
    assert np.argwhere(np.isnan(box)).tolist() == [[1, 2], [3, 4]]
    assert np.isinf(data[3, 4])


def test_dask_boxes_are_computed_alone() -> None:
    seen: list[tuple[int, ...]] = []

    def block(block_info: Any = None) -> np.ndarray:
        seen.append(block_info[None]["chunk-location"])
        return np.ones((10, 10))

    lazy = da.map_blocks(block, chunks=((10, 10), (10,) * 4), dtype=float, meta=np.empty((0, 0)))
    found = image(xr.DataArray(lazy, dims=("y", "x"), attrs={"wcs": PLACE}))
    assert seen == []
    found.reader.read(0, 5, 12, 15)
    assert seen == [(0, 1)]


def test_our_own_objects_come_back(write: Write) -> None:
    path = write(np.stack([DATA] * 3), BUNIT="uK")
    array = open_map(path)
    planes = load(array).images[0]
    assert [p.plane for p in planes] == ["I", "Q", "U"]
    assert planes[0].units == "uK"
    original = image(path)
    assert image(original) is original
    assert open_map(DATA, wcs=PLACE).shape == (20, 40)


TABLE = {"RAJ2000": [1.0, 2.0, 3.0], "DEJ2000": [1, 2, 3], "name": ["x", None, "z"]}


@pytest.mark.parametrize(
    "item",
    [
        {k: np.array(v) for k, v in TABLE.items()},
        TABLE,
        pd.DataFrame(TABLE),
        dd.from_pandas(pd.DataFrame(TABLE), npartitions=2),
        pa.table(TABLE),
        pa.table(TABLE).to_batches()[0],
        Table({**TABLE, "name": MaskedColumn(["x", "-", "z"], mask=[False, True, False])}),
        Table({**TABLE, "name": MaskedColumn([b"x", b"-", b"z"], mask=[False, True, False])}),
    ],
    ids=lambda item: f"{type(item).__module__}.{type(item).__name__}",
)
def test_tables(item: Any) -> None:
    table = load(item, name="t").tables[0]
    assert (table.name, len(table)) == ("t", 3)
    assert tuple(table.columns) == ("RAJ2000", "DEJ2000", "name")
    assert table.guess == "ra, dec from RAJ2000, DEJ2000 (deg)"
    assert [p.tolist() for p in table.positions()] == [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    assert table.column("name").tolist() == ["x", None, "z"]
    found = open_catalog(item)
    assert list(found.columns) == ["ra", "dec", "RAJ2000", "DEJ2000", "name"]
    assert found["ra"].compute().tolist() == [1, 2, 3]


def test_astropy_units_and_sky_coordinates() -> None:
    table = load(QTable({"ra": [1, 2] * u.rad, "dec": [0.1, 0.2] * u.rad, "s": [1, 2] * u.Jy}))
    found = table.tables[0]
    np.testing.assert_allclose(found.positions()[0], np.degrees([1, 2]))
    assert found.units == {"ra": "rad", "dec": "rad", "s": "Jy"}
    place = SkyCoord([0, 96] * u.deg, [0, -60] * u.deg, frame="galactic")
    found = load(Table({"where": place, "n": [1, 2]})).tables[0]
    np.testing.assert_allclose(found.positions()[0], place.icrs.ra.deg)


def test_structured_array_and_table_hdu() -> None:
    rows = np.array([(1.0, 2.0, 5)], [("ra", "f8"), ("dec", "f8"), ("n", "i4")])
    assert load(rows).tables[0].positions()[1].tolist() == [2.0]
    table = load(fits.BinTableHDU(rows, name="cat")).tables[0]
    assert (table.name, table.column("n").tolist()) == ("CAT", [5])


@pytest.mark.parametrize(
    ("item", "cause"),
    [
        ((DATA, None), "no celestial WCS"),
        ((DATA, WCS(naxis=2)), "no celestial WCS"),
        ((DATA[0], PLACE), r"array of shape \(40,\)"),
        ((DATA.astype(complex), PLACE), "only real numbers"),
        (xr.DataArray(DATA), r'no WCS: put one into attrs\["wcs"\]'),
        (xr.Dataset({"a": ("y", [1])}), "no variable with a WCS"),
        (NDData(DATA), "no WCS"),
        (fits.PrimaryHDU(), "holds no data"),
        (fits.HDUList([fits.PrimaryHDU(DATA)]), "no celestial WCS"),
        ({"a": [1], "b": [2]}, "columns: a, b"),
        ({"ra": [1, 2], "dec": [2]}, "columns of different lengths"),
        (pd.DataFrame({"a": [1]}), "columns: a"),
        (object(), "objects of this kind are not shown"),
    ],
    ids=str,
)
def test_what_cannot_be_shown(item: Any, cause: str) -> None:
    with pytest.raises(UnsupportedError, match=cause):
        load(item)


def test_hdus_in_memory_are_as_those_of_a_file() -> None:
    hdus = [fits.ImageHDU(DATA, car_header(), name=n) for n in ("SCI", "WHT")]
    sci, wht = load(fits.HDUList([fits.PrimaryHDU(), *hdus])).images
    assert sci[0].weight is wht[0].reader
    assert open_map(fits.HDUList([fits.PrimaryHDU(), *hdus]), hdu="wht").attrs["HDU"] == 2


def test_cubes_in_memory() -> None:
    cube = np.arange(2 * 70 * 3 * 4).reshape(2, 70, 3, 4)
    header = car_header(4, 3, CTYPE3="FREQ", CRVAL3=1e9, CDELT3=1e6, CTYPE4="STOKES", BUNIT="muK")
    (planes,) = load(fits.ImageHDU(cube, header)).images
    assert [planes[k].plane for k in (0, 1, 70)] == ["I 1 GHz", "I 1.001 GHz", "Q 1 GHz"]
    assert (planes[0].plane_axis, planes[0].attrs["unit"]) == ("plane", "uK")
    assert (planes[139].reader.read(0, 3, 0, 4) == cube[1, 69]).all()
    (planes,) = load((cube, WCS(header).celestial)).images
    assert [planes[k].plane for k in (0, 1, 70)] == ["1 1", "2 1", "1 2"]
    array = xr.DataArray(
        cube, dims=("time", "freq", "y", "x"), coords={"freq": np.arange(70) * 1.5},
        attrs={"wcs": WCS(header).celestial},
    )  # fmt: skip
    (planes,) = load(array).images
    assert [planes[k].plane for k in (0, 1, 139)] == ["0.0 1", "1.5 1", "103.5 2"]


def test_broken_wcs_object() -> None:
    broken = WCS(car_header())
    broken.wcs.crval = [np.nan, 0]
    with pytest.raises(DataError, match="broken WCS"):
        load((DATA, broken))
