from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.kernels import marks
from skyshade.kernels.dispatch import compile_all

SHAPES = (marks.CIRCLE, marks.SQUARE, marks.CROSS, marks.DIAMOND)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_all()


def drawn(kernel, x, y, radius, strength, shape, size=(12, 16)):
    opacity, owner = np.zeros(size, np.uint8), np.full(size, -1, np.int32)
    kernel(x, y, radius, strength, shape, opacity, owner)
    return opacity, owner


places = st.floats(-12.0, 30.0).map(lambda v: round(v * 128) / 128)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(places, places, st.floats(0.3, 9.0), st.floats(0, 255)), max_size=12),
    st.sampled_from(SHAPES),
)
def test_loop_equals_twin(rows, shape) -> None:
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    arguments = (*(np.ascontiguousarray(c) for c in columns), shape)
    for loop, twin in zip(
        drawn(marks.draw_marks.loop, *arguments),
        drawn(marks.draw_marks.twin, *arguments),
        strict=True,
    ):
        np.testing.assert_array_equal(loop, twin)


@pytest.mark.parametrize("shape", SHAPES[:2] + SHAPES[3:])
def test_marks_of_one_radius_have_the_same_area(shape) -> None:
    opacity, _ = drawn(
        marks.draw_marks, *(np.array([v]) for v in (32.3, 31.7, 20.0, 255.0)), shape, (64, 64)
    )
    assert opacity.sum() / 255 == pytest.approx(np.pi * 400, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_reach_holds_the_whole_mark(shape) -> None:
    for radius in (0.5, 3.0, 16.0):
        reach = marks.mark_reach(radius)
        size = 2 * reach + 1
        at = np.array([reach + 0.99])
        opacity, _ = drawn(
            marks.draw_marks, at, at, np.array([radius]), np.array([255.0]), shape, (size + 4,) * 2
        )
        assert not opacity[size:].any()
        assert opacity[reach, reach] > 0


def test_the_mark_that_covers_more_wins_and_among_equals_the_last() -> None:
    x, y = np.array([8.0, 8.0]), np.array([6.0, 6.0])
    opacity, owner = drawn(marks.draw_marks, x, y, np.array([4.0, 1.5]), np.full(2, 255.0), 0)
    assert owner[6, 8] == 1
    assert owner[3, 8] == 0
    assert opacity[0, 0] == 0
    assert owner[0, 0] == -1
