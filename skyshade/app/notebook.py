"""The viewer in a notebook cell: its tile server, its scripts and the picture that stays.

Panel's own way stores megabytes of scripts in the notebook, or reads them from a CDN, once for
each kernel: a page that is loaded again finds none. Here every output is small, loads what the page
lacks from the viewer's own server, and shows a still picture where there is no kernel.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import bokeh
import panel as pn
from panel.io import notebook
from panel.io.resources import CDN_DIST

from skyshade.app.server import Server, notebook_settings
from skyshade.app.viewer.assets import asset
from skyshade.app.viewer.viewer import Viewer
from skyshade.errors import PortInUseError, SkyshadeError

if TYPE_CHECKING:
    from skyshade.atlas.atlas import Atlas

EXEC = "application/vnd.holoviews_exec.v0+json"  # what JupyterLab's extension pyviz_comms shows
STATIC = "static/extensions/panel/"
SCRIPTS = (
    *(f"static/js/{name}.min.js" for name in ("bokeh", "bokeh-widgets", "bokeh-tables")),
    f"{STATIC}panel.min.js",  # builds on those before it
)
PANEL_TAG, HELD_TAG = '<script type="application/javascript">', '<script type="text/x-skyshade">'
NOTE = "A still picture of a skyshade viewer: run the cell for the live one."
STILL_PIXELS = 800
STILL_SECONDS = 1.5  # a large map must not wait for its picture

_shown: weakref.WeakValueDictionary[str, NotebookViewer] = weakref.WeakValueDictionary()
_sending = threading.RLock()
_cells: dict[str, set[str]] = {}  # what the outputs of a cell show


class TileServer:
    """A server in a thread of this process that can end and come back at the same address.

    Parameters
    ----------
    atlas : Atlas
    """

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self._settings = notebook_settings()
        self._server: Server | None = None
        self._turn = threading.Lock()

    def start(self) -> TileServer:
        """Serve, unless it does; at another port when the old one was taken meanwhile."""
        with self._turn:
            if self._server is None:
                try:
                    self._server = Server(self._atlas, self._settings).start_in_thread()
                except PortInUseError:
                    settings = replace(self._settings, port=0)
                    self._server = Server(self._atlas, settings).start_in_thread()
                self._settings = self._server.settings
        return self

    def stop(self) -> None:
        """End without waiting: garbage may be collected on any thread."""
        with self._turn:
            server, self._server = self._server, None
        if server is not None:
            threading.Thread(target=server.stop, name="skyshade-stop", daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether it serves now."""
        return self._server is not None

    @property
    def token(self) -> str:
        """What readers must know."""
        return self._settings.token or ""

    @property
    def base_url(self) -> str:
        """Where the notebook's page finds it, ending in "/"."""
        return base_url(self._settings.port, os.environ)


class NotebookViewer(Viewer):
    """The viewer with a tile server of its own, which runs while an output shows the viewer.

    Parameters
    ----------
    atlas : Atlas
    server : TileServer
        Already started.
    **options
        Of `Viewer`.
    """

    def __init__(self, atlas: Atlas, server: TileServer, **options: Any) -> None:
        super().__init__(atlas, base_url=server.base_url, token=server.token, **options)
        self._server = server
        weakref.finalize(self, server.stop).atexit = False  # its thread ends with the process

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if "ipykernel" not in sys.modules:
            return None
        prepare()
        _forget(shown for shown, viewer in list(_shown.items()) if viewer is self)
        self.serve_from(self._server.start().base_url)
        still = self._still()
        if pn.config.comms != "default":  # VS Code and Colab: Panel's own ways
            return super()._repr_mimebundle_(include, exclude)
        with pn.config.set(inline=False):
            bundle, metadata = super()._repr_mimebundle_(include, exclude)
        shown = metadata[EXEC]["id"]
        _keep_until_open(*self._panel._comms[shown])
        _shown[shown] = self
        _cells.setdefault(_cell(), set()).add(shown)
        static = self._server.base_url + STATIC
        for model, _ in self._panel._models.values():
            model.document._template_variables["dist_url"] = static  # for what changes later
        held = bundle["text/html"].replace(CDN_DIST, static).replace(PANEL_TAG, HELD_TAG, 1)
        return {"text/html": self._output(shown, held, still), EXEC: ""}, metadata

    def _output(self, shown: str, held: str, still: str) -> str:
        base = self._server.base_url
        script = output_script(
            id=shown,
            viewer=self._server.token,
            version=bokeh.__version__.replace("rc", "-rc.").replace(".dev", "-dev."),
            scripts=[base + script for script in SCRIPTS],
            probe=f"{base}api/grids?token={self._server.token}",
        )
        return (
            f'<div id="skyshade-{shown}"><div class="skyshade-still">{still}'
            f'<div class="skyshade-note"><small>{NOTE}</small></div></div>'
            f"{held}<script>{script}</script></div>"
        )

    def _still(self) -> str:
        """Return an ``img`` with what the map shows now; "" when that takes too long.

        The numbers that it needs are shown too, so that the stored page is whole.
        """
        layer = self._current
        pool = ThreadPoolExecutor(1, "skyshade-still")
        try:
            work = pool.submit(lambda: (layer.statistics(), self.picture(STILL_PIXELS)))
            statistics, image = work.result(STILL_SECONDS)
        except (TimeoutError, SkyshadeError):
            return ""
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        self._learned(layer, statistics)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=80)
        data = base64.b64encode(file.getvalue()).decode("ascii")
        alt = f"Map of {layer.info.title}".replace('"', "").replace("<", "")
        return f'<img alt="{alt}" src="data:image/jpeg;base64,{data}">'


