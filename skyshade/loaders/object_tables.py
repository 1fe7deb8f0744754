"""`Columns` of tables in memory: astropy, pandas, dask, dicts of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skyshade.errors import UnsupportedError, one_line
from skyshade.loaders.memory import ArrayColumns, fresh_version
from skyshade.loaders.tables import null_objects
from skyshade.types import AnyArray


def mapping_columns(item: Mapping[str, Any] | AnyArray) -> ArrayColumns:
    """Return the one-dimensional columns of a dict, or of a structured array."""
    keys = item.dtype.names if isinstance(item, np.ndarray) else item
    columns: dict[str, Callable[[], AnyArray]] = {}
    units: dict[str, str] = {}
    lengths: dict[str, int] = {}
    for key in keys or ():
        column = item[key]
        if np.ndim(column) != 1:
            continue
        name = str(key)
        columns[name] = _getter(column)
        lengths[name] = len(column)
        if unit := getattr(column, "unit", None):
            units[name] = one_line(unit, 60)
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{k}: {n}" for k, n in list(lengths.items())[:10])
        raise UnsupportedError("table", f"columns of different lengths ({listed})")
    return ArrayColumns(columns, units=units, rows=next(iter(lengths.values()), 0))


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
        elif getattr(column, "ndim", 1) == 1:
            columns[str(name)] = _getter(column)
            if unit := getattr(column, "unit", None):
                units[str(name)] = one_line(unit, 60)
    return ArrayColumns(columns, units=units, rows=len(table))


def dask_columns(frame: Any) -> DaskColumns:
    """Return the columns of a dask DataFrame."""
    return DaskColumns(frame)


class DaskColumns:
    """`Columns` of a dask DataFrame: a read computes the columns asked for, nothing else."""

    def __init__(self, frame: Any) -> None:
        self._frame, self._version = frame, fresh_version()
        self._rows: int | None = None

    @property
    def names(self) -> Sequence[str]:
        """Names of all columns."""
        return tuple(str(c) for c in self._frame.columns)

    @property
    def units(self) -> Mapping[str, str]:
        """Nothing: dask frames carry no units."""
        return {}

    def __len__(self) -> int:
        if self._rows is None:
            self._rows = len(self._frame)
        return self._rows

    def version(self) -> str:
        """Return a text that is the object's own."""
        return self._version

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop."""
        keys = {str(c): c for c in self._frame.columns}
        found = self._frame[[keys[n] for n in names]].compute()
        return {n: plain(found[keys[n]])[start:stop] for n in names}


def _getter(column: Any) -> Callable[[], AnyArray]:
    return lambda: plain(column)


def plain(column: Any) -> AnyArray:
    """Return a column of any library as numbers (null is NaN) or objects (null is None)."""
    if hasattr(column, "to_numpy") and hasattr(column, "isna"):
        return _from_pandas(column)
    column = getattr(column, "value", column) if hasattr(column, "unit") else column
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    array = np.asarray(np.ma.getdata(column))
    if array.dtype.kind in "fiubmM":
        if mask is None or not mask.any():
            return array.astype(array.dtype.newbyteorder("="), copy=False)
        values = array.astype(np.float64)
        values[mask] = np.nan
        return values
    items = [_text(item) for item in array.tolist()]
    if mask is not None:
        items = [None if gone else item for item, gone in zip(items, mask.tolist(), strict=True)]
    return null_objects(items)


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
