from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS

from skyshade.errors import DataError, InputError, UnknownNameError, UnsupportedError
from skyshade.loaders.api import load, open_catalog, open_map, open_maps
from skyshade.loaders.xarrays import LazyPixels
from tests.loaders.conftest import Write, car_header

CUBE = np.random.default_rng(7).normal(size=(3, 20, 40)).astype(np.float32)


def two_maps(tmp_path: Path) -> Path:
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(CUBE, car_header(BUNIT="uK"), name="sky")]
    hdus.append(fits.ImageHDU(CUBE[0, :10, :20], car_header(20, 10), name="mask"))
    fits.HDUList(hdus).writeto(tmp_path / "two.fits")
    return tmp_path / "two.fits"


def test_open_map_is_lazy_and_described(write: Write) -> None:
    array = open_map(write(CUBE, BUNIT="uK", POLCCONV="IAU", OBJECT="x"))
    assert array.dims == ("stokes", "y", "x")
    assert dask.is_dask_collection(array.data)
    assert array.chunks == ((1, 1, 1), (20,), (40,))
    assert array.coords["stokes"].values.tolist() == ["I", "Q", "U"]
    assert (array.attrs["units"], array.attrs["frame"]) == ("uK", "icrs")
    assert array.attrs["POLCCONV"] == "IAU"
    assert isinstance(array.attrs["wcs"], WCS)
    np.testing.assert_array_equal(array.values, CUBE)
    np.testing.assert_array_equal(array.sel(stokes="Q")[3:9:2, ::-1].values, CUBE[1, 3:9:2, ::-1])


def test_opening_and_cutting_reads_only_the_box(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(CUBE[0])
    boxes: list[tuple[int, ...]] = []
    reader = type(load(path).images[0][0].reader)
    real = reader.read
    monkeypatch.setattr(reader, "read", lambda s, *box: boxes.append(box) or real(s, *box))
    array = open_map(path)
    assert boxes == []
    array[5:8, 30:31].compute()
    assert boxes == [(5, 8, 30, 31, 1)]


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), slice(None), slice(None)),
        (1, slice(2, 15, 3), slice(None, None, 3)),
        (slice(0, 2), 4, slice(30, 5, -4)),
        (-1, -1, -1),
        (slice(5, 9),),
        (0, slice(8, 3), slice(None)),
        (slice(None), slice(1, 9, 2), slice(0, 40, 5)),
    ],
)
def test_lazy_pixels_index_like_numpy(write: Write, key: tuple[object, ...]) -> None:
    pixels = LazyPixels([i.reader for i in load(write(CUBE)).images[0]])
    np.testing.assert_array_equal(pixels[key], CUBE[key])


def test_choosing_hdu_and_plane(tmp_path: Path) -> None:
    path = two_maps(tmp_path)
    assert open_map(path).name == "two-SKY"
    assert open_map(path, hdu="mask").shape == (10, 20)
    assert open_map(path, hdu=2).shape == (10, 20)
    plane = open_map(path, plane="U")
    assert plane.dims == ("y", "x")
    assert plane.coords["stokes"].item() == "U"
    np.testing.assert_array_equal(plane.values, CUBE[2])
    with pytest.raises(UnknownNameError, match="unknown plane 'V'; known: I, Q, U"):
        open_map(path, plane="V")
    with pytest.raises(UnknownNameError, match="unknown image HDU 'x'; known: SKY = 1, MASK = 2"):
        open_map(path, hdu="x")
    assert {k: v.shape for k, v in open_maps(path).items()} == {
        "two-SKY": (3, 20, 40),
        "two-MASK": (10, 20),
    }


def test_xarray_engine(tmp_path: Path) -> None:
    path = two_maps(tmp_path)
    with xr.open_dataset(path, engine="skyshade") as dataset:
        assert dataset["two-SKY"].dims == ("stokes", "y", "x")
        assert dataset["two-MASK"].dims == ("y_MASK", "x_MASK")
        assert dataset["two-SKY"].attrs["units"] == "uK"
        box = dataset["two-SKY"].isel(stokes=[2, 0], y=slice(15, 2, -3), x=[1, 7, 3])
        np.testing.assert_array_equal(box.values, CUBE[[2, 0], 15:2:-3][:, :, [1, 7, 3]])
    with xr.open_dataset(path, engine="skyshade", drop_variables="two-SKY") as dataset:
        assert list(dataset.data_vars) == ["two-MASK"]


