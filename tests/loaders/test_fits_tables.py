from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from skyshade.errors import DataError, UnknownNameError
from skyshade.loaders import fits_fields, fits_tables
from skyshade.loaders.api import load

N = 500
RNG = np.random.default_rng(5)
RA, DEC = RNG.uniform(0, 360, N), RNG.uniform(-90, 90, N)


def table(tmp_path: Path, *columns: fits.Column, **cards: Any) -> Path:
    position = [
        fits.Column("RAJ2000", "D", "deg", array=RA),
        fits.Column("DEJ2000", "D", array=DEC),
    ]
    hdu = fits.BinTableHDU.from_columns([*position, *columns])
    hdu.header.update(cards)
    hdu.writeto(tmp_path / "t.fits")
    return tmp_path / "t.fits"


def numbers(low: int, high: int, kind: str) -> np.ndarray:
    return RNG.integers(low, high, N).astype(kind)


@pytest.mark.parametrize("chunk", [100, 8 << 20])
@pytest.mark.parametrize(
    ("form", "data", "extra"),
    [
        ("B", numbers(0, 255, "u1"), {}),
        ("I", numbers(-9, 9, "i2"), {}),
        ("J", numbers(-9, 9, "i4"), {}),
        ("K", numbers(-(2**62), 2**62, "i8"), {}),
        ("E", RNG.normal(size=N).astype("f4"), {}),
        ("D", RNG.normal(size=N), {}),
        ("L", numbers(0, 2, "?"), {}),
        ("I", numbers(0, 65_000, "u2"), {"bzero": 32768}),
        ("J", numbers(0, 2**32 - 1, "u4"), {"bzero": 2**31}),
        ("B", numbers(-128, 127, "i1"), {"bzero": -128}),
    ],
)
def test_columns_equal_astropys(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    data: np.ndarray,
    extra: dict[str, float],
    chunk: int,
) -> None:
    monkeypatch.setattr(fits_tables, "_CHUNK", chunk)
    path = table(tmp_path, fits.Column("pad", "3B", array=np.zeros((N, 3), "u1")),
                 fits.Column("x", form, array=data, **extra))  # fmt: skip
    found = load(path).tables[0]
    np.testing.assert_array_equal(found.column("x"), data)
    assert found.column("x").dtype.kind == data.dtype.kind
    assert found.column("x").dtype.isnative
    ra, dec = found.positions()
    np.testing.assert_allclose(ra, RA, rtol=1e-15)
    np.testing.assert_array_equal(dec, DEC)


def test_nulls_and_text(tmp_path: Path) -> None:
    count = np.arange(N, dtype="i2")
    name = np.array([f"star {i}  " for i in range(N)])
    flag = fits.Column("flag", "L", array=np.ones(N, bool))
    path = table(
        tmp_path,
        fits.Column("n", "I", array=count, null=3),
        fits.Column("name", "10A", array=name),
        flag,
    )
    raw = bytearray(path.read_bytes())
    at = raw.index(b"star 7\0")
    raw[at : at + 11] = b"st\xb5r\0\0zz  \0"
    path.write_bytes(raw)
    found = load(path).tables[0]
    assert np.argwhere(np.isnan(found.column("n"))).ravel().tolist() == [3]
    assert found.column("name")[[6, 7]].tolist() == ["star 6", "st\ufffdr"]
    assert found.column("flag")[[6, 7]].tolist() == [True, None]
    assert found.units == {"RAJ2000": "deg"}


def test_columns_without_one_value_a_row_are_left_out(tmp_path: Path) -> None:
    ragged = np.empty(N, object)
    ragged[:] = [np.arange(i % 3, dtype="f4") for i in range(N)]
    path = table(
        tmp_path,
        fits.Column("vector", "3E", array=np.zeros((N, 3))),
        fits.Column("grid", "4J", dim="(2,2)", array=np.zeros((N, 2, 2), int)),
        fits.Column("heap", "PE()", array=ragged),
        fits.Column("last", "D", array=DEC),
    )
    found = load(path).tables[0]
    assert tuple(found.columns) == ("RAJ2000", "DEJ2000", "last")
    np.testing.assert_array_equal(found.column("last"), DEC)
    with pytest.raises(UnknownNameError, match="unknown column 'vector'; known: RAJ2000"):
        found.column("vector")


