"""The gate, its events and its background work."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skyshade.atlas.atlas import Atlas, Entry
from skyshade.atlas.events import LOST, Events
from skyshade.errors import DataError, InputError, UnknownNameError, UnsupportedError
from skyshade.overlays import SourceList, box_of


class Plain:
    """As much of a layer as the atlas looks at."""

    class info:
        kind = "map"
        title = "plain"


class Slow(Plain):
    """A layer that becomes exact later."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def start_overview(self, submit, on_ready):
        if self.error:
            raise self.error
        submit(on_ready)


@pytest.fixture
def atlas():
    made = Atlas("test")
    made.add(Entry("a", Plain(), title="A"))
    made.add(Entry("b", None, "rejected", "b.fits, HDU 1: broken", "b.fits"))
    return made


def test_layers_are_found_by_id(atlas):
    assert isinstance(atlas.layer("a"), Plain)
    assert isinstance(atlas.layer("a", ("public",)), Plain)
    assert [e.id for e in atlas.entries()] == ["a", "b"]
    assert len(atlas) == 2


def test_unknown_ids_name_the_known(atlas):
    with pytest.raises(UnknownNameError, match="unknown layer 'c'; known: a, b"):
        atlas.layer("c")
    with pytest.raises(UnknownNameError, match="source list 'x'"):
        atlas.sources("x")


def test_rejected_layers_say_why(atlas):
    with pytest.raises(UnsupportedError, match=r"'b': was rejected: b\.fits, HDU 1"):
        atlas.layer("b")


def test_ids_are_unique(atlas):
    with pytest.raises(InputError, match="'a'"):
        atlas.add(Entry("a", Plain()))
    stars = SourceList("s", "S", np.zeros(1), np.zeros(1), ["x"])
    atlas.add_sources(stars)
    assert atlas.sources("s") is stars
    with pytest.raises(InputError, match="'s'"):
        atlas.add_sources(stars)


def test_tree_groups_by_kind(atlas):
    atlas.add_boxes([box_of({"name": "x", "ra_east": 2, "ra_west": 1, "dec_min": 0, "dec_max": 1})])
    assert atlas.tree() == {
        "title": "test",
        "groups": [
            {"kind": "map", "layers": [{"id": "a", "title": "A"}]},
            {"kind": "rejected", "layers": [{"id": "b", "title": "b.fits"}]},
        ],
        "sources": [],
        "boxes": 1,
    }
    assert [b.name for b in atlas.boxes()] == ["x"]


def test_degrading_is_told_once(atlas, caplog):
    with atlas.events.subscribe() as news:
        atlas.degrade("a", "gone")
        atlas.degrade("a", "gone again")
        atlas.degrade("nope", "never was")
        assert [e["reason"] for e in news.drain()] == ["gone"]
    assert atlas.entry("a").state == "degraded"
    assert isinstance(atlas.layer("a"), Plain)
    assert "gone" in caplog.text


def test_overviews_are_announced(atlas):
    atlas.add(Entry("slow", Slow()))
    atlas.add(Entry("broken", Slow(ValueError("no pixels"))))
    with ThreadPoolExecutor(1) as pool, atlas.events.subscribe() as news:
        atlas.start_background(pool)
        seen = []
        while len(seen) < 2:
            seen += news.wait(20)
    assert {"type": "layer", "id": "slow", "quality": "exact"} in seen
    assert atlas.entry("broken").state == "degraded"
    assert "no pixels" in atlas.entry("broken").reason


def test_a_closed_executor_is_no_error(atlas, caplog):
    atlas.add(Entry("slow", Slow()))
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    atlas.start_background(pool)
    for thread in threading.enumerate():
        if "_overviews" in thread.name:
            thread.join(20)
    assert atlas.entry("slow").state == "ok"


def test_every_listener_hears_everything_in_order():
    events = Events()
    listeners = [events.subscribe() for _ in range(3)]
    for n in range(10):
        events.publish({"type": "n", "n": n})
    for listener in listeners:
        assert [e["n"] for e in listener.drain()] == list(range(10))
        assert listener.drain() == []


def test_a_full_queue_loses_the_oldest_and_says_so():
    events = Events()
    with events.subscribe(limit=3) as listener:
        for n in range(5):
            events.publish({"type": "n", "n": n})
        found = listener.drain()
        assert found[0] == LOST
        assert [e["n"] for e in found[1:]] == [2, 3, 4]
        events.publish({"type": "n", "n": 5})
        assert [e["n"] for e in listener.drain()] == [5]


