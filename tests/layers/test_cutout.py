"""Cutouts: the map's own pixels at their own places, through astropy and through skyshade."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skyshade.errors import InputError, NoOverlapError, TooLargeError
from skyshade.geometry.frames import frame_of, to_icrs
from skyshade.geometry.wcs import separation
from skyshade.layers.analysis_regions import Box, Patch, box_of
from skyshade.layers.healpix import HealpixLayer
from skyshade.layers.map import MapLayer
from skyshade.loaders.api import load, open_map
from skyshade.types import Coverage
from tests.geometry.skies import make_wcs
from tests.layers.images import ArrayReader, image
from tests.layers.spheres import sphere
from tests.layers.test_analysis import POSITIONS, SKIES

SKIES = {
    **SKIES,
    "crpix first": (make_wcs(cdelt=(-2, 2), crpix=(1, 45.5)), (90, 180)),
    "oblique first": (make_wcs(crval=(40, 30), cdelt=(-2, 2), crpix=(1, 45.5)), (90, 180)),
    "lonpole": (make_wcs(cdelt=(-2, 2), crpix=(1, 45.5), lonpole=180.0), (90, 180)),
    "crosses 180": (make_wcs(crval=(0, 0), cdelt=(-1, 1), crpix=(200, 20)), (40, 60)),
}
SIZES = [0.02, 4.3, (41, 3.2), (360, 180)]


def numbered(name: str, dtype: str = "f4") -> MapLayer:
    """Return a map whose values are the numbers of its pixels."""
    wcs, shape = SKIES[name]
    values = np.arange(shape[0] * shape[1], dtype=dtype).reshape(shape)
    return MapLayer([image(wcs, ArrayReader(values), units="uK", title="A title")], id="m")


def places(hdu) -> tuple[np.ndarray, np.ndarray]:
    """ICRS positions of all pixels of an HDU, as astropy reads its header."""
    wcs = WCS(hdu.header)
    y, x = np.indices(hdu.data.shape)
    world = wcs.all_pix2world(x.ravel(), y.ravel(), 0)
    ra, dec = to_icrs(world[wcs.wcs.lng], world[wcs.wcs.lat], frame_of(wcs))
    return ra.reshape(x.shape), dec.reshape(x.shape)


@pytest.mark.parametrize("name", SKIES)
def test_every_pixel_keeps_its_value_and_its_place(name):
    layer = numbered(name)
    nx, shape = layer.pixels.shape[1], layer.pixels.shape
    middle = layer.info.coverage
    own = ((middle.ra_east + middle.ra_west) / 2, (middle.dec_min + middle.dec_max) / 2)
    made = 0
    for ra, dec in (*POSITIONS, own):
        for size in SIZES:
            try:
                found = layer.cutout(ra, dec, size)
            except NoOverlapError:
                continue
            made += 1
            hdu = fits.open(io.BytesIO(found.to_fits()))[0]
            number = hdu.data.astype(int)
            assert np.unique(number).size == number.size  # no pixel twice
            assert np.all(np.diff(number // nx, axis=0) == 1)
            assert np.all(np.isin(np.diff(number % nx, axis=1), [1, 1 - shape[1], -179]))
            true = layer.pixels.pixel_to_sky(number % nx, number // nx)
            sky = places(hdu)
            assert np.array_equal(np.isfinite(sky[0]), np.isfinite(true[0]))
            shown = np.isfinite(true[0])
            away = separation(*(v[shown] for v in (*true, *sky)))
            assert away.max(initial=0.0) < 1e-9
    assert made >= 3


@pytest.mark.parametrize("name", SKIES)
def test_a_cutout_holds_what_was_asked_for_and_no_more(name):
    layer = numbered(name)
    ny, nx = layer.pixels.shape
    x, y = np.meshgrid(np.arange(min(nx, round(layer.pixels.period) or nx)), np.arange(ny))
    ra, dec = layer.pixels.pixel_to_sky(x, y)
    for region, asked in [
        (Patch(0.1, 20, 20.02, 10.02), {"ra": 0.1, "dec": 20, "size": (20.02, 10.02)}),
        (Patch(80, 30.0, 0.5, 0.5), {"ra": 80, "dec": 30, "size": 0.5}),
        (Box(box_of(20.3, 339.7, -31.1, 60.1)), {"box": (20.3, 339.7, -31.1, 60.1)}),
        (Box(box_of(0, 0, 80.1, 90)), {"box": (0, 0, 80.1, 90)}),
    ]:
        inside = region.holds(ra, dec)
        if not inside.any():
            continue
        found = layer.cutout(**asked).values.astype(int)
        wanted = (y * nx + x)[inside]
        assert np.isin(wanted, found).all()
        rows, cols = found // nx, found % nx
        for edge in ((rows, rows[0]), (rows, rows[-1]), (cols, cols[:, 0]), (cols, cols[:, -1])):
            assert np.isin(edge[1], (y if edge[0] is rows else x)[inside]).any()


def test_a_seam_is_no_edge():
    layer = numbered("crpix first")  # RA 0 in the first column, in the middle of what is cut
    found = layer.cutout(box=(21, 339, -5.5, 5.5))
    assert found.values.shape == (6, 21)
    columns = found.values[0].astype(int) % 180
    assert columns.tolist() == [*range(170, 180), *range(11)]


def test_box_across_ra_0():
    assert box_of(10, 350, -1, 1) == Coverage(370, 350, -1, 1)
    assert box_of(5, 5, -1, 1) == Coverage(365, 5, -1, 1)
    for bad in [(np.nan, 0, 0, 1), (0, 0, 1, 1), (0, 0, -91, 1), (9999, 0, 0, 1)]:
        with pytest.raises(InputError, match="not allowed"):
            box_of(*bad)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_header_and_type(dtype):
    layer = numbered("car", dtype)
    layer.image.attrs.update({"TELESCOP": "Plánck", "HDU": 0, "EXPTIME": 3.5, "BAD": np.nan})
    layer.image.reader.values[44:46, 89:91] = np.nan
    found = layer.cutout(0, 0, 10)
    hdu = found.to_hdu()
    assert hdu.header["BITPIX"] == {"f4": -32, "f8": -64}[dtype]
    assert np.isnan(hdu.data).sum() == 4
    assert (hdu.header["BUNIT"], hdu.header["OBJECT"]) == ("uK", "A title")
    assert (hdu.header["TELESCOP"], hdu.header["EXPTIME"]) == ("Pl?nck", 3.5)
    assert "BAD" not in hdu.header
    history = " ".join(hdu.header["HISTORY"])
    for text in ("test", "Layer m", layer.version, "10 x 10 at 0, 0", "Pixels 88 to 93 of 180"):
        assert text in history
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits.open(io.BytesIO(found.to_fits()))[0].verify("exception")


def test_the_name_of_a_plane_is_kept():
    wcs, shape = SKIES["car"]
    planes = [image(wcs, np.full(shape, i), plane=p) for i, p in enumerate("IQU")]
    found = MapLayer(planes, id="m", plane=1).cutout(0, 0, 5)
    assert found.to_hdu().header["PLANE"] == "Q"
    assert (found.values == 1).all()


@pytest.mark.parametrize("name", ["crpix first", "car galactic", "tan sip", "oblique first"])
def test_skyshade_opens_its_own_cutouts(name, tmp_path):
    layer = numbered(name)
    middle = layer.info.coverage
    ra, dec = (middle.ra_east + middle.ra_west) / 2, (middle.dec_min + middle.dec_max) / 2
    ra = ra if middle.ra_east - middle.ra_west < 360 else 359.9
    width = min(30.0, 0.5 * (middle.dec_max - middle.dec_min))
    (tmp_path / "cut.fits").write_bytes(layer.cutout(ra, dec, width).to_fits())
    again = MapLayer(load(tmp_path / "cut.fits").images[0], id="cut")
    assert again.info.units == "uK"
    assert again.info.title.startswith("A title")
    rng = np.random.default_rng(4)
    for _ in range(50):
        at = ra + width * rng.uniform(-0.3, 0.3), dec + width * rng.uniform(-0.3, 0.3)
        assert again.value(at[0] % 360, at[1]) == layer.value(at[0] % 360, at[1]) is not None


def test_a_cutout_is_a_dataarray_that_opens():
    found = numbered("car").cutout(0, 0, (9, 5)).to_dataarray()
    assert found.dims == ("y", "x")
    assert found.attrs["units"] == "uK"
    again = open_map(found)
    np.testing.assert_array_equal(again.values, found.values)
    assert MapLayer(load(found).images[0], id="c").value(0.5, 0.5) is not None


@pytest.mark.parametrize("name", ["car", "car flipped", "car x flipped"])
def test_pictures_are_north_up_and_east_left(name):
    layer = numbered(name)
    found = layer.cutout(30, 10, (20, 10))
    number = found.upright().astype(int)
    ra, dec = layer.pixels.pixel_to_sky(number % 180, number // 180)
    assert (np.diff(dec[:, 0]) < 0).all()
    assert (np.diff(ra[0]) < 0).all()


def test_what_cutouts_refuse():
    layer = numbered("tan sip")
    with pytest.raises(NoOverlapError, match="no pixel within"):
        layer.cutout(0, 0, 1)
    with pytest.raises(TooLargeError, match=r"120 x 120 .* at most 1000 pixels"):
        layer.cutout(80, 30, 20, max_pixels=1000)
    assert layer.cutout(80, 30, 20).values.size == 120 * 120
    for bad in [(80, 30, 0), (80, 30, (1, 181)), (np.nan, 0, 1), (0, 91, 1), (0, 0, np.nan)]:
        with pytest.raises(InputError, match="not allowed"):
            layer.cutout(*bad)
    for bad in [{}, {"ra": 1, "dec": 2}, {"ra": 1, "dec": 2, "size": (1, 2, 3)}]:
        with pytest.raises(InputError, match=r"needs|not allowed"):
            layer.cutout(**bad)
    with pytest.raises(InputError, match="together"):
        layer.cutout(1, 2, 3, box=(1, 2, 3, 4))


REAL = [
    ("car/surveyMask.fits.gz", 359.9, -2.0, 4.0),
    ("car/gc_bolocam_gps.fits", 266.4, -29.0, 0.3),
    ("car/bexpmap_01.fits", 86.4, 28.9, (40, 20)),
    ("car/MM_unlensed_071123.fits", 180.0, 3.0, 20.0),
    ("image/HorseHead.fits", 85.25, -2.45, 0.2),
    ("image/allsky_rosat.fits", 266.4, -29.0, 30.0),
    ("image/gc_2mass_k.fits", 266.4, -28.93, 0.1),
    ("cube/l1448_13co.fits", 51.4, 30.7, 0.3),
]


@pytest.mark.parametrize(("file", "ra", "dec", "size"), REAL)
def test_real_maps(shared_data, file, ra, dec, size):
    layer = MapLayer(load(shared_data / "real" / file).images[0], id="real")
    found = layer.cutout(ra, dec, size)
    hdu = fits.open(io.BytesIO(found.to_fits()))[0]
    assert hdu.data.dtype.newbyteorder("=") == layer.image.reader.dtype
    sky = places(hdu)
    assert hdu.data.size > 50
    step = max(1, hdu.data.size // 100)
    seen = 0
    for at in zip(*(v.ravel()[::step] for v in (*sky, hdu.data)), strict=True):
        if np.isfinite(at[0]):
            value = layer.value(at[0], at[1])
            assert value == (at[2] if np.isfinite(at[2]) else None)
            seen += 1
    assert seen > 20


def test_healpix_cutouts_are_resampled():
    values = np.arange(12 * 64 * 64, dtype="f4")
    layer = HealpixLayer([sphere(values, frame="galactic", units="K")], id="h")
    found = layer.cutout(266.4, -29.0, (20, 10))
    assert found.quality == "resampled"
    hdu = found.to_hdu()
    assert hdu.header["CTYPE1"] == "RA---TAN"
    assert "Resampled" in " ".join(hdu.header["HISTORY"])
    assert hdu.header["BUNIT"] == "K"
    ra, dec = places(hdu)
    same = [layer.value(*at) == v for *at, v in zip(ra.flat, dec.flat, hdu.data.flat, strict=True)]
    assert np.mean(same) > 0.98  # but for positions on the border of two pixels
    with pytest.raises(InputError, match="120"):
        layer.cutout(0, 0, 180)
