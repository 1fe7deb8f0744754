from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyshade.kernels import sampling
from skyshade.kernels.loops import sampling as loops

ON, OFF = np.float64(1.0), np.nan


def run(function: object, box: np.ndarray, x: object, y: object, **more: float) -> np.ndarray:
    """Sample `box`, the whole map unless `more` says otherwise."""
    x, y = np.broadcast_arrays(np.atleast_2d(x).astype(float), np.atleast_2d(y).astype(float))
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    right, top = more.get("right", box.shape[1] - 0.5), more.get("top", box.shape[0] - 0.5)
    limits = np.array([more.get("scale", 1.0), right, top])
    place = np.array([more.get("x0", 0), more.get("y0", 0), more.get("period", 0)], np.int64)
    out = np.full(x.shape, -7.0, np.float32)
    function(np.ascontiguousarray(box, np.float32), x, y, limits, place, out)  # type: ignore[operator]
    return out


BILINEAR = [sampling.bilinear.twin, loops.bilinear]  # type: ignore[attr-defined]
NEAREST = [sampling.nearest.twin, loops.nearest]  # type: ignore[attr-defined]
RAMP = np.add.outer(10.0 * np.arange(4), np.arange(5.0))  # value = 10 y + x


@pytest.mark.parametrize("sample", BILINEAR)
def test_a_plane_is_sampled_exactly(sample: object) -> None:
    x, y = np.array([0.0, 1.25, 3.9, 4.0]), np.array([0.0, 2.5, 2.9, 3.0])
    np.testing.assert_allclose(run(sample, RAMP, x, y)[0], 10 * y + x, rtol=1e-6)


@pytest.mark.parametrize("sample", BILINEAR + NEAREST)
def test_a_map_reaches_half_a_pixel_beyond_its_centres(sample: object) -> None:
    x = np.array([-0.51, -0.5, 4.5, 4.51, np.nan, np.inf])
    found = run(sample, RAMP, x, 0.0)[0]
    np.testing.assert_array_equal(found[1:3], [0.0, 4.0])
    assert np.isnan(found[[0, 3, 4, 5]]).all()
    assert np.isnan(run(sample, RAMP, 0.0, np.array([-0.6, 3.6, np.nan]))).all()


@pytest.mark.parametrize("sample", BILINEAR)
def test_weights_are_renormalised_beside_missing_pixels(sample: object) -> None:
    box = np.array([[2.0, np.nan], [2.0, np.inf]])
    assert run(sample, box, 0.4, 0.5)[0, 0] == 2.0
    assert run(sample, box, 0.5, 0.5)[0, 0] == 2.0  # exactly half
    assert np.isnan(run(sample, box, 0.6, 0.5)[0, 0])


@pytest.mark.parametrize("sample", NEAREST)
def test_the_pixel_that_holds_a_position(sample: object) -> None:
    x = np.array([0.49, 0.51, 3.5, 4.49])
    np.testing.assert_array_equal(run(sample, RAMP, x, 1.2)[0], [10, 11, 14, 14])
    assert np.isnan(run(sample, np.array([[np.inf, np.nan]]), np.array([0.0, 1.0]), 0.0)).all()


@pytest.mark.parametrize("sample", BILINEAR)
def test_coarse_levels_keep_their_place(sample: object) -> None:
    """Pixel n of level 1 lies at base coordinate 2 n + 0.5."""
    box = np.array([[0.0, 2.0, 4.0]])
    found = run(sample, box, np.array([0.5, 1.5, 2.5, 4.5]), 0.0, scale=0.5, right=5.5, top=1.5)
    np.testing.assert_allclose(found[0], [0.0, 1.0, 2.0, 4.0])