def test_scaled_integers() -> None:
    raw = np.array([[0, 2], [0, 9]], np.uint8)
    field = fits_fields.Field("I", 0, 2, scale=0.5, zero=10.0, null=9)
    np.testing.assert_array_equal(field.decode(raw), [11.0, np.nan])


def test_columns_of_no_width() -> None:
    header = fits.Header({"TFIELDS": 3, "TTYPE1": "a", "TFORM1": "0A", "TTYPE2": "b"})
    header.update({"TFORM2": "0D", "TTYPE3": "c", "TFORM3": "I"})
    fields, _ = fits_fields.read_fields(header, False, 2)
    assert {name: field.offset for name, field in fields.items()} == {"c": 0}


def test_ascii_table(tmp_path: Path) -> None:
    columns = [
        fits.Column("ra", "F12.7", "deg", array=RA),
        fits.Column("dec", "E15.7", array=DEC),
        fits.Column("id", "I6", array=np.arange(N)),
        fits.Column("name", "A5", array=[f"n{i}" for i in range(N)]),
    ]
    fits.TableHDU.from_columns(columns).writeto(tmp_path / "a.fits")
    found = load(tmp_path / "a.fits").tables[0]
    ra, dec = found.positions()
    np.testing.assert_allclose(ra, RA, atol=1e-7)
    np.testing.assert_allclose(dec, DEC, rtol=1e-6)
    assert found.column("id")[9] == 9
    assert found.column("name")[9] == "n9"


def test_repeated_names_differ(tmp_path: Path) -> None:
    path = table(tmp_path, fits.Column("x", "D", array=RA), fits.Column("y", "D", array=DEC))
    path.write_bytes(path.read_bytes().replace(b"TTYPE4  = 'y  ", b"TTYPE4  = 'x  "))
    found = load(path).tables[0]
    assert tuple(found.columns)[-2:] == ("x", "x_2")
    np.testing.assert_array_equal(found.column("x_2"), DEC)


def test_broken_tables(tmp_path: Path) -> None:
    path = table(tmp_path)
    good = path.read_bytes()
    for old, new, cause in (
        (b"NAXIS2  =                  500", b"NAXIS2  =         500000000000", "truncated: "),
        (b"TFORM1  = 'D   ", b"TFORM1  = '9D  ", "lies outside its rows of 16 bytes"),
        (b"TFORM1  = 'D   ", b"TFORM1  = '!   ", "TFORM1 = '!' is not a FITS column format"),
        (b"TFIELDS =                    2", b"TFIELDS =                 -222", "TFIELDS = -222"),
    ):
        changed = good.replace(old, new)
        assert changed != good
        path.write_bytes(changed)
        with pytest.raises(DataError, match=r"t\.fits, HDU 1") as caught:
            load(path)
        assert cause in str(caught.value)


def test_tables_of_one_file_have_names_of_their_own(tmp_path: Path) -> None:
    data = np.rec.array([(1.0, 2.0)], names=["ra", "dec"])
    other = np.rec.array([(1.0, 2.0)], names=["start", "stop"])
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(data, name="a"), fits.BinTableHDU(data)]
    hdus.append(fits.BinTableHDU(other, name="gti"))
    fits.HDUList(hdus).writeto(tmp_path / "cat.fits")
    loaded = load(tmp_path / "cat.fits")
    assert [t.name for t in loaded.tables] == ["cat-A", "cat-2"]
    assert "HDU 3 (GTI): no coordinate columns recognised" in loaded.notes[0]
    assert loaded.notes[0].endswith("columns: start, stop")
    assert not loaded.rejected
