"""What a catalogue is asked for row by row: what `CatalogLayer` inherits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from skyshade.errors import InputError, TooLargeError
from skyshade.layers.catalog_rows import SCAN, Found, Rows, checked_columns, find, nearest_of
from skyshade.layers.regions import Cone, Polygon, Rectangle, Region
from skyshade.types import Coverage, RowIndex, RowView

if TYPE_CHECKING:
    import pandas as pd

MOST = 5_000_000  # rows of a DataFrame for which no limit was given
LIMIT = 5000


class Selected(Protocol):
    """What queries need of a catalogue's layer."""

    @property
    def index(self) -> RowIndex:
        """All rows."""
        ...

    @property
    def view(self) -> RowView:
        """The rows of the selection."""
        ...

    def select(self, *, where: str | None = None) -> Any:
        """Return the layer with another filter added."""
        ...

    def find(
        self,
        region: Region | Coverage | None = None,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = LIMIT,
        scan: int = SCAN,
        timeout: float | None = None,
    ) -> Found:
        """Find rows; see `CatalogQueries.find`."""
        ...


class CatalogQueries:
    """Methods of a catalogue that give rows."""

    def rows(
        self: Selected,
        region: Region | Coverage | None = None,
        *,
        ra: float | None = None,
        dec: float | None = None,
        radius: float | None = None,
        coverage: Coverage | None = None,
        polygon: Sequence[tuple[float, float]] | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        """Return the rows in a region (or all) as a DataFrame; boundaries are included.

        Parameters
        ----------
        region : Cone, Polygon, Rectangle or Coverage, optional
            ``skyshade.Cone(ra, dec, radius)``, ``skyshade.Polygon([(ra, dec), ...])``,
            ``skyshade.Rectangle(ra_east, ra_west, dec_min, dec_max)``; ICRS degrees.
        ra, dec, radius : float, optional
            Instead of `region`: a cone. Of a cone the nearest rows come first, of others those of
            the lowest numbers.
        coverage : Coverage, optional
            Instead of `region`: a sky rectangle.
        polygon : sequence of (float, float), optional
            Instead of `region`: vertices.
        columns : sequence of str, optional
            None gives all. ``ra`` and ``dec`` are always there, as ICRS degrees.
        where : str, optional
            Filter, e.g. ``"vt < 9 & bt - vt > 1"``; added to the layer's own.
        limit : int, optional
            Most rows. None gives all of them, up to 5 million.

        Returns
        -------
        pandas.DataFrame
            Its index are the numbers of the rows; ``attrs`` hold ``total`` (None where counting
            would take too long), ``truncated`` and ``units``.

        Raises
        ------
        InputError
            When a region is incomplete or out of range, or two are given.
        TooLargeError
            More than 5 million rows, and no limit.
        """
        place = region_of(region, ra, dec, radius, coverage, polygon)
        most = MOST if limit is None else limit
        found = self.find(place, columns=columns, where=where, limit=most)
        if limit is None and found.truncated:
            msg = f"more than {MOST} rows: give a limit, a filter or a smaller region"
            raise TooLargeError(msg)
        return found.part().to_pandas()

    def query(
        self: Selected,
        region: Region | Coverage | None = None,
        *,
        ra: float | None = None,
        dec: float | None = None,
        radius: float | None = None,
        coverage: Coverage | None = None,
        polygon: Sequence[tuple[float, float]] | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = LIMIT,
        scan: int = SCAN,
    ) -> Rows:
        """Return the rows in a region as numpy columns.

        Parameters are those of `rows`; at most `scan` rows are read only to be counted.
        """
        place = region_of(region, ra, dec, radius, coverage, polygon)
        return self.find(place, columns=columns, where=where, limit=limit, scan=scan).part()

    def find(
        self: Selected,
        region: Region | Coverage | None = None,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = LIMIT,
        scan: int = SCAN,
        timeout: float | None = None,
    ) -> Found:
        """Find the rows in a region; their columns are read part by part.

        Parameters are those of `query`; TimeoutError after `timeout` seconds.
        """
        layer = self if where is None else self.select(where=where)
        names = checked_columns(columns, self.index.columns)
        place = region_of(region)
        view, index = layer.view, self.index
        known = len(index) - index.invalid if place is None and not view.name else None
        return find(view, place, limit, names, index.units, scan=scan, known=known, timeout=timeout)

    def nearest(self: Selected, ra: float, dec: float, radius: float) -> dict[str, Any] | None:
        """Return the row nearest to a position within `radius` degrees, None if there is none.

        Keys are ``ra``, ``dec``, the table's columns, ``separation`` (degrees) and ``row``.
        """
        found = nearest_of(self.view, Cone(ra, dec, radius))
        if found is None:
            return None
        number, separation = found
        one = Found(
            self.view,
            tuple(self.index.columns),
            self.index.units,
            np.array([number]),
            None,
            truncated=False,
        ).part()
        plain = {name: _plain(values[0]) for name, values in one.columns.items()}
        return {**plain, "separation": separation, "row": number}


def region_of(
    region: Region | Coverage | None = None,
    ra: float | None = None,
    dec: float | None = None,
    radius: float | None = None,
    coverage: Coverage | None = None,
    polygon: Sequence[tuple[float, float]] | None = None,
) -> Region | None:
    """Return the one region that is given in any of four ways; None for the whole sky.

    Raises
    ------
    InputError
        An incomplete cone, or two regions.
    """
    cone = [value for value in (ra, dec, radius) if value is not None]
    given = (region is not None, bool(cone), coverage is not None, polygon is not None)
    if sum(given) > 1 or len(cone) not in (0, 3):
        msg = "rows: give ra, dec and radius together, or coverage, or polygon, or a region"
        raise InputError(msg)
    if cone:
        return Cone(*cone)
    if polygon is not None:
        return Polygon(polygon)
    rectangle = region if isinstance(region, Coverage) else coverage
    if rectangle is not None:
        return Rectangle(*rectangle)
    if region is None or (hasattr(region, "contains") and hasattr(region, "coverage")):
        return region  # type: ignore[return-value] # a Coverage has been made a Rectangle
    msg = f"a region of kind {type(region).__name__} is not allowed: give Cone, Polygon, Rectangle"
    raise InputError(msg)


def _plain(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.float32):
        return float(str(value))  # 8.1, not 8.100000381469727
    return value.item() if isinstance(value, np.generic) else value
