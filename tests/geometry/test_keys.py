from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyshade.errors import InputError
from skyshade.geometry import SKY
from skyshade.geometry.keys import (
    decode,
    encode,
    key_shift,
    keys_of,
    tile_key_range,
    window_key_ranges,
)
from skyshade.testing import positions, sky_tiles
from skyshade.types import Tile, Window


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1))
def test_decode_undoes_encode(col: int, row: int) -> None:
    keys = encode(np.array([col]), np.array([row]))
    assert keys[0] >= 0
    cols, rows = decode(keys)
    assert (cols[0], rows[0]) == (col, row)


def test_bits_interleave_with_columns_in_even_places() -> None:
    keys = encode(np.array([0b111, 0, 0b101]), np.array([0, 0b111, 0b011]))
    assert [format(k, "06b") for k in keys.tolist()] == ["010101", "101010", "011011"]


@given(positions(), st.integers(0, 22))
def test_shifted_keys_are_those_of_coarser_levels(place: tuple[float, float], z: int) -> None:
    ra, dec = np.array([place[0]]), np.array([place[1]])
    assert keys_of(ra, dec)[0] >> key_shift(z) == keys_of(ra, dec, z)[0]


@given(positions(), st.integers(0, 22))
def test_position_lies_in_the_key_range_of_its_tile_only(
    place: tuple[float, float], z: int
) -> None:
    key = keys_of(np.array([place[0]]), np.array([place[1]]))[0]
    z_, x, y = SKY.tile_of(*place, z)
    first, end = tile_key_range(Tile(z_, x, y))
    assert first <= key < end
    other, other_end = tile_key_range(Tile(z, x ^ 1, y))
    assert not other <= key < other_end


@given(sky_tiles(22))
def test_an_aligned_tile_is_one_range(tile: Tile) -> None:
    assert window_key_ranges(Window.of(SKY, tile)).tolist() == [list(tile_key_range(tile))]


@given(sky_tiles(21))
def test_children_share_out_the_range_of_their_parent(tile: Tile) -> None:
    z, x, y = tile
    parts = [tile_key_range(Tile(z + 1, 2 * x + i, 2 * y + j)) for j in (0, 1) for i in (0, 1)]
    first, end = tile_key_range(tile)
    assert [parts[0][0], *(p[1] for p in parts)] == [first, *(p[0] for p in parts[1:]), end]


@given(
    z=st.integers(-5, 22),
    data=st.data(),
    size=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    cells=st.sampled_from([4, 16, 64]),
)
def test_ranges_cover_every_pixel_of_a_window(
    z: int, data: st.DataObject, size: tuple[int, int], cells: int
) -> None:
    height, width = SKY.lattice_shape(z)
    col = data.draw(st.integers(-width, 2 * width))
    row = data.draw(st.integers(-600, height + 10))
    window = Window(SKY, z, col, row, *size)
    ranges = window_key_ranges(window, cells)
    assert (ranges[:, 0] < ranges[:, 1]).all()
    assert (ranges[1:, 0] > ranges[:-1, 1]).all()  # in order, and merged where they touch
    cols = np.unique(np.linspace(col, col + size[0] - 1, 7).astype(int)) % width
    rows = np.unique(np.linspace(row, row + size[1] - 1, 7).astype(int))
    rows = rows[(rows >= 0) & (rows < height)]
    keys = encode(np.tile(cols, rows.size), np.repeat(rows, cols.size)) << key_shift(z)
    inside = (keys[:, None] >= ranges[:, 0]) & (keys[:, None] < ranges[:, 1])
    assert inside.any(axis=1).all()


def test_a_padded_tile_reads_little_more_than_itself() -> None:
    window = Window.of(SKY, Tile(8, 100, 70)).pad(2)
    ranges = window_key_ranges(window) >> key_shift(8)
    assert np.sum(ranges[:, 1] - ranges[:, 0]) <= 4 * 256 * 256


def test_outside_the_lattice_there_is_nothing() -> None:
    assert window_key_ranges(Window(SKY, 3, 0, -20, 256, 20)).shape == (0, 2)
    assert window_key_ranges(Window(SKY, 3, 0, 2048, 256, 20)).shape == (0, 2)


def test_too_deep_a_level_is_refused() -> None:
    with pytest.raises(InputError, match="level 23 is beyond"):
        window_key_ranges(Window(SKY, 23, 0, 0, 1, 1))
