from __future__ import annotations

import numpy as np
import pytest

from skyshade.geometry.wcs import separation
from skyshade.kernels import smooth

COLUMNS, TURN = 24, 64


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    smooth.smooth_row.compile()


def arguments(dec: float, sigma: float, seed: int = 1) -> tuple:
    rng = np.random.default_rng(seed)
    step = 2 * np.pi / TURN
    decs = np.clip(dec + step * np.arange(-5, 6), -1.5, 1.5)
    pad = TURN // 2
    valid = (rng.random((decs.size, COLUMNS + 2 * pad)) > 0.2).astype(float)
    valid[3] = 1.0
    valid *= np.cos(decs)[:, None]
    values = rng.normal(size=valid.shape) * valid
    whole = np.all(valid > 0, axis=1)
    return values, valid, whole, decs, dec, step, sigma, 4 * sigma, TURN // 2, pad


@pytest.mark.parametrize("dec", [0.0, 0.9, -1.45, 1.5])
@pytest.mark.parametrize("sigma", [0.01, 0.08, 0.3])
def test_loop_equals_twin(dec: float, sigma: float) -> None:
    given = arguments(dec, sigma)
    loop, twin = np.ones((2, 3, COLUMNS))  # sums are added to what is there
    smooth.smooth_row.loop(*given, loop)
    smooth.smooth_row.twin(*given, twin)
    np.testing.assert_allclose(loop, twin, rtol=1e-10, atol=1e-12)
    assert loop.min() > -1e6


@pytest.mark.parametrize("dec", [0.0, 1.2, 1.5])
@pytest.mark.parametrize("kind", ["loop", "twin"])
def test_weights_are_those_of_true_distances(dec: float, kind: str) -> None:
    """The sums equal those written out with the distance of every pair of cells."""
    sigma = 0.12
    given = arguments(dec, sigma)
    values, valid, _, decs, _, step, _, cut, half, pad = given
    out = np.zeros((3, COLUMNS))
    getattr(smooth.smooth_row, kind)(*given, out)
    offsets = np.arange(-half, half)
    away = np.radians(
        separation(0.0, np.degrees(dec), np.degrees(offsets * step), np.degrees(decs)[:, None])
    )
    weights = np.where(away <= cut, np.exp(-0.5 * (away / sigma) ** 2), 0.0)
    for x in (0, 7, COLUMNS - 1):
        near = np.s_[:, x + pad - half : x + pad + half]
        expected = [(weights * part[near]).sum() for part in (values, valid)]
        expected.append((weights * np.cos(decs)[:, None]).sum())
        np.testing.assert_allclose(out[:, x], expected, rtol=1e-9, atol=1e-12)
