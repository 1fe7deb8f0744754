"""Packed planes come back bit for bit, small, and damage is told."""

from __future__ import annotations

import numpy as np
import pytest

from skyshade.errors import DataError
from skyshade.index.packing import pack, unpack
from skyshade.types import StateArrays

SHAPE = (256, 256)


@pytest.mark.parametrize("top", [0, 1, 255, 256, 70_000, 5_000_000_000])
@pytest.mark.parametrize("depth", [0, 3])
def test_counts(top: int, depth: int) -> None:
    shape = (*SHAPE, depth) if depth else SHAPE
    n = np.random.default_rng(0).integers(0, top + 1, shape).astype(np.uint64)
    n.reshape(-1)[0] = top
    found = unpack(pack(StateArrays(n)))
    np.testing.assert_array_equal(found.n, n)
    assert found.a is None
    assert found.n.dtype.itemsize == next(s for s in (1, 2, 4, 8) if top < 1 << 8 * s)


def test_floats_keep_every_bit() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1e5, SHAPE)
    a[:100] = np.nan
    a[100, :3] = np.inf, -np.inf, -0.0
    b = rng.uniform(0, 1, SHAPE)
    found = unpack(pack(StateArrays(np.ones(SHAPE, np.uint32), a, b)))
    assert found.a is not None
    assert found.b is not None
    np.testing.assert_array_equal(found.a.view(np.int64), a.view(np.int64))
    np.testing.assert_array_equal(found.b, b)


def test_empty_planes_weigh_nothing() -> None:
    assert len(pack(StateArrays(np.zeros(SHAPE, np.uint32), np.zeros(SHAPE)))) < 20


@pytest.mark.parametrize("cut", [1, 6, 50, -1])
def test_a_cut_plane_is_told(cut: int) -> None:
    data = pack(StateArrays(np.arange(65536, dtype=np.uint32).reshape(SHAPE)))
    with pytest.raises(DataError, match="stars: a plane of the index is damaged"):
        unpack(data[:cut], "stars")


def test_no_bytes_are_no_plane() -> None:
    with pytest.raises(DataError, match="a plane of the index is empty"):
        unpack(b"", "stars")
