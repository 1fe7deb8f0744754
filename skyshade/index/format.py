"""The files of an index and its manifest.

    manifest.json                  written last, whole: all that it names is there
    segments/{segment}/
      rows/{leaf:06d}.parquet      rows sorted by key: `KEY`, `RA`, `DEC`, then the table's columns
      planes/{leaf:06d}.bin        packed planes of the tiles of one leaf; top.bin: those above
      groups.npy                   one record a row group (`GROUP`), sorted by first key
      planes.npy                   one record a stored plane (`PLANE`), sorted by grid, state, tile
      sample.parquet               every n-th row in key order

A segment never changes; rows that are appended are a new segment and a new manifest. A tile is the
sum of all segments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from skyshade.errors import DataError
from skyshade.index.facts import Tally
from skyshade.index.pyramid import THRESHOLD
from skyshade.index.states import label_states
from skyshade.types import DEC, RA, State

FORMAT = "skyshade-catalog-index"
VERSION = 1
MANIFEST = "manifest.json"
KEY = "_key"
RESERVED = (KEY, RA, DEC)
GROUP_ROWS = 65_536
SAMPLE_ROWS = 1 << 20
TOP = 0xFFFFFFFF  # number of the file top.bin

GROUP = np.dtype(
    [("leaf", "<u4"), ("group", "<u4"), ("first", "<i8"), ("last", "<i8"), ("rows", "<u4")]
)
PLANE = np.dtype(
    [
        ("grid", "<u1"),  # number in `Manifest.grids`
        ("state", "<u1"),  # number in `Manifest.states`
        ("z", "<u1"),
        ("cell", "<i8"),  # Z-order number of (x, y) of the tile
        ("leaf", "<u4"),
        ("offset", "<u8"),
        ("size", "<u4"),
    ]
)


@dataclass(frozen=True)
class Column:
    """A column of the original table.

    Parameters
    ----------
    name : str
    type : str
        As Arrow writes it.
    unit : str
    categories : tuple of str, optional
        Its sorted values, where it has few.
    """

    name: str
    type: str
    unit: str = ""
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Segment:
    """Rows that were indexed together.

    Parameters
    ----------
    name : str
        Of its folder.
    rows, invalid : int
        Rows with and without a valid position.
    sampled : int
        Every how manieth row is in the sample.
    tally : Tally
    origin : mapping of str to str
        File or URL -> its version when it was read.
    """

    name: str
    rows: int
    invalid: int
    sampled: int
    tally: Tally
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What an index holds.

    Parameters
    ----------
    title, guess, frame : str
        As `skyshade.types.PointTable` has them.
    notes : tuple of str
    columns : tuple of Column
    states : tuple of str
        Labels of the stored states, e.g. ``"count"``, ``"moments:vt"``.
    grids : tuple of str
        Ids of the grids that planes are stored for; ``"sky"`` is the first.
    threshold : int
        Tiles with more rows of a segment than this are stored.
    segments : tuple of Segment
    """

    title: str
    columns: tuple[Column, ...]
    states: tuple[str, ...]
    segments: tuple[Segment, ...]
    guess: str = ""
    frame: str = "icrs"
    notes: tuple[str, ...] = ()
    grids: tuple[str, ...] = ("sky",)
    threshold: int = THRESHOLD

    @property
    def rows(self) -> int:
        """Rows with a valid position."""
        return sum(segment.rows for segment in self.segments)

    @property
    def invalid(self) -> int:
        """Rows without one."""
        return sum(segment.invalid for segment in self.segments)

    @property
    def stored(self) -> list[State]:
        """The stored states."""
        return label_states(self.states)

    def to_json(self) -> bytes:
        """Return the bytes of ``manifest.json``."""
        fields = asdict(self) | {"segments": [_segment_record(s) for s in self.segments]}
        head = {"format": FORMAT, "version": VERSION, "key_zoom": 22}
        return json.dumps(head | fields, indent=1).encode()


def version_of(manifest: bytes) -> str:
    """Return the version of an index from the bytes of its manifest."""
    return hashlib.sha256(manifest).hexdigest()[:16]


def read_manifest(data: bytes, name: str) -> Manifest:
    """Return a manifest from its bytes.

    Raises
    ------
    DataError
        Not a manifest, a damaged one, or one of a newer version; names `name`.
    """
    try:
        record = json.loads(data)
        if record["format"] != FORMAT:
            raise DataError(name, f"not a catalogue index: its format is {record['format']!r}")
        if record["version"] != VERSION:
            cause = f"index of format version {record['version']}: this skyshade reads {VERSION}"
            raise DataError(name, cause)
        return _manifest(record)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(name, f"the manifest of the index is damaged: {error!r}") from error


def _manifest(record: Mapping[str, Any]) -> Manifest:
    return Manifest(
        title=str(record["title"]),
        guess=str(record["guess"]),
        frame=str(record["frame"]),
        notes=tuple(map(str, record["notes"])),
        columns=tuple(_column(c) for c in record["columns"]),
        states=tuple(map(str, record["states"])),
        grids=tuple(map(str, record["grids"])),
        threshold=int(record["threshold"]),
        segments=tuple(_segment(s) for s in record["segments"]),
    )


def _column(record: Mapping[str, Any]) -> Column:
    few = record["categories"]
    names = None if few is None else tuple(map(str, few))
    return Column(str(record["name"]), str(record["type"]), str(record["unit"]), names)


def _segment_record(segment: Segment) -> dict[str, Any]:
    return {
        "name": segment.name,
        "rows": segment.rows,
        "invalid": segment.invalid,
        "sampled": segment.sampled,
        "origin": dict(segment.origin),
        **segment.tally.record(),
    }


def _segment(record: Mapping[str, Any]) -> Segment:
    return Segment(
        name=str(record["name"]),
        rows=int(record["rows"]),
        invalid=int(record["invalid"]),
        sampled=int(record["sampled"]),
        tally=Tally.of_record(int(record["rows"]), record),
        origin={str(k): str(v) for k, v in record["origin"].items()},
    )
