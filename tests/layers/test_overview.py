from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits

from skyshade.errors import ChangedError, DataError
from skyshade.layers import background
from skyshade.layers import overview as module
from skyshade.layers.overview import FIRST, RESTARTS, Overview, top_level
from skyshade.layers.states import ABSMAX, MAX, MIN, STD
from skyshade.loaders.api import load
from skyshade.storage import scratch
from tests.loaders.conftest import Write, write  # noqa: F401 (a fixture)

from .images import ArrayReader


@pytest.fixture
def values(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(module, "_SMALLEST", 8)  # so that it has many levels
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


@pytest.mark.parametrize("rows", [1, 8, 16, 32, 71, 500])
@pytest.mark.parametrize("threads", [0, 2])
def test_levels_are_exact_means_of_the_base(
    values: np.ndarray, rows: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 3: every level equals the weighted NaN-aware mean, whatever the strips it is made of."""
    monkeypatch.setattr(module, "_STRIP", rows * 301)
    made = Overview(ArrayReader(values))
    with ThreadPoolExecutor(2) as pool:
        if threads:
            made.start(pool.submit)
    made.wait()
    for k in range(FIRST, top_level(values.shape) + 1):
        np.testing.assert_allclose(made.level(k).pixels, expected(values, k), rtol=1e-5)
    assert max(made.level(top_level(values.shape)).pixels.shape) <= 8


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
    assert isinstance(made.error, ChangedError)


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
    while made._build is None or not made._build.taken:  # the only strip is in other hands
        pass
    with pytest.raises(TimeoutError, match=r"not ready after 0\.01 s: 0% is done"):
        made.wait(0.01)
    reader.gate.set()
    thread.join(10)
    made.wait(1)


class Restless(ArrayReader):
    """A reader whose pixels change after every so many reads, a few times."""

    def __init__(self, values: np.ndarray, after: int, changes: int) -> None:
        super().__init__(values)
        self.after, self.changes = after, changes
        self.lock = threading.Lock()

    def read(self, *box: int) -> np.ndarray:
        with self.lock:
            found = super().read(*box)
            if self.changes and len(self.boxes) % self.after == 0:
                self.changes -= 1
                self.values = self.values + 100.0  # a file's pixels change before its time does
                self.mark += "+"
        return found


@pytest.mark.parametrize("threads", [1, 2])
def test_an_overview_comes_from_one_version(values: np.ndarray, threads: int) -> None:
    """Pixels that change while they are read: what came from older ones is discarded."""
    reader = Restless(values, after=5, changes=2)
    made, calls = Overview(reader), []
    with ThreadPoolExecutor(threads) as pool:
        made.start(pool.submit, lambda: calls.append(1))
        made.wait(20)
    assert calls == [1]
    assert made.version == reader.version() == "1++"
    np.testing.assert_allclose(made.level(3).pixels, expected(reader.values, 3), rtol=1e-5)


def test_pixels_that_never_rest_are_given_up(values: np.ndarray) -> None:
    reader = Restless(values, after=3, changes=1000)
    made = Overview(reader)
    with pytest.raises(ChangedError, match="changed while its overview was built"):
        made.wait()
    assert isinstance(made.error, ChangedError)
    assert len(reader.boxes) <= 3 * (RESTARTS + 1)


@pytest.mark.parametrize("reduction", [MAX, MIN, ABSMAX, STD])
def test_levels_of_other_reductions(values: np.ndarray, reduction) -> None:
    values = values - 1.5
    made = Overview(ArrayReader(values), reduction)
    made.wait()
    for k in range(FIRST, top_level(values.shape) + 1):
        side = 1 << k
        h, w = (-(-s // side) for s in values.shape)
        padded = np.full((h * side, w * side), np.nan)
        padded[: values.shape[0], : values.shape[1]] = values
        blocks = padded.reshape(h, side, w, side)
        filled = np.isfinite(blocks).any(axis=(1, 3))
        blocks = np.where(filled[:, None, :, None], blocks, 0.0)
        found = made.level(k).read(0, h, 0, w)
        if reduction is STD:
            assert found.shape == (3, h, w)
            found = np.sqrt(found[2] / np.maximum(found[0], 1))
            truth = np.nanstd(blocks, axis=(1, 3))
        elif reduction is MIN:
            truth = -np.nanmin(blocks, axis=(1, 3))
        else:
            truth = np.nanmax(np.abs(blocks) if reduction is ABSMAX else blocks, axis=(1, 3))
        np.testing.assert_allclose(found[filled], truth[filled], rtol=1e-4)


@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "i4", "scaled"])
def test_files_are_merged_from_their_bytes(
    write: Write,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """Big-endian numbers are merged as they are, scaled ones through the reader; both are exact."""
    monkeypatch.setattr(module, "_STRIP", 16 * 301)
    monkeypatch.setattr(module, "_SMALLEST", 8)
    rng = np.random.default_rng(7)
    numbers = rng.integers(-1000, 1000, (203, 301))
    cards = {"BLANK": 7} if kind in ("i2", "i4") else {}
    if kind == "scaled":
        cards = {"BSCALE": 0.5, "BZERO": 3.0}
    data = numbers.astype({"scaled": "i2"}.get(kind, kind))
    truth = numbers.astype(float)
    if kind.startswith("f"):
        data = data + rng.normal(size=data.shape).astype(kind)
        data[rng.random(data.shape) < 0.2] = np.nan
        data[:9, :9] = np.inf
        truth = np.where(np.isfinite(data), data, np.nan).astype(float)
    elif kind == "scaled":
        truth = truth * 0.5 + 3.0
    else:
        truth[numbers == 7] = np.nan
    path = write(data)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header.update(cards)
    reader = load(path).images[0][0].reader
    made = Overview(reader)
    assert made._base.fast == (kind in ("f4", "f8", "i2"))
    made.wait()
    for k in range(FIRST, top_level(data.shape) + 1):
        np.testing.assert_allclose(made.level(k).pixels, expected(truth, k), rtol=1e-5, atol=1e-4)


def test_a_file_that_ends_early_lacks_its_last_rows(write: Write) -> None:  # noqa: F811
    path = write(np.ones((80, 40), np.float32))
    reader = load(path).images[0][0].reader
    with path.open("r+b") as handle:
        handle.truncate(2880 + 4 * 40 * 41)
    made = Overview(reader)
    made.wait()
    found = made.level(3).pixels
    assert (found[:6] == 1.0).all()
    assert np.isnan(found[6:]).all()


def test_a_file_rewritten_while_it_is_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(module, "_STRIP", 16 * 40)
    path = write(np.ones((200, 40), np.float32))
    reader = load(path).images[0][0].reader
    whole, seen = path.read_bytes(), []
    real = type(reader).stored_rows

    def rewrite(self, *box):  # after the third strip
        seen.append(box)
        found = real(self, *box)
        if len(seen) == 3:
            body = np.full((200, 40), 5.0, ">f4").tobytes()
            path.write_bytes(whole[:2880] + body + whole[2880 + len(body) :])
        return found

    monkeypatch.setattr(type(reader), "stored_rows", rewrite)
    made = Overview(reader)
    made.wait()
    assert (made.level(3).pixels == 5.0).all()
    assert made.version == reader.version()


def test_workers_let_other_work_in(values: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of one thread makes a tile between two turns of an overview."""
    monkeypatch.setattr(background, "TURN", 0.0)
    reader = ArrayReader(values)
    reader.gate.clear()
    made = Overview(reader)
    with ThreadPoolExecutor(1) as pool:
        made.start(pool.submit)
        tile = pool.submit(lambda: made.progress)
        reader.gate.set()
        assert tile.result(10) < 1.0
        made._finished.wait(10)
    assert made.ready


def test_buffers_do_not_pile_up(values: np.ndarray) -> None:
    assert len(scratch.Scratch._kept) <= scratch.KEPT
    with scratch.Scratch(1000) as one, scratch.Scratch(1000) as two:
        assert one.size == two.size == 1000
        assert not np.shares_memory(one, two)
    with scratch.Scratch(scratch.KEPT_BYTES + 1) as large:
        assert large.size == scratch.KEPT_BYTES + 1
    threads = [threading.Thread(target=use_scratch) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(scratch.Scratch._kept) <= scratch.KEPT


def use_scratch() -> None:
    for n in range(50):
        with scratch.Scratch(1 + n) as buffer:
            buffer[:] = n
            assert (buffer == n).all()
