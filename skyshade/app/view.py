"""`skyshade.view`: the viewer for a notebook cell, with a tile server in the kernel."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import panel as pn

from skyshade.app.server import Server, notebook_settings
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
    **options: Any,
) -> Viewer:
    """Show maps and catalogues in a viewer.

    Parameters
    ----------
    *items : str, Path or object
        Files, or objects: (array, WCS), HDU, NDData, DataArray, tables, data frames.
    boxes : str or Path, optional
        JSON file of highlight boxes.
    ra, dec : str, optional
        Coordinate columns of the catalogues; None guesses.
    **options
        Of `Viewer`: ``layer``, ``cmap``, ``stretch``, ``vmin``, ``vmax``, ``center``, ``width``,
        ``height`` and so on.

    Returns
    -------
    Viewer
        Display it as the last line of a cell. Its tiles come from a server in this process, which
        ends with the viewer.

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
    atlas = open_atlas(items, boxes=boxes, ra=ra, dec=dec)
    entries = atlas.entries()
    if all(entry.layer is None for entry in entries):
        causes = "; ".join(_unique(entry.reason for entry in entries)) or "they hold no data"
        raise DataError("the given items", f"none can be shown: {causes}")
    server = Server(atlas, notebook_settings()).start_in_thread()
    if "ipykernel" in sys.modules:
        _load_panel()
    try:
        viewer = Viewer(
            atlas,
            base_url=base_url(server.port, os.environ),
            token=server.token or "",
            **{"height": NOTEBOOK_HEIGHT, **options},
        )
    except BaseException:
        server.stop()
        raise
    weakref.finalize(viewer, _end, server).atexit = False  # its thread ends with the process
    return viewer


def _end(server: Server) -> None:
    """Stop a server without waiting: garbage may be collected on any thread."""
    threading.Thread(target=server.stop, name="skyshade-stop", daemon=True).start()


def base_url(port: int, environ: Any) -> str:
    """Return where a notebook's page finds a server of its kernel.

    On JupyterHub with jupyter-server-proxy that is a path of the hub; else this machine, which is
    right for notebooks that run where the browser does.

    Parameters
    ----------
    port : int
    environ : mapping
        Of the kernel's process.
    """
    prefix = environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if prefix and importlib.util.find_spec("jupyter_server_proxy") is not None:
        return f"{prefix.rstrip('/')}/proxy/{port}/"
    return f"http://127.0.0.1:{port}/"


def _load_panel() -> None:
    """Give the notebook Panel's scripts, inline, unless it has them."""
    if not pn.extension._loaded:  # there is no public way to ask
        pn.extension(inline=True)


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
