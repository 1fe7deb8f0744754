"""`SkyTable` as a lazy dask DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skyshade.loaders.tables import SkyTable
from skyshade.types import AnyArray, RowRange

ROWS = 262_144  # of a partition


def to_dask(table: SkyTable) -> Any:
    """Return ra and dec (ICRS degrees) and then all other columns; attrs: guess, units, name.

    A column of the table that is called ra or dec itself gives way to the new one.
    """
    import dask.dataframe as dd  # noqa: PLC0415 (a second; not on the tile path)

    part = _Partition(table)
    meta = part((0, 0))
    ranges = table.chunks(ROWS) or [RowRange(0, 0)]
    frame = dd.from_map(part, ranges, meta=meta, enforce_metadata=False)
    frame.attrs = {"guess": table.guess, "units": dict(table.units), "name": table.name}
    return frame


class _Partition:
    """Reads one range of rows; dask passes `columns` when only some are needed."""

    def __init__(self, table: SkyTable) -> None:
        self._table = table

    def __dask_tokenize__(self) -> tuple[str, str]:
        return type(self).__name__, self._table.version()

    def __call__(self, rows: tuple[int, int], columns: Sequence[str] | None = None) -> Any:
        import pandas as pd  # noqa: PLC0415 (not on the tile path)

        others = [c for c in self._table.columns if c not in ("ra", "dec")]
        wanted = ["ra", "dec", *others] if columns is None else list(columns)
        data: dict[str, AnyArray] = {}
        if "ra" in wanted or "dec" in wanted:
            data["ra"], data["dec"] = self._table.positions_of(*rows)
        data |= self._table.read([c for c in wanted if c not in ("ra", "dec")], *rows)
        index = np.arange(*rows)
        return pd.DataFrame({c: data[c] for c in wanted}, index=index)
