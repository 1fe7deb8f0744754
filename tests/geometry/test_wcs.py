from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.wcs import WCS, InvalidTransformError

from skyshade.errors import InputError
from skyshade.geometry.checks import check_celestial, check_poles
from skyshade.geometry.wcs import PixelMap, fingerprint, pixel_map, separation
from tests.geometry.skies import ALL, make_wcs, rotation, with_sip


def pixels_of(name: str, n: int = 200) -> tuple[PixelMap, np.ndarray, np.ndarray]:
    wcs, (ny, nx) = ALL[name]
    rng = np.random.default_rng(3)
    return PixelMap(wcs, (ny, nx)), rng.uniform(-0.5, nx - 0.5, n), rng.uniform(-0.5, ny - 0.5, n)


@pytest.mark.parametrize("name", ALL)
def test_sound_wcs_pass(name: str) -> None:
    check_celestial(*ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_sky_to_pixel_to_sky(name: str) -> None:
    """Law 5: sky -> pixel -> sky returns to 1e-9 degrees."""
    pixels, x, y = pixels_of(name)
    ra, dec = pixels.pixel_to_sky(x, y)
    shown = np.isfinite(ra)
    assert shown.any()
    back_x, back_y = pixels.sky_to_pixel(ra[shown], dec[shown])
    assert separation(ra[shown], dec[shown], *pixels.pixel_to_sky(back_x, back_y)).max() < 1e-9
    off = pixels.unturned(back_x - x[shown], back_y - y[shown])  # wide maps show places twice
    assert np.abs(off).max() < 1e-6
    assert pixels.inside(back_x, back_y).all()


@pytest.mark.parametrize("name", [n for n in ALL if "fk4" not in n])
def test_agrees_with_astropy(name: str) -> None:
    """The pixel of every position agrees with astropy's high-level WCS (SkyCoord) interface."""
    if "ecliptic" in name:
        pytest.skip("astropy takes ELON/ELAT for ICRS")
    pixels, x, y = pixels_of(name, 20)
    ra, dec = pixels.pixel_to_sky(x, y)
    wcs, _ = ALL[name]
    if pixels.period:  # astropy's longitudes end at native +-180 degrees
        x = x - pixels.period * np.round((x + 1 - wcs.wcs.crpix[0]) / pixels.period)
    sky = wcs.pixel_to_world(x, y).icrs
    shown = np.isfinite(ra) & np.isfinite(sky.ra.deg)
    assert shown.any()
    away = separation(ra[shown], dec[shown], sky.ra.deg[shown], sky.dec.deg[shown])
    assert away.max() < 1e-9


@pytest.mark.parametrize(
    ("code", "limit"), [("TAN", 90.0), ("SIN", 90.0), ("STG", 180.0), ("ARC", 180.0)]
)
def test_only_the_true_side_is_shown(code: str, limit: float) -> None:
    pixels = PixelMap(make_wcs(code, (0, 0), (-0.1, 0.1), (100, 100)), (200, 200))
    dec = np.arange(-89.0, 90.0, 2.0)
    ra, dec = np.meshgrid(np.arange(1.0, 360.0, 2.0), dec)
    x, _ = pixels.sky_to_pixel(ra, dec)
    angle = separation(ra, dec, 0.0, 0.0)
    np.testing.assert_array_equal(np.isfinite(x), angle < limit)


def test_distorted_maps_are_not_found_on_the_far_side() -> None:
    pixels = PixelMap(with_sip(), (1000, 1000))
    ra, dec = np.meshgrid(np.arange(0.0, 360.0, 3.0), np.arange(-90.0, 91.0, 3.0))
    inside = pixels.inside(*pixels.sky_to_pixel(ra, dec))
    assert separation(ra[inside], dec[inside], 80.0, 30.0).max(initial=0.0) < 1.0


@pytest.mark.parametrize("name", ["car", "car cut", "car wide", "cea fk5", "mer"])
def test_cylindrical_maps_are_found_across_the_cut(name: str) -> None:
    wcs, shape = ALL[name]
    pixels = PixelMap(wcs, shape)
    assert pixels.period == pytest.approx(360.0 / abs(wcs.wcs.cdelt[0]))
    x, _ = pixels.sky_to_pixel(np.linspace(0.0, 360.0, 400), np.zeros(400))
    assert np.all((x >= -0.5) & (x < pixels.period - 0.5))


def test_a_cyp_map_has_the_period_of_its_lambda() -> None:
    wcs = make_wcs("CYP", cdelt=(-1.0, 1.0))
    wcs.wcs.set_pv([(2, 1, 1.0), (2, 2, 0.5)])
    wcs.wcs.set()
    assert PixelMap(wcs, (180, 180)).period == pytest.approx(180.0)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"crval": [np.nan, 0]}, "CRVAL is not finite: nan, 0"),
        ({"crpix": [np.inf, 0]}, "CRPIX is not finite"),
        ({"crpix": [1e300, 0]}, "CRPIX = 1e\\+300, 0 is nowhere near the image"),
        ({"crval": [0, 1e300]}, "CRVAL = 0, 1e\\+300 is no position|latp"),
        ({"crval": [1e10, 0]}, "CRVAL = 1e\\+10, 0 is no position"),
        ({"cdelt": [1e100, 1]}, "pixels of 1e\\+100 x 1 degrees are not allowed"),
        ({"cdelt": [1e-100, 1e-100]}, "pixels of 1e-100 x 1e-100 degrees are not allowed"),
        ({"cdelt": [0, 0]}, "singular"),
        ({"cdelt": [np.nan, 1]}, "not finite|singular"),
        ({"pc": [[1, 1], [1, 1]]}, "singular"),
        ({"ctype": ["RA---XYZ", "DEC--XYZ"]}, "Unrecognized projection code"),
        ({"ctype": ["WAVE", "DEC--CAR"]}, "Unmatched celestial axes"),
        ({"ctype": ["RA", "DEC"]}, "no projection"),
        ({"ctype": ["", ""]}, "no two celestial axes"),
        ({"ctype": ["HPLN-TAN", "HPLT-TAN"]}, "'HPLN' is not a known sky frame"),
        ({"lonpole": 1e30}, "LONPOLE = 1e\\+30 is no angle in degrees"),
        ({"lonpole": np.inf}, "LONPOLE = inf is no angle|Invalid"),
        ({"radesys": "FK5", "equinox": 1e5}, "EQUINOX = 100000 is not allowed: a year from 1800"),
        ({"radesys": "FK4", "equinox": 0.0}, "EQUINOX = 0 is not allowed"),
        ({"equinox": np.inf}, "EQUINOX = inf is not allowed"),
        ({"ctype": ["ELON-CAR", "ELAT-CAR"], "equinox": -2000.0}, "EQUINOX = -2000 is not"),
        ({"ctype": ["RA---SIN", "DEC--SIN"], "crpix": [1e9, 1e9]}, "no pixel .* lies on the sky"),
    ],
)
def test_broken_wcs_are_refused_in_a_few_words(changes: dict[str, object], cause: str) -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---CAR", "DEC--CAR"], [-1, 1]
    for name, value in changes.items():
        setattr(wcs.wcs, name, value)
    with pytest.raises(InputError, match=cause) as caught:
        check_celestial(wcs, (100, 100))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 160


