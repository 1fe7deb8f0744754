"""Tallies of parts add up to that of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from skyshade.geometry.keys import key_shift, keys_of, tile_key_range
from skyshade.index.facts import LEVELS, Tally, tally
from skyshade.index.pyramid import roots
from tests.index.skies import places


def test_occupied_cells_of_every_level() -> None:
    ra, dec = places(3000)
    keys = np.sort(keys_of(ra, dec))
    found = tally(keys, ra, dec)
    for z in LEVELS:
        assert found.occupied[z - LEVELS[0]] == np.unique(keys >> key_shift(z)).size
    assert found.distinct == np.unique(keys).size
    assert (found.south, found.north) == (-90, 90)


def test_parts_add_up() -> None:
    ra, dec = places(3000)
    keys = keys_of(ra, dec)
    parts = Tally.empty()
    for root in roots():
        first, last = tile_key_range(root)
        mine = (keys >= first) & (keys < last)
        parts = parts + tally(np.sort(keys[mine]), ra[mine], dec[mine])
    whole = tally(np.sort(keys), ra, dec)
    assert (parts.rows, parts.distinct) == (whole.rows, whole.distinct)
    assert parts.coverage == whole.coverage
    assert parts.max_zoom == whole.max_zoom
    assert parts.level == whole.level


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(n: int) -> None:
    ra, dec = np.full(n, 10.0), np.full(n, -5.0)
    found = tally(keys_of(ra, dec), ra, dec)
    assert found.max_zoom == 8
    assert found.rows == n
