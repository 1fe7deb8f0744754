"""Apertures against a search of every pixel, whole-map histograms against numpy."""

from __future__ import annotations

import time

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import angular_separation
from astropy_healpix import healpix_to_lonlat
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import ChangedError, InputError, TooLargeError, UnknownNameError
from skyshade.layers import analysis_numbers, analysis_pieces
from skyshade.layers.analysis_area import pixel_areas
from skyshade.layers.analysis_numbers import histogram_of
from skyshade.layers.analysis_pieces import Piece, unique_columns
from skyshade.layers.analysis_regions import Cone
from skyshade.layers.healpix import HealpixLayer
from skyshade.layers.map import MapLayer
from skyshade.loaders.api import load
from skyshade.types import PERCENTILES
from tests.geometry.skies import make_wcs, rotation, with_sip
from tests.layers.images import ArrayReader, image
from tests.layers.spheres import FRAMES, SphereArray, sphere

WHOLE = 4 * np.pi * np.degrees(1) ** 2
SKIES = {
    "car": (make_wcs(cdelt=(-2, 2), crpix=(90.5, 45.5)), (90, 180)),
    "car flipped": (make_wcs(cdelt=(2, -2), crpix=(90.5, 45.5)), (90, 180)),
    "car x flipped": (make_wcs(cdelt=(2, 2), crval=(200, 0), crpix=(90.5, 45.5)), (90, 180)),
    "car 359.9": (make_wcs(crval=(0.05, 0), cdelt=(-0.1, 0.1), crpix=(101, 51)), (101, 201)),
    "car wide": (make_wcs(crval=(10, 0), cdelt=(-2, 2), crpix=(100, 45.5)), (90, 200)),
    "car galactic": (make_wcs(axes="G", cdelt=(-2, 2), crpix=(90.5, 45.5)), (90, 180)),
    "car oblique": (make_wcs(crval=(10, 30), cdelt=(-2, 2), crpix=(90.5, 45.5)), (90, 180)),
    "car rotated": (
        make_wcs(crval=(20, 0), cdelt=(-1, 1), crpix=(60, 40), pc=rotation(20)),
        (90, 120),
    ),
    "pixell": (make_wcs(crval=(1, 0), cdelt=(-2, 2), crpix=(90.5, 46)), (91, 180)),
    "far crpix": (make_wcs(crval=(123, 0), cdelt=(-0.5, 0.5), crpix=(1000, 180)), (80, 240)),
    "cea": (make_wcs("CEA", cdelt=(-2, 2), crpix=(90.5, 29)), (57, 180)),
    "mer": (make_wcs("MER", cdelt=(-2, 2), crpix=(90.5, 60.5)), (120, 180)),
    "tan pole": (make_wcs("TAN", (10, 90), (-0.5, 0.5), (75, 75)), (150, 150)),
    "tan fk4": (
        make_wcs("TAN", (266, -29), (-0.1, 0.1), (60, 60), radesys="FK4", equinox=1950.0),
        (120, 120),
    ),
    "tan sip": (with_sip((60, 60)), (120, 120)),
    "zea": (make_wcs("ZEA", (0, 90), (-1, 1), (115, 115)), (230, 230)),
    "zea south": (make_wcs("ZEA", (40, -90), (-1, 1), (115, 115)), (230, 230)),
    "sin": (make_wcs("SIN", (250, 60), (-1, 1), (70, 70)), (140, 140)),
    "ait galactic": (make_wcs("AIT", axes="G", cdelt=(-2, 2), crpix=(90, 45)), (90, 180)),
    "mol": (make_wcs("MOL", (90, 0), cdelt=(-2, 2), crpix=(90, 45)), (90, 180)),
    "sfl": (make_wcs("SFL", cdelt=(-2, 2), crpix=(90.3, 45.2)), (90, 180)),
    "hpx": (make_wcs("HPX", cdelt=(-2.01, 2.01), crpix=(90.5, 45.5)), (90, 180)),
    "swapped": (
        make_wcs("TAN", (60, 200), (0.1, 0.1), (60, 60), ctype=["DEC--TAN", "RA---TAN"]),
        (120, 120),
    ),
}
POSITIONS = [(0.013, 89.9), (123.0, -90.0), (0.0, 0.01), (359.95, 20.0), (180.0, -40.0)]
RADII = (0.0703, 1.303, 17.01, 74.9, 120.03, 180.0)


