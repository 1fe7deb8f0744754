from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path

from skyshade.errors import InputError
from skyshade.layers.regions import EDGE, Cone, Polygon, Rectangle, separation, unit_vectors
from skyshade.testing import positions
from tests.layers.tables import sphere

RA, DEC = sphere(4000, seed=3)


def triangle(points: Any, corners: Any) -> tuple[Any, Any]:
    """Return what lies in a spherical triangle by determinants, and what is near a side."""
    a, b, c = corners
    sides = [np.cross(a, b) @ points, np.cross(b, c) @ points, np.cross(c, a) @ points]
    turn = np.sign(np.linalg.det(np.array(corners)))
    inside = np.all([turn * side > 0 for side in sides], axis=0)
    unsure = np.any([np.abs(side) < 1e-9 for side in sides], axis=0)
    return inside, unsure


@settings(max_examples=300, deadline=None)
@given(st.lists(positions(), min_size=3, max_size=3, unique=True), st.booleans())
def test_triangles_equal_determinants(corners: list[tuple[float, float]], backwards: bool) -> None:
    nodes = unit_vectors(*np.array(corners).T).T
    if abs(np.linalg.det(nodes)) < 1e-3:  # on one great circle, or nearly
        return
    polygon = Polygon(corners[::-1] if backwards else corners)
    inside, unsure = triangle(unit_vectors(RA, DEC), nodes)
    assert not ((polygon.contains(RA, DEC) ^ inside) & ~unsure).any()


def around(ra: float, dec: float, angles: Any, radii: Any) -> list[tuple[float, float]]:
    """Return positions at position angles and distances (degrees) from another."""
    middle = unit_vectors(np.array([ra]), np.array([dec]))[:, 0]
    a = np.radians(ra)
    east = np.array([-np.sin(a), np.cos(a), 0.0])
    north = np.cross(middle, east)
    t, r = np.radians(angles)[:, None], np.radians(radii)[:, None]
    points = np.cos(r) * middle + np.sin(r) * (np.sin(t) * east + np.cos(t) * north)
    lon = np.degrees(np.arctan2(points[:, 1], points[:, 0])) % 360.0
    lat = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    return list(zip(lon.tolist(), lat.tolist(), strict=True))


