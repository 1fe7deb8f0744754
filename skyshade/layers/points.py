"""Rows of a catalogue as marks: sized, shaped and coloured by columns, one by one.

Zoomed out the numbers of the catalogue are shown; from the level on where displayed pixels hold an
eighth of a row on average, every row is drawn. The level is one for the whole layer, marks are
placed by integers and a window looks for rows around it, so tiles join exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import UnknownNameError
from skyshade.geometry.grids import SKY
from skyshade.geometry.mirror import mirrored
from skyshade.index.pyramid import THRESHOLD
from skyshade.kernels.marks import draw_marks, mark_reach
from skyshade.layers.catalog_drawn import DrawnCatalog
from skyshade.layers.catalog_formula import FORMULA, FormulaLayer, of_rows
from skyshade.layers.catalog_places import ranges_near
from skyshade.layers.catalog_smooth import box_width, smoothed_classes, smoothed_density
from skyshade.layers.derived import worst
from skyshade.layers.marks import PARTS, Sizes, fine_positions, shape_of, sizes_of
from skyshade.layers.points_windows import (
    clear_beyond,
    dense_tiles,
    level_of,
    mask_of,
    once_round,
    without,
    wrapped,
)
from skyshade.layers.reductions import DENSITY
from skyshade.types import (
    DEC,
    RA,
    Aggregate,
    AnyArray,
    IntArray,
    Quality,
    RowBlock,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from skyshade.layers.catalog import CatalogLayer

T = TypeVar("T")
ENGINE = "points-1"  # raise it whenever the marks change
DETAILS = ("auto", "points")
BRIGHTEST = 0.003  # rows in a pixel that are drawn over the numbers on the level before
LATER = 2
TILE_BITS = 8  # log2 of the pixels along a tile
FEW = 0.07  # rows in an occupied area of one pixel, on average, from which marks are drawn
OPAQUE = 255
_COLOURED = ("mean", "sum", "min", "max", FORMULA)  # reductions that a row has the value of


@dataclass(frozen=True, slots=True)
class Look:
    """How rows are drawn.

    Parameters
    ----------
    size : str or None
        A column or a radius in pixels; None takes a column of magnitudes if there is one.
    shape : {"circle", "square", "cross", "diamond"}
    detail : {"auto", "points"}
        ``auto`` draws rows only on levels where they are few in a pixel.
    """

    size: str | None = None
    shape: str = "circle"
    detail: str = "auto"


class Drawn(NamedTuple):
    """Marks on a window: how much of each pixel is covered, and by which row (-1: none)."""

    opacity: NDArray[np.uint8]
    owner: NDArray[np.int32]
    colours: AnyArray | None
    quality: Quality


def points_of(
    base: CatalogLayer,
    size: str | float | None = None,
    color: str | None = None,
    shape: str = "circle",
    detail: str = "auto",
) -> PointsLayer:
    """Return the layer of a catalogue's rows; see `CatalogLayer.points`."""
    shape_of(shape)
    if detail not in DETAILS:
        raise UnknownNameError("detail", detail, DETAILS)
    if color is not None:
        base = coloured(base, color)
    text = None if size is None else f"{size:g}" if isinstance(size, int | float) else str(size)
    return PointsLayer(base, Look(text, shape, detail))


def coloured(base: Any, color: str) -> Any:
    """Return a catalogue that shows a column (numbers or categories), or a formula of columns."""
    if color not in base.info.columns:
        if color.isidentifier():
            raise UnknownNameError("color", color, base.info.columns)
        return FormulaLayer(base, color)
    values = base.view.take(np.empty(0, np.int64), [color])[color]
    how = "mean" if values.dtype.kind in "biuf" else "count_cat"
    return base.select(reduction=how, column=color)


