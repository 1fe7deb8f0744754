"""The JSON loader: TileMaker's source list ``[{"ra": .., "dec": .., "name": .., "extra": {}}]``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from skyshade.errors import DataError, UnsupportedError, one_line
from skyshade.loaders.columns import null_objects
from skyshade.loaders.coordinates import as_float
from skyshade.loaders.memory import ArrayColumns
from skyshade.loaders.source import Loaded, Options, Source
from skyshade.loaders.source_table import SourceTable, skipped
from skyshade.types import AnyArray

LIMIT = 256 << 20  # bytes
_COLUMNS = 200


def sniff(head: bytes, uri: str) -> bool:
    """Tell JSON by its name, or by beginning with a list of objects."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return uri.lower().endswith((".json", ".json.gz")) or (
        start.startswith(b"[") and start[1:].lstrip().startswith(b"{")
    )


def open(source: Source, options: Options) -> Loaded:
    """Return the table in a JSON list; the fields of ``extra`` become columns.

    Records that are no objects are left out; those without valid ra and dec are rows without a
    place. A note counts both and has the first reason.
    """
    if source.file.size > LIMIT:
        cause = f"{source.file.size} bytes; JSON files of at most {LIMIT} are read"
        raise UnsupportedError(source.name, f"{cause}: convert to Parquet")
    entries = _parse(source)
    rows, reasons = _sorted_out(entries, options)
    if not rows:
        raise UnsupportedError(source.name, "no objects in the JSON list")
    columns = ArrayColumns(_columns(rows), source.file.version())
    table = SourceTable.of(columns, source.stem, options, source.name)
    if reasons:
        table.notes += (skipped(len(reasons), reasons[0]),)
    return Loaded(tables=[table])


def _parse(source: Source) -> list[Any]:
    before = source.file.stamp()
    raw = source.file.read(0, before.size)
    source.file.check(before)
    try:
        found = json.loads(raw.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise DataError(source.name, f"broken JSON: {one_line(error, 160)}") from error
    if not isinstance(found, list):
        cause = "JSON, but not a list of {ra, dec, name, extra}"
        raise UnsupportedError(source.name, cause)
    return found


def _sorted_out(entries: list[Any], options: Options) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the records that are objects, and why each bad one is not shown."""
    objects = [entry for entry in entries if isinstance(entry, Mapping)]
    named = not options.ra and any({"ra", "dec"} <= set(entry) for entry in objects)
    reasons = [
        f"record {number}: {fault}"
        for number, entry in enumerate(entries, 1)
        if (fault := _fault(entry, named))
    ]
    return [_flat(entry) for entry in objects], reasons


def _fault(entry: Any, named: bool) -> str:
    """Return what is wrong with a record and its ra and dec, "" when nothing is."""
    if not isinstance(entry, Mapping):
        return "not an object"
    for key, low, high in (("ra", -180.0, 360.0), ("dec", -90.0, 90.0)) if named else ():
        value = entry.get(key)
        if value is None:
            return f"{key} is missing"
        place = as_float(null_objects([value]))[0]
        if not low <= place <= high:
            given = one_line(repr(value), 40)
            return f"{key} {given} is not allowed: {low:g} to {high:g} degrees"
    return ""


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Put the fields of ``extra`` beside the others; those keep their names."""
    extra = entry.get("extra")
    if extra is not None and not isinstance(extra, Mapping):
        return dict(entry)
    others = {key: item for key, item in entry.items() if key != "extra"}
    return {**(extra or {}), **others}


def _columns(rows: list[dict[str, Any]]) -> dict[str, AnyArray]:
    """Return one array a key: ra, dec and name first, then as they come."""
    keys = dict.fromkeys(("ra", "dec", "name"))
    for row in rows:
        keys.update(dict.fromkeys(row))
        if len(keys) > _COLUMNS:
            break
    present = [key for key in list(keys)[:_COLUMNS] if any(key in row for row in rows)]
    return {one_line(key, 100): _array([row.get(key) for row in rows]) for key in present}


def _array(items: list[Any]) -> AnyArray:
    """Return numbers (NaN for null) where all are numbers, else objects; nested ones as JSON."""
    if all(item is None or type(item) in (int, float) for item in items):
        return np.array([_number(item) for item in items], np.float64)
    plain = (str, int, float, bool, type(None))
    return null_objects([i if isinstance(i, plain) else json.dumps(i)[:1000] for i in items])


def _number(item: float | None) -> float:
    try:
        return float("nan") if item is None else float(item)
    except OverflowError:
        return float("nan")
