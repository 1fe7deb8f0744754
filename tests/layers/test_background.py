from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from skyshade.errors import DataError
from skyshade.layers import background
from skyshade.layers.background import Background


class Sum(Background):
    """Adds up pieces, one a step, each behind a gate; a piece may fail."""

    def __init__(self, pieces: int, wrong: int = -1) -> None:
        super().__init__()
        self.left, self.all, self.wrong = list(range(pieces)), pieces, wrong
        self.done: list[int] = []
        self.gate, self.busy = threading.Event(), threading.Event()
        self.gate.set()
        self.kept = True

    @property
    def ready(self) -> bool:
        return len(self.done) == self.all

    @property
    def progress(self) -> float:
        return len(self.done) / self.all

    def _pieces(self) -> int:
        return self.all

    def _step(self) -> bool:
        with self._lock:
            if not self.left or self._error is not None:
                return False
            piece = self.left.pop()
        self.busy.set()
        assert self.gate.wait(10)
        if piece == self.wrong:
            self._fail(OSError("disk on fire"))
            return True
        self.done.append(piece)
        if self.ready:
            self._tell()
        return True

    def _discard(self) -> None:
        self.kept = False


def test_a_worker_lets_other_work_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "TURN", 0.0)
    made = Sum(9)
    made.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        made.start(pool.submit)
        tile = pool.submit(lambda: len(made.done))
        made.gate.set()
        assert tile.result(10) == 2  # one for each of the two workers
        made.wait(10)
    assert sorted(made.done) == list(range(9))


def test_a_pool_that_is_shut_down_waits_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """``with ThreadPoolExecutor() as pool: layer.start_overview(pool)`` leaves nothing undone."""
    monkeypatch.setattr(background, "TURN", 0.0)
    made, calls = Sum(9), []
    made.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        made.start(pool.submit, lambda: calls.append(made.ready))
        made.busy.wait(10)
        pool.shutdown(wait=False)
        made.gate.set()
    assert made.ready
    assert calls == [True]


def test_a_dropped_worker_is_replaced_by_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "TURN", 0.0)
    monkeypatch.setattr(background, "_LOOK", 0.01)
    made = Sum(5)
    made.gate.clear()
    turns: list[object] = []
    thread = threading.Thread(target=lambda: made._turn(lambda work: turns.append(work)))
    thread.start()
    made.busy.wait(10)
    threading.Timer(0.05, made.gate.set).start()
    made.wait(10)  # the turn that was submitted is never run
    thread.join(10)
    assert made.ready
    assert len(turns) == 1


def test_a_failure_is_kept_and_told(caplog: pytest.LogCaptureFixture) -> None:
    made, calls = Sum(4, wrong=2), []
    made.start(lambda work: work(), lambda: calls.append(1))
    with pytest.raises(DataError, match="cannot be read: disk on fire"):
        made.wait()
    assert "an overview is not built, coarse tiles stay previews: disk on fire" in caplog.text
    made.cancel()  # too late to be the reason
    assert isinstance(made.error, OSError)
    assert (calls, made.kept, len(made.done)) == ([], False, 1)


def test_a_cancelled_one_says_so_and_warns_nobody(caplog: pytest.LogCaptureFixture) -> None:
    made = Sum(4)
    made.cancel()
    made.start(lambda work: work())
    with pytest.raises(DataError, match="building its overview was cancelled"):
        made.wait()
    assert not caplog.text
    assert not made.done


def test_waiting_has_an_end() -> None:
    made = Sum(1)
    made.gate.clear()
    thread = threading.Thread(target=lambda: made.start(lambda work: work()))
    thread.start()
    made.busy.wait(10)
    before = time.monotonic()
    with pytest.raises(TimeoutError, match=r"not ready after 0\.3 s: 0% is done"):
        made.wait(0.3)
    assert time.monotonic() - before >= 0.3
    made.gate.set()
    thread.join(10)
    made.wait(0)
