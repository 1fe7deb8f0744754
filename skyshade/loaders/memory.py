"""Pixels and columns that are in memory already, or behind an object that computes slices."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np

from skyshade.loaders.arrow import fitted, from_numpy, plain_schema
from skyshade.loaders.columns import HeldColumns
from skyshade.types import AnyArray

_count = itertools.count()
_session = secrets.token_hex(4)


def fresh_version() -> str:
    """Return a version that no other object of any process has."""
    return f"{_session}{next(_count):x}"


class PlaneOf:
    """One plane of an array of three dimensions or more; nothing is cut out before it is read."""

    def __init__(self, array: Any, index: tuple[int, ...]) -> None:
        self._array, self._index = array, index
        self.shape, self.dtype = array.shape[-2:], array.dtype

    def __getitem__(self, key: tuple[slice, ...]) -> Any:
        return self._array[(*self._index, *key)]


class ArrayReader:
    """A `PixelReader` of anything that takes slices: numpy, dask, zarr, ``DataArray.variable``.

    Only the boxes asked for are computed. Masked values and Inf become NaN.

    Parameters
    ----------
    array : array-like of two dimensions
        Has `shape`, `dtype` and ``__getitem__`` with slices.
    """

    def __init__(self, array: Any) -> None:
        self._array, self._version = array, fresh_version()
        stored = np.dtype(array.dtype)
        narrow = stored.itemsize < 4 or (stored.kind == "f" and stored.itemsize == 4)
        self._dtype = np.dtype(np.float32 if narrow else np.float64)

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        ny, nx = self._array.shape
        return int(ny), int(nx)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._dtype

    def version(self) -> str:
        """Return a text that is the object's own; changes of its pixels are not seen."""
        return self._version

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> AnyArray:
        """Return pixels ``[y0:y1:step, x0:x1:step]``; missing ones are NaN."""
        box = self._array[max(0, y0) : max(0, y1) : step, max(0, x0) : max(0, x1) : step]
        return as_pixels(box, self._dtype)


def as_pixels(box: Any, dtype: np.dtype[Any]) -> AnyArray:
    """Return a fresh native float array; masked values and Inf are NaN."""
    if not isinstance(box, np.ma.MaskedArray):
        box = np.asarray(box)
    mask = np.ma.getmask(box)
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(np.ma.getdata(box), dtype)
    if mask is not np.ma.nomask:
        values[mask] = np.nan
    infinite = np.isinf(values)
    if infinite.any():
        values[infinite] = np.nan
    return values


class ArrayColumns(HeldColumns):
    """`Columns` of arrays in memory.

    Parameters
    ----------
    columns : mapping of str to ndarray or HeldColumn
    version : str
    units : mapping, optional
    rows : int, optional
        Needed where there are no columns.
    """

    def __init__(
        self,
        columns: Mapping[str, AnyArray | HeldColumn],
        version: str = "",
        units: Mapping[str, str] | None = None,
        rows: int = 0,
    ) -> None:
        self._columns: dict[str, HeldColumn] = {
            name: ArrayColumn(column) if isinstance(column, np.ndarray) else column
            for name, column in columns.items()
        }
        self._units, self._version = dict(units or {}), version or fresh_version()
        self._rows = min((len(c) for c in self._columns.values()), default=rows)
        self._lock, self._schema = Lock(), None

    def schema(self) -> Any:
        """Return the schema of all columns, found out once."""
        import pyarrow as pa  # noqa: PLC0415

        with self._lock:
            if self._schema is None:
                fields = [pa.field(n, c.arrow(0, 0).type) for n, c in self._columns.items()]
                self._schema = plain_schema(fields)
            return self._schema

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop."""
        stop = self._rows if stop is None else min(stop, self._rows)
        return {name: self._columns[name].numpy(start, max(start, stop)) for name in names}

    def read_arrow(self, names: Sequence[str], start: int, stop: int) -> Any:
        """Return rows start..stop."""
        import pyarrow as pa  # noqa: PLC0415

        stop = max(start, min(stop, self._rows))
        found = pa.table({name: self._columns[name].arrow(start, stop) for name in names})
        return fitted(found, pa.schema([self.schema().field(n) for n in names]), "table")


class HeldColumn(Protocol):
    """One column in memory, of any library."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def numpy(self, start: int, stop: int) -> AnyArray:
        """Return rows: numbers (null is NaN), or objects (null is None)."""
        ...

    def arrow(self, start: int, stop: int) -> Any:
        """Return rows as an arrow array of one type, whichever rows they are."""
        ...


class ArrayColumn:
    """A `HeldColumn` of an array of numbers or objects.

    Parameters
    ----------
    array : ndarray, shape (rows,)
    """

    def __init__(self, array: AnyArray) -> None:
        self._array, self._lock = array, Lock()
        self._whole: Any = None

    def __len__(self) -> int:
        return len(self._array)

    def numpy(self, start: int, stop: int) -> AnyArray:
        """Return rows, a view."""
        return self._array[start:stop]

    def arrow(self, start: int, stop: int) -> Any:
        """Return rows; the type of objects is that of all rows together."""
        if self._array.dtype.kind in "fiubM":
            return from_numpy(self._array[start:stop])
        with self._lock:
            if self._whole is None:
                self._whole = from_numpy(self._array)
            return self._whole.slice(start, stop - start)
