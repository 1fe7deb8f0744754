"""Every reduction that our kernels do not know, through datashader's Canvas."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.errors import InputError
from skyshade.layers.catalog_places import offsets, ranges_near
from skyshade.layers.reductions import Reduction
from skyshade.types import DEC, RA, AnyArray, FloatArray, Quality, RowBlock, RowView, Window

if TYPE_CHECKING:
    import pandas as pd

# datashader compiles per reduction into shared caches and may use numba's unsafe threading layer
_LOCK = threading.Lock()


def reduce_canvas(
    view: RowView, window: Window, reduction: Reduction, *, exact: bool = False
) -> tuple[AnyArray, tuple[str, ...], Quality]:
    """Reduce the rows of a view on a window by ``datashader.Canvas.points``.

    Points are given to the Canvas as centres of the lattice pixels that own them, so pixels own
    rows exactly as they do in `reduce_window`. Where there are too many rows, a sample is given.

    Parameters
    ----------
    view : RowView
    window : Window
        No wider than the lattice, where columns are periodic.
    reduction : Reduction
        A "canvas" one.
    exact : bool
        Never take a sample.

    Returns
    -------
    values : ndarray, shape (height, width) or (height, width, categories)
    categories : tuple of str
    quality : {"exact", "sample"}

    Raises
    ------
    InputError
        With datashader's own sentence, when it refuses the reduction or a column.
    """
    columns = window.grid.lattice_shape(window.z)[1]
    if window.grid.periodic and window.width > columns:
        msg = f"window of {window.width} columns: datashader reductions take at most {columns}"
        raise InputError(msg)
    sampled = not exact and view.many(ranges_near(window))
    given = view.rough if sampled else view
    quality: Quality = "sample" if sampled else "exact"
    with _LOCK:
        try:
            found = _points(_frame(given, window, reduction), window, reduction.canvas)
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            if isinstance(error, InputError):
                raise
            msg = f"datashader cannot compute {reduction.label} here: {error}"
            raise InputError(msg) from error
    if found.ndim == 3:
        names = tuple(str(c) for c in found[found.dims[2]].to_numpy())
        return found.to_numpy(), names, quality
    return found.to_numpy(), (), quality


def _points(frame: pd.DataFrame, window: Window, canvas_reduction: object) -> Any:
    import datashader as ds  # noqa: PLC0415 (takes more than a second)

    canvas = ds.Canvas(
        window.width, window.height, x_range=(0, window.width), y_range=(0, window.height)
    )
    return canvas.points(frame, "_x", "_y", agg=canvas_reduction)


def _frame(view: RowView, window: Window, reduction: Reduction) -> pd.DataFrame:
    """Return the rows near a window with their pixel centres, in table order."""
    import pandas as pd  # noqa: PLC0415 (takes half a second)

    texts = [name for name in reduction.columns if not _is_numeric(view, name)]
    plain = [name for name in reduction.columns if name not in texts]
    blocks = list(view.blocks(ranges_near(window), [RA, DEC, *plain], texts))
    sort = np.argsort(_joined([block.rows for block in blocks]), kind="stable")
    ra, dec = (_column(blocks, name)[sort] for name in (RA, DEC))
    x, y = offsets(window, ra, dec)
    data: dict[str, Any] = {"_x": x + 0.5, "_y": y + 0.5}
    for name in reduction.columns:
        if name in plain:
            data[name] = _column(blocks, name)[sort]
        else:  # categories that are the same for every window
            codes = _joined([block.codes[name] for block in blocks])[sort].astype(np.int32)
            names = pd.Index(view.categories(name))
            data[name] = pd.Categorical.from_codes(codes, categories=names)
    return pd.DataFrame(data)


def _is_numeric(view: RowView, name: str) -> bool:
    kind = view.take(np.empty(0, np.int64), [name])[name].dtype.kind
    return kind in "biuf"


def _column(blocks: list[RowBlock], name: str) -> AnyArray:
    return _joined([block.columns[name] for block in blocks])


def _joined(parts: list[AnyArray]) -> AnyArray:
    return np.concatenate(parts) if parts else np.empty(0)


def draw_lines(
    lines: Sequence[tuple[FloatArray, FloatArray]],
    values: AnyArray,
    window: Window,
    how: tuple[str, tuple[str, ...], float],
) -> AnyArray:
    """Return lines reduced on a window by ``datashader.Canvas.line``.

    Parameters
    ----------
    lines : sequence of (x, y)
        Pixels from the window's upper left corner, each line's vertices in order.
    values : ndarray, shape (lines,)
        A number for every line; that of its class for ``by``, NaN for none.
    window : Window
    how : (str, tuple of str, float)
        Reduction (any, count, sum, mean or by), names of the classes, width in pixels (0: as
        datashader draws lines that are not smooth).

    Returns
    -------
    ndarray, shape (height, width) or (height, width, classes)
        uint32 for any, count and by (float64 where lines are smooth), float64 otherwise.

    Raises
    ------
    InputError
        With datashader's own sentence, when it refuses the reduction.
    """
    name, classes, width = how
    counted = name in ("any", "count")
    shape = window.shape if name != "by" else (*window.shape, len(classes))
    good = np.isfinite(values)
    if not good.any():
        return np.zeros(shape, np.uint32) if counted or name == "by" else np.full(shape, np.nan)
    gap = np.array([np.nan])
    kept = [line for line, ok in zip(lines, good, strict=True) if ok]
    x = np.concatenate([part for line in kept for part in (line[0], gap)])
    y = np.concatenate([part for line in kept for part in (line[1], gap)])
    each = np.repeat(values[good], [line[0].size + 1 for line in kept])
    with _LOCK:
        try:
            found = _lines(x, y, each, window, how)
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            msg = f"datashader cannot draw {name} of lines here: {error}"
            raise InputError(msg) from error
    made: AnyArray = found.to_numpy()
    if not (counted or name == "by"):
        return made
    if made.dtype.kind == "f":
        return np.where(made == 0.0, np.nan, made) if width else np.nan_to_num(made)
    return made.astype(np.uint32)


def _lines(
    x: FloatArray,
    y: FloatArray,
    each: AnyArray,
    window: Window,
    how: tuple[str, tuple[str, ...], float],
) -> Any:
    import datashader as ds  # noqa: PLC0415 (takes more than a second)
    import pandas as pd  # noqa: PLC0415 (takes half a second)

    name, classes, width = how
    frame = pd.DataFrame({"x": x, "y": y, "value": each})
    canvas = ds.Canvas(
        window.width, window.height, x_range=(0, window.width), y_range=(0, window.height)
    )
    if name == "by":
        names = pd.Index(classes)
        frame["class"] = pd.Categorical.from_codes(each.astype(np.int64), categories=names)
    reduction = {
        "any": ds.any(),
        "count": ds.count(),
        "sum": ds.sum("value"),
        "mean": ds.mean("value"),
        "by": ds.by("class", ds.count()),
    }[name]
    return canvas.line(frame, "x", "y", agg=reduction, line_width=width)
