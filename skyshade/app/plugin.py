"""The API for ``panel serve DASHBOARD.py --plugins skyshade.app.plugin`` and ``pn.serve``.

``panel serve`` imports this module and asks for `ROUTES`; the files come from the variable
SKYSHADE_FILES (separated by newlines or by the system's path separator), the demo data when it is
not set. In your own programme give `routes` to ``pn.serve(..., extra_patterns=routes(atlas))``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any

from skyshade.app.api_light import LightApi
from skyshade.app.api_middleware import Guarded
from skyshade.app.api_services import Services
from skyshade.app.bridge import AsgiHandler
from skyshade.app.guard import Guard
from skyshade.app.settings import Settings
from skyshade.atlas.atlas import Atlas
from skyshade.atlas.build import open_atlas

Route = tuple[str, type[AsgiHandler], dict[str, Any]]
PATTERN = r"/(?:(?:api|tiles)(?:/.*)?|health|ready|docs|openapi\.json)"
_shared: list[Atlas] = []
_lock = threading.Lock()


def routes(atlas: Atlas, settings: Settings | None = None) -> list[Route]:
    """Return Tornado patterns that serve the API of `atlas` beside a Panel application."""
    settings = settings or Settings.from_environ()
    services = Services(atlas, settings)
    workers = ThreadPoolExecutor(max(1, settings.threads - 1), "skyshade-background")
    services.on_first_tile = lambda: atlas.start_background(workers)
    app = Guarded(LightApi(services), Guard(settings))
    return [(PATTERN, AsgiHandler, {"app": app, "body_bytes": settings.body_bytes})]


def shared_atlas() -> Atlas:
    """Return the atlas of this process's plugin, opened once."""
    with _lock:
        if not _shared:
            _shared.append(open_atlas(items_from(os.environ)))
        return _shared[0]


def items_from(environ: Mapping[str, str]) -> list[str]:
    """Return the files that SKYSHADE_FILES names, else the demo data."""
    text = environ.get("SKYSHADE_FILES", "")
    parts = text.splitlines() if "\n" in text else text.split(os.pathsep)
    return [part.strip() for part in parts if part.strip()] or demo_items()


def demo_items() -> list[str]:
    """Return the paths of the demo data in the package."""
    folder = files("skyshade") / "data"
    return sorted(
        str(item) for item in folder.iterdir() if item.name.endswith((".fits", ".fz", ".parquet"))
    )


def __getattr__(name: str) -> Any:
    """Open the files when ``panel serve`` asks for ROUTES, not when the module is imported."""
    if name == "ROUTES":
        made = globals()["ROUTES"] = routes(shared_atlas())
        return made
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
