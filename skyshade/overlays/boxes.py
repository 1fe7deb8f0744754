"""Highlight boxes: named rectangles on the sky, read from JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skyshade.errors import DataError, InputError, one_line
from skyshade.types import Coverage

MAX_FILE = 16 << 20
MAX_NAME, MAX_DESCRIPTION = 200, 2000

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
