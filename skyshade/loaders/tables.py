"""Tables with a place on the sky, whatever holds their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from skyshade.errors import UnknownNameError
from skyshade.loaders.coordinates import Coordinates, find
from skyshade.loaders.source import Options
from skyshade.types import AnyArray, FloatArray


class Columns(Protocol):
    """Lazy columns: what each table format implements."""

    @property
    def names(self) -> Sequence[str]:
        """Columns of one number or text a row, in order."""
        ...

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def version(self) -> str:
        """Return a short text that changes when the rows change."""
        ...

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return columns of rows start..stop: numbers (null is NaN), or objects (null is None)."""
        ...


class HeldColumns:
    """What `Columns` that are held whole have in common; subclasses fill the fields and read."""

    _columns: Mapping[str, Any]
    _units: Mapping[str, str]
    _rows: int
    _version: str

    @property
    def names(self) -> Sequence[str]:
        """Names of all columns, one value a row each."""
        return tuple(self._columns)

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        return self._units

    def __len__(self) -> int:
        return self._rows

    def version(self) -> str:
        """Return the version given."""
        return self._version


class SkyTable:
    """A `PointTable` on any `Columns`.

    Parameters
    ----------
    columns : Columns
    coordinates : Coordinates
    name : str
    notes : tuple of str
        Warnings that a user should read.
    """

    def __init__(
        self, columns: Columns, coordinates: Coordinates, name: str, notes: tuple[str, ...] = ()
    ) -> None:
        self._columns, self._coordinates = columns, coordinates
        self._name, self.notes = name, notes

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
        return cls(columns, coordinates, stem)

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
        return tuple(self._columns.names)

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        return self._columns.units

    @property
    def guess(self) -> str:
        """How the coordinates were found."""
        return self._coordinates.guess

    @property
    def frame(self) -> str:
        """Frame of the stored coordinates."""
        return self._coordinates.frame

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
        data = self._columns.read(list(dict.fromkeys((lon, lat))), start, stop)
        return self._coordinates.positions(data[lon], data[lat])

    def column(self, name: str) -> AnyArray:
        """Return one column; UnknownNameError when there is none of that name."""
        return self.read([name])[name]

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> dict[str, AnyArray]:
        """Return several columns of rows start..stop."""
        for name in names:
            if name not in self._columns.names:
                raise UnknownNameError("column", name, self._columns.names)
        return self._columns.read(names, start, stop)


def distinct(names: Sequence[str]) -> list[str]:
    """Return non-empty names that differ: a repeated one gets _2, _3 ..."""
    seen: set[str] = set()
    result = []
    for i, name in enumerate(names):
        base = unique = name or f"col{i + 1}"
        count = 1
        while unique in seen:
            count += 1
            unique = f"{base}_{count}"
        seen.add(unique)
        result.append(unique)
    return result


def null_objects(values: Sequence[object]) -> AnyArray:
    """Return a one-dimensional object array, whatever the items are."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
