"""How the parts of the viewer lie on the page."""

from __future__ import annotations

from typing import Any

import panel as pn

from skyshade.app.viewer.assets import asset
from skyshade.app.viewer.figure import SkyMap


def whole_page(
    side: pn.viewable.Viewable,
    title: pn.viewable.Viewable,
    sky: SkyMap,
    card: pn.viewable.Viewable,
    table: pn.viewable.Viewable,
    *,
    height: int | None,
) -> pn.Row:
    """Return the side panel beside the map, its title, read-out, table and card.

    Parameters
    ----------
    side, title, card, table : Viewable
    sky : SkyMap
    height : int, optional
        Pixels; None fills the page.
    """
    readout = pn.pane.Bokeh(
        sky.readout, sizing_mode="stretch_width", height=24, margin=(0, 16, 0, 14)
    )
    sky.readout.stylesheets = [asset("panes.css")]
    main = pn.Column(
        title,
        readout,
        pn.pane.Bokeh(sky.figure, sizing_mode="stretch_both", margin=0),
        table,
        card,
        sizing_mode="stretch_both",
        margin=0,
        styles={"position": "relative", "min-width": "0"},
    )
    size: dict[str, Any] = {"sizing_mode": "stretch_both"}
    if height is not None:
        size = {"sizing_mode": "stretch_width", "height": height}
    return pn.Row(side, main, margin=0, styles={"background": "#0d1119"}, **size)