def layer_of(name: str, holes: float = 0.1, dtype: str = "f4") -> MapLayer:
    wcs, shape = SKIES[name]
    rng = np.random.default_rng(5)
    values = rng.normal(3, 2, shape).astype(dtype)
    values[rng.random(shape) < holes] = np.nan
    return MapLayer([image(wcs, ArrayReader(values), units="uK")], id="m")


def separations(layer: MapLayer, ra: float, dec: float) -> np.ndarray:
    """Angles of all pixels that show the sky once, by astropy's formula."""
    nx = min(layer.pixels.shape[1], round(layer.pixels.period) or 10**9)
    x, y = np.meshgrid(np.arange(nx), np.arange(layer.pixels.shape[0]))
    sky = layer.pixels.pixel_to_sky(x, y)
    return angular_separation(*(v * u.deg for v in (ra, dec, *sky))).to_value(u.deg)


@pytest.fixture
def blocks(monkeypatch):
    """Let small maps be searched block by block, in many strips."""
    monkeypatch.setattr(analysis_pieces, "_SMALL", 100)
    monkeypatch.setattr(analysis_pieces, "STRIP", 1 << 11)


@pytest.mark.parametrize("name", SKIES)
def test_an_aperture_holds_every_pixel_and_no_other(name, blocks):
    layer = layer_of(name)
    middle = layer.info.coverage
    own = ((middle.ra_east + middle.ra_west) / 2, (middle.dec_min + middle.dec_max) / 2)
    seen = 0
    for ra, dec in (*POSITIONS, own):
        away = separations(layer, ra, dec)
        for radius in RADII:
            with np.errstate(invalid="ignore"):
                inside = away <= radius
                if radius < 180 and (np.abs(away - radius) < 1e-7).any():
                    continue  # rounding decides
            found = layer.aperture(ra, dec, radius)
            values = layer.image.reader.values[:, : away.shape[1]][inside]
            good = values[np.isfinite(values)].astype(np.float64)
            assert (found.n, found.n + found.missing) == (good.size, values.size)
            seen += found.n
            if not found.n:
                assert found.mean is found.std is found.minimum is found.maximum is found.sum
                assert found.coverage == found.area == 0
                continue
            assert found.mean == pytest.approx(good.mean(), rel=1e-12, abs=1e-12)
            assert found.std == pytest.approx(good.std(), rel=1e-9, abs=1e-12)
            assert found.sum == pytest.approx(good.sum(), rel=1e-12, abs=1e-9)
            assert (found.minimum, found.maximum) == (good.min(), good.max())
    assert seen > 5000


@pytest.mark.parametrize("name", ["car", "car galactic", "car oblique", "car wide", "pixell"])
def test_pixels_of_a_whole_sky_have_its_area(name):
    found = layer_of(name, holes=0).aperture(10, 20, 180)
    assert found.area == pytest.approx(WHOLE, rel=1e-12)
    assert found.coverage == pytest.approx(1)


@pytest.mark.parametrize("name", ["zea", "ait galactic", "mol", "sfl", "hpx", "zea south"])
def test_equal_areas(name):
    layer = layer_of(name, holes=0)
    found = layer.aperture(10, 20, 180, weight="area")
    assert found.area == pytest.approx(WHOLE, rel=0.01)  # what lies on the rim comes and goes
    assert found.mean == pytest.approx(layer.aperture(10, 20, 180).mean, rel=1e-12)


