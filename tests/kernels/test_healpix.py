"""Numpy twins and numba loops of HEALPix pixels give the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skyshade.kernels import files
from skyshade.kernels import healpix as kernels
from skyshade.kernels.loops import files as file_loops
from skyshade.kernels.loops import healpix as loops

ORDERS = [0, 1, 5, 10, 13]
UNSEEN = -1.6375e30


def both(name: str, *args: Any, out: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return what the twin and the loop write."""
    made = []
    for function in (getattr(kernels, name).twin, getattr(loops, name)):
        arrays = tuple(np.array(a, order="C") for a in out)
        function(*args, *arrays)
        made.append(arrays)
    return made


def sky(count: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    t, z = rng.uniform(0, 4, count), rng.uniform(-1, 1, count)
    away = 10.0 ** rng.uniform(-9, -1, 200)
    z[:200] = np.copysign(np.cos(away), rng.normal(size=200))
    s = np.sqrt(1 - z * z)
    s[:200] = np.sin(away)
    t[200:210] = np.nan
    z[210:220] = np.nan
    s[220:230] = np.inf
    return t, z, s


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_positions(order: int, nested: bool) -> None:
    twin, loop = both("find_pixels", *sky(), order, nested, out=(np.zeros(3000, np.int64),))
    np.testing.assert_array_equal(twin[0], loop[0])
    assert (twin[0][200:230] == -1).all()
    assert twin[0].max() < 12 << 2 * order


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("separable", [True, False])
def test_windows(separable: bool, nested: bool) -> None:
    rng = np.random.default_rng(2)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    h, w = 40, 50
    ra = rng.uniform(0, 2 * np.pi, (1 if separable else h, w))
    dec = rng.uniform(-np.pi / 2, np.pi / 2, (h, 1 if separable else w))
    dec[3] = np.nan
    across, along = np.stack([np.cos(ra), np.sin(ra)]), np.stack([np.cos(dec), np.sin(dec)])
    twin, loop = both(
        "find_window", across, along, turn, 9, nested, out=(np.zeros((h, w), np.int64),)
    )
    np.testing.assert_array_equal(twin[0], loop[0])
    assert (loop[0][3] == -1).all()
    assert (loop[0][4] >= 0).all()


def test_the_polynomial_for_the_angle() -> None:
    """Off by less than 1e-15 quarter turns: a tenth of a microarcsecond."""
    rng = np.random.default_rng(3)
    angle = np.append(rng.uniform(0, 2 * np.pi, 20_000), np.arange(8) * np.pi / 4)
    x, y = np.cos(angle), np.sin(angle)
    found = np.array([loops._quarter_turns(b, a) for a, b in zip(x, y, strict=True)])
    wanted = np.mod(np.arctan2(y, x) * 2 / np.pi, 4)
    off = np.abs(found - wanted)
    assert np.minimum(off, 4 - off).max() < 3e-15


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_other_numbers(order: int, nested: bool) -> None:
    count = 12 << 2 * order
    pixels = np.unique(np.linspace(0, count - 1, 4000).astype(np.int64))
    twin, loop = both("renumber", pixels, order, nested, out=(np.zeros_like(pixels),))
    np.testing.assert_array_equal(twin[0], loop[0])
    _, back = both("renumber", loop[0], order, not nested, out=(np.zeros_like(pixels),))
    np.testing.assert_array_equal(back[0], pixels)


@pytest.mark.parametrize("first", [0, 5, 2000, 45_000, 49_152 - 900])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_coarse_pixels_along_rings(first: int, k: int) -> None:
    out = np.zeros(900, np.int64)
    twin, loop = both("coarse_rings", first, 6, k, out=(out,))
    np.testing.assert_array_equal(twin[0], loop[0])
    nested = np.zeros(900, np.int64)
    kernels.renumber.twin(np.arange(first, first + 900), 6, False, nested)  # type: ignore[attr-defined]
    kernels.renumber.twin(nested >> 2 * k, 6 - k, True, out)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(loop[0], out)


@pytest.mark.parametrize(("order", "k"), [(1, 1), (5, 2), (13, 3)])
def test_children(order: int, k: int) -> None:
    cells = np.unique(np.linspace(0, (12 << 2 * (order - k)) - 1, 100).astype(np.int64))
    out = np.zeros((cells.size, 4**k), np.int64)
    twin, loop = both("child_rings", cells, order, k, out=(out,))
    np.testing.assert_array_equal(twin[0], loop[0])
    coarse = np.zeros(out.size, np.int64)
    kernels.renumber.twin(loop[0].ravel(), order, False, coarse)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(coarse >> 2 * k, np.repeat(cells, 4**k))
    assert np.unique(loop[0]).size == out.size


def test_rings_begin_where_the_one_before_ends() -> None:
    nside = 8
    first = kernels.first_of_ring(np.arange(1, 4 * nside + 1), 3)
    lengths = np.diff(first)
    assert first[0] == 0
    assert first[-1] == 12 * nside * nside
    assert lengths[:8].tolist() == [4, 8, 12, 16, 20, 24, 28, 32]
    assert set(lengths[7:24]) == {32}
    assert lengths[-3:].tolist() == [12, 8, 4]


def test_blocks_are_marked_and_values_picked() -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(-1, 4096, (30, 40))
    twin, loop = both("mark", pixels, 4, out=(np.zeros(256, np.uint8),))
    np.testing.assert_array_equal(twin[0], loop[0])
    assert twin[0].sum() == np.unique(pixels[pixels >= 0] >> 4).size
    values = rng.normal(size=4096).astype("f4")
    values[:9] = [np.inf, -np.inf, np.nan, *[0.0] * 6]
    where = (np.arange(256) << 4)[::-1].copy()
    twin, loop = both("pick", values, where, 4, pixels, out=(np.zeros(pixels.shape, "f4"),))
    np.testing.assert_array_equal(twin[0], loop[0])
    assert np.isnan(loop[0][pixels < 0]).all()
    assert not np.isinf(loop[0]).any()


@pytest.mark.parametrize("squares", [0, 50])
def test_folding(squares: int) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=2000).astype("f4")
    values[::9] = np.nan
    values[5] = np.inf
    at = rng.integers(0, 100, 2000)
    args = values, at, 20
    sums = np.zeros(50), np.zeros(50), np.zeros(squares)
    for a, b in zip(*both("fold_sums", *args, out=sums), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    ends = np.full(50, np.inf, "f4"), np.full(50, -np.inf, "f4")
    (low, high), again = both("fold_extremes", *args, out=ends)
    np.testing.assert_array_equal(low, again[0])
    np.testing.assert_array_equal(high, again[1])
    part = values[(at == 33) & np.isfinite(values)]
    assert (low[13], high[13]) == (part.min(), part.max())


@pytest.mark.parametrize("form", [">f4", ">f8"])
@pytest.mark.parametrize("step", [1, 3])
def test_bytes_are_swapped_and_unseen_pixels_missing(form: str, step: int) -> None:
    values = np.array([1.5, -2.25, np.nan, np.inf, -np.inf, UNSEEN, -1.63750e30, 0.0, -0.0, 1e-45])
    stored = np.repeat(values, step).astype(form)[::step]
    raw = stored.view(f"u{stored.itemsize}")
    out = np.zeros(values.size, form[1:])
    twin, loop = both("native_floats", raw, UNSEEN, 1.6375e25, out=(out,))
    np.testing.assert_array_equal(twin[0], loop[0])
    assert np.flatnonzero(np.isnan(loop[0])).tolist() == [2, 3, 4, 5, 6]
    assert loop[0][:2].tolist() == [1.5, -2.25]


@pytest.mark.parametrize("function", [files.read_pieces.twin, file_loops.read_pieces])  # type: ignore[attr-defined]
def test_pieces_of_a_file(tmp_path: Path, function: Any) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))
    out = np.full(22, 255, np.uint8)
    with path.open("rb") as file:
        offsets, sizes = np.array([5, 90, 97, 300]), np.array([4, 5, 8, 5])
        assert function(file.fileno(), offsets, sizes, out) == 2
    assert out.tolist() == [5, 6, 7, 8, *range(90, 95), 97, 98, 99, *[0] * 10]
