"""Footprints and tracks as lines on the sphere: from STC-S texts and from lists of vertices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from skyshade.errors import InputError
from skyshade.geometry.frames import to_icrs
from skyshade.geometry.outlines import Ring, box, circle, line, polygon
from skyshade.types import AnyArray

FRAMES = {
    "ICRS": "icrs", "J2000": "fk5", "FK5": "fk5", "GALACTIC": "galactic", "ECLIPTIC": "ecliptic",
}  # fmt: skip
_WORDS = ("GEOCENTER", "BARYCENTER", "HELIOCENTER", "TOPOCENTER", "LSR", "UNKNOWNREFPOS")
_FLAVOURS = ("SPHERICAL2", "CARTESIAN2", "UNKNOWNFRAME")
REGION_COLUMNS = ("s_region", "stc_s", "footprint", "region", "polygon")


class Shapes(NamedTuple):
    """Lines with the row that each belongs to, and the columns of the rows."""

    rings: list[Ring]
    rows: list[int]
    columns: dict[str, AnyArray]
    total: int


def shapes_of(given: object, *, closed: bool, column: str | None = None) -> Shapes:
    """Return the shapes of a table or of a list.

    Parameters
    ----------
    given : table, mapping or sequence
        A table (pandas, astropy, pyarrow) or mapping of columns with STC-S texts or with ``ra`` and
        ``dec`` as lists of vertices; or a list of STC-S texts, or of ``(ra, dec)`` pairs of lists.
    closed : bool
        Polygons rather than lines.
    column : str, optional
        The column of STC-S texts; None looks for the usual names.

    Raises
    ------
    InputError
        When there is no geometry, or a row's cannot be read: the message names the row.
    """
    columns = _columns_of(given)
    if columns is None:
        geometry: Sequence[Any] = list(given)  # type: ignore[call-overload]
        columns = {}
    else:
        geometry, used = _geometry_of(columns, column)
        columns = {name: np.asarray(v) for name, v in columns.items() if name not in used}
    rings: list[Ring] = []
    rows: list[int] = []
    for row, shape in enumerate(geometry):
        try:
            found = _rings(shape, closed)
        except (InputError, ValueError, TypeError) as error:
            msg = f"shape of row {row + 1} cannot be read: {error}"
            raise InputError(msg) from error
        rings += found
        rows += [row] * len(found)
    return Shapes(rings, rows, columns, len(geometry))


def grouped(given: object, by: str) -> dict[str, AnyArray]:
    """Return a long table of positions as one row of lists for every value of a column.

    Other columns keep the first value of each group.
    """
    columns = _columns_of(given)
    if columns is None or by not in columns:
        msg = f"by={by!r} is not allowed: the table has no such column"
        raise InputError(msg)
    keys = np.asarray(columns[by])
    _, first, groups = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    found: dict[str, AnyArray] = {}
    for name, values in columns.items():
        if name in ("ra", "dec"):
            parts = np.split(np.asarray(values, np.float64)[order], cuts)
            lists = np.empty(len(parts), object)
            lists[:] = parts
            found[name] = lists
        else:
            found[name] = np.asarray(values)[first]
    return found


def _columns_of(given: Any) -> dict[str, Any] | None:
    """Return the columns of a table, None of what is no table."""
    if isinstance(given, Mapping):
        return dict(given)
    if hasattr(given, "column_names"):  # pyarrow
        return {name: _plain(given[name]) for name in given.column_names}
    names = getattr(given, "colnames", None)  # astropy
    if names is None and hasattr(given, "columns"):
        names = list(given.columns)
    return None if names is None else {str(name): given[name] for name in names}


def _plain(column: Any) -> Any:
    return column.to_pylist() if hasattr(column, "to_pylist") else column


def _geometry_of(
    columns: Mapping[str, Any], column: str | None
) -> tuple[Sequence[Any], tuple[str, ...]]:
    if column is not None and column not in columns:
        msg = f"column {column!r} is not in the table; it has {', '.join(columns)}"
        raise InputError(msg)
    texts = column or next((n for n in columns if n.lower() in REGION_COLUMNS), None)
    if texts is not None:
        return list(columns[texts]), (texts,)
    if "ra" in columns and "dec" in columns:
        pairs = zip(columns["ra"], columns["dec"], strict=True)
        return list(pairs), ("ra", "dec")
    msg = (
        f"no shapes found: give a column of STC-S texts ({', '.join(REGION_COLUMNS)}) or lists of "
        f"vertices in ra and dec; there are {', '.join(columns)}"
    )
    raise InputError(msg)


def _rings(shape: Any, closed: bool) -> list[Ring]:
    """Return the lines of one shape; none where it is missing."""
    if shape is None or (isinstance(shape, float) and np.isnan(shape)):
        return []
    if isinstance(shape, bytes):
        shape = shape.decode("utf-8", "replace")
    if isinstance(shape, str):
        return parse_stcs(shape)
    ra, dec = (np.asarray(values, np.float64).ravel() for values in shape)
    good = np.isfinite(ra) & np.isfinite(dec)
    return _checked(ra[good], dec[good], closed=closed)


def _checked(ra: AnyArray, dec: AnyArray, *, closed: bool) -> list[Ring]:
    if ra.shape != dec.shape:
        msg = f"{ra.size} right ascensions and {dec.size} declinations"
        raise InputError(msg)
    if np.any(np.abs(dec) > 90.0):
        msg = f"declination {dec[np.abs(dec) > 90.0][0]:g} is not within -90 to 90"
        raise InputError(msg)
    least = 3 if closed else 2
    if ra.size < least:
        return []
    if closed and ra[0] == ra[-1] and dec[0] == dec[-1]:
        ra, dec = ra[:-1], dec[:-1]
    return [polygon(ra, dec) if closed else line(ra, dec)]


def parse_stcs(text: str) -> list[Ring]:
    """Return the outlines of an STC-S region: POLYGON, CIRCLE, BOX, or a UNION of them.

    Frames are ICRS, J2000 and FK5, GALACTIC and ECLIPTIC; angles degrees. See
    the IVOA note "STC-S: Space-Time Coordinate metadata Linear String Implementation".

    Raises
    ------
    InputError
    """
    words = text.replace("(", " ( ").replace(")", " ) ").replace(",", " ").split()
    if not words:
        return []
    rings: list[Ring] = []
    frame, at = "icrs", 0
    while at < len(words):
        word = words[at].upper()
        at += 1
        if word in FRAMES:
            frame = FRAMES[word]
        elif word in _SHAPES:
            at, frame = _skip_words(words, at, frame)
            numbers, at = _numbers(words, at)
            rings.append(_SHAPES[word](word, numbers, frame))
        elif word not in ("UNION", "(", ")", *_WORDS, *_FLAVOURS):
            known = ", ".join((*_SHAPES, "UNION"))
            msg = f"{word!r} is not known in {text[:60]!r}: allowed are {known}"
            raise InputError(msg)
    return rings


def _skip_words(words: Sequence[str], at: int, frame: str) -> tuple[int, str]:
    while at < len(words) and words[at].upper() in (*FRAMES, *_WORDS, *_FLAVOURS):
        frame = FRAMES.get(words[at].upper(), frame)
        at += 1
    return at, frame


def _numbers(words: Sequence[str], at: int) -> tuple[list[float], int]:
    numbers: list[float] = []
    while at < len(words):
        try:
            numbers.append(float(words[at]))
        except ValueError:
            break
        at += 1
    return numbers, at


def _need(word: str, numbers: Sequence[float], least: int, *, even: bool = False) -> None:
    if len(numbers) < least or (even and len(numbers) % 2):
        needed = f"{least} or more, in pairs, are needed" if even else f"{least} are needed"
        msg = f"{word} has {len(numbers)} numbers: {needed}"
        raise InputError(msg)


def _turned(lon: Iterable[float], lat: Iterable[float], frame: str) -> tuple[AnyArray, AnyArray]:
    x, y = np.array(list(lon), np.float64), np.array(list(lat), np.float64)
    return (x, y) if frame == "icrs" else to_icrs(x, y, frame)


def _polygon(word: str, numbers: Sequence[float], frame: str) -> Ring:
    _need(word, numbers, 6, even=True)
    found = _checked(*_turned(numbers[::2], numbers[1::2], frame), closed=True)
    return found[0]


def _circle(word: str, numbers: Sequence[float], frame: str) -> Ring:
    _need(word, numbers, 3)
    ra, dec = _turned(numbers[:1], numbers[1:2], frame)
    return circle(float(ra[0]), float(dec[0]), numbers[2])


def _box(word: str, numbers: Sequence[float], frame: str) -> Ring:
    _need(word, numbers, 4)
    found = box(numbers[0], numbers[1], numbers[2], numbers[3], 0.0)
    lon, lat = _turned(found.lon, found.lat, frame)
    return Ring(np.asarray(lon, np.float64), np.asarray(lat, np.float64), found.corner)


_SHAPES = {"POLYGON": _polygon, "CIRCLE": _circle, "BOX": _box}
