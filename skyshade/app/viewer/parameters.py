"""What of a viewer can be set from Python and in the page alike."""

from __future__ import annotations

import panel as pn
import param

from skyshade.types import STRETCHES

# what has a widget of the same name, and what is a field of `Style`
TIED = (
    "layer", "plane", "reduction", "cmap", "stretch", "reverse", "opacity", "graticule", "boxes",
    "points", "sources", "detail",
)  # fmt: skip
STYLE = ("cmap", "vmin", "vmax", "stretch", "reverse", "q", "colors")


class Parameters(pn.viewable.Viewer):  # type: ignore[misc] # panel is not typed for us
    """The parameters of a viewer; `skyshade.app.viewer.viewer.Viewer` acts on them."""

    layer = param.Selector(default=None, objects=[], doc="Id of the layer.")
    plane = param.Selector(default=None, objects=[None], doc="Plane of a cube.")
    reduction = param.Selector(
        default=None, objects=[None], doc="What becomes of pixels that share a displayed one."
    )
    detail = param.Selector(
        default="auto",
        objects=["auto", "points", "numbers"],
        doc="Rows of a catalogue drawn one by one: where they are few, always, or never.",
    )
    cmap = param.Selector(default="viridis", objects=["viridis"], doc="Colour map.")
    vmin = param.Number(default=None, allow_None=True, doc="First colour; None: automatic.")
    vmax = param.Number(default=None, allow_None=True, doc="Last colour; None: automatic.")
    stretch = param.Selector(default="linear", objects=list(STRETCHES), doc="Norm.")
    reverse = param.Boolean(default=False, doc="Turn the colour map round.")
    q = param.Number(default=None, allow_None=True, doc="Softening of colour composites.")
    colors = param.String(
        default=None, allow_None=True, doc="Colours of classes, star:#ff0,galaxy:#0af."
    )
    opacity = param.Number(default=1.0, bounds=(0.0, 1.0))
    center = param.NumericTuple(default=(0.0, 0.0), length=2, doc="ICRS ra, dec in degrees.")
    width = param.Number(
        default=360.0, bounds=(0.0, 420.0), inclusive_bounds=(False, True), doc="Degrees."
    )
    sexagesimal = param.Boolean(default=False, doc="Axes in h m s and d m s.")
    graticule = param.Boolean(default=True)
    boxes = param.Boolean(default=True, doc="Show the highlight boxes.")
    points = param.Boolean(default=True, doc="Show rows of a catalogue where they are few.")
    sources = param.List(default=[], item_type=str, doc="Ids of the source lists shown.")
