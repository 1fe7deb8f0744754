"""`Columns` of tables in memory: astropy, pandas, dicts of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np

from skyshade.errors import UnsupportedError, one_line
from skyshade.loaders.arrow import from_numpy
from skyshade.loaders.columns import null_objects
from skyshade.loaders.memory import ArrayColumns, HeldColumn
from skyshade.types import AnyArray


def mapping_columns(item: Mapping[str, Any] | AnyArray) -> ArrayColumns:
    """Return the one-dimensional columns of a dict, or of a structured array."""
    keys = item.dtype.names if isinstance(item, np.ndarray) else item
    columns: dict[str, HeldColumn] = {}
    units: dict[str, str] = {}
    for key in keys or ():
        column = item[key]
        if np.ndim(column) != 1:
            continue
        name = str(key)
        columns[name] = ObjectColumn(column)
        if unit := getattr(column, "unit", None):
            units[name] = one_line(unit, 60)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{k}: {n}" for k, n in list(lengths.items())[:10])
        raise UnsupportedError("table", f"columns of different lengths ({listed})")
    return ArrayColumns(columns, units=units)


def astropy_columns(table: Any) -> ArrayColumns:
    """Return the columns of an astropy Table; a SkyCoord column gives ra and dec."""
    columns: dict[str, Any] = {}
    units: dict[str, str] = {}
    for name in table.colnames:
        column = table[name]
        if type(column).__name__ == "SkyCoord":
            place = column.icrs
            columns.setdefault("ra", np.asarray(place.ra.deg))
            columns.setdefault("dec", np.asarray(place.dec.deg))
        elif type(column).__name__ == "Time" and column.ndim == 1:
            columns[str(name)] = ObjectColumn(column.datetime64)
        elif getattr(column, "ndim", 1) == 1:
            columns[str(name)] = ObjectColumn(column)
            if unit := getattr(column, "unit", None):
                units[str(name)] = one_line(unit, 60)
    return ArrayColumns(columns, units=units, rows=len(table))


class ObjectColumn:
    """A `HeldColumn` of any library: of astropy (masked, with units), pandas, a list.

    Parameters
    ----------
    column : array-like, shape (rows,)
    """

    def __init__(self, column: Any) -> None:
        listed = isinstance(column, list | tuple)
        self._column, self._lock = np.asarray(column) if listed else column, Lock()
        self._whole: Any = None

    def __len__(self) -> int:
        return len(self._column)

    def numpy(self, start: int, stop: int) -> AnyArray:
        """Return rows: numbers (null is NaN), or objects (null is None)."""
        return plain(self._rows(start, stop))

    def arrow(self, start: int, stop: int) -> Any:
        """Return rows; the type of objects is that of all rows together."""
        if _is_pandas(self._column):
            if self._column.dtype == object:
                return self._held(start, stop)
            return pandas_arrow(self._rows(start, stop))
        data, missing = _bare(self._rows(start, stop))
        if data.dtype.kind in "fiubM":
            return from_numpy(data, missing)
        return self._held(start, stop)

    def _rows(self, start: int, stop: int) -> Any:
        column = self._column
        return column.iloc[start:stop] if hasattr(column, "iloc") else column[start:stop]

    def _held(self, start: int, stop: int) -> Any:
        with self._lock:
            if self._whole is None:
                self._whole = from_numpy(plain(self._column))
            return self._whole.slice(start, stop - start)


def pandas_arrow(series: Any) -> Any:
    """Return a pandas Series as an arrow array; NaN of numbers stays NaN, else it is null."""
    import pyarrow as pa  # noqa: PLC0415 (pandas is there already)

    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "fiubM":
        return from_numpy(series.to_numpy())
    return pa.Array.from_pandas(series)


def plain(column: Any) -> AnyArray:
    """Return a column of any library as numbers (null is NaN) or objects (null is None)."""
    if _is_pandas(column):
        return _from_pandas(column)
    array, mask = _bare(column)
    if array.dtype.kind in "fiubmM":
        if mask is None:
            return array.astype(array.dtype.newbyteorder("="), copy=False)
        values = array.astype(np.float64)
        values[mask] = np.nan
        return values
    items = [_text(item) for item in array.tolist()]
    if mask is not None:
        items = [None if gone else item for item, gone in zip(items, mask.tolist(), strict=True)]
    return null_objects(items)


def _is_pandas(column: Any) -> bool:
    return hasattr(column, "to_numpy") and hasattr(column, "isna")


def _bare(column: Any) -> tuple[AnyArray, AnyArray | None]:
    """Return the data of a column without units, and its mask where something is masked."""
    column = getattr(column, "value", column) if hasattr(column, "unit") else column
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    return np.asarray(np.ma.getdata(column)), mask if mask is not None and mask.any() else None


def _from_pandas(column: Any) -> AnyArray:
    missing = column.isna().to_numpy()
    kind = getattr(column.dtype, "kind", "O")
    if kind in "fiub":
        if missing.any():
            return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
        return np.asarray(column.to_numpy())
    if kind in "mM" and isinstance(column.dtype, np.dtype):
        return np.asarray(column.to_numpy())
    items = [None if gone else i for i, gone in zip(column.tolist(), missing.tolist(), strict=True)]
    return null_objects(items)


def _text(item: object) -> object:
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else item