@pytest.mark.parametrize("sample", BILINEAR)
def test_cyclic_boxes_join_the_ends(sample: object) -> None:
    """Columns 8, 9, 0, 1 of ten: a box that begins at 8 and runs past the end."""
    box = np.array([[8.0, 9.0, 10.0, 11.0]])
    x = np.array([8.5, 9.25, -0.25, 0.5])
    found = run(sample, box, x, 0.0, x0=8, period=10, right=9.5)
    np.testing.assert_allclose(found[0], [8.5, 9.25, 9.75, 10.5])
    early = np.array([[9.0, 0.0, 1.0]])
    assert run(sample, early, -0.5, 0.0, x0=-1, period=10, right=9.5)[0, 0] == 4.5


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(0, 3),
    st.sampled_from([0, 7, 12]),
)
def test_loops_equal_their_twins(seed: int, shape: tuple[int, int], k: int, period: int) -> None:
    rng = np.random.default_rng(seed)
    box = rng.normal(size=shape).astype(np.float32)
    box[rng.random(shape) < 0.3] = np.nan
    box[rng.random(shape) < 0.1] = np.inf
    x, y = rng.uniform(-3, 12 << k, (6, 7)), rng.uniform(-3, 12 << k, (6, 7))
    more = {"scale": 0.5**k, "x0": int(rng.integers(0, 4)), "period": period, "right": 60.0}
    for twin, loop in (BILINEAR, NEAREST):
        a, b = run(twin, box, x, y, **more), run(loop, box, x, y, **more)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(0, 3),
    st.sampled_from([0, 7, 12]),
)
def test_axes_give_what_whole_coordinates_give(
    seed: int, shape: tuple[int, int], k: int, period: int
) -> None:
    rng = np.random.default_rng(seed)
    box = rng.normal(size=shape).astype(np.float32)
    box[rng.random(shape) < 0.3] = np.nan
    box[rng.random(shape) < 0.1] = np.inf
    x, y = rng.uniform(-3, 12 << k, 7), rng.uniform(-3, 12 << k, 6)
    x[0] = y[0] = np.nan
    more = {
        "scale": 0.5**k,
        "x0": int(rng.integers(0, 4)),
        "period": period,
        "right": 60.0,
        "top": 50.0,
    }
    whole = run(BILINEAR[0], box, *np.meshgrid(x, y), **more)
    limits = np.array([more["scale"], 60.0, 50.0])
    place = np.array([more["x0"], 0, period], np.int64)
    for function in (sampling.bilinear_axes.twin, loops.bilinear_axes):  # type: ignore[attr-defined]
        out = np.full((6, 7), -7.0, np.float32)
        function(box, x, y, limits, place, out)
        np.testing.assert_allclose(out, whole, rtol=1e-5, atol=1e-6)


def test_span_is_the_bounding_box_of_what_lies_on_the_map() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-20, 120, (30, 40)), rng.uniform(-20, 70, (30, 40))
    x[3, 4] = y[5, 6] = np.nan
    on = (x >= -0.5) & (x <= 99.5) & (y >= -0.5) & (y <= 49.5)
    for function in (sampling.span.twin, loops.span):  # type: ignore[attr-defined]
        out = np.empty(6)
        function(x, y, np.array([1.0, 99.5, 49.5]), 50.0, out)
        high, low = x[on & (x >= 50)].min(), x[on & (x < 50)].max()
        expected = [x[on].min(), x[on].max(), y[on].min(), y[on].max(), high, low]
        np.testing.assert_array_equal(out, expected)
        function(x + 500, y, np.array([1.0, 99.5, 49.5]), 50.0, out)
        assert out[0] == np.inf
        assert out[1] == -np.inf


@pytest.mark.parametrize(("parts", "step"), [(1, 16), (4, 4)])
@pytest.mark.parametrize("period", [0.0, 300.0])
def test_cells_are_bilinear_between_nodes(parts: int, step: int, period: float) -> None:
    at = step * np.arange(parts + 1.0)
    nodes_x = 290.0 + 0.9 * at + 0.01 * at[:, None] * at
    nodes_y = 5.0 - 0.5 * at[:, None] + 0.0 * at
    if period:
        nodes_x = np.mod(nodes_x + 0.5, period) - 0.5
    corners = np.array([[16, 0], [0, 16]])
    made = []
    for function in (sampling.fill_cells.twin, loops.fill_cells):  # type: ignore[attr-defined]
        x, y = np.full((32, 32), np.nan), np.full((32, 32), np.nan)
        stack = np.stack([nodes_x, nodes_x]), np.stack([nodes_y, nodes_y])
        function(*stack, corners, step, period, x, y)
        made.append((x, y))
    np.testing.assert_allclose(made[0], made[1], atol=1e-9)
    x, y = made[1]
    centre = np.arange(16) + 0.5
    expected = 290.0 + 0.9 * centre + 0.01 * centre[:, None] * centre  # bilinear itself
    if period:
        expected = np.mod(expected + 0.5, period) - 0.5
    np.testing.assert_allclose(x[16:, :16], expected, atol=1e-9)
    np.testing.assert_allclose(y[:16, 16:], np.repeat((5 - 0.5 * centre)[:, None], 16, 1))
    assert np.isnan(x[:16, :16]).all()


