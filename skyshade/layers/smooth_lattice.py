"""Gaussian smoothing of a layer on the lattice of one level of the ``sky`` grid.

Every row is convolved with the rows within reach by weights from true angular distances
(`skyshade.kernels.smooth`). Towards the poles, where columns crowd, 2, 4, 8 ... of them are taken
together as far as their spacing on the sky stays below that of rows; results are interpolated
back. All that depends on the row only, so windows agree wherever they overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skyshade.geometry.grids import SKY
from skyshade.kernels.smooth import smooth_row
from skyshade.types import Aggregate, AnyArray, FloatArray, Quality, Window

REACH = 4.0  # sigmas; the weight beyond is 3e-4 of the beam
_MOST = 1 << 22  # pixels read for the rows around a pole
_STEEP = 1  # 2**m columns are taken together from declination 60 on
_FEWEST = 16  # columns of a turn that are never taken together


class Smoothed(NamedTuple):
    """Smoothed values, the part of the beam's weight that is valid, and the worst quality."""

    values: FloatArray
    fraction: FloatArray
    quality: Quality


class _Band(NamedTuple):
    """Output rows `first` to `last` (excluded) that take 2**m columns together."""

    first: int
    last: int
    m: int


@dataclass(frozen=True, eq=False)
class SmoothLattice:
    """Smoothing on one level.

    Parameters
    ----------
    compute : callable
        Gives the numbers on a window of ``sky``, NaN where missing; its second argument is the
        size, in degrees, of the cells that they will be averaged into.
    z : int
        Level of the lattice.
    sigma : float
        Degrees.
    deeper : int
        Levels below `z` from which cells are averaged: sources narrower than a cell keep their
        flux wherever in it they lie.
    """

    compute: Callable[[Window, float], Aggregate]
    z: int
    sigma: float
    deeper: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the lattice."""
        return SKY.lattice_shape(self.z)

    def block(self, rows: tuple[int, int], cols: tuple[int, int]) -> Smoothed:
        """Return rows and columns from first to last (excluded); rows may lie beyond a pole."""
        height, width = self.shape
        first, last = rows
        parts = []
        if first < 0:
            there = self._inside((-last if last < 0 else 0, -first), _shift(cols, width // 2))
            parts.append(_upside_down(there))
        if min(last, height) > max(first, 0):
            parts.append(self._inside((max(first, 0), min(last, height)), cols))
        if last > height:
            begin = 2 * height - last
            end = min(height, 2 * height - first)
            parts.append(_upside_down(self._inside((begin, end), _shift(cols, width // 2))))
        return _joined(parts)

    def _inside(self, rows: tuple[int, int], cols: tuple[int, int]) -> Smoothed:
        return _joined([self._band(band, cols) for band in self._bands(rows)])

    def _dec(self, rows: AnyArray) -> FloatArray:
        height = self.shape[0]
        return np.radians(90.0 - 180.0 * (np.asarray(rows, np.float64) + 0.5) / height)

    def _bands(self, rows: tuple[int, int]) -> Iterator[_Band]:
        """Yield runs of rows that take equally many columns together."""
        at = np.arange(*rows)
        cut = math.radians(REACH * self.sigma)
        flat = np.maximum(np.abs(self._dec(at)) - cut, 0.0)  # the longest parallel in reach
        most = int(math.log2(max(self.shape[1] // _FEWEST, 1)))
        m = np.clip(np.floor(-np.log2(np.cos(flat))), 0, most).astype(np.int64)
        edges = [0, *(np.flatnonzero(np.diff(m)) + 1).tolist(), at.size]
        for a, b in pairwise(edges):
            yield _Band(rows[0] + a, rows[0] + b, int(m[a]))

    def _band(self, band: _Band, cols: tuple[int, int]) -> Smoothed:
        height, width = self.shape
        group = 1 << band.m
        turn = width // group
        at = (np.arange(*cols) + 0.5) / group - 0.5  # wanted columns, in groups
        margin = (0, 0) if band.m == 0 else (-1, 3)
        first = math.floor(at[0]) + margin[0]
        last = math.floor(at[-1]) + max(margin[1], 1)
        reach = math.ceil(math.radians(REACH * self.sigma) / (math.pi / height)) + 1
        top, low = max(band.first - reach, 0), min(band.last + reach, height)
        pad = self._pad(band, turn)
        sums, valid, quality = self._read((top, low), (first - pad, last + pad), band.m)
        made = self._rows(band, top, (sums, valid), pad, turn, reach)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.where(made[1] > 0.0, made[0] / made[1], 0.0)
            fraction = made[1] / made[2]
        if band.m:
            values, fraction = (cubic(a, at - first, 1) for a in (values, fraction))
        return Smoothed(values, fraction, quality)

    def _pad(self, band: _Band, turn: int) -> int:
        """Return how many groups of columns a beam reaches to either side."""
        cut = math.radians(REACH * self.sigma)
        steep = float(np.abs(self._dec(np.array([band.first, band.last - 1]))).max())
        if steep + cut >= math.pi / 2.0:
            return turn // 2
        wide = math.asin(min(math.sin(cut) / math.cos(steep), 1.0))
        return min(math.ceil(wide / (2.0 * math.pi / turn)) + 1, turn // 2)

    def _read(
        self, rows: tuple[int, int], cols: tuple[int, int], m: int
    ) -> tuple[FloatArray, FloatArray, Quality]:
        """Return value times valid area, and valid area, of groups of 2**m columns."""
        turn = self.shape[1] >> m
        first, last = cols if cols[1] - cols[0] < turn else (0, turn)
        deeper = self._depth(m)
        side, group = 1 << deeper, 1 << (m + deeper)
        height, width = rows[1] - rows[0], last - first
        window = Window(
            SKY, self.z + deeper, first * group, rows[0] * side, width * group, height * side
        )
        made = self.compute(window, SKY.pixel_degrees(self.z + (m >= _STEEP)))
        cells = height, side, width, group
        values = np.asarray(made.values, np.float64).reshape(cells)
        good = np.isfinite(values)
        at = np.arange(rows[0] * side, rows[1] * side)
        area = np.cos(np.radians(90.0 - 180.0 * (at + 0.5) / (side * self.shape[0])))
        area = area.reshape(height, side)
        area *= (np.cos(self._dec(np.arange(*rows))) / area.sum(axis=1))[:, None]
        sums = (np.where(good, values, 0.0).mean(axis=3) * area[:, :, None]).sum(axis=1)
        valid = (good.mean(axis=3) * area[:, :, None]).sum(axis=1)
        if (first, last) != cols:
            pick = np.arange(*cols) % turn
            sums, valid = sums[:, pick], valid[:, pick]
        return sums, valid, made.quality

    def _depth(self, m: int) -> int:
        """Return how many levels deeper cells are read.

        One more near the poles, where pixels of a map in a cell may differ much in area, but fewer
        on fine lattices, where the rows are long.
        """
        height, width = self.shape
        tall = 4 * math.ceil(math.radians(REACH * self.sigma) / (math.pi / height))
        depth = self.deeper + 1 if self.deeper and m >= _STEEP else self.deeper
        while m and depth and width * tall << 2 * depth > _MOST:
            depth -= 1
        return depth

    def _rows(
        self,
        band: _Band,
        top: int,
        data: tuple[FloatArray, FloatArray],
        pad: int,
        turn: int,
        reach: int,
    ) -> FloatArray:
        """Return (weighted values, valid weight, whole weight), shape (3, rows, groups)."""
        sums, valid = (np.ascontiguousarray(part) for part in data)
        decs = self._dec(np.arange(top, top + len(sums)))
        whole = np.all(valid > (1.0 - 1e-9) * np.cos(decs)[:, None], axis=1)
        out = np.zeros((band.last - band.first, 3, sums.shape[1] - 2 * pad))
        sigma = math.radians(self.sigma)
        for row in range(band.first, band.last):
            near = np.s_[max(row - reach - top, 0) : row + reach + 1 - top]
            smooth_row(
                sums[near], valid[near], whole[near], decs[near], float(self._dec(np.array(row))),
                2.0 * math.pi / turn, sigma, REACH * sigma, turn // 2, pad, out[row - band.first],
            )  # fmt: skip
        return out.transpose(1, 0, 2)


def cubic(values: FloatArray, at: AnyArray, axis: int) -> FloatArray:
    """Interpolate along an axis at fractional indices (Catmull-Rom); 1 <= at <= n - 2."""
    base = np.floor(at).astype(np.int64)
    shape = [1] * values.ndim
    shape[axis] = -1
    made: FloatArray = np.zeros(())
    for tap, weight in enumerate(cubic_weights(at - base)):
        made = made + weight.reshape(shape) * np.take(values, base + (tap - 1), axis=axis)
    return made


def cubic_weights(t: AnyArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the weights of the values at -1, 0, 1 and 2 for a place `t` in 0..1."""
    return (
        ((2.0 - t) * t - 1.0) * t / 2.0,
        ((3.0 * t - 5.0) * t * t + 2.0) / 2.0,
        ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0,
        (t - 1.0) * t * t / 2.0,
    )


def _shift(cols: tuple[int, int], by: int) -> tuple[int, int]:
    return cols[0] + by, cols[1] + by


def _upside_down(part: Smoothed) -> Smoothed:
    return Smoothed(part.values[::-1], part.fraction[::-1], part.quality)


def _joined(parts: list[Smoothed]) -> Smoothed:
    if len(parts) == 1:
        return parts[0]
    values, fraction = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    quality: Quality = next((p.quality for p in parts if p.quality != "exact"), "exact")
    return Smoothed(values, fraction, quality)
