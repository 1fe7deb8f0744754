"""Pixel numbers and centres against astropy-healpix, which shares no code with ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from astropy import units
from astropy_healpix import healpix_to_lonlat, lonlat_to_healpix, nside_to_pixel_area
from astropy_healpix.core import nested_to_ring as their_ring
from astropy_healpix.core import ring_to_nested as their_nested

from skyshade.errors import InputError
from skyshade.geometry import healpix
from skyshade.kernels import healpix as kernels

NSIDES = [1 << order for order in range(14)]
ORDERS = [pytest.param(True, id="nested"), pytest.param(False, id="ring")]


@pytest.fixture(params=["numpy", "compiled"], autouse=True)
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run every test with the twins and with the loops."""
    found = [kernels.find_pixels, kernels.renumber]
    before = [k.loop for k in found]  # type: ignore[attr-defined]
    for k in found:
        if request.param == "compiled":
            k.compile()  # type: ignore[attr-defined]
        else:
            k.loop = None  # type: ignore[attr-defined]
    yield request.param
    for k, loop in zip(found, before, strict=True):
        k.loop = loop  # type: ignore[attr-defined]


def sky(seed: int, count: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return positions over the sky, some crowded at the poles, at RA 0 and at the belt's ends."""
    rng = np.random.default_rng(seed)
    lon = rng.uniform(0, 360, count)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    part = count // 8
    lat[:part] = 90 - 10.0 ** rng.uniform(-8, 0, part)
    lat[part : 2 * part] = -90 + 10.0 ** rng.uniform(-8, 0, part)
    lon[2 * part : 3 * part] = rng.normal(0, 1e-4, part) % 360
    lat[3 * part : 4 * part] = np.degrees(np.arcsin(2 / 3)) + rng.normal(0, 1e-4, part)
    return lon, lat


@pytest.mark.parametrize("nested", ORDERS)
@pytest.mark.parametrize("nside", NSIDES)
def test_pixels_of_positions(nside: int, nested: bool) -> None:
    lon, lat = sky(nside)
    order = "nested" if nested else "ring"
    theirs = lonlat_to_healpix(lon * units.deg, lat * units.deg, nside, order=order)
    np.testing.assert_array_equal(healpix.pixel_of(nside, lon, lat, nested), theirs)


@pytest.mark.parametrize("nested", ORDERS)
@pytest.mark.parametrize("nside", NSIDES)
def test_centres_lie_where_astropy_puts_them_and_in_their_own_pixel(
    nside: int, nested: bool
) -> None:
    last = 12 * nside * nside - 1
    pixels = np.append(np.random.default_rng(nside).integers(0, last + 1, 1000), [0, last])
    lon, lat = healpix.pixel_centres(nside, pixels, nested)
    theirs = healpix_to_lonlat(pixels, nside, order="nested" if nested else "ring")
    off = (lon - theirs[0].deg + 180) % 360 - 180
    np.testing.assert_allclose(off * np.cos(np.radians(lat)), 0, atol=1e-12)
    np.testing.assert_allclose(lat, theirs[1].deg, atol=1e-12)
    np.testing.assert_array_equal(healpix.pixel_of(nside, lon, lat, nested), pixels)


@pytest.mark.parametrize("nside", NSIDES)
def test_numbers_in_the_other_order(nside: int) -> None:
    count = 12 * nside * nside
    pixels = np.arange(count) if count < 4000 else np.linspace(0, count - 1, 4000).astype(np.int64)
    nested = healpix.ring_to_nested(nside, pixels)
    np.testing.assert_array_equal(nested, their_nested(pixels, nside))
    np.testing.assert_array_equal(healpix.nested_to_ring(nside, pixels), their_ring(pixels, nside))
    np.testing.assert_array_equal(healpix.nested_to_ring(nside, nested), pixels)


def test_every_pixel_of_a_small_map_is_named_once() -> None:
    pixels = np.arange(12 * 16 * 16)
    assert sorted(healpix.ring_to_nested(16, pixels)) == pixels.tolist()


@pytest.mark.parametrize("nested", ORDERS)
def test_poles_and_the_first_meridian(nested: bool) -> None:
    lon = np.array([0.0, 45.0, 359.999999, 360.0, -0.000001, 720.0])
    north = healpix.pixel_of(64, lon, np.full(6, 90.0), nested)
    ring = healpix.nested_to_ring(64, north) if nested else north
    assert ring.tolist() == [0, 0, 3, 0, 3, 0]
    south = healpix.pixel_of(64, lon, np.full(6, -90.0), nested)
    ring = healpix.nested_to_ring(64, south) if nested else south
    assert ring.tolist() == [12 * 64 * 64 - 4 + n for n in (0, 0, 3, 0, 3, 0)]


def test_what_is_no_position_has_no_pixel() -> None:
    found = healpix.pixel_of(4, [np.nan, np.inf, 0, 0, 0], [0, 0, np.nan, 90.1, -91], nested=True)
    assert found.tolist() == [-1] * 5


def test_shapes_are_kept() -> None:
    assert healpix.pixel_of(4, np.zeros((1, 3)), np.zeros((2, 1)), nested=True).shape == (2, 3)
    assert healpix.pixel_of(4, 10.0, 20.0, nested=False).shape == ()
    assert healpix.pixel_centres(4, np.zeros((2, 3), np.int64), nested=False)[0].shape == (2, 3)
    assert healpix.ring_to_nested(4, np.zeros((2, 3), np.int64)).shape == (2, 3)


@pytest.mark.parametrize("nside", NSIDES)
def test_areas(nside: int) -> None:
    area = healpix.pixel_area(nside)
    assert area == pytest.approx(nside_to_pixel_area(nside).to_value(units.deg**2), rel=1e-12)
    assert healpix.resolution(nside) == pytest.approx(area**0.5)
    assert healpix.nside_of(12 * nside * nside) == nside


BAD: list[Callable[[], object]] = [
    lambda: healpix.pixel_of(3, 0.0, 0.0, nested=True),
    lambda: healpix.pixel_of(0, 0.0, 0.0, nested=True),
    lambda: healpix.pixel_of(1 << 30, 0.0, 0.0, nested=True),
    lambda: healpix.pixel_centres(2, [48], nested=True),
    lambda: healpix.nested_to_ring(2, [-1]),
    lambda: healpix.nside_of(11264),
    lambda: healpix.nside_of(12 * 9),
    lambda: healpix.nside_of(0),
]


@pytest.mark.parametrize("call", BAD)
def test_what_is_not_allowed_is_named(call: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="allowed"):
        call()