def test_other_shapes_and_axes_are_refused() -> None:
    with pytest.raises(InputError, match=r"image shape \(0, 5\) is not allowed"):
        check_celestial(make_wcs(), (0, 5))
    with pytest.raises(InputError, match="the WCS has 3 axes"):
        check_celestial(WCS(naxis=3), (5, 5))


@pytest.mark.parametrize(
    "values",
    [{"lonpole": 999.0}, {"latpole": 999.0}, {"lonpole": -180.0, "latpole": -90.0}],
)
def test_open_native_poles_are_allowed(values: dict[str, float]) -> None:
    check_celestial(make_wcs("TAN", (10, 20), **values), (100, 100))


def test_an_equinox_that_is_not_used_is_not_looked_at() -> None:
    check_celestial(make_wcs("TAN", (10, 20), axes="G", equinox=0.0), (100, 100))
    check_celestial(make_wcs("TAN", (10, 20), radesys="ICRS", equinox=1e9), (100, 100))


@pytest.mark.parametrize("cards", [{"LATPOLE": -1e9}, {"LONPOLE": 1e300}, {"LATPOLE": np.nan}])
def test_native_poles_of_a_header_that_are_no_angles(cards: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"(LATPOLE|LONPOLE) = .* is no angle in degrees"):
        check_poles(cards)
    check_poles({"LONPOLE": 180, "LATPOLE": -90.0, "CTYPE1": "RA---TAN"})
    check_poles({"LATPOLE": "90"})


@pytest.mark.parametrize("name", ["car rotated seam", "car rotated whole"])
def test_rotated_cylinders_are_found_across_the_cut(name: str) -> None:
    """Every pixel of the image is some position's, on both sides of native +-180 degrees."""
    wcs, (ny, nx) = ALL[name]
    pixels = PixelMap(wcs, (ny, nx))
    assert pixels.period == 0.0
    ra, dec = pixels.pixel_to_sky(*np.meshgrid(np.arange(0.0, nx, 7), np.arange(0.0, ny, 7)))
    shown = np.isfinite(ra)
    x, y = pixels.sky_to_pixel(ra[shown], dec[shown])
    assert pixels.inside(x, y).all()
    off = np.stack([x, y]) - (wcs.wcs.crpix[:, None] - 1.0)
    native = (wcs.pixel_scale_matrix @ off)[0]
    assert (np.abs(native) < 180.0).any()
    assert (np.abs(native) > 180.0).any()


