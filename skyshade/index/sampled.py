"""A sample of the rows of a large table, as a table: enough for a first picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skyshade.index.arrow import to_numpy
from skyshade.index.described import Described
from skyshade.types import DEC, RA, AnyArray, ChunkedTable, FloatArray, IntArray, RowRange

ROWS = 1 << 19
LOOKED_AT = 1 << 22  # rows that are decoded for it
PIECES = 512
PIECE_ROWS = 1 << 20


class SampleTable(Described):
    """Every n-th row of the first ones of pieces that are spread evenly over a table.

    Columns are read when they are asked for. Rows that lie together in the file often lie together
    on the sky, so that few whole pieces would not do.

    Parameters
    ----------
    table : ChunkedTable
    rows : int
        About how many.
    """

    table: ChunkedTable

    def __init__(self, table: ChunkedTable, rows: int = ROWS) -> None:
        self.table = table
        pieces = [p for p in table.chunks(PIECE_ROWS, columns=()) if p.stop > p.start]
        if len(pieces) > PIECES:
            pieces = [pieces[i] for i in np.linspace(0, len(pieces) - 1, PIECES).astype(int)]
        each = max(LOOKED_AT // max(len(pieces), 1), 1)
        pieces = [RowRange(p.start, min(p.start + each, p.stop)) for p in pieces]
        self._step = max(sum(p.stop - p.start for p in pieces) // rows, 1)
        self._pieces = pieces
        parts = [np.arange(p.start, p.stop, self._step) for p in pieces]
        self.rows: IntArray = np.concatenate(parts) if parts else np.empty(0, np.int64)

    @property
    def factor(self) -> float:
        """How many rows of the table one row of the sample stands for."""
        return len(self.table) / max(len(self), 1)

    def version(self) -> str:
        """Return the version of the table."""
        return self.table.version()

    def __len__(self) -> int:
        return self.rows.size

    def positions(self) -> tuple[FloatArray, FloatArray]:
        """Return ICRS ra and dec in degrees, shape (rows,)."""
        read = [self._thinned(piece, ()) for piece in self._pieces]
        ra, dec = (_joined([table.column(name) for table in read]) for name in (RA, DEC))
        return ra.astype(np.float64), dec.astype(np.float64)

    def column(self, name: str) -> AnyArray:
        """Return one column, shape (rows,)."""
        return _joined([self._thinned(piece, (name,)).column(name) for piece in self._pieces])

    def _thinned(self, piece: RowRange, columns: Sequence[str]) -> Any:
        table = self.table.read_chunk(piece.start, piece.stop, columns)
        return table.take(np.arange(0, piece.stop - piece.start, self._step))


def _joined(parts: Sequence[Any]) -> AnyArray:
    return np.concatenate([to_numpy(part) for part in parts]) if parts else np.empty(0)