@pytest.mark.parametrize("name", ["tan pole", "tan sip", "sin", "car rotated", "tan fk4"])
def test_solid_angles_are_jacobians(name):
    """Against numerical derivatives of unit vectors over a hundredth of a pixel."""
    layer = layer_of(name)
    ny, nx = layer.pixels.shape
    piece = Piece(ny // 3, ny // 3 + 9, nx // 3, nx // 3 + 7)
    x, y = np.meshgrid(np.arange(piece.x0, piece.x1), np.arange(piece.y0, piece.y1))

    def vectors(dx, dy):
        ra, dec = (np.radians(v) for v in layer.pixels.pixel_to_sky(x + dx, y + dy))
        return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], -1)

    h = 0.01
    along = (vectors(h, 0) - vectors(-h, 0)) / (2 * h)
    up = (vectors(0, h) - vectors(0, -h)) / (2 * h)
    true = np.linalg.norm(np.cross(along, up), axis=-1) * np.degrees(1) ** 2
    distorted = layer.image.wcs.has_distortion
    found = np.broadcast_to(pixel_areas(layer.pixels, piece, distorted), true.shape)
    np.testing.assert_allclose(found, true, rtol=3e-4)


def test_car_weights_are_cosines_of_declination():
    layer = layer_of("car", holes=0)
    away = separations(layer, 30, 50)
    dec = layer.pixels.pixel_to_sky(np.zeros(90), np.arange(90.0))[1]
    weights = np.broadcast_to(np.cos(np.radians(dec))[:, None], away.shape)[away <= 40.0]
    values = layer.image.reader.values[away <= 40.0].astype(np.float64)
    found = layer.aperture(30, 50, 40, weight="area")
    mean = np.average(values, weights=weights)
    assert found.mean == pytest.approx(mean, rel=1e-9)
    assert found.std == pytest.approx(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    assert found.mean != pytest.approx(layer.aperture(30, 50, 40).mean, rel=1e-4)
    assert found.sum == pytest.approx(values.sum(), rel=1e-12)


def test_an_aperture_between_pixel_centres_is_empty():
    found = layer_of("car").aperture(0.0, 0.0, 0.1)
    assert (found.n, found.mean, found.coverage) == (0, None, 0.0)


def test_what_apertures_refuse():
    layer = layer_of("car")
    for ra, dec, radius in [(np.nan, 0, 1), (0, 91, 1), (0, np.nan, 1), (0, 0, 0), (0, 0, 181)]:
        with pytest.raises(InputError, match="not allowed"):
            layer.aperture(ra, dec, radius)
    with pytest.raises(InputError, match="radius=nan"):
        layer.aperture(0, 0, float("nan"))
    with pytest.raises(UnknownNameError, match="pixel, area"):
        layer.aperture(0, 0, 1, weight="size")
    with pytest.raises(TooLargeError, match="at most 1000"):
        layer.aperture(0, 0, 90, max_pixels=1000)


def test_an_aperture_reads_what_it_needs_in_strips(blocks):
    layer = layer_of("car")
    reader = layer.image.reader
    layer.aperture(100, 10, 5)
    assert sum((b[1] - b[0]) * (b[3] - b[2]) for b in reader.boxes) < 1500  # of 16,200
    layer.aperture(100, 10, 170)
    assert reader.most <= analysis_pieces.STRIP


def test_a_deadline_ends_a_computation():
    layer = layer_of("car")
    read = layer.image.reader.read

    def slow(*box):
        time.sleep(0.02)
        return read(*box)

    layer.image.reader.read = slow
    for ask in (lambda: layer.histogram(timeout=0.0), lambda: layer.aperture(0, 0, 180, timeout=0)):
        with pytest.raises(TimeoutError, match="longer than 0 s"):
            ask()


@pytest.mark.parametrize("method", ["histogram", "aperture", "cutout"])
def test_a_change_on_the_way_is_noticed(method):
    layer = layer_of("car")
    reader = layer.image.reader
    read = reader.read

    def changing(*box):
        reader.mark += "x"
        return read(*box)

    reader.read = changing
    with pytest.raises(ChangedError, match="changed while it was read"):
        getattr(layer, method)(*{"aperture": (0, 0, 50), "cutout": (0, 0, 5)}.get(method, ()))


HELD = [1 << 21, 500]


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_histogram_is_numpys(held, dtype, monkeypatch):
    monkeypatch.setattr(analysis_numbers, "HELD", held)
    layer = layer_of("car", dtype=dtype)
    layer.image.reader.values[3, :7] = [np.inf, -np.inf, -0.0, 0.0, 1e-30, 40, -40]
    found = layer.histogram(bins=50)
    values = layer.image.reader.values
    values = values[np.isfinite(values)].astype(np.float64)
    true = np.percentile(values, [float(p) for p in PERCENTILES])
    tolerance = 1e-12 if dtype == "f4" or held > 1e6 else 1e-7
    np.testing.assert_allclose(list(found.percentiles.values()), true, rtol=tolerance, atol=0)
    assert list(found.percentiles) == list(PERCENTILES)
    assert (found.n_valid, found.exact) == (values.size, True)
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    assert found.std == pytest.approx(values.std(), rel=1e-12)
    ends = found.percentiles["0.1"], found.percentiles["99.9"]
    counts, edges = np.histogram(values, bins=50, range=ends)
    assert (found.counts, found.edges) == (tuple(counts), tuple(edges))
    counts, edges = np.histogram(values, bins=7, range=(-1, 5))
    found = layer.histogram(bins=7, range=(-1, 5))
    assert (found.counts, found.edges) == (tuple(counts), tuple(edges))


@settings(max_examples=50)
@given(
    values=st.lists(
        st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0, np.nan, -1e-45, 3.4e38]), max_size=60
    ),
    held=st.sampled_from([1 << 21, 3]),
)
def test_percentiles_are_order_statistics(values, held):
    data = np.array(values, np.float32)
    good = data[np.isfinite(data)].astype(np.float64)
    old, analysis_numbers.HELD = analysis_numbers.HELD, held
    try:
        found = histogram_of(lambda: iter(np.array_split(data, 4)), bins=3)
    finally:
        analysis_numbers.HELD = old
    assert found.n_valid == good.size
    if good.size:
        true = np.percentile(good, [float(p) for p in PERCENTILES])
        size = np.abs(good).max()
        np.testing.assert_allclose(list(found.percentiles.values()), true, 1e-12, 1e-12 * size)
        assert sum(found.counts) == good.size
    else:
        assert found.minimum is found.mean is None
        assert found.counts == found.edges == ()


