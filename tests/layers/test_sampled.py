"""Layers on lattices of the caller's own, against tiles and against the sky itself."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy_healpix import healpix_to_lonlat
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.errors import InputError, TooLargeError, UnknownNameError
from skyshade.geometry import healpix
from skyshade.geometry.grids import SKY
from skyshade.geometry.wcs import PixelMap
from skyshade.layers import map_sample, sampled
from skyshade.layers.healpix import HealpixLayer
from skyshade.layers.map import MapLayer
from skyshade.layers.rgb import RgbLayer
from skyshade.layers.sampled import lattice_of
from skyshade.layers.sampled_grids import FaceGrid
from skyshade.layers.smooth import SmoothedLayer
from skyshade.loaders.api import load
from skyshade.types import Coverage, Window
from tests.geometry.skies import make_wcs
from tests.layers.images import ArrayReader, image
from tests.layers.spheres import sphere
from tests.layers.test_analysis import SKIES


def smooth(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    a, d = np.radians(ra), np.radians(dec)
    return 2.0 + np.cos(a) * np.cos(d) + np.sin(a) * np.cos(d) * np.sin(d)


def layer_of(name: str) -> MapLayer:
    wcs, shape = SKIES[name]
    x, y = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    values = smooth(*PixelMap(wcs, shape).pixel_to_sky(x, y))
    return MapLayer([image(wcs, values, units="uK")], id="m")


@pytest.mark.parametrize("z", [0, 1])
@pytest.mark.parametrize("name", ["car", "car galactic", "tan pole", "ait galactic", "car wide"])
def test_equals_the_window_of_the_same_lattice(name, z):
    layer = layer_of(name)
    found = layer.sample(resolution=SKY.pixel_degrees(z), box=(0, 0, -90, 90))
    height, width = SKY.lattice_shape(z)
    assert found.shape == (height, width)
    tile = layer.compute(Window(SKY, z, 0, 0, width, height)).values
    mine = np.roll(found.values[::-1], -width // 2, axis=1)
    np.testing.assert_array_equal(np.isfinite(mine), np.isfinite(tile))
    away = np.abs(mine - tile)[np.isfinite(tile)]
    assert np.mean(away > 1e-3) < 1e-3  # another pixel is the nearest: places are good to 0.05
    assert away.max() < 0.1


def test_coordinates_and_attributes():
    found = layer_of("car").sample(resolution=0.5, box=(5, 355, -10, 20))
    assert found.dims == ("y", "x")
    assert found.shape == (60, 20)
    assert found.ra.values[[0, 9, 10, -1]] == pytest.approx([4.75, 0.25, 359.75, 355.25])
    assert found.dec.values[[0, -1]] == pytest.approx([-9.75, 19.75])
    assert (found.attrs["units"], found.attrs["quality"]) == ("uK", "exact")
    assert found.attrs["version"] == layer_of("car").version or found.attrs["version"]
    np.testing.assert_allclose(
        found.values, smooth(*np.meshgrid(found.ra.values, found.dec.values)), atol=0.01
    )
    again = MapLayer(load(found).images[0], id="again")  # the wcs places it
    assert again.value(0.3, 5.2) == found.values[30, 9]


def test_all_that_the_layer_covers_by_default():
    layer = layer_of("car 359.9")
    found = layer.sample(resolution=0.1)
    assert np.isfinite(found.values).mean() > 0.95
    assert 195 <= found.shape[1] <= 210


def test_tangent_planes():
    found = layer_of("car").sample(resolution=1.5, box=(20, 340, 60, 80), projection="TAN")
    pixels = PixelMap(found.attrs["wcs"], found.shape)
    ra, dec = pixels.pixel_to_sky(*np.meshgrid(np.arange(found.shape[1]), np.arange(len(found))))
    np.testing.assert_allclose(found.values, smooth(ra, dec), atol=0.02)
    assert abs(dec[len(found) // 2, found.shape[1] // 2] - 70) < 1.6


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("nside", [1, 4, 32])
@pytest.mark.parametrize("name", ["car", "zea"])
def test_healpix(name, nside, nested):
    found = layer_of(name).sample(nside=nside, nested=nested)
    assert (found.attrs["nside"], found.attrs["nested"]) == (nside, nested)
    order = "nested" if nested else "ring"
    lon, lat = healpix_to_lonlat(np.arange(12 * nside * nside), nside, order=order)
    true = smooth(lon.to_value(u.deg), lat.to_value(u.deg))
    near = lat.to_value(u.deg) > (-90 if name == "car" else -30)  # ZEA shears near the antipode
    np.testing.assert_allclose(found.values[near], true[near], atol=0.05 + 1.0 / nside**2)


def test_healpix_box():
    found = layer_of("car").sample(nside=16, box=(30, 350, -20, 10))
    lon, lat = healpix.pixel_centres(16, np.arange(12 * 256), nested=False)
    inside = (np.mod(lon - 350, 360) <= 40) & (lat >= -20) & (lat <= 10)
    np.testing.assert_array_equal(np.isfinite(found.values), inside)


@settings(max_examples=30)
@given(order=st.integers(0, 10), data=st.data())
def test_faces_are_healpix(order, data):
    nside = 1 << order
    face = data.draw(st.integers(0, 11))
    col, row = (np.array([data.draw(st.integers(0, nside - 1))]) for _ in range(2))
    grid = FaceGrid(face, nside)
    for nested in (False, True):
        from skyshade.layers.sampled_grids import face_order

        number = face_order(grid, col, row, nested)
        centre = healpix.pixel_centres(nside, number, nested)
        np.testing.assert_allclose(np.array(grid.sky(0, col + 0.5, row + 0.5)), centre, atol=1e-9)
        assert healpix.pixel_of(nside, *centre, nested) == number
    assert [int(v[0]) for v in grid.lattice(*centre, 0)] == [col[0], row[0]]
    assert [int(v[0]) for v in FaceGrid((face + 1) % 12, nside).lattice(*centre, 0)] == [-1, -1]


def test_a_healpix_map_at_its_own_resolution_is_itself():
    values = np.arange(12 * 256, dtype="f4")
    layer = HealpixLayer([sphere(values)], id="h")
    np.testing.assert_array_equal(layer.sample(nside=16).values, values)
    found = layer.sample(resolution=2.0, box=(20, 0, -10, 10))
    at = np.meshgrid(found.ra.values, found.dec.values)
    values = [layer.value(*p) for p in zip(*(v.flat for v in at), strict=True)]
    assert values == found.values.ravel().tolist()


def test_waits_for_the_overview(monkeypatch):
    monkeypatch.setattr(map_sample, "SMALL", 100)  # as if it were large
    wcs = make_wcs(cdelt=(-0.25, 0.25), crpix=(720.5, 360.5))
    layer = MapLayer([image(wcs, ArrayReader(np.ones((720, 1440), "f4")))], id="m")
    assert layer.compute(Window(SKY, 0, 0, 0, 64, 64)).quality == "exact"
    found = layer.sample(resolution=4.0)
    assert found.attrs["quality"] == "exact"
    assert layer.ready
    assert (found.values == 1).all()


def test_reductions_follow():
    wcs = make_wcs(cdelt=(-0.5, 0.5), crpix=(360.5, 180.5))
    values = np.zeros((360, 720), "f4")
    values[200, 300] = 9.0
    layer = MapLayer([image(wcs, values)], id="m")
    assert layer.select(reduction="max").sample(resolution=4.0).values.max() == 9
    assert layer.sample(resolution=4.0).values.max() < 1


def test_derived_layers_are_sampled_too():
    layer = layer_of("car")
    found = SmoothedLayer(layer, 10.0).sample(resolution=5.0)
    assert found.shape == (36, 72)
    np.testing.assert_allclose(found.values, layer.sample(resolution=5.0).values, atol=0.1)
    colours = RgbLayer(layer, layer, layer, id="rgb").sample(resolution=5.0)
    assert colours.dims == ("y", "x", "band")
    np.testing.assert_array_equal(colours.sel(band="green"), layer.sample(resolution=5.0))
    with pytest.raises(InputError, match="only numbers"):
        RgbLayer(layer, layer, layer, id="rgb").sample(nside=4)


def test_what_is_refused():
    layer = layer_of("car")
    for given_, named in [
        ({}, "either resolution"),
        ({"resolution": 1, "nside": 4}, "either resolution"),
        ({"resolution": 0.0}, "resolution=0.0"),
        ({"resolution": np.nan}, "resolution=nan"),
        ({"nside": 3}, "nside 3"),
        ({"resolution": 1, "box": (1, 2, 3, 2)}, "box="),
        ({"resolution": 1, "projection": "TAN"}, "120"),
    ]:
        with pytest.raises(InputError, match=named):
            layer.sample(**given_)
    with pytest.raises(UnknownNameError, match="CAR, TAN"):
        layer.sample(resolution=1, projection="AIT")
    for given_ in ({"resolution": 0.001}, {"nside": 8192}, {"nside": 4, "max_pixels": 100}):
        with pytest.raises(TooLargeError, match="at most"):
            layer.sample(**given_)
    with pytest.raises(TimeoutError):
        layer.sample(resolution=1, timeout=0)


@settings(max_examples=100)
@given(
    step=st.floats(0.01, 100),
    west=st.floats(0, 359),
    wide=st.floats(0.001, 360),
    south=st.floats(-90, 89),
    tall=st.floats(0.001, 180),
)
def test_a_lattice_covers_its_box(step, west, wide, south, tall):
    north = min(90.0, south + tall)
    grid = lattice_of(Coverage(west + wide, west, south, north), step, "CAR")
    ny, nx = grid.shape
    assert nx >= 1
    assert nx * step <= max(360 * (1 + 1e-6), step)
    assert nx * step >= wide - step * (1.01 if wide + step > 360 else 1e-3)
    _, dec = grid.sky_axes(0, np.array([0.5]), np.array([0.5, ny - 0.5]))
    assert np.abs(dec).max() <= 90 or ny == 1
    assert ny * step >= (north - south) - step * (1.01 if north - south + step > 180 else 1e-3)


def test_parts_are_computed_in_windows(monkeypatch):
    monkeypatch.setattr(sampled, "_SIDE", 50)
    layer = layer_of("car galactic")
    found = layer.sample(resolution=2.5)
    monkeypatch.undo()
    np.testing.assert_allclose(found.values, layer.sample(resolution=2.5).values, atol=1e-4)
