"""Lists of sources as text: TileMaker's JSON, CSV, DS9 regions."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skyshade.overlays.sources import SourceList

CHUNK = 5000  # sources that are written at once
FORMATS = {"json": "application/json", "csv": "text/csv", "reg": "text/plain"}
_BRACES = str.maketrans({"{": "(", "}": ")", "\n": " "})


def json_text(sources: SourceList) -> Iterator[str]:
    """Yield the parts of a JSON list of ``{"ra", "dec", "name", "extra"}``."""
    yield "["
    for start in range(0, len(sources), CHUNK):
        records = sources.records(range(start, min(start + CHUNK, len(sources))))
        text = ",\n".join(json.dumps(r, ensure_ascii=False, allow_nan=False) for r in records)
        yield f",\n{text}" if start else f"\n{text}"
    yield "\n]\n"


def csv_text(sources: SourceList) -> Iterator[str]:
    """Yield the parts of a CSV table: ra, dec, name, then the other columns."""
    own = ("ra", "dec", "name")
    extra = list(sources.columns)
    yield _line([*own, *(f"{name}_" if name in own else name for name in extra)])
    for start in range(0, len(sources), CHUNK):
        records = sources.records(range(start, min(start + CHUNK, len(sources))))
        yield "".join(
            _line([r["ra"], r["dec"], r["name"], *(r["extra"][name] for name in extra)])
            for r in records
        )


def _line(cells: list[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()


def ds9_text(sources: SourceList) -> Iterator[str]:
    """Yield the parts of a DS9 region file: the shapes of regions, points for other sources."""
    yield "# Region file format: DS9 version 4.1\nglobal color=cyan\n"
    frame = ""
    outlines = sources.outlines
    for row, name in enumerate(sources.names):
        at = f"point({float(sources.ra[row]):.8f},{float(sources.dec[row]):.8f})"
        text = f"icrs\n{at}" if outlines is None else outlines.texts[row]
        first, shape = text.split("\n", 1)
        if first != frame:
            yield f"{first}\n"
            frame = first
        colour = "" if outlines is None else outlines.colours[row]
        mark = "" if "#" in shape else " #"
        said = f" color={colour}" if colour else ""
        label = f" text={{{str(name).translate(_BRACES)}}}" if name else ""
        yield f"{shape}{mark}{said}{label}\n" if said or label else f"{shape}\n"
