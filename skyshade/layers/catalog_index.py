"""The index of a catalogue: its valid rows sorted by Z-order key, made once and shared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import ChangedError, InputError
from skyshade.geometry.keys import keys_of
from skyshade.layers.where import Where
from skyshade.types import AnyArray, FloatArray, IntArray, PointTable

T = TypeVar("T")

CACHE_BYTES = 512 << 20
MAX_CATEGORIES = 32
TEXT_BYTES = 64  # what a Python text in an object array weighs, about


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Rows that pass a filter, sorted by key.

    Parameters
    ----------
    index : CatalogIndex
    where : tuple of Where
        All must hold; () for every row with a valid position.
    keys : ndarray of int64, shape (n,)
        Sorted.
    order : ndarray of uint32 or int64, shape (n,)
        Row of the table behind every key.
    """

    index: CatalogIndex
    where: tuple[Where, ...]
    keys: IntArray
    order: NDArray[Any]

    @property
    def name(self) -> tuple[str, ...]:
        """What the view is called in cache keys."""
        return tuple(w.text for w in self.where)

    def values(self, column: str) -> FloatArray:
        """Return a numeric column in key order as float64; NaN where missing."""

        def make() -> FloatArray:
            values: FloatArray = self.index.numbers(column)[self.order]
            return values

        return self.index.cached(("values", self.name, column), make)

    def present(self, column: str) -> FloatArray:
        """Return 0 where a column (also of text) has a value, else NaN, in key order."""

        def make() -> FloatArray:
            raw = self.index.raw(column)
            if raw.dtype.kind == "O":
                missing = np.array([_is_missing(v) for v in raw.tolist()], np.bool_)
            else:
                missing = np.isnan(raw) if raw.dtype.kind == "f" else np.zeros(raw.shape, np.bool_)
            present: FloatArray = np.where(missing, np.nan, 0.0)[self.order]
            return present

        return self.index.cached(("present", self.name, column), make)

    def codes(self, column: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Return category numbers in key order (-1: none) and the sorted category names."""

        def make() -> NDArray[np.int32]:
            codes: NDArray[np.int32] = self.index.categories(column)[0][self.order]
            return codes

        codes = self.index.cached(("codes", self.name, column), make)
        return codes, self.index.categories(column)[1]


class CatalogIndex:
    """Keys, columns and other costly results of one table, each made once, on first use.

    Thread-safe. Everything but the keys is kept in one cache of at most `CACHE_BYTES`.

    Parameters
    ----------
    table : PointTable
    """

    def __init__(self, table: PointTable) -> None:
        self.table = table
        self.rows = len(table)
        self.version = table.version()
        self._lock = threading.RLock()
        self._cache: OrderedDict[tuple[Any, ...], tuple[Any, int]] = OrderedDict()
        self._size = 0
        self._base: View | None = None

    @property
    def base(self) -> View:
        """All rows with a valid position."""
        with self._lock:
            if self._base is None:
                self._base = self._build()
            return self._base

    @property
    def invalid(self) -> int:
        """Number of rows without a valid position."""
        return self.rows - self.base.keys.size

    def _build(self) -> View:
        ra, dec = (np.asarray(values, np.float64) for values in self.table.positions())
        valid = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0)
        rows = np.flatnonzero(valid)
        keys = keys_of(ra[rows], dec[rows])
        sort = np.argsort(keys, kind="stable")
        small = np.uint32 if ra.size < 1 << 32 else np.int64
        return View(self, (), np.ascontiguousarray(keys[sort]), rows[sort].astype(small))

    def view(self, where: tuple[Where, ...]) -> View:
        """Return the rows for which every filter holds."""
        base = self.base
        if not where:
            return base
        name = ("view", *(w.text for w in where))

        def make() -> tuple[IntArray, NDArray[Any]]:
            mask = np.ones(self.rows, np.bool_)
            for condition in where:
                mask &= condition.mask(self.raw)
            keep = mask[base.order]
            return base.keys[keep], base.order[keep]

        keys, order = self.cached(name, make)
        return View(self, where, keys, order)

    def positions(self) -> tuple[FloatArray, FloatArray]:
        """Return ICRS ra and dec of all rows in table order, degrees."""
        return self.cached(("positions",), self.table.positions)

    def raw(self, column: str) -> AnyArray:
        """Return a column as the table gives it, in table order.

        ChangedError when the table is not any more what the index was made from.
        """

        def make() -> AnyArray:
            values = np.asarray(self.table.column(column))
            if values.shape[0] != self.rows or self.table.version() != self.version:
                raise ChangedError(self.table.name, "changed since it was opened: open it again")
            return values

        return self.cached(("raw", column), make)

    def numbers(self, column: str) -> FloatArray:
        """Return a numeric column as float64 in table order; InputError for other kinds."""
        raw = self.raw(column)
        if raw.ndim != 1 or raw.dtype.kind not in "biuf":
            msg = f"column {column!r} does not hold numbers (it holds {_kind(raw)})"
            raise InputError(msg)
        return raw.astype(np.float64)

    def categories(self, column: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Return category numbers in table order (-1: none) and the category names."""
        return self.cached(("categories", column), lambda: self._categories(column))

    def _categories(self, column: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        raw = self.raw(column)
        values = raw.tolist()
        names = sorted({v for v in values if not _is_missing(v)}, key=_category_order)
        if raw.ndim != 1 or len(names) > MAX_CATEGORIES:
            msg = (
                f"column {column!r} has {len(names):,} different values: "
                f"count_cat takes at most {MAX_CATEGORIES}"
            )
            raise InputError(msg)
        number = {name: i for i, name in enumerate(names)}
        codes = np.fromiter((number.get(v, -1) for v in values), np.int32, len(values))
        return codes, tuple(_text(name) for name in names)

    def cached(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return what `make` made under `key`, calling it again only if it had to be dropped."""
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return cast("T", self._cache[key][0])
            value = make()
            size = _bytes_of(value)
            self._cache[key] = value, size
            self._size += size
            while self._size > CACHE_BYTES and len(self._cache) > 1:
                self._size -= self._cache.popitem(last=False)[1][1]
            return value


def _bytes_of(value: object) -> int:
    if isinstance(value, np.ndarray):
        return value.size * TEXT_BYTES if value.dtype.kind == "O" else value.nbytes
    if isinstance(value, tuple):
        return sum(_bytes_of(part) for part in cast("Iterable[object]", value))
    return 256


def _is_missing(value: object) -> bool:
    return value is None or value != value  # NaN


def _category_order(value: object) -> tuple[bool, Any]:
    return isinstance(value, str), value if isinstance(value, int | float | str) else str(value)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(values: AnyArray) -> str:
    if values.ndim != 1:
        return f"arrays of shape {values.shape[1:]}"
    return {"O": "text", "U": "text", "S": "text", "T": "text"}.get(
        values.dtype.kind, str(values.dtype)
    )
