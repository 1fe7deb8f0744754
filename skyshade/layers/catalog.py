"""A catalogue as a layer: every pixel is computed from the rows that fall into it."""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from skyshade.errors import FrameMismatchError, InputError
from skyshade.geometry.grids import SKY
from skyshade.geometry.mirror import mirrored
from skyshade.index.memory import MemoryIndex
from skyshade.layers.catalog_bins import reduce_window, state_of
from skyshade.layers.catalog_canvas import reduce_canvas
from skyshade.layers.catalog_exact import CatalogExact
from skyshade.layers.catalog_info import sample_window, sampled_densities, style_of
from skyshade.layers.catalog_queries import CatalogQueries
from skyshade.layers.points import PointsLayer, points_of
from skyshade.layers.reductions import CANVAS, DENSITY, Reduction, describe, reduction_of
from skyshade.layers.spread import SpreadLayer
from skyshade.layers.stats import scale_of, statistics_of
from skyshade.layers.where import Where, parse_where
from skyshade.types import (
    Aggregate,
    AnyArray,
    LayerInfo,
    PointTable,
    Quality,
    RowIndex,
    RowView,
    State,
    Statistics,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

ENGINE = "catalog-1"  # part of every version: change it when the numbers change


def index_of(table: PointTable | RowIndex) -> RowIndex:
    """Return the index of a table, made in memory, or the one that was given."""
    return cast("RowIndex", table) if hasattr(table, "facts") else MemoryIndex(table)


class CatalogLayer(CatalogExact, CatalogQueries):
    """A table of positions, shown as a surface density or as any other reduction of its rows.

    Parameters
    ----------
    table : PointTable or RowIndex
        A table is indexed in memory.
    id : str
    reduction : str or datashader reduction, optional
        ``"density"`` (rows per square degree, the default), ``"count"``, ``"mean:vt"``,
        ``ds.max("vt")`` ...
    column : str, optional
        Column of the reduction where `reduction` does not name it.
    where : str, optional
        Filter of rows, e.g. ``"vt < 9 & bt - vt > 1"``; see `skyshade.layers.where`.

    Raises
    ------
    UnknownNameError, InputError
        When the selection is not allowed.
    """

    _info: LayerInfo | None = None  # another one that was given, see `derived.restyled`

    def __init__(
        self,
        table: PointTable | RowIndex,
        *,
        id: str,
        reduction: object = None,
        column: str | None = None,
        where: str | None = None,
    ) -> None:
        self.id = id
        self._index = index_of(table)
        self.reduction = reduction_of(reduction, column, table.columns)
        self.where: tuple[Where, ...] = (
            () if where is None else (parse_where(where, table.columns),)
        )

    @property
    def table(self) -> PointTable | RowIndex:
        """What the layer was made of."""
        return self._index.table if isinstance(self._index, MemoryIndex) else self._index

    def select(
        self,
        *,
        reduction: object = None,
        column: str | None = None,
        where: str | None = None,
        plane: str | None = None,
        time: str | None = None,
    ) -> CatalogLayer:
        """Return the layer of another reduction, column or filter; the index is shared.

        None keeps what is selected. A filter is added to the layer's own, never put in its place.
        """
        for name, value in (("plane", plane), ("time", time)):
            if value is not None:
                msg = f"{name} {value!r} is not allowed: catalogue {self.id!r} has no {name}"
                raise InputError(msg)
        columns = self._index.columns
        chosen = reduction_of(reduction, column, columns, self.reduction)
        added = () if where is None else (parse_where(where, columns),)
        return self._with(chosen, self.where + added)

    def _with(self, reduction: Reduction, where: tuple[Where, ...]) -> CatalogLayer:
        other = object.__new__(CatalogLayer)
        other.id, other._index = self.id, self._index
        other.reduction, other.where = reduction, where
        return other

    @cached_property
    def version(self) -> str:
        """Changes with the table, the selection and the engine."""
        parts = (ENGINE, self._index.version(), self.reduction.label, *(w.text for w in self.where))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @property
    def info(self) -> LayerInfo:
        """Static description; the first use sorts the table."""
        return self._info or self._described()

    @info.setter
    def info(self, info: LayerInfo) -> None:
        self._info = info

    def _described(self) -> LayerInfo:
        index, facts = self._index, self._index.facts
        quantity, units = describe(self.reduction, index.units)
        return LayerInfo(
            id=self.id,
            title=index.name,
            kind="catalog",
            units=units,
            quantity=quantity,
            frame=index.frame,
            size=f"{len(index):,} row{'' if len(index) == 1 else 's'}",
            coverage=facts.coverage,
            resolution=SKY.pixel_size(facts.max_zoom),
            max_zoom=facts.max_zoom,
            style=style_of(self.reduction),
            columns=tuple(index.columns),
            categories=tuple(facts.categories),
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        invalid, total = self._index.invalid, len(self._index)
        notes = [self._index.guess] if self._index.guess else []
        notes += self._index.notes
        if invalid:
            verb = "has" if invalid == 1 else "have"
            notes.append(f"{invalid:,} of {total:,} rows {verb} no valid position")
        notes += [f"only rows where {w.text}" for w in self.where]
        return tuple(notes)

    @property
    def _view(self) -> RowView:
        return self._index.view(self.where)

    @property
    def index(self) -> RowIndex:  # type: ignore[override]
        """All rows, sorted by place."""
        return self._index

    @property
    def view(self) -> RowView:  # type: ignore[override]
        """The rows of the selection, sorted by place."""
        return self._view

    @property
    def state(self) -> State | None:
        """What is kept of the rows of a pixel; None for datashader's own reductions."""
        return None if self.reduction.name == CANVAS else state_of(self.reduction)

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        return self._index.units

    def points(
        self,
        *,
        size: str | float | None = None,
        color: str | None = None,
        shape: str = "circle",
        detail: str = "auto",
    ) -> PointsLayer:
        """Return the layer that draws its rows one by one where they are few.

        Parameters
        ----------
        size : str or float, optional
            A column (magnitudes: brighter is larger), or a radius in pixels of the tile. None
            takes a column of magnitudes if there is one, else one size.
        color : str, optional
            A column of numbers or of categories, or arithmetic of columns (``bt - vt``); None
            keeps what the layer shows.
        shape : {"circle", "square", "cross", "diamond"}
        detail : {"auto", "points"}
            ``auto`` shows the layer's numbers on levels that have too many rows for marks.

        Raises
        ------
        UnknownNameError, InputError
            When a column or another value is not allowed.
        """
        return points_of(self, size, color, shape, detail)

    def spread(self, px: int | str = "auto", shape: str = "circle") -> SpreadLayer:
        """Return the layer with every pixel spread over its neighbours, so that rows are seen.

        As `datashader.transfer_functions.spread`; "auto" decides like ``dynspread``, but once for
        every level: tiles join.

        Parameters
        ----------
        px : int or "auto"
            Pixels of the tile to each side, 0 to 16.
        shape : {"circle", "square"}
        """
        return SpreadLayer(self, px, shape)

    @mirrored
    def compute(self, window: Window) -> Aggregate:
        """Return the numbers on a window of a sky grid (``sky``: up to lattice level 23).

        Raises
        ------
        FrameMismatchError
            For a grid that is not on the sky.
        InputError
            For too deep a level, or a column that the reduction cannot take.
        """
        return self._made(window, exact=False)

    @mirrored
    def compute_exact(self, window: Window) -> Aggregate:
        """Return `compute`'s numbers, exact however long that takes."""
        self.wait_exact()
        return self._made(window, exact=True)

    def _made(self, window: Window, *, exact: bool) -> Aggregate:
        if window.grid.frame != "sky":
            msg = f"catalogue {self.id!r} lies on the sky, grid {window.grid.id!r} does not"
            raise FrameMismatchError(msg)
        values, categories, quality = self._reduce(window, exact=exact)
        units = describe(self.reduction, self._index.units)[1]
        return Aggregate(values, units, self.version, quality, categories)

    def _reduce(
        self, window: Window, *, exact: bool = False, view: RowView | None = None
    ) -> tuple[AnyArray, tuple[str, ...], Quality]:
        chosen = self._view if view is None else view
        reduce = reduce_canvas if self.reduction.name == CANVAS else reduce_window
        return reduce(chosen, window, self.reduction, exact=exact)

    def statistics(self) -> Statistics:
        """Return statistics of the values at the sampling level (see `value`).

        One range then serves every zoom: densities spread little when pixels hold several rows,
        and single rows on deeper levels are brighter than the range.
        """
        return self._cached("statistics", lambda: statistics_of(self._sample(), True))

    def _cached(self, what: str, make: Callable[[], T]) -> T:
        """Share a result with every layer of the same selection."""
        found: T = self._index.cached((what, self.reduction.label, self._view.name), make)
        return found

    def scale(self) -> float:
        """Return the power of two that value tiles are divided by."""
        return self._cached("scale", lambda: scale_of(self._sample()))

    def _sample(self) -> AnyArray:
        """Return the values of occupied pixels at the sampling level, shape (n,)."""

        def make() -> AnyArray:
            view = self._view
            if self.state is None or not view.has_planes(self.state, SKY.id):
                view = view.rough
            if self.reduction == DENSITY:
                return sampled_densities(*view.cells(view.level), view.level)
            window = sample_window(self._index.facts.coverage, view.level)
            values = self._reduce(window, view=view)[0]
            valid = values > 0 if values.dtype.kind == "u" else np.isfinite(values)
            return values[valid].ravel()

        return self._cached("sample", make)

    def value(self, ra: float, dec: float) -> float | None:
        """Return the value around an ICRS position in degrees; None where there are no rows.

        It is that of the lattice pixel at the sampling level: the deepest one (-5 to 12) whose
        occupied pixels hold eight rows on average. For the default quantity that is the local
        surface density, which a pixel of one row could not tell.
        """
        if not (math.isfinite(ra) and -90.0 <= dec <= 90.0):
            return None
        z = self._view.level
        col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
        values = self._reduce(Window(SKY, z, int(col[0]), int(row[0]), 1, 1))[0]
        found = float(values.sum()) if values.ndim == 3 else float(values[0, 0])
        empty = not math.isfinite(found) or (values.dtype.kind == "u" and found == 0)
        return None if empty else found
