"""Tables with a place on the sky, whatever holds their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skyshade.errors import DataError, UnknownNameError
from skyshade.index.arrow import to_numpy
from skyshade.loaders.arrow import from_numpy
from skyshade.loaders.boxes import overlap
from skyshade.loaders.columns import CHUNK_BYTES, Columns, distinct, plan
from skyshade.loaders.coordinates import Coordinates, find
from skyshade.loaders.place_notes import place_notes
from skyshade.loaders.private import MAX_DECODED, in_words
from skyshade.loaders.source import Options
from skyshade.types import DEC, RA, AnyArray, Coverage, FloatArray, RowRange

_PLACE = 16  # bytes of a position
_LEAST = 1024  # rows of a chunk


class SkyTable:
    """A `PointTable` and `ChunkedTable` on any `Columns`.

    A column that is called ``_ra`` or ``_dec`` itself is renamed: chunks have positions under
    these names.

    Parameters
    ----------
    columns : Columns
    coordinates : Coordinates
    name : str
    notes : tuple of str
        Warnings that a user should read.
    max_decoded : int
        Bytes that columns may take when they are read whole.
    """

    def __init__(
        self,
        columns: Columns,
        coordinates: Coordinates,
        name: str,
        notes: tuple[str, ...] = (),
        max_decoded: int = MAX_DECODED,
    ) -> None:
        self._columns, self._coordinates = columns, coordinates
        self._name, self._max_decoded = name, max_decoded
        self.notes = (*notes, *place_notes(columns, coordinates))
        names = list(columns.names)
        self._stored = dict(zip(distinct([RA, DEC, *names])[2:], names, strict=True))

    @classmethod
    def of(
        cls, columns: Columns, stem: str, options: Options, name: str = "", part: str = ""
    ) -> SkyTable:
        """Find the coordinate columns; UnsupportedError when there are none."""
        coordinates = find(
            columns.names,
            columns.units,
            ra=options.ra,
            dec=options.dec,
            frame=options.frame,
            name=name or stem,
            part=part,
        )
        return cls(columns, coordinates, stem, max_decoded=options.max_decoded)

    @property
    def name(self) -> str:
        """File stem or the user's name."""
        return self._name

    def rename(self, name: str) -> None:
        """Give the table another name (several tables of one file)."""
        self._name = name

    @property
    def columns(self) -> Sequence[str]:
        """All columns of the original table, in its order."""
        return tuple(self._stored)

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        units = self._columns.units
        return {name: units[own] for name, own in self._stored.items() if own in units}

    @property
    def guess(self) -> str:
        """How the coordinates were found."""
        return self._coordinates.guess

    @property
    def frame(self) -> str:
        """Frame of the stored coordinates."""
        return self._coordinates.frame

    @property
    def coordinates(self) -> Coordinates:
        """Which columns are longitude and latitude."""
        return self._coordinates

    def version(self) -> str:
        """Return a short text that changes when the rows change."""
        return self._columns.version()

    def __len__(self) -> int:
        return len(self._columns)

    def positions(self) -> tuple[FloatArray, FloatArray]:
        """Return ICRS ra (0..360) and dec in degrees, shape (rows,); NaN where not valid."""
        return self.positions_of(0, len(self))

    def positions_of(self, start: int, stop: int) -> tuple[FloatArray, FloatArray]:
        """Return the positions of rows start..stop."""
        lon, lat = self._coordinates.lon, self._coordinates.lat
        self._check_size(stop - start, _PLACE)
        data = self._columns.read(list(dict.fromkeys((lon, lat))), start, stop)
        return self._coordinates.positions(data[lon], data[lat])

    def column(self, name: str) -> AnyArray:
        """Return one column; UnknownNameError when there is none of that name."""
        return self.read([name])[name]

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return several columns of rows start..stop."""
        own = self._own(names)
        rows = (len(self) if stop is None else stop) - start
        self._check_size(rows, self._columns.row_bytes(own))
        found = self._columns.read(own, start, stop)
        return {name: found[o] for name, o in zip(names, own, strict=True)}

    def schema(self, columns: Sequence[str] | None = None) -> Any:
        """Return the `pyarrow.Schema` of every chunk: ``_ra``, ``_dec``, then the columns."""
        import pyarrow as pa  # noqa: PLC0415

        names = self.columns if columns is None else columns
        stored, units = self._columns.schema(), self.units
        fields = [pa.field(key, pa.float64(), metadata={"unit": "deg"}) for key in (RA, DEC)]
        for name, own in zip(names, self._own(names), strict=True):
            metadata = {"unit": units[name]} if name in units else None
            fields.append(pa.field(name, stored.field(own).type, metadata=metadata))
        return pa.schema(fields)

    def chunks(
        self, rows: int = 1_000_000, columns: Sequence[str] | None = None
    ) -> Sequence[RowRange]:
        """Return ranges of at most `rows` rows that follow one another and cover the table.

        A chunk of the columns takes about 256 MiB at most.
        """
        own = self._own(self.columns if columns is None else columns)
        room = int(CHUNK_BYTES / (_PLACE + self._columns.row_bytes(own)))
        return plan(self._columns.breaks, max(1, min(rows, max(_LEAST, room))))

    def read_chunk(self, start: int, stop: int, columns: Sequence[str] | None = None) -> Any:
        """Return rows as a `pyarrow.Table`: ``_ra``, ``_dec``, then the columns with their types.

        Positions are ICRS degrees (float64), NaN where not valid. `columns` None is all of them.
        """
        import pyarrow as pa  # noqa: PLC0415

        schema = self.schema(columns)
        own = self._own(schema.names[2:])
        lon, lat = self._coordinates.lon, self._coordinates.lat
        stop = max(start, min(stop, len(self)))
        table = self._columns.read_arrow(list(dict.fromkeys((lon, lat, *own))), start, stop)
        places = self._coordinates.positions(
            to_numpy(table.column(lon)), to_numpy(table.column(lat))
        )
        arrays = [from_numpy(values) for values in places]
        return pa.table([*arrays, *(table.column(o) for o in own)], schema=schema)

    def partitions_in(self, coverage: Coverage) -> list[RowRange]:
        """Return the row ranges that may hold rows of a sky rectangle, in order.

        Row groups whose statistics say otherwise are left out, neighbours are joined; where there
        are no statistics, everything may.
        """
        lon, lat, frame = self._coordinates.lon, self._coordinates.lat, self.frame
        boxes = self._columns.boxes(lon, lat) if frame == "icrs" else None
        if boxes is None:
            return [RowRange(0, len(self))] if len(self) else []
        degrees = np.array(self._coordinates.degrees)[[0, 0, 1, 1]]
        breaks, ranges = self._columns.breaks, list[RowRange]()
        for i in np.flatnonzero(overlap(boxes * degrees, coverage)).tolist():
            if breaks[i] == breaks[i + 1]:
                continue
            joined = bool(ranges) and ranges[-1].stop == breaks[i]
            start = ranges.pop().start if joined else breaks[i]
            ranges.append(RowRange(start, breaks[i + 1]))
        return ranges

    def _own(self, names: Sequence[str]) -> list[str]:
        """Return the names that columns have in the file."""
        for name in names:
            if name not in self._stored:
                raise UnknownNameError("column", name, self.columns)
        return [self._stored[name] for name in names]

    def _check_size(self, rows: int, row_bytes: float) -> None:
        size = int(rows * row_bytes)
        if size > self._max_decoded:
            limit = in_words(self._max_decoded)
            cause = f"{rows} rows take {in_words(size)} in memory; at most {limit} (max_decoded)"
            raise DataError(self._name, f"{cause}: make an index of it (skyshade index)")
