"""Outlines on the sphere against astropy, across RA 0 and about the poles."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from regions import EllipseSkyRegion, RectangleSkyRegion

from skyshade.geometry.outlines import Outlines, Ring, box, circle, ellipse, line, polygon

PLACES = [(359.9, 10.0), (120.0, -45.0), (10.0, 89.0), (0.0, 90.0), (200.0, -88.5), (0.0, 0.0)]


def coords(ring: Ring) -> SkyCoord:
    return SkyCoord(ring.lon, ring.lat, unit="deg")


@pytest.mark.parametrize(("lon", "lat"), PLACES)
@pytest.mark.parametrize("radius", [1e-4, 0.5, 30.0])
def test_a_circle_has_its_true_radius(lon: float, lat: float, radius: float) -> None:
    ring = circle(lon, lat, radius)
    apart = SkyCoord(lon, lat, unit="deg").separation(coords(ring)).deg
    np.testing.assert_allclose(apart, radius, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kind", "make"), [(EllipseSkyRegion, ellipse), (RectangleSkyRegion, box)])
@pytest.mark.parametrize("angle", [0.0, 30.0, 115.0])
def test_axes_turn_as_in_regions(kind: type, make: object, angle: float) -> None:
    """On a small image with north up and east left the shapes agree with the package's own."""
    centre = SkyCoord(150.0, 40.0, unit="deg")
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 40.0], [500.5, 500.5]
    wcs.wcs.cdelt = [-0.001, 0.001]
    region = kind(centre, 0.2 * u.deg, 0.1 * u.deg, angle * u.deg).to_pixel(wcs)
    for scale, inside in ((0.98, True), (1.02, False)):
        ring = make(150.0, 40.0, 0.2 * scale, 0.1 * scale, angle)  # type: ignore[operator]
        x, y = wcs.world_to_pixel(coords(ring))
        from regions import PixCoord

        assert (region.contains(PixCoord(x, y)) == inside).all()


def test_sides_are_great_circles() -> None:
    ring = line(np.array([10.0, 70.0]), np.array([40.0, 40.0]))
    at = coords(ring)
    pole = at[0].cartesian.cross(at[-1].cartesian)
    offsets = at.cartesian.dot(pole / pole.norm())
    np.testing.assert_allclose(offsets, 0.0, atol=1e-12)
    assert ring.lat.max() > 44.0, "the shortest way bends to the pole"
    assert ring.corner[[0, -1]].all()
    closed = polygon(np.array([1.0, 2.0, 2.0]), np.array([0.0, 0.0, 1.0]))
    assert (closed.lon[0], closed.lat[0]) == (closed.lon[-1], closed.lat[-1])
    assert closed.corner.sum() == 4


def drawn(*rings: Ring) -> Outlines:
    rows = list(range(len(rings)))
    return Outlines.of(rings, rows, ["red"] * len(rings), [f"icrs\n{row}" for row in rows])


def test_no_line_jumps_across_ra_0_or_near_a_pole() -> None:
    circles = [(0.2, 10.0, 1.0), (180.1, -5.0, 2.0), (50.0, 85.0, 4.99), (50.0, 85.0, 6.0)]
    rings = [circle(*one) for one in circles]
    rings.append(line(np.array([350.0, 170.0]), np.array([88.0, 89.0])))
    found = drawn(*rings)
    for first, last in zip(found.starts[:-1], found.starts[1:], strict=True):
        u_, v_ = found.u[first:last], found.v[first:last]
        far = np.maximum(np.abs(v_[:-1]), np.abs(v_[1:])) < 89.999
        assert np.abs(np.diff(u_))[far].max() < 15.0
    boxes = found.boxes()
    np.testing.assert_allclose(boxes[0], [-1.216, 0.816, 9.0, 11.0], atol=0.01)
    turns = [found.u[last - 1] - found.u[first] for first, last in
             zip(found.starts[:-1], found.starts[1:], strict=True)]  # fmt: skip
    np.testing.assert_allclose(np.abs(turns[:4]), [0, 0, 0, 360], atol=1e-9)


def test_rows_that_go_take_their_lines_along() -> None:
    found = drawn(circle(10.0, 0.0, 1.0), circle(20.0, 0.0, 1.0), circle(30.0, 0.0, 1.0))
    kept = found.of_rows(np.array([2, 0]))
    assert kept.rows.tolist() == [1, 0]
    assert kept.texts == ["icrs\n2", "icrs\n0"]
    np.testing.assert_allclose(kept.boxes()[:, 0], [-11.0, -31.0], atol=0.01)
    none = found.of_rows(np.empty(0, np.int64))
    assert none.boxes().shape == (0, 4)
