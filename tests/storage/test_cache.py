"""Byte caps and single flight."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.storage.cache import ByteCache


def keep(cache, key, size):
    return cache.get_or_compute(key, len, lambda: b"x" * size)


@given(
    cap=st.integers(0, 50),
    asked=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=60),
)
def test_never_above_its_cap(cap, asked):
    cache = ByteCache(cap)
    sizes = {}
    for key, size in asked:
        sizes[key] = len(keep(cache, key, size))
        stats = cache.stats()
        assert stats.bytes <= cap
        kept = [k for k in sizes if cache.get(k) is not None]
        assert stats.entries == len(kept)
        assert stats.bytes == sum(len(cache.get(k)) for k in kept)


def test_least_recently_used_goes_first():
    cache = ByteCache(30)
    for key in "abc":
        keep(cache, key, 10)
    assert cache.get("a") is not None
    keep(cache, "d", 10)
    assert [cache.get(k) is not None for k in "abcd"] == [True, False, True, True]
    assert cache.stats().evicted == 1


def test_values_without_a_size_are_not_kept():
    cache = ByteCache(100)
    assert cache.get_or_compute("k", lambda _: None, lambda: 1) == 1
    assert cache.get("k") is None
    assert cache.get_or_compute("k", lambda _: None, lambda: 2) == 2


def test_concurrent_requests_share_one_computation():
    cache, calls = ByteCache(100), []
    entered, gate = threading.Event(), threading.Event()

    def make():
        calls.append(1)
        entered.set()
        assert gate.wait(5)
        return b"done"

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(cache.get_or_compute, "k", len, make)
        assert entered.wait(5)
        others = [pool.submit(cache.get_or_compute, "k", len, make) for _ in range(7)]
        while cache.stats().shared < 7:
            pass
        gate.set()
        assert {f.result(5) for f in [first, *others]} == {b"done"}
    assert len(calls) == 1


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_reaches_all_and_is_not_kept(error):
    cache = ByteCache(100)
    entered, gate = threading.Event(), threading.Event()

    def fail():
        entered.set()
        assert gate.wait(5)
        raise error

    def ask():
        with pytest.raises(type(error)):
            cache.get_or_compute("k", len, fail)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    threads[0].start()
    assert entered.wait(5)
    for thread in threads[1:]:
        thread.start()
    while cache.stats().shared < 2:
        pass
    gate.set()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert cache.get_or_compute("k", len, lambda: b"fine") == b"fine"


def test_an_error_of_size_of_is_an_error():
    cache = ByteCache(100)
    with pytest.raises(TypeError):
        cache.get_or_compute("k", len, lambda: 5)
    assert keep(cache, "k", 3) == b"xxx"


def test_submit_shares_and_keeps():
    cache = ByteCache(100)
    with ThreadPoolExecutor(1) as pool:
        made = cache.submit(pool, "k", len, lambda: b"abc")
        assert made.result(5) == b"abc"
        again = cache.submit(pool, "k", len, lambda: b"other")
        assert again.done()
        assert again.result() == b"abc"


def test_submit_to_a_closed_pool():
    cache, pool = ByteCache(100), ThreadPoolExecutor(1)
    pool.shutdown()
    future: Future[bytes] = cache.submit(pool, "k", len, lambda: b"abc")
    with pytest.raises(RuntimeError):
        future.result(1)
    assert keep(cache, "k", 3) == b"xxx"


def test_clear():
    cache = ByteCache(100)
    keep(cache, "k", 3)
    cache.clear()
    assert cache.get("k") is None
    assert cache.stats().bytes == 0
