"""Columns of FITS tables by bounded reads: only the bytes of the rows asked for, never the heap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from skyshade.errors import DataError
from skyshade.loaders.columns import NoStatistics, extremes
from skyshade.loaders.fits_fields import Field, read_fields
from skyshade.loaders.fits_headers import Hdu
from skyshade.storage import ByteFile
from skyshade.types import AnyArray

_CHUNK = 8 << 20  # bytes of rows read at once
_SPOTS, _SPOT = 16, 256  # places, and rows at each of them, that tell what a column is like


class FitsColumns(NoStatistics):
    """`Columns` of a binary or ASCII table.

    Vector columns and variable-length ones are left out of `names` (they have no single value).

    Parameters
    ----------
    file : ByteFile
    hdu : Hdu

    Raises
    ------
    DataError
        Truncated, or columns that do not fit into a row.
    """

    def __init__(self, file: ByteFile, hdu: Hdu) -> None:
        self._file, self._part, self._start = file, hdu.part, hdu.stop
        if len(hdu.axes) != 2:
            raise DataError(file.name, f"table with NAXIS = {len(hdu.axes)}", hdu.part)
        self._pitch, self._rows = hdu.axes
        need = self._pitch * self._rows
        if hdu.present < need:
            raise DataError(file.name, f"truncated: {hdu.present} of {need} bytes", hdu.part)
        try:
            self._fields, self._units = read_fields(hdu.header, hdu.kind == "TABLE", self._pitch)
        except ValueError as error:
            raise DataError(file.name, str(error), hdu.part) from error
        self._label = f"-{hdu.index}"

    @property
    def names(self) -> Sequence[str]:
        """Columns of one number or text a row."""
        return tuple(self._fields)

    @property
    def units(self) -> Mapping[str, str]:
        """TUNITn of the columns that have one."""
        return self._units

    @property
    def breaks(self) -> Sequence[int]:
        """Nothing but both ends: any row is as good as another."""
        return 0, self._rows

    def __len__(self) -> int:
        return self._rows

    def version(self) -> str:
        """Return a short text that changes with the file; differs between tables."""
        return f"{self._file.version()}{self._label}"

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop.

        Raises
        ------
        ChangedError
            The file changed while it was read.
        """
        stop = self._rows if stop is None else min(stop, self._rows)
        parts = self._parts(names, start, stop, Field.decode)
        return {name: _joined(part) for name, part in parts.items()}

    def schema(self) -> Any:
        """Return the schema of all columns."""
        import pyarrow as pa  # noqa: PLC0415

        types = {name: f.arrow(_no_bytes(f.width)).type for name, f in self._fields.items()}
        return pa.schema(types)

    def read_arrow(self, names: Sequence[str], start: int, stop: int) -> Any:
        """Return rows start..stop; stored nulls (TNULL) are null, also of integers."""
        import pyarrow as pa  # noqa: PLC0415

        parts = self._parts(names, start, min(stop, self._rows), Field.arrow)
        return pa.table({name: pa.chunked_array(part) for name, part in parts.items()})

    def row_bytes(self, names: Sequence[str]) -> float:
        """Return the bytes that a row of some columns takes in memory, at most."""
        return sum(max(8, self._fields[name].width + 4) for name in names)

    def bounds(self, name: str) -> tuple[float, float] | None:
        """Return the extremes of a sample of rows that are spread over the table."""
        step = max(1, self._rows // _SPOTS)
        spots = [self.read([name], at, at + _SPOT)[name] for at in range(0, self._rows, step)]
        return extremes(np.concatenate(spots)) if spots else None

    def _parts(
        self, names: Sequence[str], start: int, stop: int, turn: Callable[[Field, AnyArray], Any]
    ) -> dict[str, list[Any]]:
        """Return columns in pieces, the first one empty."""
        fields = {name: self._fields[name] for name in names}
        parts = {name: [turn(f, _no_bytes(f.width))] for name, f in fields.items()}
        before = self._file.stamp()
        for rows in self._chunks(start, stop):
            for name, field in fields.items():
                raw = rows[:, field.offset : field.offset + field.width]
                parts[name].append(turn(field, raw))
        self._file.check(before)
        return parts

    def _chunks(self, start: int, stop: int) -> Iterator[AnyArray]:
        """Yield the bytes of rows, shape (rows, bytes a row)."""
        step = max(1, _CHUNK // max(1, self._pitch))
        for at in range(start, stop, step):
            count = min(step, stop - at)
            buffer = np.empty((count, self._pitch), np.uint8)
            if self._file.read_into(buffer, self._start + at * self._pitch) < buffer.size:
                raise DataError(self._file.name, "the file became shorter", self._part)
            yield buffer


def _no_bytes(width: int) -> AnyArray:
    return np.empty((0, width), np.uint8)


def _joined(parts: list[AnyArray]) -> AnyArray:
    """Concatenate; nulls in one chunk may have made it float64, then all are."""
    return np.concatenate(parts[1:]) if len(parts) > 1 else parts[0]
