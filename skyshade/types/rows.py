"""Rows of catalogues that are sorted by place: what the index gives and the layers take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from skyshade.types.lattice import AnyArray, Coverage, FloatArray, IntArray, Tile
from skyshade.types.values import Quality

RA, DEC = "_ra", "_dec"  # names of the ICRS positions among the columns of a block


class State(NamedTuple):
    """What is kept of the rows of a pixel, so that pixels can be merged.

    Parameters
    ----------
    kind : {"count", "present", "sum", "moments", "min", "max", "category"}
        ``count``: rows. ``present``: rows that have a value (also a text) in `column`. ``sum``:
        number and sum of the values; ``moments``: number, mean and sum of squared differences from
        it; ``min``, ``max``: number and extreme. ``category``: rows of every category. NaN is no
        value.
    column : str
        "" for ``count``.
    """

    kind: str
    column: str = ""

    @property
    def label(self) -> str:
        """Name in manifests, e.g. ``"sum:vt"``."""
        return f"{self.kind}:{self.column}" if self.column else self.kind


@dataclass(frozen=True, slots=True, eq=False)
class StateArrays:
    """The state of every pixel of a window or tile; row 0 on top.

    Parameters
    ----------
    n : ndarray of unsigned integers, shape (y, x) or (y, x, categories)
        Number of rows or values.
    a, b : ndarray of float64, shape (y, x), optional
        ``sum``: a. ``min``, ``max``: a (NaN where n is 0). ``moments``: a the mean, b the sum of
        squared differences from it.
    quality : {"exact", "sample", ...}
    """

    n: NDArray[Any]
    a: FloatArray | None = None
    b: FloatArray | None = None
    quality: Quality = "exact"


@dataclass(frozen=True, slots=True, eq=False)
class RowBlock:
    """Some rows in the order of their keys.

    Parameters
    ----------
    keys : ndarray of int64, shape (n,)
        Sorted (see `skyshade.geometry.keys`).
    rows : ndarray of integers, shape (n,)
        Numbers of the rows; `RowView.take` gives their columns.
    columns : mapping of str to ndarray, shape (n,)
        As in `PointTable.column`; `RA` and `DEC` are float64.
    codes : mapping of str to ndarray of int32, shape (n,)
        Category numbers, -1 for none.
    """

    keys: IntArray
    rows: NDArray[Any]
    columns: Mapping[str, AnyArray] = field(default_factory=dict)
    codes: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What is known of all valid rows of a catalogue.

    Parameters
    ----------
    coverage : Coverage
        The sky rectangle that they lie in.
    max_zoom : int
        First level (8 to 22) on which hardly any two positions share a pixel.
    level : int
        Deepest level (-5 to 12) whose occupied pixels hold eight rows on average.
    categories : mapping of str to tuple of str
        Columns that have few different values, and those.
    """

    coverage: Coverage
    max_zoom: int
    level: int
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class TextCodes(NamedTuple):
    """A column of texts as numbers, so that a filter looks at every different text once.

    Parameters
    ----------
    codes : ndarray of integers, shape (n,)
        Numbers in `names`, -1 for none.
    names : sequence of str
        In any order; what is no text is missing.
    """

    codes: NDArray[Any]
    names: Sequence[Any]


class RowFilter(Protocol):
    """A condition on columns; `skyshade.layers.where.Where` is the one form."""

    @property
    def text(self) -> str:
        """The condition as the user wrote it."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it reads."""
        ...

    def mask(self, column: Callable[[str], AnyArray | TextCodes]) -> NDArray[np.bool_]:
        """Return which rows pass; `column` gives the values of a column by its name."""
        ...


class RowView(Protocol):
    """The rows of a catalogue that pass a filter, sorted by key; thread-safe."""

    @property
    def name(self) -> tuple[str, ...]:
        """The texts of the filters; () for all rows with a valid position."""
        ...

    @property
    def level(self) -> int:
        """The sampling level of these rows, see `RowFacts.level`."""
        ...

    def blocks(
        self, ranges: IntArray, columns: Collection[str] = (), codes: Collection[str] = ()
    ) -> Iterator[RowBlock]:
        """Yield the rows of key ranges, each block sorted, all with the columns asked for.

        Parameters
        ----------
        ranges : ndarray of int64, shape (n, 2)
            [first, end) of keys, in order, not overlapping.
        columns : collection of str
            Of the table, `RA` and `DEC`.
        codes : collection of str
            Columns whose category numbers are wanted.
        """
        ...

    def take(self, rows: IntArray, columns: Collection[str]) -> dict[str, AnyArray]:
        """Return columns (also `RA`, `DEC`) of rows by their numbers, in the order given."""
        ...

    def plane(self, tile: Tile, state: State, grid: str = "sky") -> StateArrays | None:
        """Return the state of a tile, shape (256, 256), where that is better than its rows.

        None means that the tile has few enough rows to be computed from them (`blocks`), or that
        there are no planes of this grid.
        """
        ...

    def has_planes(self, state: State, grid: str) -> bool:
        """Return whether the state of every tile of a grid with many rows is stored."""
        ...

    def many(self, ranges: IntArray) -> bool:
        """Return whether key ranges hold so many rows that reading them takes long."""
        ...

    def ready(self, state: State) -> bool:
        """Return whether `plane` gives exact numbers of a state by now."""
        ...

    def wait(self, state: State, timeout: float | None = None) -> None:
        """Return when it does; TimeoutError if that takes longer than `timeout` seconds."""
        ...

    @property
    def rough(self) -> RowView:
        """A view that answers everything at once: this one, or a sample of its rows."""
        ...

    def cells(self, z: int) -> tuple[IntArray, IntArray]:
        """Return the occupied cells of a lattice level, in key order, and their numbers of rows.

        A cell is a key without its ``key_shift(z)`` last bits.
        """
        ...

    def categories(self, column: str) -> tuple[str, ...]:
        """Return the sorted names of a column's values; InputError when there are too many."""
        ...


class RowIndex(Protocol):
    """A catalogue whose rows are sorted by place, in memory or on disk."""

    @property
    def name(self) -> str:
        """Title of the catalogue."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """All columns of the original table, in its order."""
        ...

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        ...

    @property
    def guess(self) -> str:
        """How the coordinates were found."""
        ...

    @property
    def frame(self) -> str:
        """Frame of the original coordinates; positions are ICRS whatever it is."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Warnings that a user should read."""
        ...

    @property
    def invalid(self) -> int:
        """Rows without a valid position."""
        ...

    @property
    def facts(self) -> RowFacts:
        """What is known of all valid rows."""
        ...

    def __len__(self) -> int:
        """Return the number of rows, those without a valid position included."""
        ...

    def version(self) -> str:
        """Return a short text that changes when the rows change."""
        ...

    def view(self, filters: Sequence[RowFilter] = ()) -> RowView:
        """Return the rows for which every filter holds."""
        ...

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called whenever planes of a view became exact."""
        ...

    def cached(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return what `make` made under `key`, calling it again only if it had to be dropped."""
        ...
