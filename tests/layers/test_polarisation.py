from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.grids import SKY
from skyshade.layers.map import MapLayer
from skyshade.layers.polarisation import PolarisationLayer, north_angle
from skyshade.loaders.api import load
from skyshade.testing import LayerTests
from skyshade.types import SkyImage, Tile, Window
from tests.geometry.skies import make_wcs
from tests.layers.images import image

SHAPE = (90, 180)
FRAMES = {"galactic": "galactic", "ecliptic": "barycentricmeanecliptic", "fk5 J1975": "fk5"}


def planes(axes: str = "RA", **attrs: str) -> list[SkyImage]:
    """Return I, Q, U of a smooth sky."""
    wcs = make_wcs(cdelt=(-2.0, 2.0), crpix=(90.5, 45.5), axes=axes)
    y, x = np.mgrid[:90, :180]
    q, u = np.cos(x / 20.0) + 0.2, np.sin(y / 15.0) - 0.1
    q[3, 4] = np.nan
    return [
        image(wcs, values, plane=name, name="map", units="uK", attrs=attrs)
        for name, values in (("I", q * 0 + 5), ("Q", q), ("U", u))
    ]


def iqu(axes: str = "RA", **attrs: str) -> MapLayer:
    return MapLayer(planes(axes, **attrs), id="map")


class TestIntensityLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> PolarisationLayer:
        return iqu().polarisation()


class TestAngleLaws(LayerTests):
    @pytest.fixture
    def layer(self) -> PolarisationLayer:
        return iqu("G").polarisation("angle")


@pytest.mark.parametrize("frame", FRAMES)
def test_the_angle_of_a_frames_north_is_astropys(frame: str) -> None:
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, 300), np.degrees(np.arcsin(rng.uniform(-1, 1, 300)))
    here = SkyCoord(ra * units.deg, dec * units.deg)
    more = {"equinox": "J1975"} if "fk5" in frame else {}
    pole = SkyCoord(0 * units.deg, 90 * units.deg, frame=FRAMES[frame], **more).icrs
    expected = here.position_angle(pole).deg
    away = (north_angle(ra, dec, frame) - expected + 180.0) % 360.0 - 180.0
    # astropy's ecliptic has aberration-free axes of date within an arcsecond of IAU 2006's
    assert np.abs(away * np.cos(np.radians(dec))).max() < 1e-3


def test_icrs_angles_are_not_turned() -> None:
    assert not north_angle(np.array([1.0, 2.0]), np.array([3.0, 89.0]), "icrs").any()


@pytest.mark.parametrize("convention", ["IAU", "COSMO"])
def test_a_vector_keeps_its_direction_on_the_sky(convention: str) -> None:
    """The angle points where a short step along the polarisation in the map's frame leads."""
    layer = iqu("G", POLCCONV=convention).polarisation("angle")
    assert layer.convention == convention
    q, u = iqu("G").select(plane="Q"), iqu("G").select(plane="U")
    for ra, dec in [(30.0, 20.0), (266.0, -29.0), (120.0, 75.0), (359.5, -80.0)]:
        here = SkyCoord(ra * units.deg, dec * units.deg)
        sign = -1.0 if convention == "COSMO" else 1.0
        own = 0.5 * np.arctan2(sign * u.value(ra, dec), q.value(ra, dec))
        there = here.galactic.directional_offset_by(own * units.rad, 0.01 * units.deg)
        expected = here.position_angle(there.icrs).deg % 180.0
        found = layer.value(ra, dec)
        assert abs((found - expected + 90.0) % 180.0 - 90.0) < 0.01
        assert 0.0 <= found < 180.0


def test_tiles_agree_with_values() -> None:
    layer, intensity = iqu("G").polarisation("angle"), iqu("G").polarisation("intensity")
    window = Window(SKY, 4, 5000, 1500, 32, 32)  # deeper than the map: its pixels as they are
    angles, lengths = layer.compute(window).values, intensity.compute(window).values
    ra, dec = SKY.sky(
        4, window.col + np.arange(32) + 0.5, window.row + np.arange(32)[:, None] + 0.5
    )
    ra, dec = np.broadcast_arrays(ra, dec)
    for at in [(0, 0), (15, 20), (31, 31)]:
        place = float(ra[at]), float(dec[at])
        assert angles[at] == pytest.approx(layer.value(*place), abs=0.01)
        assert lengths[at] == pytest.approx(intensity.value(*place), rel=1e-5)


def test_intensity_is_the_length() -> None:
    layer = iqu()
    q, u = (layer.select(plane=p).compute(EAST).values for p in "QU")
    found = layer.polarisation("intensity").compute(EAST)
    np.testing.assert_allclose(found.values, np.hypot(q, u), rtol=1e-6)
    assert found.units == "uK"
    assert layer.polarisation("angle").info.units == "deg"


EAST = Window.of(SKY, Tile(0, 1, 0))


def test_conventions_and_their_defaults(shared_data: Path) -> None:
    from skyshade.layers.healpix import HealpixLayer

    assert iqu().polarisation().convention == "IAU"
    assert iqu(POLCCONV="cosmo ").polarisation().convention == "COSMO"
    assert iqu(POLCCONV="COSMO").polarisation(convention="IAU").convention == "IAU"
    one, other = (iqu().polarisation("angle", convention=c) for c in ("IAU", "COSMO"))
    assert one.version != other.version
    total = one.compute(EAST).values + other.compute(EAST).values
    good = np.isfinite(total)
    assert np.abs((total[good] + 90.0) % 180.0 - 90.0).max() < 1e-3  # mirrored at north
    name = "real/healpix/wmap_band_iqumap_r9_7yr_W_v4_udgraded32.fits"
    sphere = HealpixLayer(load(shared_data / name).spheres[0], id="w")
    made = sphere.polarisation("angle")
    assert (made.convention, made.info.frame) == ("COSMO", "galactic")
    assert np.isfinite(made.compute(EAST).values).all()


def test_what_is_not_allowed_is_named() -> None:
    layer = iqu()
    with pytest.raises(UnknownNameError, match="'length'; known: intensity, angle"):
        layer.polarisation("length")
    with pytest.raises(UnknownNameError, match="'iau'; known: IAU, COSMO"):
        layer.polarisation(convention="iau")
    with pytest.raises(InputError, match="'a' has no Stokes Q and U: it has no planes"):
        MapLayer(planes()[:1], id="a").polarisation()
    with pytest.raises(InputError, match="'map' is icrs and 'map' is galactic"):
        PolarisationLayer(iqu().select(plane="Q"), iqu("G").select(plane="U"))
    with pytest.raises(InputError, match="plane 'I' of layer 'map-intensity' is not allowed"):
        layer.polarisation().select(plane="I")


def test_planes_are_found_by_their_usual_names() -> None:
    from dataclasses import replace

    names = ("TEMPERATURE", "Q_POLARISATION", "U_POLARISATION")
    made = [replace(plane, plane=name) for plane, name in zip(planes(), names, strict=True)]
    assert MapLayer(made, id="m").polarisation().compute(EAST).values.shape == (256, 256)


def test_parts_version_and_select() -> None:
    layer = iqu().polarisation()
    assert [part.info.quantity for part in layer.parts] == ["Q", "U"]
    assert layer.select(reduction="mean") is layer
    before = layer.version
    layer.parts[0].image.reader.mark = "2"
    assert layer.version != before
