"""A catalogue as a layer: every pixel is computed from the rows that fall into it."""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from skyshade.errors import FrameMismatchError, InputError
from skyshade.geometry.grids import SKY
from skyshade.geometry.mirror import mirrored
from skyshade.layers.catalog_bins import reduce_window
from skyshade.layers.catalog_canvas import reduce_canvas
from skyshade.layers.catalog_index import CatalogIndex, View
from skyshade.layers.catalog_info import (
    category_columns,
    coverage_of,
    max_zoom_of,
    sample_window,
    sampled_densities,
    sampling_level,
    style_of,
)
from skyshade.layers.catalog_rows import (
    Rows,
    cone_of,
    gather_rows,
    rows_in_cone,
    rows_in_coverage,
)
from skyshade.layers.reductions import CANVAS, DENSITY, Reduction, describe, reduction_of
from skyshade.layers.stats import scale_of, statistics_of
from skyshade.layers.where import Where, parse_where
from skyshade.types import (
    ALL_SKY,
    Aggregate,
    AnyArray,
    Coverage,
    LayerInfo,
    PointTable,
    Statistics,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr

T = TypeVar("T")

ENGINE = "catalog-1"  # part of every version: change it when the numbers change


class CatalogLayer:
    """A table of positions, shown as a surface density or as any other reduction of its rows.

    Parameters
    ----------
    table : PointTable
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

    def __init__(
        self,
        table: PointTable,
        *,
        id: str,
        reduction: object = None,
        column: str | None = None,
        where: str | None = None,
    ) -> None:
        self.id = id
        self.table = table
        self.reduction = reduction_of(reduction, column, table.columns)
        self.where: tuple[Where, ...] = (
            () if where is None else (parse_where(where, table.columns),)
        )
        self._index = CatalogIndex(table)

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
        columns = self.table.columns
        chosen = reduction_of(reduction, column, columns, self.reduction)
        added = () if where is None else (parse_where(where, columns),)
        return self._with(chosen, self.where + added)

    def _with(self, reduction: Reduction, where: tuple[Where, ...]) -> CatalogLayer:
        other = object.__new__(CatalogLayer)
        other.id, other.table, other._index = self.id, self.table, self._index
        other.reduction, other.where = reduction, where
        return other

    @cached_property
    def version(self) -> str:
        """Changes with the table, the selection and the engine."""
        parts = (ENGINE, self._index.version, self.reduction.label, *(w.text for w in self.where))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def info(self) -> LayerInfo:
        """Static description; the first use sorts the table."""
        quantity, units = describe(self.reduction, self.table.units)
        zoom = self._index.cached(("max_zoom",), lambda: max_zoom_of(self._index.base.keys))
        return LayerInfo(
            id=self.id,
            title=self.table.name,
            kind="catalog",
            units=units,
            quantity=quantity,
            frame=self.table.frame,
            size=f"{len(self.table):,} row{'' if len(self.table) == 1 else 's'}",
            coverage=self._coverage(),
            resolution=SKY.pixel_size(zoom),
            max_zoom=zoom,
            style=style_of(self.reduction),
            columns=tuple(self.table.columns),
            categories=self._index.cached(("hint",), lambda: category_columns(self._index)),
            notes=self._notes(),
        )

    def _coverage(self) -> Coverage:
        def make() -> Coverage:
            rows = self._index.base.order
            ra, dec = self._index.positions()
            return coverage_of(ra[rows], dec[rows])

        return self._index.cached(("coverage",), make)

    def _notes(self) -> tuple[str, ...]:
        invalid, total = self._index.invalid, len(self.table)
        notes = [self.table.guess] if self.table.guess else []
        notes += getattr(self.table, "notes", ())  # tables of our loaders have warnings too
        if invalid:
            verb = "has" if invalid == 1 else "have"
            notes.append(f"{invalid:,} of {total:,} rows {verb} no valid position")
        notes += [f"only rows where {w.text}" for w in self.where]
        return tuple(notes)

    @property
    def _view(self) -> View:
        return self._index.view(self.where)

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
        if window.grid.frame != "sky":
            msg = f"catalogue {self.id!r} lies on the sky, grid {window.grid.id!r} does not"
            raise FrameMismatchError(msg)
        values, categories = self._reduce(window)
        units = describe(self.reduction, self.table.units)[1]
        return Aggregate(values, units, self.version, "exact", categories)

    def _reduce(self, window: Window) -> tuple[AnyArray, tuple[str, ...]]:
        if self.reduction.name == CANVAS:
            return reduce_canvas(self._view, window, self.reduction)
        return reduce_window(self._view, window, self.reduction)

    def aggregate(self, window: Window, *, exact: bool = False) -> xr.DataArray:
        """Return the numbers on `window` as a DataArray; they are always exact."""
        del exact
        return self.compute(window).to_xarray()

    def statistics(self) -> Statistics:
        """Return statistics of the values at the sampling level (see `value`).

        One range then serves every zoom: densities spread little when pixels hold several rows,
        and single rows on deeper levels are brighter than the range.
        """
        return self._cached("statistics", lambda: statistics_of(self._sample(), True))

    def _cached(self, what: str, make: Callable[[], T]) -> T:
        """Share a result with every layer of the same selection."""
        return self._index.cached((what, self.reduction.label, self._view.name), make)

    def scale(self) -> float:
        """Return the power of two that value tiles are divided by."""
        return self._cached("scale", lambda: scale_of(self._sample()))

    def _level(self) -> int:
        """Return the sampling level of the rows that are shown."""
        view = self._view
        return self._index.cached(("level", view.name), lambda: sampling_level(view.keys))

    def _sample(self) -> AnyArray:
        """Return the values of occupied pixels at the sampling level, shape (n,)."""

        def make() -> AnyArray:
            if self.reduction == DENSITY:
                return sampled_densities(self._view, self._level())
            values, _ = self._reduce(sample_window(self._coverage(), self._level()))
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
        z = self._level()
        col, row = SKY.lattice(np.array([ra]), np.array([dec]), z)
        values = self._reduce(Window(SKY, z, int(col[0]), int(row[0]), 1, 1))[0]
        found = float(values.sum()) if values.ndim == 3 else float(values[0, 0])
        empty = not math.isfinite(found) or (values.dtype.kind == "u" and found == 0)
        return None if empty else found

    def rows(
        self,
        *,
        ra: float | None = None,
        dec: float | None = None,
        radius: float | None = None,
        coverage: Coverage | None = None,
        columns: Sequence[str] | None = None,
        limit: int = 5000,
    ) -> Rows:
        """Return the rows in a cone or a sky rectangle (or all); boundaries are included.

        Parameters
        ----------
        ra, dec, radius : float, optional
            A cone, ICRS degrees; its rows come nearest first.
        coverage : Coverage, optional
            A sky rectangle; its rows come in the table's order.
        columns : sequence of str, optional
            None gives all. ``ra`` and ``dec`` are always there, as ICRS degrees.
        limit : int

        Raises
        ------
        InputError
            When a cone is incomplete or out of range, or given together with a rectangle.
        """
        cone = [v for v in (ra, dec, radius) if v is not None]
        if len(cone) not in (0, 3) or (cone and coverage is not None):
            msg = "rows: give ra, dec and radius together, or coverage, or none of them"
            raise InputError(msg)
        if cone:
            found, distance = rows_in_cone(self._view, cone_of(*cone))
            return gather_rows(self._view, found, columns, limit, distance)
        found = rows_in_coverage(self._view, ALL_SKY if coverage is None else coverage)
        return gather_rows(self._view, found, columns, limit)

    def nearest(self, ra: float, dec: float, radius: float) -> dict[str, Any] | None:
        """Return the row nearest to a position within `radius` degrees, None if there is none.

        Keys are ``ra``, ``dec``, ``separation`` (degrees), ``row`` and the table's columns.
        """
        found = self.rows(ra=ra, dec=dec, radius=radius, limit=1)
        if found.total == 0 or found.separation is None:
            return None
        row = {name: values[0] for name, values in found.columns.items()}
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
        place = {"separation": float(found.separation[0]), "row": int(found.rows[0])}
        return {**plain, **place}
