"""HEALPix maps in FITS files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from skyshade.errors import ChangedError, DataError, InputError, SkyshadeError, UnsupportedError
from skyshade.layers.healpix import HealpixLayer
from skyshade.loaders import fits_healpix, fits_spheres
from skyshade.loaders.api import load, open_map, open_maps
from skyshade.types import SphereImage

UNSEEN = -1.6375e30


def write(
    path: Path, columns: dict[str, np.ndarray], per_row: int = 1, forms: Any = None, **cards: Any
) -> Path:
    """Write columns of pixels as a HEALPix table."""
    made = []
    for name, values in columns.items():
        letter = {"f4": "E", "f8": "D", "i2": "I", "i4": "J", "i8": "K", "u1": "B"}[
            values.dtype.str[1:]
        ]
        form = (forms or {}).get(name, f"{per_row}{letter}" if per_row > 1 else letter)
        array = values.reshape(-1, per_row) if per_row > 1 else values
        made.append(fits.Column(name=name, format=form, array=array))
    table = fits.BinTableHDU.from_columns(made)
    npix = len(next(iter(columns.values())))
    usual = {
        "PIXTYPE": "HEALPIX",
        "ORDERING": "RING",
        "NSIDE": round((npix / 12) ** 0.5),
        "INDXSCHM": "IMPLICIT",
        "COORDSYS": "G",
    }
    for key, value in {**usual, **cards}.items():
        if value is not None:
            table.header[key] = value
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)
    return path


def ramp(nside: int = 16, form: str = "f4") -> np.ndarray:
    return np.arange(12 * nside * nside).astype(form)


def only(path: Path, **options: Any) -> SphereImage:
    (images,) = load(path, **options).spheres
    (image,) = images
    return image


@pytest.mark.parametrize("per_row", [1, 4, 1024])
@pytest.mark.parametrize("beside", [0, 1, 2, 1000])
def test_every_layout_of_rows(tmp_path: Path, per_row: int, beside: int) -> None:
    values = ramp(16)
    columns = {"A": values}
    if beside == 1000:  # far apart: a wide text column between
        path = write(tmp_path / "a.fits", columns, per_row)
        with fits.open(path) as file:
            wide = fits.Column(name="T", format="5000A", array=["x"] * len(file[1].data))
            made = fits.BinTableHDU.from_columns([file[1].columns[0], wide])
            for key in ("PIXTYPE", "ORDERING", "NSIDE", "INDXSCHM", "COORDSYS"):
                made.header[key] = file[1].header[key]
            raw = made.copy()
        raw.writeto(path, overwrite=True)
    else:
        columns |= {f"B{n}": values * (n + 2) for n in range(beside)}
        path = write(tmp_path / "a.fits", columns, per_row)
    images = load(path).spheres[0]
    for number, image in enumerate(images):
        reader, wanted = image.reader, values * (number + 1)
        np.testing.assert_array_equal(reader.read(0, values.size), wanted)
        np.testing.assert_array_equal(reader.read(1000, 2900), wanted[1000:2900])
        assert reader.read(7, 7).size == 0
        runs = np.array([[3, 5], [1020, 1030], [2000, 2900], [3071, 3072]])
        parts = [wanted[a:b] for a, b in runs]
        np.testing.assert_array_equal(reader.read_runs(runs), np.concatenate(parts))
        assert reader.dtype == np.float32


@pytest.mark.parametrize("per_row", [1, 8])
def test_reads_are_cut_to_what_is_held_at_once(
    tmp_path: Path, per_row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits_spheres, "_AT_ONCE", 100)
    values = ramp(16)
    images = load(write(tmp_path / "a.fits", {"A": values, "B": -values}, per_row)).spheres[0]
    for image, wanted in zip(images, (values, -values), strict=True):
        np.testing.assert_array_equal(image.reader.read(5, 3000), wanted[5:3000])


@pytest.mark.parametrize("form", ["f8", "i2", "i4", "i8", "u1"])
def test_other_numbers(tmp_path: Path, form: str) -> None:
    values = (np.arange(12 * 16) % 200).astype(form)
    image = only(write(tmp_path / "a.fits", {"A": values}))
    np.testing.assert_array_equal(image.reader.read(0, 192), values)
    assert image.integer == (form[0] in "iu")
    assert image.reader.dtype == (np.float32 if form in ("i2", "u1") else np.float64)


def test_scaled_integers_and_nulls(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", {"A": (np.arange(48) - 5).astype("i2")})
    with fits.open(path, mode="update") as file:
        file[1].header["TSCAL1"], file[1].header["TZERO1"], file[1].header["TNULL1"] = 0.5, 3.0, -5
    image = only(path)
    found = image.reader.read(0, 48)
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1:], (np.arange(48)[1:] - 5) * 0.5 + 3.0)
    assert not image.integer


def test_what_was_not_observed_is_missing(tmp_path: Path) -> None:
    values = ramp(4)
    values[[3, 5, 9]] = UNSEEN, np.nan, np.inf
    found = only(write(tmp_path / "a.fits", {"A": values})).reader.read(0, 192)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 5, 9]
    other = only(write(tmp_path / "b.fits", {"A": ramp(4)}, BAD_DATA=7.0)).reader.read(0, 192)
    assert np.flatnonzero(np.isnan(other)).tolist() == [7]


@pytest.mark.parametrize("forms", [("i4", "f4"), ("i8", "f8")])
@pytest.mark.parametrize("order", ["RING", "NESTED"])
def test_a_partial_map(tmp_path: Path, forms: tuple[str, str], order: str) -> None:
    listed = np.unique(np.random.default_rng(0).integers(0, 12 * 32 * 32, 4000)).astype(forms[0])
    values = listed.astype(forms[1]) * 2
    columns = {"PIXEL": listed, "SIGNAL": values, "N_OBS": values + 1}
    path = write(tmp_path / "a.fits", columns, NSIDE=32, INDXSCHM="EXPLICIT", ORDERING=order)
    signal, count = load(path).spheres[0]
    assert (signal.plane, count.plane, signal.plane_axis) == ("SIGNAL", "N_OBS", "plane")
    assert signal.reader.nested == (order == "NESTED")
    whole = np.full(12 * 32 * 32, np.nan)
    whole[listed] = values
    np.testing.assert_array_equal(signal.reader.read(0, whole.size), whole)
    np.testing.assert_array_equal(count.reader.read(100, 900), whole[100:900] + 1)
    runs = np.array([[0, 50], [60, 61], [5000, 7000]])
    parts = [whole[a:b] for a, b in runs]
    np.testing.assert_array_equal(signal.reader.read_runs(runs), np.concatenate(parts))
    np.testing.assert_array_equal(signal.reader.listed, listed)


def test_a_partial_map_in_no_order(tmp_path: Path) -> None:
    listed = np.random.default_rng(1).permutation(768)[:300].astype("i4")
    path = write(
        tmp_path / "a.fits",
        {"PIXEL": listed, "T": listed.astype("f4")},
        NSIDE=8,
        INDXSCHM="EXPLICIT",
    )
    reader = only(path).reader
    whole = np.full(768, np.nan)
    whole[listed] = listed
    np.testing.assert_array_equal(reader.read(0, 768), whole)
    np.testing.assert_array_equal(reader.read(200, 333), whole[200:333])
    assert (np.diff(reader.listed) > 0).all()


def test_healpy_marks_a_partial_map_by_its_object(tmp_path: Path) -> None:
    listed = np.arange(100, 140).astype("i4")
    path = write(
        tmp_path / "a.fits",
        {"PIXEL": listed, "TEMPERATURE": listed.astype("f4")},
        NSIDE=8,
        INDXSCHM=None,
        OBJECT="PARTIAL",
    )
    image = only(path)
    assert image.reader.read(100, 103).tolist() == [100, 101, 102]
    assert "OBJECT" not in image.attrs
    assert image.title == ""


@pytest.mark.parametrize(
    ("names", "axis", "planes"),
    [
        (["I_STOKES", "Q_STOKES", "U_STOKES"], "stokes", ["I", "Q", "U"]),
        (["TEMPERATURE", "Q_POLARISATION", "U_POLARISATION"], "stokes", ["I", "Q", "U"]),
        (["TEMPERATURE", "Q-POLARIZATION", "U-POLARIZATION"], "stokes", ["I", "Q", "U"]),
        (["Q", "U"], "stokes", ["Q", "U"]),
        (["I_STOKES", "Q_STOKES", "U_STOKES", "HITS"], "plane", ["I", "Q", "U", "HITS"]),
        (["TEMPERATURE", "N_OBS"], "plane", ["TEMPERATURE", "N_OBS"]),
        (["PROB", "DISTMU", "DISTSIGMA"], "plane", ["PROB", "DISTMU", "DISTSIGMA"]),
    ],
)
def test_planes(tmp_path: Path, names: list[str], axis: str, planes: list[str]) -> None:
    path = write(tmp_path / "a.fits", {n: ramp(4) + k for k, n in enumerate(names)})
    images = load(path).spheres[0]
    assert [i.plane for i in images] == planes
    assert {i.plane_axis for i in images} == {axis}
    assert [float(i.reader.read(0, 1)[0]) for i in images] == list(range(len(names)))


def test_units_and_cards(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.fits",
        {"TEMPERATURE": ramp(4), "N_OBS": ramp(4)},
        TUNIT1="K_CMB",
        TUNIT2="counts",
        POLCCONV="COSMO",
        TELESCOP="PLANCK",
        OBJECT="The sky",
    )
    first, second = load(path).spheres[0]
    assert (first.units, second.units) == ("K_CMB", "counts")
    assert first.attrs["POLCCONV"] == "COSMO"
    assert first.title == "The sky"
    alone = only(write(tmp_path / "b.fits", {"PROB": ramp(4)}))
    assert HealpixLayer([alone], id="b").info.quantity == "PROB"


@pytest.mark.parametrize(
    ("said", "frame"),
    [
        ("C", "icrs"),
        ("CELESTIAL", "icrs"),
        ("Equatorial", "icrs"),
        ("G", "galactic"),
        ("GALACTIC", "galactic"),
        ("E", "ecliptic"),
        ("ECLIPTIC", "ecliptic"),
    ],
)
def test_frames(tmp_path: Path, said: str, frame: str) -> None:
    path = write(tmp_path / "a.fits", {"T": ramp(4)}, COORDSYS=said)
    assert only(path).frame == frame
    assert not only(path).notes
    assert only(path, frame="supergalactic").frame == "supergalactic"


def test_a_missing_frame_is_galactic_and_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", {"T": ramp(4)}, COORDSYS=None)
    image = only(path)
    assert image.frame == "galactic"
    assert image.notes == ("no COORDSYS: taken for galactic",)
    assert only(path, frame="icrs").notes == ()
    assert only(write(path, {"T": ramp(4)}, COORDSYS=None, SKYCOORD="Ecliptic")).frame == "ecliptic"


def test_a_missing_order_is_ring_and_said(tmp_path: Path) -> None:
    image = only(write(tmp_path / "a.fits", {"T": ramp(4)}, ORDERING=None))
    assert not image.reader.nested
    assert image.notes == ("no ORDERING: taken for RING",)


def test_a_missing_nside_follows_from_the_size(tmp_path: Path) -> None:
    assert only(write(tmp_path / "a.fits", {"T": ramp(8)}, NSIDE=None)).reader.nside == 8


def test_columns_of_another_size_are_left_out(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(name="NAME", format="8A", array=["x"] * 48),
            fits.Column(name="T", format="4E", array=np.arange(192.0).reshape(48, 4)),
            fits.Column(name="OTHER", format="2E", array=np.arange(96.0).reshape(48, 2)),
        ]
    )
    table.header["PIXTYPE"], table.header["NSIDE"], table.header["ORDERING"] = "HEALPIX", 4, "NEST"
    path = tmp_path / "a.fits"
    table.writeto(path)
    image = only(path)
    np.testing.assert_array_equal(image.reader.read(0, 192), np.arange(192))
    assert image.reader.nested


def test_an_image_of_pixels(tmp_path: Path) -> None:
    values = np.stack([ramp(8), ramp(8) * 2])
    hdu = fits.PrimaryHDU(values)
    cards = {"PIXTYPE": "HEALPIX", "NSIDE": 8, "ORDERING": "NESTED", "COORDSYS": "C"}
    for key, value in cards.items():
        hdu.header[key] = value
    path = tmp_path / "a.fits"
    hdu.writeto(path)
    one, two = load(path).spheres[0]
    np.testing.assert_array_equal(two.reader.read(5, 700), values[1, 5:700])
    assert (one.plane, two.plane, one.frame) == ("1", "2", "icrs")


def test_several_maps_in_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", {"T": ramp(4)}, EXTNAME="FIRST")
    with fits.open(write(tmp_path / "b.fits", {"T": ramp(8)}, EXTNAME="SECOND")) as file:
        fits.append(path, file[1].data, file[1].header)
    fits.append(path, np.zeros((3, 3)), None)
    loaded = load(path)
    assert [images[0].hdu for images in loaded.spheres] == ["FIRST", "SECOND"]
    assert list(open_maps(path)) == ["a-FIRST", "a-SECOND"]
    assert open_map(path, hdu="second").attrs["nside"] == 8


def test_a_packed_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", {"T": ramp(16)}, 1024)
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    image = only(packed)
    assert image.name == "a"
    np.testing.assert_array_equal(image.reader.read(0, 3072), ramp(16))


class TestRefused:
    """One line that names file, HDU and cause; nothing is allocated before."""

    @pytest.mark.parametrize(
        ("cards", "match"),
        [
            ({"NSIDE": 5}, r"NSIDE = 5 is not allowed: a power of two, 1 to 8192"),
            ({"NSIDE": 16384}, r"NSIDE = 16384"),
            ({"NSIDE": -4}, r"NSIDE = -4"),
            ({"NSIDE": "four"}, r"NSIDE = four"),
            ({"NSIDE": 8192}, r"192 pixels, NSIDE = 8192 needs 805306368"),
            ({"NSIDE": 8}, r"192 pixels, NSIDE = 8 needs 768"),
            ({"ORDERING": "NUNIQ"}, r"ORDERING = 'NUNIQ' is not read: allowed are RING and NESTED"),
            ({"COORDSYS": "X"}, r"COORDSYS = 'X' is not known: allowed are C, G and E"),
            ({"INDXSCHM": "SOMEHOW"}, r"INDXSCHM = 'SOMEHOW' is not allowed"),
            ({"INDXSCHM": "EXPLICIT"}, r"EXPLICIT without a PIXEL column of integers; columns: T"),
            ({"TFORM1": "9E"}, r"column 1 lies outside its rows of 4 bytes"),
            ({"TFORM1": "what"}, r"TFORM1 = 'what' is not a FITS column format"),
        ],
    )
    def test_a_header_that_lies(self, tmp_path: Path, cards: dict[str, Any], match: str) -> None:
        path = write(tmp_path / "lies.fits", {"T": ramp(4)})
        raw = bytearray(path.read_bytes())
        for key, value in cards.items():
            at = raw.index(f"{key:<8}=".encode(), 2880)
            text = f"'{value:<8}'" if isinstance(value, str) else f"{value:>20}"
            raw[at : at + 80] = f"{key:<8}= {text}".ljust(80).encode()
        path.write_bytes(raw)
        with pytest.raises(DataError, match=match) as caught:
            load(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("lies.fits, HDU 1: ")

    def test_the_shared_file(self, shared_data: Path) -> None:
        with pytest.raises(DataError) as caught:
            load(shared_data / "bad" / "hpx_wrong_npix.fits")
        wanted = "hpx_wrong_npix.fits, HDU 1: 11264 pixels, NSIDE = 32 needs 12288"
        assert str(caught.value) == wanted

    @pytest.mark.parametrize("bad", [-1, 768])
    def test_a_pixel_off_the_sphere(self, tmp_path: Path, bad: int) -> None:
        columns = {"PIXEL": np.array([3, bad, 9], "i4"), "T": np.zeros(3, "f4")}
        path = write(tmp_path / "a.fits", columns, NSIDE=8, INDXSCHM="EXPLICIT")
        with pytest.raises(DataError, match=f"HDU 1: pixel {bad} is not on the sphere"):
            load(path)

    def test_more_pixels_than_there_are(self, tmp_path: Path) -> None:
        columns = {"PIXEL": np.zeros(13, "i4"), "T": np.zeros(13, "f4")}
        path = write(tmp_path / "a.fits", columns, NSIDE=1, INDXSCHM="EXPLICIT")
        with pytest.raises(DataError, match="lists 13 pixels, NSIDE = 1 has 12"):
            load(path)

    def test_too_many_pixels_in_no_order(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fits_spheres, "UNSORTED", 3)
        columns = {"PIXEL": np.array([5, 4, 3, 2], "i4"), "T": np.zeros(4, "f4")}
        path = write(tmp_path / "a.fits", columns, NSIDE=1, INDXSCHM="EXPLICIT")
        with pytest.raises(DataError, match="4 pixels in no order; allowed are 3"):
            load(path)

    def test_too_many_pixels_in_a_list(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fits_healpix, "LISTED", 3)
        columns = {"PIXEL": np.arange(4, dtype="i4"), "T": np.zeros(4, "f4")}
        path = write(tmp_path / "a.fits", columns, NSIDE=1, INDXSCHM="EXPLICIT")
        with pytest.raises(DataError, match="lists 4 pixels; at most 3"):
            load(path)

    def test_an_unknown_frame_of_the_user(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="frame"):
            load(write(tmp_path / "a.fits", {"T": ramp(4)}), frame="lunar")

    def test_a_file_that_is_cut(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.fits", {"T": ramp(64)}, 1024)
        whole = path.read_bytes()
        path.write_bytes(whole[: 5760 + 100_000])
        image = only(path)
        assert image.notes == ("truncated: 100000 of 196608 bytes",)
        found = image.reader.read(0, 12 * 64 * 64)
        np.testing.assert_array_equal(found[:25_000], ramp(64)[:25_000])
        assert np.isnan(found[25_000:]).all()
        path.write_bytes(whole[: 5760 + 10_000])
        with pytest.raises(DataError, match="truncated: 10000 of 196608 bytes"):
            load(path)


class TestChanges:
    def test_new_pixels_are_another_version(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.fits", {"T": ramp(16)})
        layer = HealpixLayer([only(path)], id="a")
        before, value = layer.version, layer.value(10, 20)
        with path.open("r+b") as file:
            file.seek(5760)
            file.write((ramp(16) + 1).astype(">f4").tobytes())
        assert layer.version != before
        assert layer.value(10, 20) == value + 1

    def test_another_header_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.fits", {"T": ramp(16)})
        image = only(path)
        raw = path.read_bytes().replace(b"'RING    '", b"'NESTED  '")
        with path.open("r+b") as file:
            file.write(raw)
        with pytest.raises(ChangedError, match="its header changed"):
            image.reader.read(0, 5)

    def test_the_list_of_pixels_is_read_again(self, tmp_path: Path) -> None:
        columns = {"PIXEL": np.array([3, 5, 9], "i4"), "T": np.array([1, 2, 3], "f4")}
        path = write(tmp_path / "a.fits", columns, NSIDE=1, INDXSCHM="EXPLICIT")
        reader = only(path).reader
        assert np.flatnonzero(np.isfinite(reader.read(0, 12))).tolist() == [3, 5, 9]
        changed = np.zeros(3, [("p", ">i4"), ("t", ">f4")])
        changed["p"], changed["t"] = [11, 1, 4], [7, 8, 9]
        with path.open("r+b") as file:
            file.seek(5760)
            file.write(changed.tobytes())
        found = reader.read(0, 12)
        assert found[[1, 4, 11]].tolist() == [8, 9, 7]
        assert np.isnan(found[3])

    def test_a_file_that_became_shorter(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.fits", {"T": ramp(64)}, 1024)
        reader = only(path).reader
        with path.open("r+b") as file:
            file.truncate(5760 + 40_000)
        found = reader.read_runs(np.array([[9_000, 11_000], [40_000, 40_010]]))
        np.testing.assert_array_equal(found[:1000], np.arange(9_000, 10_000))
        assert np.isnan(found[1000:]).all()


class TestRealFiles:
    def test_wmap(self, shared_data: Path) -> None:
        folder = shared_data / "real" / "healpix"
        images = load(folder / "wmap_band_iqumap_r9_7yr_W_v4_udgraded32.fits").spheres[0]
        assert [i.plane for i in images] == ["I", "Q", "U"]
        layer = HealpixLayer(images, id="w")
        bright = layer.value(266.4, -28.94)  # the Galactic centre
        assert bright is not None
        assert bright > layer.statistics().percentiles["99.9"]
        pole = layer.value(192.86, 27.13)
        assert pole is not None
        assert abs(pole) < 0.1
        q = layer.select(plane="Q")
        assert q.statistics().symmetric

    def test_ligo(self, shared_data: Path) -> None:
        image = only(shared_data / "real" / "healpix" / "ligo_simulated.fits.gz")
        assert (image.reader.nside, image.reader.nested, image.frame) == (2048, True, "icrs")
        assert image.units == "pix-1"
        layer = HealpixLayer([image], id="l")
        assert not layer.ready
        layer.wait_exact()
        total = layer._mine.overview("mean").level(11)[0].astype(float).sum() * 4**11
        assert total == pytest.approx(1.0, abs=1e-4)  # a probability

    def test_what_is_no_map_is_still_a_table(self, shared_data: Path) -> None:
        loaded = load(shared_data / "real" / "catalog" / "E-D56Clusters.fits")
        assert loaded.tables
        assert not loaded.spheres


def test_a_table_that_is_no_map(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    columns = [fits.Column(name=n, format="D", array=np.arange(5.0)) for n in ("ra", "dec")]
    fits.BinTableHDU.from_columns(columns).writeto(path)
    assert load(path).tables
    with pytest.raises(SkyshadeError):
        open_map(path)


def test_errors_are_data_errors() -> None:
    assert issubclass(UnsupportedError, DataError)
