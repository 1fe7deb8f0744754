"""HATS catalogues and other folders of Parquet files, read in place.

Source: the IVOA note "HATS: A Standard for the Hierarchical Adaptive Tiling Scheme" (2025); files
of its predecessor HiPSCat have no ``dataset`` folder and ``catalog_info.json`` instead of
``hats.properties``. A partition holds the rows of one NESTED HEALPix pixel, in any order.
"""

from __future__ import annotations

import csv
import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from skyshade.errors import DataError, UnsupportedError
from skyshade.loaders import parquet
from skyshade.loaders.boxes import pixel_box
from skyshade.loaders.coordinates import Coordinates, find
from skyshade.loaders.parquet import ParquetColumns
from skyshade.loaders.parts import Part, PartsColumns
from skyshade.loaders.parts_survey import PartFile, summarised, survey
from skyshade.loaders.remote import open_key
from skyshade.loaders.source import Loaded, Options, local_path
from skyshade.loaders.tables import SkyTable
from skyshade.storage import ByteFile, Folder
from skyshade.types import RowRange

_PROPERTIES = ("hats.properties", "properties", "collection.properties")
_KNOWN = (*_PROPERTIES, "partition_info.csv", "dataset/_metadata", "_metadata")
_PIXEL = re.compile(r"Norder=(\d+)/(?:Dir=\d+/)?Npix=(\d+)(?:\.parquet|/.*)$")
_PLAIN = {"_metadata", "_common_metadata"}
_MANY = 64  # files, whose footers are not read one by one if there is a summary
_TEXT = 4 << 20  # bytes of properties, and of partition_info.csv


@dataclass(frozen=True)
class Partition:
    """One file of a HATS catalogue.

    Parameters
    ----------
    order, pix : int
        Its HEALPix pixel, NESTED.
    rows : RowRange
        Where its rows lie in the table.
    file : str
        Key within the folder.
    """

    order: int
    pix: int
    rows: RowRange
    file: str


class HatsTable(SkyTable):
    """A `SkyTable` that knows the HEALPix pixels of its files."""

    @property
    def partitions(self) -> Sequence[Partition]:
        """The files in the order of their rows."""
        columns = self._columns
        if not isinstance(columns, PartsColumns):
            raise TypeError(type(columns).__name__)
        found = []
        for i, part in enumerate(columns.parts):
            order, pix = _pixel(part.file) or (-1, -1)
            rows = RowRange(columns.starts[i], columns.starts[i + 1])
            found.append(Partition(order, pix, rows, part.file))
        return found


def is_folder(uri: str) -> bool:
    """Tell a local folder, a URL that ends with a slash, and one under which there is a catalogue.

    Of URLs only those are asked for whose last part has no ending.
    """
    path = local_path(uri)
    if path is not None:
        return path.is_dir()
    if uri.endswith("/") or "?" in uri or "." in uri.rpartition("/")[2]:
        return uri.endswith("/")
    folder = Folder(uri)
    return any(folder.exists(key) for key in _KNOWN)


def open_folder(uri: str, options: Options) -> Loaded:
    """Return the one table in a folder: a HATS catalogue, or Parquet files of the same columns.

    Raises
    ------
    UnsupportedError
        No Parquet files in the folder, or ones that are no one table.
    """
    path = local_path(uri)
    folder = Folder(uri if path is None else path)
    name = PurePosixPath(folder.url).name
    said = properties(folder)
    if primary := said.get("hats_primary_table_url", ""):
        if not re.fullmatch(r"[\w.-]+", primary) or primary.startswith("."):
            raise DataError(name, f"hats_primary_table_url = {primary!r} is no folder within it")
        folder = folder.sub(primary)
        said = properties(folder)
    keys = _files(folder)
    if not keys:
        raise UnsupportedError(name, "no Parquet files in the folder, and no HATS catalogue")
    files = [PartFile(key, partial(open_key, folder, key)) for key in keys]
    hats = all(_pixel(key) for key in keys)
    kind = HatsTable if hats else SkyTable
    return Loaded(tables=[_table(kind, files, name, options, said, folder)])


def matches(pattern: str) -> list[str]:
    """Return the local files that a pattern such as ``*.parquet`` stands for; [] for a file."""
    path = local_path(pattern)
    if path is None or not glob.has_magic(str(path)) or path.exists():
        return []
    return sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns too)