@settings(max_examples=100, deadline=None)
@given(
    positions(),
    st.floats(1e-3, 85.0),
    st.integers(3, 40),
    st.integers(0, 2**32 - 1),
)
def test_stars_equal_matplotlib_in_the_tangent_plane(
    place: tuple[float, float], size: float, count: int, seed: int
) -> None:
    """Great circles are straight lines in the gnomonic projection."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 360, count)) + np.linspace(0, 1e-3, count)
    radii = size * rng.uniform(0.2, 1.0, count)
    polygon = Polygon(around(*place, angles, radii))
    test_angles, test_radii = (
        rng.uniform(0, 360, 500),
        size * 1.02 * np.sqrt(rng.uniform(0, 1, 500)),
    )
    points = np.array(around(*place, test_angles, test_radii))

    def plane(t: Any, r: Any) -> Any:
        t, r = np.radians(t), np.tan(np.radians(r))
        return np.stack([r * np.sin(t), r * np.cos(t)], axis=1)

    corners, flat = plane(angles, radii), plane(test_angles, test_radii)
    near = 1e-7 * np.tan(np.radians(size))
    expected = Path([*corners, corners[0]], closed=True).contains_points(flat)
    grown = Path([*corners, corners[0]], closed=True)
    unsure = grown.contains_points(flat, radius=near) != grown.contains_points(flat, radius=-near)
    found = polygon.contains(*points.T)
    assert not ((found ^ expected) & ~unsure).any()


@settings(max_examples=100, deadline=None)
@given(positions(), st.floats(1e-5, 80.0), st.integers(3, 12), st.floats(0, 1))
def test_sides_and_vertices_belong_to_it(
    place: tuple[float, float], size: float, count: int, at: float
) -> None:
    vertices = around(*place, np.arange(count) * 360.0 / count, np.full(count, size))
    polygon = Polygon(vertices)
    assert polygon.contains(*np.array(vertices).T).all()
    for a, b in pairwise([*vertices, vertices[0]]):
        ends = unit_vectors(*np.array([a, b]).T)
        angle = np.radians(separation(*np.array([b]).T, *a)[0])
        weights = np.sin([(1 - at) * angle, at * angle]) / np.sin(angle)
        x, y, z = ends @ weights
        ra, dec = np.degrees([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])
        assert polygon.contains(np.array([ra % 360.0]), np.array([dec])).all()
    outside = around(*place, np.arange(count) * 360.0 / count, np.full(count, size + 1e-7))
    assert not polygon.contains(*np.array(outside).T).any()


@settings(max_examples=150, deadline=None)
@given(st.lists(positions(), min_size=3, max_size=8, unique=True))
def test_the_coverage_holds_the_polygon(vertices: list[tuple[float, float]]) -> None:
    try:
        polygon = Polygon(vertices)
    except InputError:
        return
    inside = polygon.contains(RA, DEC)
    assert Rectangle(*polygon.coverage).contains(RA, DEC)[inside].all()
    assert Rectangle(*polygon.coverage).contains(*np.array(vertices).T).all()


def test_the_coverage_is_tight() -> None:
    east, west, south, north = Polygon([(359, -1), (1, -1), (1, 2), (359, 2)]).coverage
    assert (east - west, west) == (pytest.approx(2), pytest.approx(359))
    assert south == pytest.approx(-1.00015, abs=1e-5)  # great circles bulge away from the equator
    assert north == pytest.approx(2.0003, abs=1e-4)


@pytest.mark.parametrize(
    ("vertices", "inside", "outside"),
    [
        ([(350, -5), (10, -5), (10, 5), (350, 5)], [(0, 0), (359, 4), (1, -4)], [(20, 0)]),
        ([(0, 80), (120, 80), (240, 80)], [(60, 89), (0, 90), (200, 86)], [(60, 75), (0, -90)]),
        ([(0, -60), (90, -60), (180, -60), (270, -60)], [(45, -90)], [(45, -40), (0, 90)]),
        ([(1, 2), (0, 1), (1, 90)], [(0.5, 20)], [(0, 0), (1, 1), (0.5, -1)]),
        ([(0, 90), (10, 0), (50, 0)], [(30, 45), (11, 1), (49, 89)], [(9, 45), (200, 89)]),
        ([(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)], [(2, 0.5), (0.5, 3)], [(2, 3), (2, 1.2)]),
        ([(0, 0), (4, 4), (4, 0), (0, 4)], [(1, 2), (3, 2)], [(2, 1), (2, 3)]),  # a bow tie
    ],
)  # fmt: skip
def test_polygons(vertices: Any, inside: Any, outside: Any) -> None:
    for turned in (vertices, vertices[::-1], [*vertices, vertices[0]]):
        polygon = Polygon(turned)
        assert polygon.contains(*np.array(inside, float).T).all()
        assert not polygon.contains(*np.array(outside, float).T).any()
        rectangle = Rectangle(*polygon.coverage)
        assert rectangle.contains(*np.array(inside, float).T).all()


@pytest.mark.parametrize(
    ("vertices", "message"),
    [
        ([(0, 0), (1, 1)], "a polygon of 2 vertices is not allowed: give 3"),
        ([(0, 0), (1, 1), (1, 1)], "a polygon of 2 different vertices"),
        ([(0, 0), (120, 0), (240, 0)], "a hemisphere or more"),
        ([(0, 0), (90, 0), (180, 0)], "a hemisphere or more"),
        ([(0, 0), (1, 91), (1, 1)], "the vertex 1.0, 91.0 of a polygon is not allowed"),
        ([(0, 0), (np.nan, 1), (1, 1)], "the vertex nan, 1.0"),
        ([(0, 0), (1, 2, 3), (1, 1)], "give .ra, dec."),
        ([(0, 0)] * 10_001, "10001 vertices"),
    ],
)
def test_polygons_that_are_refused(vertices: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Polygon(vertices)


@pytest.mark.parametrize(
    "radius", [0.0, 1e-9, 1.0, 89.9999999, 90.0, 90.0000001, 179.999999, 180.0]
)
def test_the_rim_of_a_cone_belongs_to_it(radius: float) -> None:
    rng = np.random.default_rng(1)
    for ra, dec in [(0.0, 0.0), (33.0, 89.9), (200.0, -90.0), (12.0, 45.0)]:
        angles = rng.uniform(0, 360, 50)
        cone = Cone(ra, dec, radius)
        rim = np.array(around(ra, dec, angles, np.full(50, radius)))
        # positions in degrees as float64 are themselves rounded, towards a pole by more
        assert cone.contains(*rim.T).mean() > (0.99 if radius > 1e-6 else 0.4)
        if 1e-6 < radius < 179.9:
            beyond = np.array(around(ra, dec, angles, np.full(50, radius + 1e-7)))
            assert not cone.contains(*beyond.T).any()


def test_separations_near_180_degrees() -> None:
    away = np.array([1e-9, 1e-6, 1.0])
    found = separation(np.full(3, 190.0), -20.0 + away, 10.0, 20.0)
    np.testing.assert_allclose(180.0 - found, away, rtol=1e-4)


@given(positions(), st.floats(0, 180))
@settings(max_examples=100, deadline=None)
def test_the_coverage_of_a_cone_holds_it(place: tuple[float, float], radius: float) -> None:
    cone = Cone(*place, radius)
    assert Rectangle(*cone.coverage).contains(RA, DEC)[cone.contains(RA, DEC)].all()


def test_edges_of_a_rectangle() -> None:
    box = Rectangle(365.0, 355.0, -5.0, 5.0)
    ra = np.array([5.0, 355.0, 0.0, 5.0 + EDGE / 2, 5.0001, 354.9999, 0.0, 0.0])
    dec = np.array([5.0, -5.0, 0.0, 5.0 + EDGE / 2, 0.0, 0.0, 5.0001, -5.0001])
    assert box.contains(ra, dec).tolist() == [True] * 4 + [False] * 4
    assert Rectangle(10.0, 10.0, 1.0, 1.0).contains(np.array([10.0]), np.array([1.0])).all()
