"""What a view shows of a source list, as the page reads it: a JSON header and little-endian arrays.

Bytes: uint32 length of the header, the header, then the arrays one after the other; they begin at a
multiple of four bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from skyshade.overlays import SourceList, View
from skyshade.types import AnyArray

NAMED = 300  # markers, up to which their names come along


def markers_of(sources: SourceList, view: View, cell: float, limit: int) -> bytes:
    """Return what a view marks: x, y (uint16), row (uint32) and, when ``sized``, size (uint8).

    x and y count 65535ths of ``width`` from ``east`` and of ``height`` from ``south``, sizes tenths
    of a pixel. Other parameters as for `skyshade.overlays.Marks.shown`.
    """
    shown = sources.marks.shown(view, cell, limit)
    header: dict[str, Any] = {
        "count": shown.rows.size,
        "total": shown.total,
        "east": view.east,
        "south": view.south,
        "width": min(view.width, 360.0),
        "height": view.north - view.south,
        "sized": sources.sizes is not None,
    }
    if shown.rows.size <= NAMED:
        header["names"] = [sources.names[row] for row in shown.rows]
    if sources.outlines is not None:
        header["colours"] = [sources.outlines.colours[row] for row in shown.rows]
    arrays = [shown.x, shown.y, shown.rows.astype(np.uint32)]
    return _packed(
        header, arrays if sources.sizes is None else [*arrays, sources.sizes[shown.rows]]
    )


def outlines_of(sources: SourceList, view: View, pixel: float) -> bytes:
    """Return the shapes in a view: all x, then all y (float32), degrees from its middle.

    The header has the number of vertices, the row and the colour of each line.
    """
    if sources.drawing is None:
        return _packed({"sizes": [], "rows": [], "colours": []}, [])
    lines = sources.drawing.lines(view, pixel)
    header = {
        "sizes": lines.sizes.tolist(),
        "rows": lines.rows.tolist(),
        "colours": list(lines.colours),
    }
    return _packed(header, [lines.u, lines.v])


def _packed(header: dict[str, Any], arrays: Sequence[AnyArray]) -> bytes:
    text = json.dumps(header, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    return struct.pack("<I", len(text)) + text + data
