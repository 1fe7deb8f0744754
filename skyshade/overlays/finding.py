"""Search sources by name and order them by a column."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skyshade.errors import UnknownNameError
from skyshade.overlays.text import folded, plain_value
from skyshade.types import AnyArray, IntArray

Quality = tuple[bool, bool, int]
KEPT = 4  # orders of a list that are remembered


@dataclass(frozen=True, eq=False)
class Page:
    """Some rows of an ordered and searched list.

    Parameters
    ----------
    rows : ndarray of int64
    offset : int
        Rows before them.
    matches : int
        Rows that the search has found.
    """

    rows: IntArray
    offset: int
    matches: int


class Finder:
    """Finds the rows of one list.

    Parameters
    ----------
    names : sequence of str
    places : mapping of str to ndarray
        ra and dec.
    columns : mapping of str to ndarray
    """

    def __init__(
        self,
        names: Sequence[str],
        places: Mapping[str, AnyArray],
        columns: Mapping[str, AnyArray],
    ) -> None:
        self._names, self._places, self._columns = names, places, columns
        self._orders: dict[tuple[str, bool], IntArray] = {}

    @cached_property
    def _folded(self) -> list[str]:
        return folded(self._names)

    @cached_property
    def _exact(self) -> dict[str, int]:
        named = enumerate(self._folded)
        found: dict[str, int] = {}
        for row, name in named:
            if name and not name.isdigit():  # a row's number is no name to go to
                found.setdefault(name, row)
        return found

    def exact(self, text: str) -> int | None:
        """Return the first source of exactly this name, case apart."""
        return self._exact.get(folded([text])[0])

    def search(self, text: str, limit: int = 20) -> list[int]:
        """Return sources whose name holds a text: equal ones first, then those that begin with it.

        Case does not matter; within a group shorter names come first.
        """
        key = self.quality(text)
        return heapq.nsmallest(limit, self.matching(text).tolist(), key=key)

    def quality(self, text: str) -> Callable[[int], Quality]:
        """Return what tells how well a source's name answers a search: smaller is better."""
        wanted, names = folded([text])[0], self._folded

        def of(row: int) -> Quality:
            name = names[row]
            return name != wanted, not name.startswith(wanted), len(name)

        return of

    def matching(self, text: str) -> IntArray:
        """Return all sources whose name holds a text, in the order of the list."""
        wanted = folded([text])[0]
        if not wanted:
            return np.arange(len(self._names))
        return np.array([i for i, name in enumerate(self._folded) if wanted in name], np.int64)

    def order(self, sort: str, *, descending: bool = False) -> IntArray:
        """Return the rows in the order of a column (or name, ra, dec); missing values come last.

        Raises
        ------
        UnknownNameError
            When there is no such column.
        """
        key = sort, descending
        found = self._orders.get(key)
        if found is None:
            found = _ordered(self._values(sort), descending)
            self._orders[key] = found
            for old in list(self._orders)[:-KEPT]:
                self._orders.pop(old, None)
        return found

    def _values(self, sort: str) -> AnyArray:
        if sort == "name":
            return np.array(self._folded, dtype=object)
        if sort in self._places:
            return self._places[sort]
        if sort not in self._columns:
            raise UnknownNameError("column", sort, ("name", *self._places, *self._columns))
        return np.asarray(self._columns[sort])

    def page(
        self,
        offset: int,
        limit: int,
        *,
        sort: str = "",
        descending: bool = False,
        search: str = "",
        holding: int | None = None,
    ) -> Page:
        """Return some rows.

        Parameters
        ----------
        offset, limit : int
        sort : str
            A column, "name", "ra" or "dec"; "" keeps the list's own order.
        descending : bool
        search : str
            Text that names must hold.
        holding : int, optional
            Take the page with this row instead of `offset`, if it is among what was found.
        """
        rows = self.order(sort, descending=descending) if sort else np.arange(len(self._names))
        if sort == "" and descending:
            rows = rows[::-1]
        if search.strip():
            chosen = np.zeros(len(self._names), bool)
            chosen[self.matching(search)] = True
            rows = rows[chosen[rows]]
        if holding is not None:
            at = np.flatnonzero(rows == holding)
            offset = int(at[0]) // limit * limit if at.size else offset
        return Page(rows[offset : offset + limit], offset, int(rows.size))


def _ordered(values: AnyArray, descending: bool) -> IntArray:
    """Return a stable order in which NaN, None and "" come last."""
    if values.dtype.kind in "fiub":
        numbers = np.asarray(values, np.float64) if values.dtype.kind in "fb" else values
        missing = np.isnan(numbers) if numbers.dtype.kind == "f" else np.zeros(numbers.size, bool)
        ranks = np.unique(numbers, return_inverse=True)[1].reshape(-1)
    else:
        plain = [plain_value(value) for value in values.tolist()]
        missing = np.array([value is None or value == "" for value in plain], bool)
        ranks = _ranks(plain)
    ranks = np.where(missing, 0, -ranks if descending else ranks)
    return np.lexsort((ranks, missing))


def _ranks(values: Sequence[object]) -> IntArray:
    """Return where values of any kind stand: numbers before texts, case apart."""

    def key(value: object) -> tuple[int, float, str]:
        if isinstance(value, bool | int | float):
            return 0, float(value), ""
        return 1, 0.0, str(value).casefold()

    keyed = [key(value) for value in values]
    places = {k: i for i, k in enumerate(sorted(set(keyed)))}
    return np.array([places[k] for k in keyed], np.int64)
