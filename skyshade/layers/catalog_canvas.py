"""Every reduction that our kernels do not know, through datashader's Canvas."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import InputError
from skyshade.layers.catalog_bins import offsets, rows_near
from skyshade.layers.catalog_index import View
from skyshade.layers.reductions import Reduction
from skyshade.types import AnyArray, Window

if TYPE_CHECKING:
    import pandas as pd

# datashader compiles per reduction into shared caches and may use numba's unsafe threading layer
_LOCK = threading.Lock()


def reduce_canvas(
    view: View, window: Window, reduction: Reduction
) -> tuple[AnyArray, tuple[str, ...]]:
    """Reduce the rows of a view on a window by ``datashader.Canvas.points``.

    Points are given to the Canvas as centres of the lattice pixels that own them, so pixels own
    rows exactly as they do in `reduce_window`.

    Parameters
    ----------
    view : View
    window : Window
        No wider than the lattice, where columns are periodic.
    reduction : Reduction
        A "canvas" one.

    Returns
    -------
    values : ndarray, shape (height, width) or (height, width, categories)
    categories : tuple of str

    Raises
    ------
    InputError
        With datashader's own sentence, when it refuses the reduction or a column.
    """
    columns = window.grid.lattice_shape(window.z)[1]
    if window.grid.periodic and window.width > columns:
        msg = f"window of {window.width} columns: datashader reductions take at most {columns}"
        raise InputError(msg)
    with _LOCK:
        try:
            found = _points(_frame(view, window, reduction), window, reduction.canvas)
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            if isinstance(error, InputError):
                raise
            msg = f"datashader cannot compute {reduction.label} here: {error}"
            raise InputError(msg) from error
    if found.ndim == 3:
        return found.to_numpy(), tuple(str(c) for c in found[found.dims[2]].to_numpy())
    return found.to_numpy(), ()


def _points(frame: pd.DataFrame, window: Window, canvas_reduction: object) -> Any:
    import datashader as ds  # noqa: PLC0415 (takes more than a second)

    canvas = ds.Canvas(
        window.width, window.height, x_range=(0, window.width), y_range=(0, window.height)
    )
    return canvas.points(frame, "_x", "_y", agg=canvas_reduction)


def _frame(view: View, window: Window, reduction: Reduction) -> pd.DataFrame:
    """Return the rows near a window with their pixel centres, in table order."""
    import pandas as pd  # noqa: PLC0415 (takes half a second)

    near = [view.order[part.rows] for part in rows_near(view, window).parts]
    rows = np.sort(np.concatenate(near)) if near else np.empty(0, view.order.dtype)
    ra, dec = (values[rows] for values in view.index.positions())
    x, y = offsets(window, ra, dec)
    data: dict[str, Any] = {"_x": x + 0.5, "_y": y + 0.5}
    for name in reduction.columns:
        data[name] = _column(view, name, rows, pd)
    return pd.DataFrame(data)


def _column(view: View, name: str, rows: AnyArray, pd: Any) -> Any:
    """Return numbers as they are and texts as categories that are the same for every window."""
    raw = view.index.raw(name)
    if raw.dtype.kind in "biuf":
        return raw[rows]
    codes, names = view.index.categories(name)
    return pd.Categorical.from_codes(codes[rows], categories=list(names))
