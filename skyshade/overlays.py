"""What is drawn over tiles: highlight boxes and lists of sources.

Texts come from files and stay plain text; whoever shows them escapes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from skyshade.errors import DataError, InputError, UnknownNameError, one_line
from skyshade.types import AnyArray, Coverage, FloatArray, PointTable

MAX_FILE = 16 << 20
MAX_NAME, MAX_DESCRIPTION = 200, 2000
LIMIT = 10_000
NAME_COLUMNS = (
    *("name", "source_name", "objname", "designation", "label", "object", "main_id"),
    *("id", "source_id", "objid", "tyc_id"),
)

_KEYS = ("ra_east", "ra_west", "dec_min", "dec_max")
_TILEMAKER = ("top_left_ra", "bottom_right_ra", "bottom_right_dec", "top_left_dec")


@dataclass(frozen=True, slots=True)
class Box:
    """A named rectangle on the sky, ICRS degrees.

    Parameters
    ----------
    name : str
    ra_east, ra_west : float
        It runs from `ra_east` with falling RA to `ra_west` (0..360); ``ra_east`` is the first
        greater value, so ``Box("x", 370, 350, ...)`` crosses RA 0.
    dec_min, dec_max : float
    description : str
    """

    name: str
    ra_east: float
    ra_west: float
    dec_min: float
    dec_max: float
    description: str = ""

    @property
    def coverage(self) -> Coverage:
        """The rectangle alone."""
        return Coverage(self.ra_east, self.ra_west, self.dec_min, self.dec_max)


def box_of(record: object) -> Box:
    """Return a checked box.

    Parameters
    ----------
    record : mapping
        ``name``, ``ra_east``, ``ra_west``, ``dec_min``, ``dec_max`` and ``description``
        (optional), or TileMaker's ``top_left_ra``, ``top_left_dec``, ``bottom_right_ra``,
        ``bottom_right_dec``. Right ascensions may be given modulo 360.

    Raises
    ------
    InputError
        Names the field, its value and what is allowed.
    """
    if not isinstance(record, Mapping):
        msg = f"{_short(record)} is not a box: give an object with name, {', '.join(_KEYS)}"
        raise InputError(msg)
    keys = _TILEMAKER if any(key in record for key in _TILEMAKER) else _KEYS
    east, west, south, north = (_number(record, key) for key in keys)
    for key, dec in ((keys[2], south), (keys[3], north)):
        if not -90.0 <= dec <= 90.0:
            msg = f"{key} {dec!r} is not allowed: give degrees from -90 to 90"
            raise InputError(msg)
    if south >= north:
        msg = f"{keys[2]} {south!r} is not below {keys[3]} {north!r}"
        raise InputError(msg)
    width = 360.0 if abs(east - west) == 360.0 else (east - west) % 360.0
    if width == 0.0:
        msg = f"{keys[0]} {east!r} and {keys[1]} {west!r} are the same: the box has no width"
        raise InputError(msg)
    name = _text(record, "name", MAX_NAME)
    if not name:
        msg = f"name {_short(record.get('name'))} is not allowed: give a text"
        raise InputError(msg)
    start = west % 360.0 % 360.0  # a tiny negative remainder is rounded to 360
    description = _text(record, "description", MAX_DESCRIPTION)
    return Box(name, start + width, start, south, north, description)


def read_boxes(path: str | Path) -> tuple[list[Box], list[str]]:
    """Read highlight boxes from a JSON list.

    Parameters
    ----------
    path : str or Path
        See `box_of` for the records.

    Returns
    -------
    boxes : list of Box
    problems : list of str
        One sentence for every record that was left out; records count from 1.

    Raises
    ------
    DataError
        When the file cannot be read or is not a JSON list.
    """
    path = Path(path)
    boxes: list[Box] = []
    problems: list[str] = []
    for number, record in enumerate(_json_list(path), 1):
        try:
            boxes.append(box_of(record))
        except InputError as error:
            problems.append(one_line(f"{path.name}, record {number}: {error}"))
    return boxes, problems


def _json_list(path: Path) -> list[object]:
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            raise DataError(path.name, f"{size:,} bytes are too many: at most {MAX_FILE:,}")
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(path.name, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise DataError(path.name, f"not JSON: {error}") from error
    if not isinstance(records, list):
        raise DataError(path.name, f"not a JSON list of boxes but {type(records).__name__}")
    return records


def _number(record: Mapping[str, Any], key: str) -> float:
    """Return a finite number of a record."""
    value = record.get(key)
    if value is None:
        msg = f"{key} is missing"
        raise InputError(msg)
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or abs(value) > 1e9 or not math.isfinite(value):
        msg = f"{key} {_short(value)} is not allowed: give a number of degrees"
        raise InputError(msg)
    return float(value)


def _text(record: Mapping[str, Any], key: str, limit: int) -> str:
    value = record.get(key, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        msg = f"{key} {_short(value)} is not allowed: give a text"
        raise InputError(msg)
    return one_line(value, limit)


def _short(value: object) -> str:
    return one_line(repr(value), 60)


@dataclass(frozen=True, slots=True, eq=False)
class SourceList:
    """Named positions to draw, with what is known of them.

    Parameters
    ----------
    id, title : str
    ra, dec : ndarray of float64, shape (n,)
        ICRS degrees, all valid.
    names : sequence of str, length n
    columns : mapping of str to ndarray, shape (n,)
        Other columns of the table.
    units : mapping of str to str
    total : int
        Rows of the table with a valid position; `truncated` tells whether all are here.
    notes : tuple of str
    """

    id: str
    title: str
    ra: FloatArray
    dec: FloatArray
    names: Sequence[str]
    columns: Mapping[str, AnyArray] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    total: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self.names)

    @property
    def truncated(self) -> bool:
        """Whether the table has more rows than the list."""
        return len(self) < self.total

    def records(self) -> list[dict[str, Any]]:
        """Return ``{"ra", "dec", "name", "extra": {column: value}}`` of every source.

        Values are ready for JSON: plain numbers and texts, None for what is missing.
        """
        plain = {name: [plain_value(v) for v in column] for name, column in self.columns.items()}
        return [
            {
                "ra": float(ra),
                "dec": float(dec),
                "name": name,
                "extra": {key: values[i] for key, values in plain.items()},
            }
            for i, (ra, dec, name) in enumerate(zip(self.ra, self.dec, self.names, strict=True))
        ]


def sources_from_table(
    table: PointTable,
    id: str,
    limit: int = LIMIT,
    *,
    name: str | None = None,
    columns: Sequence[str] | None = None,
) -> SourceList:
    """Return the first rows of a table as a list of sources.

    Parameters
    ----------
    table : PointTable
    id : str
    limit : int
        Rows without a valid position do not count.
    name : str, optional
        Column of the names; None guesses (name, designation, id ...), and numbers the rows from
        1 when there is none.
    columns : sequence of str, optional
        Columns to keep; None keeps all but the names.

    Raises
    ------
    UnknownNameError
        When a column is not known.
    """
    for wanted in (*(columns or ()), *(() if name is None else (name,))):
        if wanted not in table.columns:
            raise UnknownNameError("column", wanted, table.columns)
    ra, dec = table.positions()
    valid = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0))
    rows = valid[:limit]
    named = name_column(table.columns) if name is None else name
    kept = [c for c in (table.columns if columns is None else columns) if c != named]
    names = [f"{row + 1}" for row in rows] if named is None else _names(table, named, rows)
    return SourceList(
        id=id,
        title=table.name,
        ra=ra[rows],
        dec=dec[rows],
        names=names,
        columns={c: np.asarray(table.column(c))[rows] for c in kept},
        units={c: u for c, u in table.units.items() if c in kept},
        total=valid.size,
        notes=tuple(_notes(table, rows.size, valid.size)),
    )


def name_column(columns: Sequence[str]) -> str | None:
    """Return the column that most likely holds the sources' names, None if none looks like it."""
    by_lower = {column.lower(): column for column in reversed(columns)}
    return next((by_lower[name] for name in NAME_COLUMNS if name in by_lower), None)


def _names(table: PointTable, column: str, rows: AnyArray) -> list[str]:
    values = np.asarray(table.column(column))[rows]
    plain = (plain_value(value) for value in values)
    return ["" if value is None else one_line(value, MAX_NAME) for value in plain]


def _notes(table: PointTable, shown: int, valid: int) -> Iterator[str]:
    if table.guess:
        yield table.guess
    if valid < len(table):
        missing = len(table) - valid
        verb = "has" if missing == 1 else "have"
        yield f"{missing:,} of {len(table):,} rows {verb} no valid position"
    if shown < valid:
        yield f"the first {shown:,} of {valid:,} sources"


def plain_value(value: object) -> object:
    """Return a value of a table as JSON can hold it: None, bool, int, float, str or a list."""
    if isinstance(value, np.ndarray | list | tuple):
        return [plain_value(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").rstrip()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