def test_a_constant_map_has_one_full_bin():
    layer = MapLayer([image(SKIES["car"][0], np.full((90, 180), 7.0))], id="m")
    found = layer.histogram(bins=9)
    assert found.counts[4] == 90 * 180
    assert (found.mean, found.std) == (7.0, 0.0)


@pytest.mark.parametrize(
    ("bins", "span"),
    [
        *((bins, None) for bins in (0, 1 << 20, 2.5, True)),
        *((5, span) for span in ((1, 1), (2, 1), (np.nan, 1), (0, np.inf), (1,), (-1e308, 1e308))),
    ],
)
def test_what_histograms_refuse(bins, span):
    with pytest.raises(InputError, match="not allowed"):
        layer_of("car").histogram(bins, span)


def test_a_map_without_values(shared_data):
    image_ = load(shared_data / "bad" / "all_nan.fits").images[0][0]
    layer = MapLayer([image_], id="nan")
    found = layer.histogram()
    assert (found.n_valid, found.counts, found.minimum) == (0, (), None)
    assert dict(found.percentiles) == {}
    around = layer.aperture(*(float(v) for v in layer.pixels.pixel_to_sky(0.0, 0.0)), 5)
    assert (around.n, around.mean, around.area) == (0, None, 0.0)
    assert around.missing > 0