def output_script(**values: object) -> str:
    """Return the script of one output; `values` become its constants."""
    from pyviz_comms import PYVIZ_PROXY, JupyterCommManager  # type: ignore # noqa: PLC0415

    constants = "".join(f"const {name} = {json.dumps(text)};\n" for name, text in values.items())
    comms = f"function make_comm_manager() {{{PYVIZ_PROXY}{JupyterCommManager.js_manager}}}\n"
    return f"(async () => {{\n{constants}{comms}{asset('notebook.js')}}})();"


def prepare() -> None:
    """Get Panel's side of the kernel ready, once, without the scripts that it would publish."""
    _join_panel()
    if pn.extension._loaded:  # there is no public way to ask
        return
    from IPython.utils.capture import capture_output  # noqa: PLC0415 (only in a kernel)

    with capture_output() as captured:
        pn.extension(inline=True)
    if pn.config.comms != "default":
        captured.show()  # type: ignore[no-untyped-call]


@cache
def _join_panel() -> None:
    pn.extension.add_delete_action(_output_gone)
    notebook.send = _one_at_a_time(notebook.send)
    shell = _shell()
    if shell is not None:
        shell.events.register("pre_run_cell", lambda _: _forget(_cells.pop(_cell(), ())))


def _shell() -> Any:
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 (only in a kernel)

    return get_ipython()


def _cell() -> str:
    """Return the id of the cell that runs now, "" when the page does not tell."""
    parent = _shell().get_parent() if hasattr(_shell(), "get_parent") else {}
    return str(parent.get("metadata", {}).get("cellId", ""))


def _forget(outputs: Iterable[str]) -> None:
    """Let Panel and us clean up behind outputs that are gone: pyviz_comms does not tell."""
    for shown in outputs:
        pn.extension._process_comm_msg({"event_type": "delete", "id": shown})


def _one_at_a_time(send: Callable[..., None]) -> Callable[..., None]:
    """Return Panel's `send`, which sends one message in three parts, safe for threads.

    Since ipykernel 7 the page's messages run on other threads than the cells; parts of two messages
    in turn would break the page.
    """

    def sent(*args: Any) -> None:
        with _sending:
            send(*args)

    return sent


class Waiting:
    """Stands for a connection that the page has not opened yet; keeps what is sent, in order."""

    def __init__(self) -> None:
        self.kept: list[tuple[Any, ...]] = []

    def send(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
        """Keep one part of a message."""
        self.kept.append((data, metadata, buffers))


def _keep_until_open(to_page: Any, from_page: Any) -> None:
    """Let nothing that changes before the page is there overtake or get lost.

    Panel tries each message again later, when others that build on it may have gone already.

    Parameters
    ----------
    to_page, from_page : pyviz_comms Comm
        The first is opened by Panel when the page opens the second.
    """
    to_page._comm = waiting = Waiting()
    opened = from_page._on_open

    def on_open(message: Any) -> None:
        with _sending:
            opened(message)
            for data, metadata, buffers in waiting.kept:
                to_page._comm.send(data, metadata=metadata, buffers=buffers)
            waiting.kept.clear()

    from_page._on_open = on_open


def _output_gone(shown: str) -> None:
    """End the server of a viewer that no output shows any more."""
    viewer = _shown.pop(shown, None)
    if viewer is not None and viewer not in _shown.values():
        viewer._server.stop()


def base_url(port: int, environ: Mapping[str, str]) -> str:
    """Return where a notebook's page finds a server of its kernel.

    With jupyter-server-proxy that is a path of the Jupyter server; else this machine, which is
    right for notebooks that run where the browser does.

    Parameters
    ----------
    port : int
    environ : mapping
        Of the kernel's process.
    """
    if importlib.util.find_spec("jupyter_server_proxy") is not None:
        prefix = environ.get("JUPYTERHUB_SERVICE_PREFIX") or _jupyter_prefix(environ)
        if prefix:
            return f"{prefix.rstrip('/')}/proxy/{port}/"
    return f"http://127.0.0.1:{port}/"


def _jupyter_prefix(environ: Mapping[str, str]) -> str:
    """Return the path of the Jupyter server that started this kernel, "" when not known."""
    if importlib.util.find_spec("jupyter_server") is None:
        return ""
    from jupyter_server.serverapp import list_running_servers  # type: ignore # noqa: PLC0415

    parent = environ.get("JPY_PARENT_PID", "")
    found = (s["base_url"] for s in list_running_servers() if str(s["pid"]) == parent)
    return next(found, "")
