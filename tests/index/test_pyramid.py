"""The pyramid against brute force: what is stored, and that merged states equal direct ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skyshade.errors import InputError
from skyshade.geometry.keys import tile_key_range
from skyshade.index.pyramid import Pyramid, States, children, part_of, roots
from skyshade.index.states import COUNT, Pixels, halved, label_states, summed
from skyshade.types import RowBlock, State, StateArrays, Tile
from tests.index.skies import block, brute, values_of

THRESHOLD = 64
STATES = [COUNT, *(State(k, "v") for k in ("sum", "moments", "min", "max")), State("category", "c")]


@pytest.fixture(scope="module")
def built() -> tuple[dict[Tile, States], RowBlock, Any, Any]:
    rows, ra, dec = block()
    pyramid = Pyramid(STATES, THRESHOLD, {"c": 3})
    made: dict[Tile, States] = {}
    for root in roots():
        first, last = np.searchsorted(rows.keys, tile_key_range(root))
        pyramid.build(root, part_of(rows, int(first), int(last)), made.__setitem__)
    return made, rows, ra, dec


def test_every_tile_with_many_rows_is_stored_and_no_other(
    built: tuple[dict[Tile, States], RowBlock, Any, Any],
) -> None:
    made, rows, *_ = built
    stack, checked = roots(), 0
    while stack:
        tile = stack.pop()
        first, last = np.searchsorted(rows.keys, tile_key_range(tile))
        assert (tile in made) == (last - first > THRESHOLD), tile
        checked += 1
        if last - first > THRESHOLD and tile.z < 22:
            stack += children(tile)
    assert checked > 100
    assert max(tile.z for tile in made) == 22  # duplicates share the deepest pixel


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.label)
def test_stored_states_equal_direct_binning(
    built: tuple[dict[Tile, States], RowBlock, Any, Any], state: State
) -> None:
    made, rows, ra, dec = built
    for z in (0, 1, 3, 6, 10, 15, 22):
        for tile in sorted(t for t in made if t.z == z)[:3]:
            found = values_of(state, made[tile][state])
            expected = brute(tile, state, rows, ra, dec)
            if state.kind in ("count", "category", "min", "max"):
                np.testing.assert_array_equal(found, expected)
            else:
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_counts_of_the_roots_add_up(built: tuple[dict[Tile, States], RowBlock, Any, Any]) -> None:
    made, rows, *_ = built
    assert sum(int(made[root][COUNT].n.sum()) for root in roots()) == rows.keys.size


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.label)
def test_the_sum_of_parts_is_the_whole(state: State) -> None:
    rows, *_ = block(2000, seed=5)
    frame = np.array([0, 0, 512], np.int64)
    odd = np.arange(rows.keys.size) % 3 == 0

    def binned(keep: Any) -> StateArrays:
        pixels = Pixels.empty(state, (256, 256), 3)
        part = RowBlock(
            rows.keys[keep],
            rows.rows[keep],
            {k: v[keep] for k, v in rows.columns.items()},
            {k: v[keep] for k, v in rows.codes.items()},
        )
        pixels.add_rows(part, 44, frame)
        return pixels.arrays()

    whole = binned(np.ones(rows.keys.size, np.bool_))
    found = summed(state, [binned(odd), binned(~odd)])
    np.testing.assert_array_equal(found.n, whole.n)
    np.testing.assert_allclose(values_of(state, found), values_of(state, whole), rtol=1e-12)


def test_counts_beyond_their_type_become_wider() -> None:
    n = np.full((256, 256), 3_000_000_000, np.uint32)
    assert int(halved(COUNT, StateArrays(n)).n[0, 0]) == 12_000_000_000
    assert int(summed(COUNT, [StateArrays(n), StateArrays(n)]).n[0, 0]) == 6_000_000_000


def test_unknown_states_are_refused() -> None:
    assert label_states(["count", "sum:v"]) == [COUNT, State("sum", "v")]
    with pytest.raises(InputError, match="'median:v' is not known: allowed kinds are count, "):
        label_states(["median:v"])
    with pytest.raises(InputError, match="median"):
        Pixels.empty(State("median", "v"), (2, 2))


def test_texts_are_no_numbers() -> None:
    rows, *_ = block(50)
    words = RowBlock(rows.keys, rows.rows, {"v": np.array(["a"] * 50, object)})
    pixels = Pixels.empty(State("sum", "v"), (256, 256))
    with pytest.raises(InputError, match=r"column 'v' does not hold numbers \(it holds text\)"):
        pixels.add_rows(words, 44, np.array([0, 0, 512], np.int64))
