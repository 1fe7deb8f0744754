"""A filter over a large index through HTTP: a sample at once, news, then exact tiles for ever."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skyshade.atlas.atlas import Atlas
from skyshade.atlas.build import open_atlas
from tests.index.skies import places
from tests.index.written import write

N = 9000
TILE = "/tiles/{id}/sky/0/0/0.f4?agg=count&where=v%20%3C%205"


@pytest.fixture
def atlas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Atlas:
    monkeypatch.setenv("SKYSHADE_CACHE", str(tmp_path / "cache"))
    ra, dec = places(N)
    columns = {"v": np.arange(N) % 10 * 1.0}
    return open_atlas([write(tmp_path / "index", ra, dec, columns, threshold=128)])


def test_a_sample_then_exact(connect: Any, atlas: Atlas) -> None:
    entry = atlas.entries()[0]
    layer: Any = entry.layer
    exact = threading.Event()
    layer.start_overview(None, exact.set)
    client, url = connect(atlas), TILE.format(id=entry.id)
    first = client.get(url)
    assert first.status_code == 200, first.text
    assert first.headers["skyshade-quality"] == "sample"
    assert first.headers["cache-control"] == "no-store"
    assert exact.wait(20)
    second = client.get(url)
    assert "skyshade-quality" not in second.headers
    assert "etag" in second.headers
    counts = np.frombuffer(second.content, "<f4")
    rough = np.frombuffer(first.content, "<f4")
    assert np.nansum(rough) == pytest.approx(np.nansum(counts), rel=0.2)
    layer = layer.select(reduction="count", where="v < 5")
    assert layer.ready


def test_who_looks_is_told(atlas: Atlas) -> None:
    """The atlas publishes an event when a selection became exact."""
    from concurrent.futures import ThreadPoolExecutor

    told = threading.Event()
    with ThreadPoolExecutor(1) as pool, atlas.events.subscribe(notify=told.set) as news:
        atlas.start_background(pool)
        layer: Any = atlas.entries()[0].layer
        wanted = layer.select(where="v > 7")
        for _ in range(100):  # until the atlas has begun to listen
            if layer.index.demand._listeners:
                break
            threading.Event().wait(0.05)
        wanted.wait_exact(20)
        assert told.wait(10)
        events = news.drain()
        atlas.stop_background()
    assert {"type": "layer", "id": atlas.entries()[0].id, "quality": "exact"} in events
