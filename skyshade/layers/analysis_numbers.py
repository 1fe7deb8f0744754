"""Statistics of any number of values, strip by strip in bounded memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from skyshade.errors import InputError
from skyshade.types import PERCENTILES, AnyArray, FloatArray, IntArray, Statistics

BINS = 128
MAX_BINS = 65536
HELD = 1 << 21  # so many values are kept and sorted; more are counted in several passes
_ENDS = "0.1", "99.9"  # percentiles between which bins lie when no range is given
_SPLIT = 16  # bits of a float32 that the first pass tells apart

LARGEST = float(np.finfo(np.float32).max)

Chunks = Callable[[], Iterator[AnyArray]]


class Deadline:
    """A time after which long computations give up.

    Parameters
    ----------
    seconds : float, optional
        From now on; None never gives up.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Return the seconds that are left; None for no end."""
        return None if math.isinf(self._end) else max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise TimeoutError when the time is over; called between strips."""
        if time.monotonic() > self._end:
            msg = f"the computation took longer than {self._seconds:g} s: it was given up"
            raise TimeoutError(msg)


@dataclass(slots=True)
class Moments:
    """Running count, mean, variance and limits, merged pairwise.

    Parallel update of Chan, Golub & LeVeque 1979 (Stanford STAN-CS-79-773, eq. 2.1), with weights
    in the place of counts.
    """

    n: int = 0
    weight: float = 0.0
    mean: float = 0.0
    square: float = 0.0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, values: AnyArray, weights: FloatArray | None = None) -> None:
        """Add finite values, shape (n,), with positive weights of the same shape (default 1)."""
        if not values.size:
            return
        self.n += values.size
        self.total += float(values.sum(dtype=np.float64))
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        weight = float(values.size if weights is None else weights.sum())
        if not weight > 0.0:
            return
        if weights is None:
            mean = float(values.mean(dtype=np.float64))
            away = np.subtract(values, mean, dtype=np.float64)
            square = float(np.dot(away, away))
        else:
            mean = float(np.average(values, weights=weights))
            square = float(np.dot(np.square(values - mean), weights))
        step, whole = mean - self.mean, self.weight + weight
        self.square += square + step * step * self.weight * weight / whole
        self.mean += step * weight / whole
        self.weight = whole

    @property
    def std(self) -> float:
        """Standard deviation of the population (divided by the sum of weights)."""
        return math.sqrt(self.square / self.weight) if self.weight > 0.0 else 0.0


def valid_mask(values: AnyArray) -> AnyArray:
    """Return which values count: finite, and not too large for the float32 of tiles."""
    with np.errstate(invalid="ignore"):
        return np.abs(values) <= LARGEST


def histogram_of(
    chunks: Chunks,
    bins: int = BINS,
    span: tuple[float, float] | None = None,
    deadline: Deadline | None = None,
) -> Statistics:
    """Return the statistics of all values that `chunks` gives, exactly.

    Parameters
    ----------
    chunks : callable
        Each call gives all values anew, as an iterator of arrays of any shape; it is called at
        most three times. At most `HELD` values and one array are in memory at once.
    bins : int
        1 to `MAX_BINS`.
    span : (float, float), optional
        First and last edge; by default the 0.1 and 99.9 percentiles. Values beyond are left out of
        the bins, and of nothing else.
    deadline : Deadline, optional

    Returns
    -------
    Statistics
        Percentiles are order statistics, linear between neighbours as in `numpy.percentile`:
        exact to float32 (values of 64 bits, when there are more than `HELD`, to 6e-8 of
        themselves).

    Raises
    ------
    InputError
        `bins` or `span` is not allowed.
    TimeoutError
    """
    check_bins(bins, span)
    deadline = deadline or Deadline()
    moments, held, coarse = _first_pass(chunks, deadline)
    if not moments.n:
        return Statistics(n_valid=0)
    if held is not None:
        points = np.percentile(held.astype(np.float64), [float(p) for p in PERCENTILES])
    else:
        points = _percentiles(chunks, coarse, deadline)
    found = dict(zip(PERCENTILES, points.tolist(), strict=True))
    low, high = span or _ends(found[_ENDS[0]], found[_ENDS[1]], moments, bins)
    counts, edges = np.zeros(bins, np.int64), np.linspace(low, high, bins + 1)
    for values in [held] if held is not None else _good(chunks, deadline):
        counts += np.histogram(values.astype(np.float64), bins=bins, range=(low, high))[0]
    return Statistics(
        n_valid=moments.n,
        minimum=moments.minimum,
        maximum=moments.maximum,
        mean=moments.mean,
        std=moments.std,
        percentiles=found,
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
        exact=True,
    )


