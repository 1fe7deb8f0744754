"""Search by name in the side panel, and what else there belongs to source lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import panel as pn
from bokeh.models import Div

from skyshade.app.viewer.assets import asset

if TYPE_CHECKING:
    from skyshade.app.viewer.controls import Controls
    from skyshade.app.viewer.sources import Sources
    from skyshade.app.viewer.table import SourceTable


def join(sources: Sources, table: SourceTable, controls: Controls) -> None:
    """Connect source lists with the widgets of the side panel.

    Below "Go to" the page lists the names that hold what is typed; Enter goes to the best one.
    """
    host = Div(text="", visible=False, stylesheets=[asset("sources.css")], margin=0,
               sizing_mode="stretch_width")  # fmt: skip
    controls.found.append(pn.pane.Bokeh(host, sizing_mode="stretch_width", margin=0))
    controls.marked.append(pn.pane.Bokeh(sources.note, sizing_mode="stretch_width", margin=0))
    args = {"host": host, "probe": sources.probe, "picked": sources.picked}
    script = "const field = cb_obj;\n" + asset("search.js")
    controls.go_to.jscallback(args=args, value_input=script)
    controls.go_to.jscallback(args=args, value=script)  # Panel takes one property at a time
    controls.go_to.param.watch(
        lambda event: event.new and sources.find(event.new, controls.show_error), "value"
    )
    controls.table.on_click(lambda _: table.toggle())
