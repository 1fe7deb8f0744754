"""`skyshade.view`: the viewer for a notebook cell, with a tile server in the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from skyshade.app.notebook import NotebookViewer, TileServer
from skyshade.app.viewer.viewer import Viewer
from skyshade.atlas.build import open_atlas
from skyshade.errors import DataError, InputError

__all__ = ["Viewer", "view"]

NOTEBOOK_HEIGHT = 620


def view(
    *items: Any,
    boxes: str | Path | None = None,
    ra: str | None = None,
    dec: str | None = None,
    all_sky: str | None = None,
    max_decoded: int | None = None,
    **options: Any,
) -> Viewer:
    """Show maps and catalogues in a viewer.

    Parameters
    ----------
    *items : str, Path or object
        Files, objects ((array, WCS), HDU, NDData, DataArray, tables, data frames) or layers, such
        as the difference of two maps.
    boxes : str or Path, optional
        JSON file of highlight boxes.
    ra, dec : str, optional
        Coordinate columns of the catalogues; None guesses.
    all_sky : str, optional
        Frame (``"icrs"``, ``"galactic"`` ...) of pictures without WCS that show the whole sky.
    max_decoded : int, optional
        Most bytes that a compressed file may become; 4 GiB by default.
    **options
        Of `Viewer`: ``layer``, ``plane``, ``reduction``, ``cmap``, ``stretch``, ``vmin``, ``vmax``,
        ``center``, ``width``, ``height`` and so on.

    Returns
    -------
    Viewer
        Display it as the last line of a cell. Its tiles come from a server in this process, which
        ends with the last output that shows the viewer.

    Raises
    ------
    InputError
        When no item is given.
    DataError
        When none of the items can be shown.
    """
    if not items:
        msg = "nothing to show: give at least one file or object"
        raise InputError(msg)
    how = {"ra": ra, "dec": dec, "all_sky": all_sky, "max_decoded": max_decoded}
    atlas = open_atlas(items, boxes=boxes, **how)  # type: ignore[arg-type]
    entries = atlas.entries()
    if all(entry.layer is None for entry in entries):
        causes = "; ".join(_unique(entry.reason for entry in entries)) or "they hold no data"
        raise DataError("the given items", f"none can be shown: {causes}")
    server = TileServer(atlas).start()
    try:
        return NotebookViewer(atlas, server, **{"height": NOTEBOOK_HEIGHT, **options})
    except BaseException:
        server.stop()
        raise


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
