"""The VOTable loader: every TABLE with positions; astropy parses what `votable_check` passes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import Any

from skyshade.errors import DataError, SkyshadeError, UnsupportedError, one_line
from skyshade.geometry.frames import split_frame
from skyshade.loaders.columns import Columns, distinct
from skyshade.loaders.coordinates import Coordinates, find
from skyshade.loaders.memory import ArrayColumns
from skyshade.loaders.object_tables import ObjectColumn
from skyshade.loaders.parquet import ParquetColumns
from skyshade.loaders.source import Loaded, Options, Source
from skyshade.loaders.tables import SkyTable
from skyshade.loaders.votable_check import Check, Rows, check
from skyshade.loaders.votable_rows import row_file, without_rows
from skyshade.quiet import quiet
from skyshade.storage import ByteFile, RawFile

ENDINGS = (".vot", ".votable", ".vot.gz", ".votable.gz")
# UCDs of longitude and latitude with their frame, those of version 1 too; the first match counts.
_UCDS = (
    ("pos.eq.ra", "pos.eq.dec", "icrs"),
    ("pos_eq_ra", "pos_eq_dec", "icrs"),
    ("pos.galactic.lon", "pos.galactic.lat", "galactic"),
    ("pos_gal_lon", "pos_gal_lat", "galactic"),
    ("pos.ecliptic.lon", "pos.ecliptic.lat", "ecliptic"),
)
_SYSTEMS = {"fk5": "fk5", "fk4": "fk4", "icrs": "icrs", "galactic": "galactic", "gal": "galactic"}
_SYSTEMS |= {"supergalactic": "supergalactic", "supergal": "supergalactic"}


def sniff(head: bytes, uri: str) -> bool:
    """Tell a VOTable by its root, or by its name; XML is not parsed for that."""
    start = _plain(head)
    xml = start.startswith((b"<?xml", b"<!DOCTYPE VOTABLE")) or b"<" in start[:1]
    return (xml and b"VOTABLE" in start.upper()) or uri.lower().endswith(ENDINGS)


def open(source: Source, options: Options) -> Loaded:
    """Return every table that has positions; others are told of in a note.

    Raises
    ------
    DataError
        A broken VOTable, or one that refers to other files (nothing outside the file is opened).
    UnsupportedError
        No table with positions.
    """
    before = source.file.stamp()
    seen = check(source.file, options.max_decoded)
    tree = _parsed(source, seen)
    frames = _frames(tree)
    loaded = Loaded()
    tables = list(tree.iter_tables())
    for number, table in enumerate(tables, 1):
        part = "" if len(tables) == 1 else f"table {number}"
        rows = [r for r in seen.ranges if seen.streamed and r.table == number - 1]
        try:
            found = _sky_table(source, options, _Content(table, rows, seen.encoding), frames, part)
        except UnsupportedError as error:
            loaded.notes.append(str(error))
            continue
        if len(tables) > 1:
            found.rename(f"{source.stem}-{_label(table) or number}")
        loaded.tables.append(found)
    source.file.check(before)
    if not loaded.tables:
        cause = seen.message or "; ".join(loaded.notes[:3]) or "no table in the VOTable"
        raise UnsupportedError(source.name, cause.removeprefix(f"{source.name}: "))
    _tell_apart(loaded.tables)
    return loaded


def _plain(head: bytes) -> bytes:
    """Return the first bytes without white space, UTF-16 as ASCII."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "replace").encode("ascii", "replace")
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")


def _parsed(source: Source, seen: Check) -> Any:
    from astropy.io.votable import parse  # noqa: PLC0415 (a tenth of a second)

    try:
        whole = BufferedReader(RawFile(source.file), 1 << 20)
        with quiet(), without_rows(source.file, seen) if seen.streamed else whole as raw:
            return parse(raw, invalid="mask", verify="ignore", filename=source.name)
    except SkyshadeError:
        raise
    except Exception as error:
        # astropy raises what it meets in a broken file: ValueError, IndexError, struct.error ...
        cause = f"broken VOTable: {one_line(error, 160)}"
        raise DataError(source.name, cause) from error


@dataclass(frozen=True)
class _Member:
    """One column of a table: its name here and what the FIELD says."""

    name: str
    ucd: tuple[str, ...]
    unit: str
    ref: str
    number: bool


@dataclass(frozen=True)
class _Content:
    """One TABLE as astropy sees it, and where its rows lie if they were left out."""

    table: Any
    rows: list[Rows]
    encoding: str

    def columns(self, file: ByteFile, names: Sequence[str], version: str) -> Columns:
        """Return the columns of one value a row, from memory or from a private file."""
        fields = self.table.fields
        if self.rows:
            copy = row_file(file, self.rows, fields, names, self.encoding)
            copy.fix_version(version)
            return ParquetColumns(copy)
        array = self.table.array
        keys = array.dtype.names or () if fields else ()
        pairs = [(n, k) for n, k in zip(names, keys, strict=True) if array[k].ndim == 1]
        units = {n: _unit(f) for n, f in zip(names, fields, strict=True) if _unit(f)}
        held = {name: ObjectColumn(array[key]) for name, key in pairs}
        own = {name: unit for name, unit in units.items() if name in held}
        return ArrayColumns(held, version, own, rows=len(array))


