from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.kernels.dispatch import compile_all
from skyshade.kernels.polygons import fill_polygons


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_all()


def filled(kernel, polygons, shape, value, size=(9, 13)):
    x, y = (np.concatenate([[v[i] for v in p] for p in polygons]).astype(float) for i in (0, 1))
    starts = np.cumsum([0, *map(len, polygons)]).astype(np.int64)
    last, n, total = np.full(size, -1, np.int64), np.zeros(size, np.uint32), np.zeros(size)
    kernel(x, y, starts, np.array(shape, np.int64), np.array(value, float), last, n, total)
    return n, total


vertex = st.tuples(st.floats(-6, 20), st.floats(-6, 16))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(vertex, min_size=3, max_size=8), min_size=1, max_size=4))
def test_loop_equals_twin(polygons) -> None:
    shape, value = np.arange(len(polygons)) // 2, np.arange(len(polygons)) + 0.5
    loop = filled(fill_polygons.loop, polygons, shape, value)
    twin = filled(fill_polygons.twin, polygons, shape, value)
    np.testing.assert_array_equal(loop[0], twin[0])
    np.testing.assert_array_equal(loop[1], twin[1])


def test_pixels_belong_to_the_polygon_that_holds_their_centre() -> None:
    n, total = filled(fill_polygons, [[(2, 1), (6, 1), (6, 4), (2, 4)]], [0], [2.5])
    expected = np.zeros((9, 13))
    expected[1:4, 2:6] = 1
    np.testing.assert_array_equal(n, expected)
    np.testing.assert_array_equal(total, 2.5 * expected)


def test_polygons_side_by_side_share_no_pixel_and_leave_none() -> None:
    left, right = [(0, 0), (5.5, 0), (4.2, 9), (0, 9)], [(5.5, 0), (13, 0), (13, 9), (4.2, 9)]
    n, _ = filled(fill_polygons, [left, right], [0, 1], [1, 1])
    np.testing.assert_array_equal(n, 1)


def test_parts_of_one_shape_count_once() -> None:
    square = [(1, 1), (5, 1), (5, 5), (1, 5)]
    n, _ = filled(fill_polygons, [square, square], [0, 0], [1, 1])
    assert n.max() == 1
