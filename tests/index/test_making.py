"""Planes made on demand: all of them, the same whoever helps, told once, tried again later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from skyshade.errors import DataError
from skyshade.geometry.keys import tile_key_range
from skyshade.index import making
from skyshade.index.making import Making
from skyshade.index.pyramid import Pyramid, part_of, roots
from skyshade.types import State, Tile
from tests.index.skies import block

FEW = 300
ROWS = block(6000)[0]
STATE = State("moments", "v")
PYRAMID = Pyramid([STATE], FEW, {})


def rows_near(tile: Tile) -> int:
    first, last = np.searchsorted(ROWS.keys, tile_key_range(tile))
    return int(last - first)


def direct(tile: Tile) -> Any:
    first, last = np.searchsorted(ROWS.keys, tile_key_range(tile))
    return PYRAMID.bin(tile, part_of(ROWS, int(first), int(last)))[STATE]


def make(bin: Callable[[Tile], Any] = direct, prepare: Callable[[], object] = lambda: 0) -> Making:
    return Making("stars", STATE, 0, rows_near, FEW, bin, prepare)


def every_tile() -> list[Tile]:
    """Return all tiles with many rows."""
    found: dict[Tile, Any] = {}
    for root in roots():
        first, last = np.searchsorted(ROWS.keys, tile_key_range(root))
        PYRAMID.build(root, part_of(ROWS, int(first), int(last)), found.__setitem__)
    return list(found)


def test_every_tile_with_many_rows_has_a_plane() -> None:
    made = make()
    assert not made.ready
    assert made.plane(Tile(0, 0, 0)) is None
    assert made.progress == 0.0
    made.wait()
    assert made.ready
    assert made.progress == 1.0
    assert made.nbytes > 0
    tiles = every_tile()
    assert len(tiles) > 30
    for tile in tiles:
        mine, theirs = made.plane(tile), direct(tile)
        assert mine is not None
        np.testing.assert_array_equal(mine.n, theirs.n)
        np.testing.assert_allclose(mine.a, theirs.a, rtol=1e-12)
        np.testing.assert_allclose(mine.b, theirs.b, rtol=1e-9, atol=1e-9)
    assert made.plane(Tile(9, 0, 0)) is None


def test_in_the_background_and_told_once() -> None:
    told, calls = threading.Event(), []
    prepared = []
    made = make(prepare=lambda: prepared.append(1))
    made.start(lambda: (calls.append(1), told.set()))
    made.start(lambda: calls.append(2))
    made.wait(20)
    assert told.wait(20)
    assert (calls, prepared) == ([1], [1])
    alone = make()
    alone.wait()
    for tile in every_tile():
        one, two = made.plane(tile), alone.plane(tile)
        assert one is not None
        assert two is not None
        assert one.a.tobytes() == two.a.tobytes()
        assert one.b.tobytes() == two.b.tobytes()


def test_nothing_is_made_where_rows_are_few() -> None:
    made = Making("stars", STATE, 0, rows_near, 10**6, direct, lambda: 0)
    assert made.ready
    made.wait(1)


def test_an_error_reaches_who_waits_and_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(tile: Tile) -> Any:
        raise DataError("stars", f"{tile.z} cannot be read")

    made = make(fail)
    for _ in range(2):
        with pytest.raises(DataError, match="cannot be read"):
            made.wait(5)
    assert not made.ready
    assert not made.outdated
    monkeypatch.setattr(making, "RETRY", -1.0)
    assert made.outdated


def test_who_is_interrupted_loses_nothing() -> None:
    """Ctrl-C in a notebook: the piece at hand is done by whoever waits next."""
    struck = []

    def interrupt(tile: Tile) -> Any:
        if len(struck) < 2:
            struck.append(tile)
            raise KeyboardInterrupt
        return direct(tile)

    made = make(interrupt)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            made.wait(5)
    made.wait(20)
    root = made.plane(Tile(0, 0, 0))
    assert root is not None
    np.testing.assert_array_equal(root.n, direct(Tile(0, 0, 0)).n)