def test_open_catalog(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["a", "b"], "dec": [1.0, 95.0], "ra": [-1.0, 2.0], "m": [3, 4]})
    frame.to_csv(tmp_path / "c.csv", index=False)
    catalog = open_catalog(tmp_path / "c.csv")
    assert list(catalog.columns) == ["ra", "dec", "name", "m"]
    assert catalog.attrs["guess"] == "ra, dec from ra, dec (deg)"
    found = catalog.compute()
    np.testing.assert_array_equal(found["ra"], [359, np.nan])
    np.testing.assert_array_equal(found["dec"], [1, np.nan])
    assert found["name"].tolist() == ["a", "b"]
    assert catalog["m"].sum().compute() == 7
    named = open_catalog(tmp_path / "c.csv", ra="m", dec="dec", frame="galactic", name="mine")
    assert named.attrs["guess"] == "ra, dec from m, dec (deg, galactic to ICRS)"
    assert named.attrs["name"] == "mine"


def test_many_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    from skyshade.loaders import frames

    monkeypatch.setattr(frames, "ROWS", 100)
    catalog = open_catalog({"ra": np.arange(250.0), "dec": np.zeros(250), "k": np.arange(250)})
    assert catalog.npartitions == 3
    assert len(catalog) == 250
    assert (catalog["k"].compute() == np.arange(250)).all()


def test_wrong_doors_name_the_right_one(write: Write, tmp_path: Path) -> None:
    path = write(CUBE)
    with pytest.raises(UnsupportedError, match=r"a\.fits: holds no catalogue; try open_map"):
        open_catalog(path)
    (tmp_path / "c.csv").write_text("ra,dec\n1,2\n")
    with pytest.raises(UnsupportedError, match=r"c\.csv: holds no image; try open_catalog"):
        open_map(tmp_path / "c.csv")
    with pytest.raises(InputError, match="wcs= is for arrays"):
        open_map(path, wcs=WCS(car_header()))
    with pytest.raises(DataError, match=r"nope\.fits: no such file"):
        load("nope.fits")
    with pytest.raises(UnsupportedError, match="int: objects of this kind are not shown; known: a"):
        load(3)


def test_uris(write: Write, tmp_path: Path) -> None:
    import fsspec

    path = write(CUBE)
    assert load(f"file://{path}").images[0][0].name == "a"
    memory = fsspec.filesystem("memory")
    memory.pipe("/folder/b.fits", path.read_bytes())
    image = load("memory://folder/b.fits").images[0][0]
    assert image.name == "b"
    np.testing.assert_array_equal(image.reader.read(0, 20, 0, 40), CUBE[0])
    assert image.reader.version() == load("memory://folder/b.fits").images[0][0].reader.version()
    with pytest.raises(DataError, match=r"none\.fits: cannot be fetched: FileNotFoundError"):
        load("memory://folder/none.fits")
    with pytest.raises(DataError, match=r"x\.fits: cannot be fetched"):
        load("nosuch://folder/x.fits")


def test_unforeseen_failures_are_data_errors(
    write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from skyshade.loaders import fits as loader

    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(loader, "open", fail)
    with pytest.raises(DataError, match=r"a\.fits: cannot be read: ZeroDivisionError: oh"):
        load(write(CUBE))
    assert "is rejected" in caplog.text


def test_the_tile_path_imports_nothing_heavy(write: Write, demo_data: Path) -> None:
    code = (
        "import sys; from skyshade.loaders.api import load;"
        f"load({str(write(CUBE))!r}).images[0][0].reader.read(0, 9, 0, 9);"
        f"load({str(demo_data / 'tycho2_bright.parquet')!r}).tables[0].positions();"
        "print([m for m in ('pandas', 'dask', 'xarray', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "[]"