def _sky_table(
    source: Source, options: Options, content: _Content, frames: Mapping[str, str], part: str
) -> SkyTable:
    fields = content.table.fields
    names = distinct([one_line(f.name or f.ID or "", 100) for f in fields])
    version = f"{source.file.version()}{part and '-' + part.split()[-1]}"
    _require_place(
        source, options, [_member(n, f) for n, f in zip(names, fields, strict=True)], part
    )
    columns = content.columns(source.file, names, version)
    members = [_member(n, f) for n, f in zip(names, fields, strict=True) if n in columns.names]
    place = _place(members, options) or find(
        columns.names, columns.units, ra=options.ra, dec=options.dec, frame=options.frame,
        name=source.name, part=part,
    )  # fmt: skip
    place = _framed(place, members, options, frames)
    return SkyTable(columns, place, source.stem, max_decoded=options.max_decoded)


def _require_place(source: Source, options: Options, members: list[_Member], part: str) -> None:
    """Raise UnsupportedError before any row is read if there are no columns of positions."""
    if not _place(members, options):
        names = [m.name for m in members]
        find(names, {}, ra=options.ra, dec=options.dec, name=source.name, part=part)


def _member(name: str, field: Any) -> _Member:
    words = [w.strip() for w in str(field.ucd or "").lower().split(";")]
    number = field.datatype not in ("char", "unicodeChar")
    return _Member(name, tuple(words), _unit(field), str(field.ref or ""), number)


def _unit(field: Any) -> str:
    return one_line(field.unit if field.unit is not None else "", 60).strip("\"'")


def _place(members: list[_Member], options: Options) -> Coordinates | None:
    """Return the columns that UCDs name: the main ones first, and numbers before texts."""
    if options.ra or options.dec:
        return None
    for main in (True, False):
        for lon, lat, frame in _UCDS:
            pair = _best(members, lon, main=main), _best(members, lat, main=main)
            if pair[0] is not None and pair[1] is not None:
                units = {m.name: m.unit for m in pair if m}
                return find(list(units), units, ra=pair[0].name, dec=pair[1].name, frame=frame)
    return None


def _best(members: list[_Member], ucd: str, *, main: bool) -> _Member | None:
    named = [m for m in members if m.ucd[0] in (ucd, f"{ucd}_main")]
    if main:
        named = [m for m in named if "meta.main" in m.ucd or m.ucd[0].endswith("_main")]
    return next((m for m in named if m.number), named[0] if named else None)


def _framed(
    place: Coordinates, members: list[_Member], options: Options, frames: Mapping[str, str]
) -> Coordinates:
    """Return the place in the frame that the file gives to its columns; the user's word counts."""
    if options.frame:
        return replace(place, frame=options.frame)
    ref = next((m.ref for m in members if m.name == place.lon), "")
    only = next(iter(frames.values())) if len(set(frames.values())) == 1 else ""
    frame = frames.get(ref) or (only if not ref else "")
    equatorial = place.frame in ("icrs", "fk5", "fk4")
    fits = (frame.split(" ")[0] in ("icrs", "fk5", "fk4")) == equatorial
    return replace(place, frame=frame) if frame and (fits or ref in frames) else place


def _frames(tree: Any) -> dict[str, str]:
    """Return the frame of each COOSYS by its ID; those that are not known are left out."""
    frames = {}
    for number, system in enumerate(tree.iter_coosys()):
        frame = _frame(str(system.system or ""), str(system.equinox or ""))
        if frame:
            frames[str(system.ID or number)] = frame
    return frames


def _frame(system: str, equinox: str) -> str:
    words = system.lower().split("_")
    name = _SYSTEMS.get(words[-1], "")
    if words[0] in ("ecl", "ecliptic"):
        name = "ecliptic"
    year = re.search(r"\d{4}(\.\d+)?", equinox)
    letter = {"fk5": "J", "ecliptic": "J", "fk4": "B"}.get(name, "")
    frame = f"{name} {letter}{year[0]}" if name and letter and year else name
    usual = {"fk5 J2000": "fk5", "fk5 J2000.0": "fk5", "ecliptic J2000.0": "ecliptic"}
    usual |= {"fk4 B1950": "fk4", "fk4 B1950.0": "fk4", "ecliptic J2000": "ecliptic"}
    frame = usual.get(frame, frame)
    if frame:
        split_frame(frame)
    return frame


def _label(table: Any) -> str:
    return one_line(table.name or table.ID or "", 60)


def _tell_apart(tables: list[Any]) -> None:
    for table, name in zip(tables, distinct([t.name for t in tables]), strict=True):
        table.rename(name)
