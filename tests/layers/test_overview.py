from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skyshade.errors import ChangedError, DataError
from skyshade.layers import overview as module
from skyshade.layers.overview import FIRST, Overview, top_level

from .images import ArrayReader


@pytest.fixture
def values(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(module, "_STRIP", 16 * 301)  # so that a small map has many strips
    rng = np.random.default_rng(1)
    values = rng.uniform(1, 2, (203, 301)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:20] = np.nan
    return values


def expected(values: np.ndarray, k: int) -> np.ndarray:
    side = 1 << k
    h, w = (-(-s // side) for s in values.shape)
    padded = np.full((h * side, w * side), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(h, side, w, side)
    count = np.isfinite(blocks).sum(axis=(1, 3))
    total = np.nansum(blocks, axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def test_levels_are_exact_means_of_the_base(values: np.ndarray) -> None:
    """Law 3: every level equals the weighted NaN-aware mean, relative 1e-5."""
    made = Overview(ArrayReader(values))
    made.wait()
    for k in range(FIRST, top_level(values.shape) + 1):
        np.testing.assert_allclose(made.level(k).pixels, expected(values, k), rtol=1e-5)
    assert max(made.level(top_level(values.shape)).pixels.shape) <= 64


def test_every_row_is_read_once_in_bounded_strips(values: np.ndarray) -> None:
    reader = ArrayReader(values)
    Overview(reader).wait()
    assert reader.most <= 16 * 301
    rows = sorted((y0, y1) for y0, y1, *_ in reader.boxes)
    assert [y0 for y0, _ in rows] == list(range(0, 203, 16))
    assert {box[2:] for box in reader.boxes} == {(0, 301, 1)}


def test_threads_share_the_work_and_tell_once(values: np.ndarray) -> None:
    made, calls = Overview(ArrayReader(values)), []
    with ThreadPoolExecutor(3) as pool:
        made.start(pool.submit, lambda: calls.append("first"))
        made.start(pool.submit, lambda: calls.append("second"))
        made.wait(10)
    assert made.ready
    assert made.progress == 1.0
    made.start(pool.submit, lambda: calls.append("late"))
    assert sorted(calls) == ["first", "late", "second"]
    np.testing.assert_allclose(made.level(3).pixels, expected(values, 3), rtol=1e-5)


def test_waiting_in_a_full_pool_does_not_block(values: np.ndarray) -> None:
    made = Overview(ArrayReader(values))
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(lambda: (made.start(pool.submit), made.wait(10)))
        job.result(20)
    assert made.ready


def test_a_failed_read_is_told_to_those_who_wait(values: np.ndarray) -> None:
    reader, calls = ArrayReader(values), []
    reader.error = ChangedError("map.fits", "its header changed")
    made = Overview(reader)
    with ThreadPoolExecutor(2) as pool:
        made.start(pool.submit, lambda: calls.append(1))
    with pytest.raises(ChangedError, match=r"map\.fits: its header changed"):
        made.wait()
    reader.error = OSError("disk on fire")
    other = Overview(reader)
    with pytest.raises(DataError, match="disk on fire"):
        other.wait()
    assert not made.ready
    assert not calls


def test_building_can_be_cancelled(values: np.ndarray) -> None:
    reader = ArrayReader(values)
    reader.gate.clear()
    made = Overview(reader)
    thread = threading.Thread(target=lambda: made.start(lambda work: work()))
    thread.start()
    made.cancel()
    reader.gate.set()
    thread.join(10)
    assert len(reader.boxes) <= 2
    assert not made.ready
    with pytest.raises(DataError, match="cancelled"):
        made.wait()


def test_waiting_has_an_end(values: np.ndarray) -> None:
    reader = ArrayReader(values[:8])
    reader.gate.clear()
    made = Overview(reader)
    thread = threading.Thread(target=lambda: made.start(lambda work: work()))
    thread.start()
    while not made._taken:  # the only strip is in other hands
        pass
    with pytest.raises(TimeoutError, match=r"not ready after 0\.01 s: 0% is done"):
        made.wait(0.01)
    reader.gate.set()
    thread.join(10)
    made.wait(1)