@pytest.mark.parametrize(("parts", "step"), [(1, 16), (4, 4)])
@pytest.mark.parametrize("function", [sampling.fill_cells.twin, loops.fill_cells])  # type: ignore[attr-defined]
def test_cells_beyond_the_edges_are_cut(function: object, parts: int, step: int) -> None:
    """A window of 5 x 7 in the middle of nine cells, then of 40 x 3: to the last bit."""
    rng = np.random.default_rng(0)
    nodes = rng.normal(50.0, 30.0, (2, 9, parts + 1, parts + 1))
    corners = np.argwhere(np.ones((3, 3))) * 16
    whole = np.full((2, 48, 48), np.nan)
    function(*nodes, corners, step, 90.0, *whole)  # type: ignore[operator]
    for row, col, height, width in ((18, 20, 5, 7), (3, 31, 40, 3), (0, 47, 48, 1)):
        part = np.full((2, height, width), np.nan)
        function(*nodes, corners - [row, col], step, 90.0, *part)  # type: ignore[operator]
        expected = whole[:, row : row + height, col : col + width]
        np.testing.assert_array_equal(part, expected)
    aside = np.full((2, 4, 4), -7.0)
    function(*nodes, corners - [0, -4], step, 90.0, *aside)  # type: ignore[operator]
    function(*nodes, corners - [48, 0], step, 90.0, *aside)  # type: ignore[operator]
    assert np.all(aside == -7.0)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([0, 12]),
)
def test_what_a_displayed_pixel_touches(seed: int, shape: tuple[int, int], period: int) -> None:
    rng = np.random.default_rng(seed)
    box = rng.normal(size=shape).astype(np.float32)
    box[rng.random(shape) < 0.3] = np.nan
    left, low = (rng.integers(-1 if not period else 0, 10, (4, 5)).astype(np.int32) for _ in "xy")
    right = (left + rng.integers(-1, 4, (4, 5))).astype(np.int32)
    high = (low + rng.integers(0, 4, (4, 5))).astype(np.int32)
    place = np.array([1, 2, period], np.int64)
    n = np.isfinite(box).astype(np.float32) * rng.integers(1, 5, shape)
    m2 = rng.uniform(0, 1, shape).astype(np.float32)
    n = n.astype(np.float32)
    most, wide = expected_touched(box, n, m2, (left, right, low, high), place)
    for which in ("twin", "loop"):
        outs = np.full((4, 5), -7.0, np.float32), np.full((4, 5), -7.0, np.float32)
        of = [getattr(sampling, k).twin if which == "twin" else getattr(loops, k) for k in TOUCHED]
        of[0](box, left, right, low, high, place, outs[0])
        of[1](n, box, m2, left, right, low, high, place, outs[1])
        np.testing.assert_array_equal(outs[0], most)
        np.testing.assert_allclose(outs[1], wide, rtol=1e-5, atol=1e-6)


TOUCHED = ("touched_max", "touched_std")


def expected_touched(
    box: np.ndarray, n: np.ndarray, m2: np.ndarray, ranges: tuple, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    shape = ranges[0].shape
    most, wide = np.full(shape, np.nan), np.full(shape, np.nan)
    for at in np.ndindex(*shape):
        left, right, low, high = (int(part[at]) for part in ranges)
        cells = []
        for i in range(left, right + 1):
            x = i - place[0]
            x = x % place[2] if place[2] else x
            rows = range(low - place[1], high - place[1] + 1)
            cells += [(y, x) for y in rows if 0 <= y < box.shape[0] and 0 <= x < box.shape[1]]
        cells = [cell for cell in cells if np.isfinite(box[cell])]
        if not cells:
            continue
        values, counts, spreads = (np.array([part[c] for c in cells]) for part in (box, n, m2))
        middle = np.average(values.astype(float), weights=counts)
        most[at] = values.max()
        wide[at] = np.sqrt((spreads + counts * (values - middle) ** 2).sum() / counts.sum())
    return most, wide
