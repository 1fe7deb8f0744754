"""Lines and polygons on the sky as a layer: tracks and footprints.

Edges are great circles; they are drawn on the window's lattice as straight pieces of at most
`PIECE` pixels. Polygons are filled at pixel centres; lines go through `datashader.Canvas.line`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from skyshade.errors import InputError, UnknownNameError
from skyshade.geometry.grids import SKY
from skyshade.geometry.mirror import mirrored
from skyshade.geometry.outlines import Outlines
from skyshade.kernels.polygons import fill_polygons
from skyshade.layers.catalog_canvas import draw_lines
from skyshade.layers.derived import DerivedLayer
from skyshade.layers.glyph_lines import (
    PIECE,
    boxes_of,
    closed_over,
    coverage,
    cut_edges,
    placed,
    poles_of,
    touching,
)
from skyshade.layers.points_windows import clear_beyond, once_round
from skyshade.layers.reductions import is_datashader
from skyshade.layers.shapes import Shapes, grouped, shapes_of
from skyshade.types import (
    Aggregate,
    AnyArray,
    FloatArray,
    LayerInfo,
    Style,
    Window,
)

MOST_CLASSES = 32
NAMES = ("any", "count", "sum", "mean", "by")
_DEEPEST = 20


Points = tuple[FloatArray, FloatArray]


class How(NamedTuple):
    """The reduction of shapes that meet in a pixel: its name and its column."""

    name: str
    column: str = ""


def footprints(
    shapes: object,
    *,
    reduction: object = "count",
    column: str | None = None,
    id: str = "footprints",
    title: str = "",
) -> GlyphLayer:
    """Return footprints as a layer: how many cover each pixel, or a reduction of their columns.

    Parameters
    ----------
    shapes : table, mapping or sequence
        A table with a column of STC-S texts (``s_region``) or with lists of vertices in ``ra`` and
        ``dec`` (ICRS degrees); or a list of STC-S texts or of ``(ra, dec)`` pairs of lists.
        POLYGON, CIRCLE, BOX and UNION are known; edges are great circles.
    reduction : str or datashader reduction
        ``"count"``, ``"any"``, ``"mean:column"``, ``"sum:column"`` or ``"by:column"`` (classes).
    column : str, optional
        The column of STC-S texts, unless it has a usual name.
    id, title : str

    Raises
    ------
    InputError, UnknownNameError
        When a shape cannot be read or the reduction is not known.

    Examples
    --------
    >>> layer = footprints(["CIRCLE ICRS 10 20 1.5", "POLYGON ICRS 1 1 3 1 3 4"])
    >>> layer.info.size
    '2 footprints'
    """
    found = shapes_of(shapes, closed=True, column=column)
    return GlyphLayer(found, closed=True, reduction=reduction, id=id, title=title)


def tracks(
    lines: object,
    *,
    by: str | None = None,
    reduction: object = "any",
    id: str = "tracks",
    title: str = "",
    width: float = 0.0,
) -> GlyphLayer:
    """Return tracks as a layer: great circles between the positions of each.

    Parameters
    ----------
    lines : table, mapping or sequence
        A table with lists of positions in ``ra`` and ``dec`` (ICRS degrees), a long table of
        positions with `by`, or a list of ``(ra, dec)`` pairs of lists.
    by : str, optional
        Column that tells which track a row of a long table belongs to; rows are in order.
    reduction : str or datashader reduction
        As for `footprints`.
    id, title : str
    width : float
        Pixels of smooth lines; 0 draws every pixel that a line crosses.
    """
    given = lines if by is None else grouped(lines, by)
    found = shapes_of(given, closed=False)
    how = {"reduction": reduction, "id": id, "title": title}
    return GlyphLayer(found, closed=False, width=width, **how)  # type: ignore[arg-type]


class GlyphLayer(DerivedLayer):
    """Lines or polygons on the sky; see `footprints` and `tracks`.

    Parameters
    ----------
    shapes : Shapes
    closed : bool
        Polygons, filled; else lines.
    reduction : str or datashader reduction
    id, title : str
    width : float
        Of lines, in pixels; 0 is not smooth.
    """

    def __init__(
        self,
        shapes: Shapes,
        *,
        closed: bool,
        reduction: object = "count",
        id: str = "shapes",
        title: str = "",
        width: float = 0.0,
    ) -> None:
        if not 0.0 <= width <= PIECE:
            msg = f"width {width!r} is not allowed: give 0 to {PIECE} pixels"
            raise InputError(msg)
        self.closed, self.width, self._shapes = closed, width, shapes
        self.how = how_of(reduction, shapes.columns)
        self._values, self.classes = _values_of(self.how, shapes)
        plain = [""] * shapes.total
        self._lines = Outlines.of(shapes.rings, shapes.rows, plain, plain)
        self._poles = poles_of(self._lines) if closed else np.zeros(len(shapes.rings))
        self._boxes = boxes_of(self._lines, self._poles)
        info = _info(self._boxes, shapes.total, self.how, closed, id, title)
        super().__init__([], info, self._mark_of())

    def _mark_of(self) -> str:
        """Return what tells these shapes from all others."""
        lines = self._lines
        digest = hashlib.sha256(repr((self.closed, self.width, self.how, self.classes)).encode())
        for array in (lines.u, lines.v, lines.starts, lines.rows, self._values):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def select(self, *, reduction: object = None, **others: Any) -> GlyphLayer:
        """Return the same shapes with another reduction."""
        given = {name: value for name, value in others.items() if value is not None}
        column = given.pop("column", None)
        if given:
            name, value = next(iter(given.items()))
            msg = f"{name} {value!r} is not allowed: {self.id!r} has shapes and no {name}"
            raise InputError(msg)
        if reduction is None and column is None:
            return self
        how = reduction if column is None else f"{reduction or 'mean'}:{column}"
        return GlyphLayer(
            self._shapes,
            closed=self.closed,
            reduction=how,
            id=self.id,
            title=self.info.title,
            width=self.width,
        )

    def value(self, ra: float, dec: float) -> float | None:
        """Return the value at an ICRS position in degrees; None where there is no shape."""
        if not (math.isfinite(ra) and -90.0 <= dec <= 90.0):
            return None
        z = self.info.max_zoom
        col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
        made = self.compute(Window(SKY, z, int(col[0]), int(row[0]), 1, 1)).values.sum()
        return float(made) if np.isfinite(made) and made != 0 else None

    def _sample(self) -> AnyArray:
        """Return values from all over the layer where there are shapes."""
        values = super()._sample()
        return values[values != 0] if values.dtype.kind == "u" else values

    @mirrored
    def _compute(self, window: Window) -> Aggregate:
        once = once_round(window)
        values = self._filled(once) if self.closed else self._drawn(once)
        clear_beyond(once, values)
        if once != window:
            values = np.take(values, np.arange(window.width) % once.width, axis=1)
        return Aggregate(np.ascontiguousarray(values), self.info.units, "", "exact", self.classes)

    def _filled(self, window: Window) -> AnyArray:
        """Return polygons reduced on a window."""
        n, total = self._covered(window, np.ones(len(self._values), np.bool_))
        if self.how.name == "by":
            layers = [self._covered(window, self._values == i)[0] for i in range(len(self.classes))]
            return np.stack(layers, axis=2) if layers else np.zeros((*window.shape, 0), np.uint32)
        if self.how.name in ("count", "any"):
            return np.minimum(n, 1) if self.how.name == "any" else n
        with np.errstate(invalid="ignore", divide="ignore"):
            found = total if self.how.name == "sum" else total / n
        return np.where(n == 0, np.nan, found)

    def _covered(self, window: Window, wanted: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Return how many of some rows cover each pixel, and the sum of their values."""
        n, total = np.zeros(window.shape, np.uint32), np.zeros(window.shape)
        last = np.full(window.shape, -1, np.int64)
        good = wanted & np.isfinite(self._values)
        pieces = [
            (row, *closed_over(xy, pole, window))
            for row, pole, xy in self._near(window)
            if good[row]
        ]
        pieces = [piece for piece in pieces if piece[1].size > 2]
        if not pieces:
            return n, total
        rows, xs, ys = zip(*pieces, strict=True)
        starts = np.concatenate([[0], np.cumsum([x.size for x in xs])]).astype(np.int64)
        shape = np.array(rows, np.int64)
        value = self._values[shape].astype(np.float64)
        fill_polygons(np.concatenate(xs), np.concatenate(ys), starts, shape, value, last, n, total)
        return n, total

    def _drawn(self, window: Window) -> AnyArray:
        """Return lines reduced on a window, drawn with a margin: no piece is cut at its edge."""
        margin = PIECE + math.ceil(self.width) + 2
        around = window.pad(margin)
        found = list(self._near(around))
        made = draw_lines(
            [xy for _, _, xy in found],
            self._values[[row for row, *_ in found]] if found else np.empty(0),
            around,
            (self.how.name, self.classes, self.width),
        )
        return made[margin:-margin, margin:-margin]

    def _near(self, window: Window) -> Iterator[tuple[int, float, Points]]:
        """Yield row, pole and pixel positions of every line that can touch a window."""
        for i, turn in touching(self._boxes, window):
            a, b = self._lines.starts[i], self._lines.starts[i + 1]
            pieces = cut_edges(self._lines.u[a:b], self._lines.v[a:b], window)
            yield int(self._lines.rows[i]), float(self._poles[i]), placed(*pieces, window, turn)