def test_polynomials_of_wcslib_are_verified() -> None:
    """What they lead back to far from the image is not believed."""
    for name in ("tpv", "tpd", "zpn"):
        pixels = PixelMap(*ALL[name])
        ra, dec = np.meshgrid(np.arange(0.0, 360.0, 1.5), np.arange(-90.0, 90.1, 1.5))
        x, y = pixels.sky_to_pixel(ra, dec)
        back = pixels.pixel_to_sky(x, y)
        found = np.isfinite(x)
        away = separation(ra[found], dec[found], back[0][found], back[1][found])
        assert away.max(initial=0.0) < 1e-6


def test_resolution_is_the_side_of_a_pixel() -> None:
    assert PixelMap(*ALL["car"]).resolution == pytest.approx(1.0)
    assert PixelMap(*ALL["tan cd"]).resolution == pytest.approx(np.sqrt(1e-5), rel=1e-4)
    far = make_wcs("TAN", (0, 0), (-0.01, 0.01), (-5000, 500))  # 45 degrees off its centre
    assert PixelMap(far, (1000, 1000)).resolution == pytest.approx(0.01 * 2**-0.75, rel=0.2)


def test_threads_may_share_a_map() -> None:
    pixels, x, y = pixels_of("tan sip", 2000)
    ra, dec = pixels.pixel_to_sky(x, y)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: pixels.sky_to_pixel(ra, dec), range(24)))
    for back in found:
        np.testing.assert_array_equal(back[0], found[0][0])
    np.testing.assert_allclose(found[0][0], x, atol=1e-6)


def test_fingerprint_follows_the_wcs() -> None:
    prints = [fingerprint(wcs) for wcs, _ in ALL.values()]
    assert len(set(prints)) == len(prints)
    assert fingerprint(make_wcs()) == fingerprint(make_wcs())
    other = with_sip()
    other.sip = None
    assert fingerprint(other) != fingerprint(with_sip())


CODES = ("TAN", "SIN", "STG", "ARC", "ZEA", "CAR", "CEA", "MER", "SFL", "AIT")


def test_projections_that_need_no_look_at_the_whole_sky() -> None:
    """Those whose formulas are taken for exact are so at 600 places, however they are turned."""
    rng = np.random.default_rng(3)
    exact = 0
    for number in range(400):
        side, skew = 10 ** rng.uniform(-6, 1), 10 ** rng.uniform(-1, 1)
        more = {"lonpole": rng.uniform(-180, 360)} if number % 3 == 0 else {}
        more |= {"latpole": rng.uniform(-90, 90)} if number % 4 == 0 else {}
        try:
            wcs = make_wcs(
                CODES[number % len(CODES)],
                (rng.uniform(-360, 720), rng.choice([rng.uniform(-90, 90), 90.0, -90.0, 0.0])),
                (-side, side * skew),
                tuple(rng.uniform(-1, 1, 2) * 10 ** rng.uniform(0, 6)),
                ("RA", "G", "E")[number % 3],
                pc=rotation(rng.uniform(0, 360)),
                **more,
            )
        except InvalidTransformError:  # no such pole
            continue
        pixels = PixelMap(wcs, (100, 200))
        if pixels._is_exact():
            exact += 1
            assert pixels._one_sided(), wcs
    assert exact > 200


def test_others_are_tried_all_over_the_sky() -> None:
    slant = PixelMap(*ALL["slant sin"])
    skew = PixelMap(make_wcs("TAN", (0, 0), (-1e-6, 1.0)), (9, 9))
    far = PixelMap(make_wcs("TAN", (0, 0), (-1.0, 1.0), (1e7, 0.0)), (9, 9))
    assert not any(p._is_exact() for p in (slant, skew, far, PixelMap(*ALL["hpx"])))


def test_the_map_of_the_check_is_handed_on_once() -> None:
    wcs, shape = make_wcs("TAN", (123.4, 5.6)), (90, 180)
    check_celestial(wcs, shape)
    mark = fingerprint(wcs)
    assert pixel_map(wcs, (90, 181), mark).shape == (90, 181)  # another one
    found = pixel_map(wcs, shape, mark)
    assert (found.mark, found.shape) == (mark, shape)
    assert pixel_map(wcs, shape, mark) is not found
    x, y = found.sky_to_pixel(np.array([123.0]), np.array([5.0]))
    assert PixelMap(wcs, shape).sky_to_pixel(np.array([123.0]), np.array([5.0])) == (x, y)