def test_who_has_left_hears_nothing():
    events = Events()
    with events.subscribe() as listener:
        assert len(events) == 1
    events.publish({"type": "n"})
    assert listener.drain() == []
    assert len(events) == 0
    listener.close()


def test_publishing_from_many_threads():
    events = Events()
    called = []
    with events.subscribe(limit=2000, notify=lambda: called.append(1)) as listener:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: events.publish({"type": "n", "n": n}), range(1000)))
        assert sorted(e["n"] for e in listener.drain()) == list(range(1000))
    assert len(called) == 1000


def test_waiting_ends_with_news_or_with_time():
    events = Events()
    listener = events.subscribe()
    assert listener.wait(0.01) == []
    threading.Timer(0.05, events.publish, [{"type": "n"}]).start()
    assert listener.wait(5) == [{"type": "n"}]


class Failing(Plain):
    """A layer whose overview goes wrong while it is built."""

    overview_error = None

    def start_overview(self, submit, on_ready):
        submit(self.build, DataError("m.fits", "cannot be read"))

    def build(self, error):
        self.overview_error = error


def test_a_failed_overview_degrades_its_layer(atlas):
    atlas.add(Entry("failing", Failing()))
    with ThreadPoolExecutor(1) as pool, atlas.events.subscribe() as news:
        atlas.start_background(pool)
        seen = []
        while not seen:
            seen += news.wait(20)
    assert [e["id"] for e in seen] == ["failing"]
    assert atlas.entry("failing").state == "degraded"
    assert atlas.entry("failing").reason == "no overview could be built: m.fits: cannot be read"


def test_layers_that_come_later_get_their_overview(atlas, monkeypatch):
    monkeypatch.setattr("skyshade.atlas.atlas.HEAD_START", 0.0)
    with ThreadPoolExecutor(1) as pool, atlas.events.subscribe() as news:
        atlas.add(Entry("early", Slow()))
        atlas.start_background(pool)
        assert news.wait(20)[0]["id"] == "early"
        atlas.add(Entry("late", Slow()))
        assert news.wait(20)[0]["id"] == "late"
        atlas.replace(["late"], [Entry("late", Slow())])
        assert news.wait(20)[0]["id"] == "late"
        atlas.stop_background()
        atlas.add(Entry("too late", Slow()))
        assert news.wait(0.1) == []


def test_of_many_layers_only_large_ones_get_an_overview_at_once(atlas, monkeypatch):
    monkeypatch.setattr("skyshade.atlas.atlas.HEAD_START", 0.0)
    monkeypatch.setattr("skyshade.atlas.atlas.MANY", 2)
    small, large = Slow(), Slow()
    small.ready, large.ready = True, False
    atlas.add(Entry("small", small))
    atlas.add(Entry("large", large))
    with ThreadPoolExecutor(1) as pool, atlas.events.subscribe() as news:
        atlas.start_background(pool)
        assert [e["id"] for e in news.wait(20)] == ["large"]
        assert news.wait(0.1) == []


def test_jobs_start_and_stop_with_the_background(atlas):
    done = []

    class Job:
        def start(self):
            done.append("start")

        def stop(self):
            done.append("stop")

    atlas.keep(Job())
    with ThreadPoolExecutor(1) as pool:
        atlas.start_background(pool)
        assert done == ["start"]
        atlas.stop_background()
    assert done == ["start", "stop"]


def test_replacing_keeps_the_order():
    atlas = Atlas()
    for name in "abcd":
        atlas.add(Entry(name, Plain()))
    stars = SourceList("b", "S", np.zeros(1), np.zeros(1), ["x"])
    atlas.add_sources(stars)
    atlas.replace(["b", "c"], [Entry(name, Plain()) for name in "cxb"])
    assert [e.id for e in atlas.entries()] == ["a", "c", "x", "b", "d"]
    assert atlas.source_lists() == []
    with pytest.raises(InputError, match="d are not free"):
        atlas.replace(["b"], [Entry("d", Plain())])
    atlas.replace(["x"], [])
    atlas.replace([], [Entry("e", Plain())])
    assert [e.id for e in atlas.entries()] == ["a", "c", "b", "d", "e"]


def test_degrading_again_tells_the_new_reason(atlas):
    atlas.degrade("a", "gone")
    atlas.degrade("a", "broken", again=True)
    assert atlas.entry("a").reason == "broken"
    atlas.degrade("b", "never was a layer", again=True)
    assert atlas.entry("b").state == "rejected"
