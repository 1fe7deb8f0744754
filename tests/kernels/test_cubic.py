from __future__ import annotations

import numpy as np
import pytest

from skyshade.kernels import cubic
from skyshade.kernels.loops import cubic as loops

BOTH = [cubic.fill_cubic.twin, loops.fill_cubic]  # type: ignore[attr-defined]
STEP = 16


def filled(function: object, nodes: np.ndarray, period: float = 0.0) -> tuple[np.ndarray, ...]:
    """Fill two cells beside each other with x = `nodes` and y = minus them."""
    x, y = np.full((STEP, 3 * STEP), -9.0), np.full((STEP, 3 * STEP), -9.0)
    corners = np.array([[0, 0], [0, STEP]])
    cells = np.ascontiguousarray(np.stack([nodes[:, :4], nodes[:, 1:]]))
    weights = cubic.cubic_weights(STEP)
    function(cells, -cells, corners, weights, period, x, y)  # type: ignore[operator]
    return x, y


@pytest.mark.parametrize("function", BOTH)
def test_cubics_are_met_exactly(function: object) -> None:
    def surface(row: np.ndarray, col: np.ndarray) -> np.ndarray:
        return 3.0 + row - 2.0 * col + row**3 * col - 0.5 * row**2 * col**3

    nodes = surface(np.arange(-1.0, 3.0)[:, None], np.arange(-1.0, 4.0))
    at = (np.arange(STEP) + 0.5) / STEP
    expected = surface(at[:, None], np.concatenate([at, at + 1.0]))
    x, y = filled(function, nodes)
    np.testing.assert_allclose(x[:, : 2 * STEP], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(y[:, : 2 * STEP], -expected, rtol=1e-12, atol=1e-12)
    assert np.all(x[:, 2 * STEP :] == -9.0)  # only cells are written


@pytest.mark.parametrize("function", BOTH)
def test_x_stays_within_a_turn(function: object) -> None:
    nodes = np.broadcast_to(np.linspace(90.0, 130.0, 5), (4, 5))
    x, _ = filled(function, nodes, 100.0)
    assert np.all((x >= -9.0) & (x < 99.5))
    np.testing.assert_allclose(np.diff(x[0, : 2 * STEP]) % 100.0, 10.0 / STEP)


def test_the_loop_equals_its_twin() -> None:
    nodes = np.random.default_rng(0).normal(0.0, 300.0, (4, 5))
    for period in (0.0, 77.7):
        for one, other in zip(*(filled(f, nodes, period) for f in BOTH), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("function", BOTH)
def test_cells_beyond_the_edges_are_cut(function: object) -> None:
    nodes = np.random.default_rng(0).normal(0.0, 300.0, (2, 4, 4, 4))
    corners, weights = np.argwhere(np.ones((2, 2))) * STEP, cubic.cubic_weights(STEP)
    whole = np.full((2, 2 * STEP, 2 * STEP), np.nan)
    function(*nodes, corners, weights, 77.7, *whole)  # type: ignore[operator]
    for row, col, height, width in ((5, 9, 2, 3), (13, 0, 9, 32), (1, 31, 30, 1)):
        part = np.full((2, height, width), np.nan)
        function(*nodes, corners - [row, col], weights, 77.7, *part)  # type: ignore[operator]
        expected = whole[:, row : row + height, col : col + width]
        np.testing.assert_array_equal(part, expected)


def test_weights_sum_to_one() -> None:
    np.testing.assert_allclose(cubic.cubic_weights(7).sum(axis=1), 1.0)
