"""The whole page of one session."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import panel as pn

from skyshade.app.viewer.assets import asset
from skyshade.app.viewer.viewer import Viewer

if TYPE_CHECKING:
    from skyshade.atlas.atlas import Atlas

log = logging.getLogger("skyshade")


def viewer_page(atlas: Atlas, *, base_url: str = "") -> pn.Template:
    """Return the page of one session: a viewer that fills the window.

    Every address in the page is relative to it, and nothing comes from another machine.

    Parameters
    ----------
    atlas : Atlas
    base_url : str
        Where the tile server answers; "" when it serves the page too.
    """
    viewer = Viewer(atlas, base_url=base_url)
    page = pn.Template(asset("page.html"), nb_template=asset("page.html"))
    page.add_variable("page_title", atlas.title)
    page.add_variable("page_css", asset("page.css"))
    page.add_panel("viewer", viewer.__panel__())
    if pn.state.curdoc is not None:
        pn.state.on_session_destroyed(lambda _: viewer.close())
    return page