class PointsLayer(DrawnCatalog):
    """A catalogue whose rows are drawn one by one where they are few.

    The aggregate's `opacity` says how much of each pixel marks cover; its values are those of the
    rows where the catalogue's reduction is of a column (or categories), else +inf: a mark without
    a number, which any colour map draws in its last colour. Where marks overlap, a pixel belongs
    to the one that covers more of it, among equals to the smallest. Tiles of more rows than an
    index bins at once show the reduction instead of marks.

    Parameters
    ----------
    base : CatalogLayer
    look : Look
    """

    def __init__(self, base: Any, look: Look) -> None:
        super().__init__(base, "|".join((ENGINE, look.size or "", look.shape, look.detail)))
        self.look = look
        self._kept: dict[tuple[str, int, bool], Any] = {}

    def _of(self, base: Any) -> PointsLayer:
        return PointsLayer(base, self.look)

    def _known(self, what: str, make: Callable[[], T]) -> T:
        """Return what was made of the rows; made anew when the index takes a sample's place."""
        key = what, self.view.level, self.base.ready
        if key not in self._kept:
            self._kept[key] = make()
        return cast("T", self._kept[key])

    @property
    def first_level(self) -> int:
        """The first level of the ``sky`` lattice on which rows are few enough in a pixel.

        Up to `LATER` levels later where many rows crowd in one tile.
        """

        def make() -> int:
            level = self.view.level + round(math.log(self._rows / FEW, 4.0))
            later = (z for z in range(level, level + LATER) if not self._crowded(z))
            return next(later, level + LATER)

        return self._known("first", make)

    @property
    def _rows(self) -> float:
        """Rows in an occupied pixel of the sampling level, on average; at least 1."""

        def make() -> float:
            counts = self.view.cells(self.view.level)[1]
            return max(float(counts.mean()), 1.0) if counts.size else 1.0

        return self._known("rows", make)

    def _crowded(self, z: int) -> bool:
        """Return whether a tile of a level holds more rows than an index bins at once."""
        counts = self.view.cells(z - TILE_BITS)[1]
        return bool(counts.size and counts.max() > THRESHOLD)

    @property
    def _bright_over_numbers(self) -> bool:
        """Whether the brightest rows are drawn over the numbers of the last level before marks."""
        z = self.first_level - 1
        if not self.sizes.column or z < 0:
            return False
        return self._known("bright", lambda: not self._crowded(z))

    @property
    def sizes(self) -> Sizes:
        """Radii of marks."""

        def make() -> Sizes:
            return sizes_of(self.look.size, self.info.columns, self.base.units, self.view)

        return self._known("sizes", make)

    def points(
        self,
        *,
        size: str | float | None = None,
        color: str | None = None,
        shape: str = "circle",
        detail: str = "auto",
    ) -> PointsLayer:
        """Return the rows drawn in another way."""
        return points_of(self.base, size, color, shape, detail)

    @mirrored
    def compute(self, window: Window) -> Aggregate:
        """Return marks on a window, or the catalogue's numbers on levels that show no marks."""
        levels = level_of(window) - self.first_level
        once = once_round(window)
        shallow = levels < 0 and (self.look.detail == "auto" or window.z < 0)
        if shallow or (levels < 0 and window.grid.id != SKY.id):
            made = self._numbers(once, levels)
        else:
            made = self._marks(once, levels)
        return replace(wrapped(made, once, window), version=self.version)

    def _numbers(self, window: Window, levels: int) -> Aggregate:
        """Return the catalogue's numbers; densities and classes smoothed where rows are few.

        On the last level before marks the brightest rows are drawn over them.
        """
        smooth = self.reduction == DENSITY or self.reduction.name == "count_cat"
        if not smooth or window.grid.id != SKY.id:
            return self.base.compute(window)
        width = box_width(window.z - self.view.level)
        if self.reduction != DENSITY:
            found = smoothed_classes(self.view, window, width, self.reduction.column)
            return Aggregate(found[0], "", "", found[1], self._category_names())
        values, quality = smoothed_density(self.view, window, width)
        if levels < -1 or not self._bright_over_numbers:
            return Aggregate(values, self.info.units, "", quality)
        halo = mark_reach(self.sizes.largest(levels))
        drawn = self._drawn(window, halo, levels, np.empty((0, 5), np.int64))
        made = Aggregate(
            _values(drawn, 0), self.info.units, "", quality, opacity=drawn.opacity, under=values
        )
        return replace(made, quality=drawn.quality) if quality == "exact" else made

    def _marks(self, window: Window, levels: int) -> Aggregate:
        halo = mark_reach(self.sizes.largest(levels))
        dense = dense_tiles(self.view, window.pad(halo))
        names = self._category_names()
        drawn = self._drawn(window, halo, levels, dense)
        made = Aggregate(
            _values(drawn, len(names)),
            self.info.units,
            "",
            drawn.quality,
            names,
            opacity=drawn.opacity,
        )
        inside = mask_of(dense, window)
        if inside is None:
            return made
        numbers = self.base.compute(window)
        empty = np.nan if numbers.values.dtype.kind == "f" else 0
        shown = inside if numbers.values.ndim == 2 else inside[:, :, None]
        under = np.where(shown, numbers.values, np.array(empty, numbers.values.dtype))
        return replace(made, under=under, quality=worst([made, numbers]))

    def _category_names(self) -> tuple[str, ...]:
        if self.reduction.name != "count_cat":
            return ()
        return tuple(self.view.categories(self.reduction.column))

    def _colours_of(self, blocks: list[RowBlock]) -> AnyArray:
        """Return the value, or the category number, of the rows of some blocks."""
        reduction = self.reduction
        if reduction.name == "count_cat":
            return _joined([b.codes[reduction.column] for b in blocks])
        columns = [_joined([b.columns[name] for b in blocks]) for name in reduction.columns]
        return of_rows(reduction, columns) if reduction.name == FORMULA else columns[0]

    def _bright_of(self, block: RowBlock, window: Window) -> RowBlock:
        """Return the few brightest rows of a block, as many in a pixel whatever the catalogue."""
        rows = self._rows * 4.0 ** (self.view.level - window.z)
        size = block.columns[self.sizes.column]
        few = self.sizes.brightest(size, min(BRIGHTEST / rows, 1.0))
        return _rows_of(block, np.flatnonzero(few))

    def _drawn(self, window: Window, halo: int, levels: int, dense: IntArray) -> Drawn:
        """Draw the rows in and around a window that lie in none of the dense tiles."""
        around = window.pad(halo)
        reduction = self.reduction
        codes = [reduction.column] if reduction.name == "count_cat" else []
        read = reduction.columns if reduction.name in _COLOURED else ()
        plain = [name for name in {self.sizes.column, *read} if name]
        ranges = without(ranges_near(around), dense)
        sampled = self.view.many(ranges)  # only where the index of a large table is not there yet
        given = self.view.rough if sampled else self.view
        found = given.blocks(ranges, [RA, DEC, *plain], codes)
        bright = levels < 0 and bool(self.sizes.column) and self.look.detail == "auto"
        held = (self._bright_of(block, window) if bright else block for block in found)
        blocks = [_near(block, window, halo) for block in held]
        x = _joined([b[0] for b in blocks], np.int64)
        y = _joined([b[1] for b in blocks], np.int64)
        kept = [b[2] for b in blocks]
        size = _joined([b.columns[self.sizes.column] for b in kept]) if self.sizes.column else None
        radii = self.sizes.radii(size, x.size, levels)
        colours = None
        if read or codes:
            colours = self._colours_of(kept)
            order = np.lexsort((_joined([b.rows for b in kept]), -radii))
            x, y, radii, colours = x[order], y[order], radii[order], colours[order]
        opacity, owner = np.zeros(window.shape, np.uint8), np.full(window.shape, -1, np.int32)
        shape = shape_of(self.look.shape)
        strengths = self.sizes.strengths(radii, levels)
        draw_marks((x + 0.5) / PARTS, (y + 0.5) / PARTS, radii, strengths, shape, opacity, owner)
        clear_beyond(window, opacity)
        return Drawn(opacity, owner, colours, "sample" if sampled else "exact")