def open_files(paths: Sequence[str], options: Options) -> Loaded:
    """Return several Parquet files as one table."""
    files = []
    for path in paths:
        where = Path(path).expanduser()
        file = ByteFile.open(where)
        if not parquet.sniff(file.read(0, 4), path):
            raise UnsupportedError(file.name, "only Parquet files can be one table together")
        files.append(PartFile(where.name, partial(ByteFile.open, where)))
    if not files:
        raise UnsupportedError("list", "no files")
    name = _common([Path(path).name for path in paths])
    return Loaded(tables=[_table(SkyTable, files, name, options, {})])


def properties(folder: Folder) -> dict[str, str]:
    """Return the key = value lines of ``hats.properties``; {} where there is no such file."""
    for key in _PROPERTIES:
        if folder.exists(key):
            text = folder.read(key)[:_TEXT].decode("utf-8", "replace")
            pairs = (line.partition("=") for line in text.splitlines() if line[:1] != "#")
            return {k.strip(): v.strip() for k, mark, v in pairs if mark}
    return {}


def _files(folder: Folder) -> list[str]:
    """Return the keys of the data: by ``partition_info.csv``, else all Parquet files below."""
    listed = _listed(folder)
    if listed:
        return listed
    found = [k for k in folder.list() if k.lower().endswith((".parquet", ".parq", ".pq"))]
    data = [k for k in found if _pixel(k)]
    if not data:
        return [k for k in found if PurePosixPath(k).name not in _PLAIN]
    return sorted(data, key=lambda k: _order(_pixel(k) or (0, 0)))


def _listed(folder: Folder) -> list[str]:
    """Return the files that ``partition_info.csv`` names, where those exist by that rule."""
    if not folder.exists("partition_info.csv"):
        return []
    text = folder.read("partition_info.csv")[:_TEXT].decode("utf-8", "replace")
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    try:
        pixels = sorted({(int(r["Norder"]), int(r["Npix"])) for r in rows}, key=_order)
    except (KeyError, TypeError, ValueError):
        return []
    for below in ("dataset/", ""):
        keys = [f"{below}{_key(*pixel)}" for pixel in pixels]
        if keys and folder.exists(keys[0]):
            return keys
    return []


def _key(order: int, pix: int) -> str:
    return f"Norder={order}/Dir={pix // 10_000 * 10_000}/Npix={pix}.parquet"


def _pixel(key: str) -> tuple[int, int] | None:
    found = _PIXEL.search(key)
    if found is None:
        return None
    order, pix = int(found[1]), int(found[2])
    return (order, pix) if order <= 29 and pix < 12 << 2 * order else None


def _order(pixel: tuple[int, int]) -> tuple[int, int]:
    """Return where a pixel comes in the order of the deepest pixels."""
    return pixel[1] << 2 * (29 - pixel[0]), pixel[0]


def _table(
    kind: type[SkyTable],
    files: Sequence[PartFile],
    name: str,
    options: Options,
    said: Mapping[str, str],
    folder: Folder | None = None,
) -> SkyTable:
    first = ParquetColumns(files[0].opened())
    ra, dec = _told(options, said)
    place = find(first.names, first.units, ra=ra, dec=dec, frame=options.frame, name=name)
    many = folder is not None and len(files) > _MANY
    parts = (folder and many and summarised(folder, files, place)) or survey(files, place)
    parts = [_with_pixel(part, place) for part in parts]
    columns = PartsColumns(parts, first.units, (place.lon, place.lat), name)
    stem = options.name or said.get("obs_collection") or said.get("catalog_name") or name
    return kind(columns, place, stem, max_decoded=options.max_decoded)


def _told(options: Options, said: Mapping[str, str]) -> tuple[str, str]:
    """Return the columns that the user names, else those of the properties, or "" and ""."""
    if options.ra or options.dec:
        return options.ra, options.dec
    ra = said.get("hats_col_ra") or said.get("ra_column", "")
    dec = said.get("hats_col_dec") or said.get("dec_column", "")
    return (ra, dec) if ra and dec else ("", "")


def _with_pixel(part: Part, where: Coordinates) -> Part:
    """Return a part whose row groups without statistics have the box of its pixel."""
    pixel = _pixel(part.file)
    if pixel is None or where.frame != "icrs" or not np.isnan(part.boxes).any():
        return part
    box = np.array(pixel_box(*pixel)) / np.array(where.degrees)[[0, 0, 1, 1]]
    return replace(part, boxes=np.where(np.isnan(part.boxes), box, part.boxes))


def _common(names: Sequence[str]) -> str:
    """Return what the names of files begin with, without digits and marks at its end."""
    listed = [PurePosixPath(n).stem for n in names]
    length = next((i for i, c in enumerate(zip(*listed, strict=False)) if len(set(c)) > 1), None)
    return listed[0][:length].rstrip("0123456789_-. ") or listed[0]
