"""What ways of drawing a catalogue share: everything but the numbers is the catalogue's own."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from skyshade.types import Aggregate, LayerInfo, RowView, Statistics, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr

    from skyshade.layers.catalog import CatalogLayer
    from skyshade.types import PointTable, RowIndex


class DrawnCatalog:
    """A catalogue that is drawn in a way of its own.

    Parameters
    ----------
    base : CatalogLayer or DrawnCatalog
    mark : str
        What else the aggregates depend on; goes into the version.
    """

    def __init__(self, base: Any, mark: str) -> None:
        self.base: CatalogLayer = base
        self._mark = mark
        self.id = base.id
        self.reduction, self.where = base.reduction, base.where

    def _of(self, base: CatalogLayer) -> Self:
        """Return another catalogue drawn in the same way."""
        raise NotImplementedError

    def compute(self, window: Window) -> Aggregate:
        """Return the numbers on `window`."""
        raise NotImplementedError

    @property
    def table(self) -> PointTable | RowIndex:
        """What the catalogue was made of."""
        return self.base.table

    @property
    def info(self) -> LayerInfo:
        """Description of the catalogue."""
        return self.base.info

    @cached_property
    def version(self) -> str:
        """Changes with the catalogue and with how it is drawn."""
        text = f"{self._mark}\0{self.base.version}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def view(self) -> RowView:
        """The rows that are drawn."""
        return self.base.view

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        return self.base.units

    def select(self, **chosen: Any) -> Self:
        """Return another selection, drawn in the same way; see `CatalogLayer.select`."""
        return self._of(self.base.select(**chosen))

    def statistics(self) -> Statistics:
        """Return the statistics of the catalogue's numbers."""
        return self.base.statistics()

    def scale(self) -> float:
        """Return the power of two that value tiles are divided by."""
        return self.base.scale()

    def value(self, ra: float, dec: float) -> float | None:
        """Return the catalogue's number around an ICRS position in degrees."""
        return self.base.value(ra, dec)

    def rows(self, *args: Any, **where: Any) -> Any:
        """Return rows; see `CatalogLayer.rows`."""
        return self.base.rows(*args, **where)

    def query(self, *args: Any, **where: Any) -> Any:
        """Return rows; see `CatalogLayer.query`."""
        return self.base.query(*args, **where)

    def nearest(self, *args: Any, **where: Any) -> Any:
        """Return the row nearest to a position; see `CatalogLayer.nearest`."""
        return self.base.nearest(*args, **where)

    @property
    def ready(self) -> bool:
        """Whether every tile is exact from now on."""
        return self.base.ready

    def start_overview(self, submit: Any, on_ready: Callable[[], None] | None = None) -> None:
        """Have `on_ready` called when numbers became exact; see `CatalogLayer.start_overview`."""
        self.base.start_overview(submit, on_ready)

    def wait_exact(self, timeout: float | None = None) -> None:
        """Return when the catalogue's numbers are exact; see `CatalogLayer.wait_exact`."""
        self.base.wait_exact(timeout)

    def aggregate(self, window: Window, *, exact: bool = False) -> xr.DataArray:
        """Return `compute` as a DataArray; `exact` waits until the catalogue's numbers are."""
        made = self.compute(window)
        if exact and made.quality != "exact":
            self.wait_exact()
            made = self.compute(window)
        return made.to_xarray()
