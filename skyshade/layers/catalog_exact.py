"""Layers of catalogues that show a sample until their numbers are exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skyshade.types import Aggregate, RowIndex, RowView, State, Window

if TYPE_CHECKING:
    import xarray as xr


class CatalogExact:
    """A catalogue that waits until its numbers are exact.

    Filters, and columns that an index holds no planes of, are answered from a sample where there
    are many rows. The exact planes are made in the background as soon as a tile needs them.
    """

    index: RowIndex
    view: RowView

    @property
    def state(self) -> State | None:
        """What is kept of the rows of a pixel; None for datashader's own reductions."""
        raise NotImplementedError

    def compute(self, window: Window) -> Aggregate:
        """Return the numbers on `window`."""
        raise NotImplementedError

    def compute_exact(self, window: Window) -> Aggregate:
        """Return the exact numbers on `window`, however long that takes."""
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        """Whether every tile of ``sky`` is exact from now on."""
        return self.state is None or self.view.ready(self.state)

    def start_overview(self, submit: Any, on_ready: Callable[[], None] | None = None) -> None:
        """Have `on_ready` called whenever a selection of this catalogue became exact.

        Parameters
        ----------
        submit : callable or executor
            Not used: planes are made by threads of their own, when a tile needs them.
        on_ready : callable, optional
            Called without arguments, from another thread.
        """
        del submit
        if on_ready is not None:
            self.index.listen(on_ready)

    def wait_exact(self, timeout: float | None = None) -> None:
        """Make the planes of this selection, or help those that do, and return when all are there.

        Raises
        ------
        DataError
            The rows cannot be read.
        TimeoutError
            Others were still at it after `timeout` seconds.
        """
        if self.state is not None:
            self.view.wait(self.state, timeout)

    def aggregate(self, window: Window, *, exact: bool = False) -> xr.DataArray:
        """Return `compute` as a DataArray; `exact` waits until the numbers are."""
        made = self.compute(window)
        if exact and made.quality != "exact":
            made = self.compute_exact(window)
        return made.to_xarray()