def check_bins(bins: int, span: Sequence[float] | None) -> None:
    """Raise InputError when the bins or their range are not allowed."""
    if isinstance(bins, bool) or not isinstance(bins, int) or not 1 <= bins <= MAX_BINS:
        msg = f"bins={bins!r} is not allowed: give a whole number from 1 to {MAX_BINS}"
        raise InputError(msg)
    if span is None:
        return
    ok = len(span) == 2 and all(math.isfinite(end) for end in span) and span[0] < span[1]
    if not (ok and math.isfinite(span[1] - span[0])):
        msg = f"range={tuple(span)} is not allowed: give two finite numbers, the smaller one first"
        raise InputError(msg)


def _good(chunks: Chunks, deadline: Deadline) -> Iterator[AnyArray]:
    """Yield the values that count, flat, as float32 where they are that and else as float64."""
    for chunk in chunks():
        deadline.check()
        flat = np.ravel(chunk)
        flat = flat if flat.dtype == np.float32 else flat.astype(np.float64)
        good = valid_mask(flat)
        yield flat if good.all() else flat[good]


def _first_pass(chunks: Chunks, deadline: Deadline) -> tuple[Moments, AnyArray | None, IntArray]:
    """Return moments, all values if they are few, and the counts of float32 upper halves."""
    moments, count = Moments(), 0
    parts: list[AnyArray] = []
    coarse = np.zeros(1 << _SPLIT, np.int64)
    for values in _good(chunks, deadline):
        moments.add(values)
        count += values.size
        if count <= HELD:
            parts.append(values)
            continue
        for late in (*parts, values):
            coarse += np.bincount(_ordered(late) >> _SPLIT, minlength=coarse.size)
        parts = []
    held = np.concatenate(parts) if parts else np.empty(0)
    return moments, held if count <= HELD else None, coarse


def _ordered(values: AnyArray) -> AnyArray:
    """Return unsigned integers in the order of the values as float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32)
    flips = bits >> 31  # all ones for negative values, which are turned round
    flips |= np.int32(-(1 << 31))
    flips ^= bits
    return flips.view(np.uint32)


def _values(ordered: IntArray) -> FloatArray:
    """Return the values that `_ordered` made integers of."""
    keys = ordered.astype(np.uint32)
    bits = np.where(keys >> 31, keys & np.uint32((1 << 31) - 1), ~keys)
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def _percentiles(chunks: Chunks, coarse: IntArray, deadline: Deadline) -> FloatArray:
    """Return the `PERCENTILES`, from counts of the lower halves where the upper ones put them."""
    upto = np.cumsum(coarse)
    place = np.array([float(p) for p in PERCENTILES]) / 100.0 * (upto[-1] - 1)
    below = np.floor(place).astype(np.int64)
    ranks = np.unique(np.concatenate([below, np.minimum(below + 1, upto[-1] - 1)]))
    cells = np.searchsorted(upto, ranks, side="right")
    wanted = np.unique(cells)
    slot = np.full(coarse.size, -1, np.int64)
    slot[wanted] = np.arange(wanted.size)
    fine = np.zeros((wanted.size, 1 << _SPLIT), np.int64)
    waiting: list[AnyArray] = []
    for values in _good(chunks, deadline):
        keys = _ordered(values)
        at = slot[keys >> _SPLIT]
        inside = np.flatnonzero(at >= 0)
        waiting.append((at[inside] << _SPLIT) + (keys[inside] & np.uint32((1 << _SPLIT) - 1)))
        if sum(map(len, waiting)) > fine.size:
            waiting = _counted(fine, waiting)
    _counted(fine, waiting)
    found = np.empty(ranks.size)
    for i, (rank, cell) in enumerate(zip(ranks, cells, strict=True)):
        inner = rank - (upto[cell] - coarse[cell])
        low = int(np.searchsorted(np.cumsum(fine[slot[cell]]), inner, side="right"))
        found[i] = _values(np.array([(int(cell) << _SPLIT) + low]))[0]
    first = found[np.searchsorted(ranks, below)]
    after = found[np.searchsorted(ranks, np.minimum(below + 1, upto[-1] - 1))]
    points: FloatArray = first + (after - first) * (place - below)
    return points


def _counted(fine: IntArray, waiting: list[AnyArray]) -> list[AnyArray]:
    """Count numbers of cells; return what still waits: nothing."""
    found = np.bincount(np.concatenate(waiting), minlength=fine.size)
    fine += found.reshape(fine.shape)
    return []


def _ends(low: float, high: float, moments: Moments, bins: int) -> tuple[float, float]:
    """Return edges that hold the percentiles; of few values all of them; wide enough to divide."""
    if moments.n < 1000:
        low, high = moments.minimum, moments.maximum
    if not high - low > 4.0 * bins * np.spacing(max(abs(low), abs(high))):
        width = abs(low) * 1e-6 or 1.0  # a constant: one full bin in the middle
        return low - width, high + width
    return low, high
