"""Pixels and columns that are in memory already, or behind an object that computes slices."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skyshade.loaders.tables import HeldColumns
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
    """`Columns` of arrays in memory, or of functions that give them.

    Parameters
    ----------
    columns : mapping of str to ndarray or function
        A function is called each time its column is read.
    version : str
    units : mapping, optional
    rows : int, optional
        Needed where all are functions.
    """

    def __init__(
        self,
        columns: Mapping[str, AnyArray | Callable[[], AnyArray]],
        version: str = "",
        units: Mapping[str, str] | None = None,
        rows: int | None = None,
    ) -> None:
        self._columns, self._units = dict(columns), dict(units or {})
        self._version = version or fresh_version()
        self._rows = min((len(c) for c in columns.values() if not callable(c)), default=rows or 0)

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop."""
        found = {}
        for name in names:
            column = self._columns[name]
            found[name] = (column() if callable(column) else column)[start:stop]
        return found