def _rows_of(block: RowBlock, which: AnyArray) -> RowBlock:
    """Return some rows of a block."""
    columns = {name: values[which] for name, values in block.columns.items()}
    codes = {name: values[which] for name, values in block.codes.items()}
    return RowBlock(block.keys[which], block.rows[which], columns, codes)


def _near(block: RowBlock, window: Window, halo: int) -> tuple[IntArray, IntArray, RowBlock]:
    """Return positions in parts of a pixel, and the rows, that can touch a window.

    Rows near both ends of a window that goes round the sky come twice.
    """
    x, y = fine_positions(window, block.columns[RA], block.columns[DEC])
    turn = window.grid.lattice_shape(window.z)[1] * PARTS
    edge, wide, high = halo * PARTS, window.width * PARTS, window.height * PARTS
    level = (y >= -edge) & (y < high + edge)
    parts = [np.flatnonzero(level & (x >= -edge) & (x < wide + edge))]
    shifts = [0]
    if window.grid.periodic:
        parts.append(np.flatnonzero(level & (x >= turn - edge)))
        shifts.append(turn)
    which = np.concatenate(parts)
    at = np.concatenate([x[p] - s for p, s in zip(parts, shifts, strict=True)])
    return at, y[which], _rows_of(block, which)


def _joined(parts: list[AnyArray], dtype: Any = np.float64) -> AnyArray:
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _values(drawn: Drawn, categories: int) -> AnyArray:
    """Return what every pixel shows: the value or the category of the mark that it belongs to."""
    shown = drawn.opacity > 0
    if drawn.colours is None:
        return np.where(shown, np.float32(np.inf), np.float32(np.nan))
    numbers = drawn.colours[drawn.owner[shown]]
    if not categories:
        values = np.full(shown.shape, np.nan, np.float32)
        values[shown] = numbers
        return values
    counts = np.zeros((*shown.shape, categories), np.uint32)
    rows, cols = np.nonzero(shown)
    known = numbers >= 0
    counts[rows[known], cols[known], numbers[known]] = 1
    return counts
