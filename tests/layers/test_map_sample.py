from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from skyshade.layers import map_sample
from skyshade.layers.map_sample import block_sample, numbers_of
from skyshade.layers.states import ABSMAX, MAX, MEAN, MIN, STD, Base, Reduction
from skyshade.loaders.api import load
from tests.layers.images import ArrayReader
from tests.loaders.conftest import write  # noqa: F401

CORNERS = [(0, 0), (8, 40), (104, 3), (61, 16)]  # of boxes of 8 x 80 pixels
Write = Callable[..., Path]


@pytest.fixture
def values() -> np.ndarray:
    made = np.random.default_rng(3).normal(size=(120, 130)).astype(np.float32)
    made[:20, :50] = np.nan
    made[5, 7] = 4.0
    return made


@pytest.mark.parametrize("reduction", [MEAN, STD, MAX, MIN, ABSMAX])
@pytest.mark.parametrize("weighted", [False, True])
def test_boxes_are_those_of_levels(
    values: np.ndarray, reduction: Reduction, weighted: bool
) -> None:
    weight = ArrayReader(np.abs(values[::-1].copy())) if weighted else None
    base = Base(ArrayReader(values), reduction, weight)
    for part, (y, x) in enumerate(CORNERS):
        cut = None if weight is None else ArrayReader(np.abs(values[::-1])[y : y + 8, x : x + 80])
        alone = Base(ArrayReader(values[y : y + 8, x : x + 80]), reduction, cut)
        for one, other in zip(
            base.boxes(3, CORNERS, 10), alone.level(3, (0, 1, 0, 10)), strict=True
        ):
            np.testing.assert_array_equal(one[part], other[0])


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_boxes_of_a_file_are_merged_from_its_bytes(write: Write, kind: type) -> None:  # noqa: F811
    data = np.random.default_rng(4).integers(-99, 99, (120, 130)).astype(kind)
    (image,) = load(write(data)).images[0]
    base = Base(image.reader)
    assert base.fast
    mean, weight = base.boxes(3, CORNERS, 10)
    for part, (y, x) in enumerate(CORNERS):
        expected = data[y : y + 8, x : x + 80].reshape(8, 10, 8).mean(axis=(0, 2))
        np.testing.assert_allclose(mean[part], expected, rtol=1e-6, atol=1e-6)
    assert (weight == 64.0).all()
    beyond = base.boxes(3, [*CORNERS, (116, 90)], 10)
    np.testing.assert_allclose(beyond[0][:4], mean, rtol=1e-6, atol=1e-6)
    assert (beyond[1][4] == [32.0] * 5 + [0.0] * 5).all()  # 4 rows and 40 columns are left


def test_a_truncated_file_has_boxes(write: Write) -> None:  # noqa: F811
    path = write(np.full((120, 130), 2.0, np.float32))
    with path.open("r+b") as file:
        file.truncate(2880 + 4 * 130 * 60)
    mean, weight = Base(load(path).images[0][0].reader).boxes(3, CORNERS, 10)
    assert (weight[[0, 1]] == 64.0).all()
    assert not weight[[2, 3]].any()
    assert (mean[[0, 1]] == 2.0).all()
    assert np.isnan(mean[[2, 3]]).all()


def test_a_sample_stands_for_a_map_with_borders() -> None:
    """A slope within a border of a tenth of the map: percentiles to a thirtieth of its range."""
    slope = np.add.outer(np.linspace(0.0, 50.0, 1500), np.linspace(0.0, 50.0, 3000))
    slope[:75] = slope[-75:] = slope[:, :150] = slope[:, -150:] = np.nan
    base = Base(ArrayReader(slope.astype(np.float32)))
    made = numbers_of(base, symmetric=False).statistics
    true = np.nanpercentile(slope, [float(p) for p in made.percentiles])
    assert np.abs(np.array(list(made.percentiles.values())) - true).max() < 3.0
    assert not made.exact
    assert numbers_of(base, symmetric=False).statistics == made


@pytest.mark.parametrize("shape", [(5, 4000), (4000, 5), (3, 3), (9, 520), (8, 8)])
def test_maps_of_any_shape_are_sampled(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_sample, "SMALL", 0)
    values = np.random.default_rng(5).normal(3.0, 0.1, shape).astype(np.float32)
    for reduction in (MEAN, STD, MIN):
        found = block_sample(Base(ArrayReader(values), reduction))
        middle = np.median(found[np.isfinite(found)])
        low, high = (0.05, 0.15) if reduction is STD else (2.5, 3.1)
        assert low < middle < high