@pytest.mark.parametrize("name", ["car wide", "car", "tan pole"])
def test_columns_that_repeat_the_sky_count_once(name):
    layer = layer_of(name)
    wide = {"car wide": 180}.get(name, layer.pixels.shape[1])
    assert unique_columns(layer.pixels) == wide
    assert layer.histogram().n_valid == np.isfinite(layer.image.reader.values).sum()  # all stored


# HEALPix


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("nside", [1, 8, 64])
def test_healpix_apertures(nside, frame, nested, monkeypatch):
    from skyshade.layers import analysis_sphere

    monkeypatch.setattr(analysis_sphere, "STRIP", 999)
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, 12 * nside * nside).astype("f4")
    values[rng.random(values.size) < 0.1] = np.nan
    layer = HealpixLayer([sphere(values, nested=nested, frame=frame)], id="h")
    order = "nested" if nested else "ring"
    lon, lat = healpix_to_lonlat(np.arange(values.size), nside, order=order)
    from astropy.coordinates import SkyCoord

    sky = SkyCoord(lon, lat, frame=FRAMES[frame]).icrs
    for ra, dec in POSITIONS:
        away = angular_separation(ra * u.deg, dec * u.deg, sky.ra, sky.dec).to_value(u.deg)
        for radius in RADII:
            if radius < 180 and (np.abs(away - radius) < 1e-5).any():
                continue
            found = layer.aperture(ra, dec, radius)
            here = values[away <= radius]
            good = here[np.isfinite(here)].astype(np.float64)
            assert (found.n, found.n + found.missing) == (good.size, here.size)
            if good.size:
                assert found.mean == pytest.approx(good.mean(), rel=1e-9, abs=1e-12)
                assert found.area == pytest.approx(good.size * WHOLE / values.size)
    assert layer.image.reader.most <= 999


def test_healpix_apertures_are_capped():
    layer = HealpixLayer([sphere(np.ones(12 * 64 * 64))], id="h")
    with pytest.raises(TooLargeError, match="at most 100"):
        layer.aperture(0, 0, 30, max_pixels=100)


def test_healpix_histograms():
    values = np.random.default_rng(3).normal(0, 1, 12 * 64).astype("f4")
    values[5] = np.nan
    found = HealpixLayer([sphere(values)], id="h").histogram()
    assert found.n_valid == values.size - 1
    assert found.mean == pytest.approx(np.nanmean(values.astype("f8")))
    listed = np.array([3, 4, 5, 9, 700])
    few = np.full(values.size, np.nan, "f4")
    few[listed] = values[listed]
    reader = SphereArray(few, listed=listed)
    found = HealpixLayer([sphere(reader)], id="p").histogram()
    assert found.n_valid == 4
    assert found.mean == pytest.approx(np.nanmean(few.astype("f8")))


def test_a_rotated_map_of_more_than_a_turn_counts_places_once():
    wcs = make_wcs(cdelt=(-2, 2), crpix=(110, 80), pc=rotation(20))
    layer = MapLayer([image(wcs, np.ones((160, 220)))], id="m")
    found = layer.aperture(30, 20, 180)
    assert found.n == pytest.approx(180 * 90, rel=0.01)
    for ra in (179.3, 0.2):  # where it begins, and in its middle
        assert layer.aperture(ra, 1, 11).n == pytest.approx(np.pi * 11**2 / 4, rel=0.05)


def test_cones_take_their_rim():
    cone = Cone(10, 0, 90)
    assert cone.holds(np.array([100.0, 10.0, np.nan]), np.array([0.0, 90.0, 0.0])).tolist() == [
        True,
        True,
        False,
    ]
    assert Cone(0, 0, 180).area == pytest.approx(WHOLE)
    assert Cone(0, 90, 179.9).holds(np.array([0.0, 0.0]), np.array([-90, -89.0])).tolist() == [
        False,
        True,
    ]