def how_of(given: object, columns: Any) -> How:
    """Return a reduction of shapes; UnknownNameError or InputError when there is none such."""
    if is_datashader(given):
        name = {"count_cat": "by"}.get(type(given).__name__, type(given).__name__)
        column = getattr(given, "column", None) or getattr(given, "cat_column", None) or ""
        given = f"{name}:{column}" if name not in ("count", "any") else name
    name, _, column = str(given).partition(":")
    name = {"count_cat": "by"}.get(name, name)
    if name not in NAMES:
        raise UnknownNameError("reduction", name, NAMES)
    if name in ("any", "count"):
        return How(name)
    if not column:
        msg = f"reduction {name!r} needs a column, e.g. {name}:{next(iter(columns), 'depth')}"
        raise InputError(msg)
    if column not in columns:
        raise UnknownNameError("column", column, tuple(columns))
    return How(name, column)


def _values_of(how: How, shapes: Shapes) -> tuple[AnyArray, tuple[str, ...]]:
    """Return a number for every row (of its class for ``by``; NaN: none), and the classes."""
    if not how.column:
        return np.ones(shapes.total), ()
    values = shapes.columns[how.column]
    if how.name != "by":
        if values.dtype.kind not in "biuf":
            msg = f"reduction {how.name!r} needs numbers: column {how.column!r} holds none"
            raise InputError(msg)
        return values.astype(np.float64), ()
    texts = ["" if v is None or v != v else str(v) for v in values.tolist()]
    names = tuple(sorted({text for text in texts if text}))
    if len(names) > MOST_CLASSES:
        msg = f"column {how.column!r} has {len(names)} classes: at most {MOST_CLASSES} are allowed"
        raise InputError(msg)
    number = {name: float(i) for i, name in enumerate(names)}
    return np.array([number.get(text, np.nan) for text in texts]), names


def _info(boxes: FloatArray, count: int, how: How, closed: bool, id: str, title: str) -> LayerInfo:
    what = "footprints" if closed else "tracks"
    quantity = {
        "count": f"number of {what}",
        "any": what,
        "by": f"number of {what} by {how.column}",
    }.get(how.name, f"{how.name} of {how.column}")
    sizes = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2])
    typical = float(np.median(sizes)) if sizes.size else 1.0
    z = math.ceil(math.log2(SKY.pixel_degrees(0) / max(typical / 512.0, 1e-7)))
    z = min(max(z, 4), _DEEPEST)
    one = what[:-1]
    return LayerInfo(
        id=id,
        title=title or id,
        kind="map",
        quantity=quantity,
        size=f"{count:,} {one if count == 1 else what}",
        coverage=coverage(boxes),
        resolution=SKY.pixel_size(z),
        max_zoom=z,
        style=Style(cmap="viridis"),
        columns=(),
        categories=(),
    )
