"""The map: a Bokeh figure over tiles, with axes that know angles.

Plot coordinates are u = -RA (-180..180) and v = Dec in degrees, so east is left without a reversed
axis (which Bokeh's tiles do not support). Bokeh wants one square tile at level 0: the grid
``square`` hangs below its top, at v = +90.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote, urlencode

from bokeh.events import MouseLeave, MouseMove
from bokeh.models import (
    BoxAnnotation,
    BoxZoomTool,
    ColumnDataSource,
    CustomJS,
    CustomJSTicker,
    CustomJSTickFormatter,
    Div,
    PanTool,
    Range1d,
    SaveTool,
    TapTool,
    TileRenderer,
    WheelZoomTool,
    WMTSTileSource,
)
from bokeh.plotting import figure

from skyshade.app.viewer.assets import asset
from skyshade.types import Coverage

INK, FAINT, GROUND, VOID = "#c9d1e0", "#8a94a8", "#05070c", "#0d1119"
FONT = "Inter, 'Segoe UI', system-ui, 'DejaVu Sans', sans-serif"
SQUARE = 360.0  # degrees on a side of the one tile at level 0
# Bokeh 3.10 takes the nearest level instead of the last coarser one: this makes it the same one.
LEVELS = {"pixel_ratio": 2**0.5} if "pixel_ratio" in WMTSTileSource.properties() else {}
MARGIN = 1.06  # room around a layer that is shown whole


class SkyMap:
    """The figure, its tiles and what the browser reports about them.

    Parameters
    ----------
    base_url : str
        Where the tile server answers, ending in "/"; "" when it serves the page too.
    token : str
        What the tile server must be told, when the page has no cookie of its own for it.

    Attributes
    ----------
    figure : bokeh figure
    readout : Div
        The position and the value under the pointer.
    view : ColumnDataSource
        ra, dec, width, height (degrees) of the view once it rests; written by the browser.
    """

    def __init__(self, base_url: str = "", *, token: str = "") -> None:
        tail = f"&token={quote(token, safe='')}" if token else ""
        self.view = _cell_source(ra=0.0, dec=0.0, width=SQUARE, height=180.0, least=1e-4)
        self.want = _cell_source(url="", max_zoom=0, alpha=1.0)
        self.goal = _cell_source(x0=0.0, x1=0.0, y0=0.0, y1=0.0, serial=0)
        self.probe = _cell_source(layer="", base=base_url, units="", tail=tail, token=tail)
        self._token_tail = tail
        self.readout = Div(
            text="",
            disable_math=True,
            sizing_mode="stretch_width",
            height=22,
            margin=(0, 16, 0, 14),
        )
        self.figure = _empty_figure()
        self.tiles = TileRenderer(tile_source=_tile_source("", 0), smoothing=True)
        self.figure.renderers.append(self.tiles)
        self._angles(sexagesimal=False)
        self._scripts()

    def show_tiles(self, url: str, max_zoom: int, alpha: float) -> None:
        """Show tiles of a URL template with {X}, {Y} and {Z}; the old ones stay until they come."""
        if self.fresh:  # nothing is on screen yet: no need to swap
            self.tiles.tile_source = _tile_source(url, max_zoom)
            self.tiles.alpha = alpha
        self.want.data = {"url": [url], "max_zoom": [max_zoom], "alpha": [alpha]}

    @property
    def fresh(self) -> bool:
        """Whether no tiles were shown yet."""
        return not self.want.data["url"][0]

    def name_layer(self, layer_id: str, units: str, choice: Mapping[str, str]) -> None:
        """Say which numbers the value under the pointer comes from; "" for none."""
        tail = f"&{urlencode(choice)}" if choice else ""
        said = {"layer": [layer_id], "units": [units], "tail": [tail + self._token_tail]}
        self.probe.data = {**self.probe.data, **said}

    def serve_from(self, base_url: str) -> None:
        """Ask another server for the values under the pointer."""
        self.probe.data = {**self.probe.data, "base": [base_url]}

    def set_angles(self, *, sexagesimal: bool) -> None:
        """Label the axes in degrees or in hours and minutes."""
        self._angles(sexagesimal=sexagesimal)

    def _angles(self, *, sexagesimal: bool) -> None:
        self.figure.xaxis[0].update(
            ticker=_ticker("ra", self.figure.x_range, sexagesimal=sexagesimal),
            formatter=_formatter("ra", self.figure.x_range, sexagesimal=sexagesimal),
        )
        self.figure.yaxis[0].update(
            ticker=_ticker("dec", self.figure.y_range, sexagesimal=sexagesimal),
            formatter=_formatter("dec", self.figure.y_range, sexagesimal=sexagesimal),
        )

    def graticule(self, *, visible: bool) -> None:
        """Draw the lines of right ascension and declination, or not."""
        for grid in self.figure.grid:
            grid.visible = visible

    def go_to(self, ra: float, dec: float, width: float) -> None:
        """Centre the map on a position; `width` in degrees along the x axis."""
        u = (-ra + 180.0) % 360.0 - 180.0
        height = width * self.shape
        self.figure.x_range.update(start=u - width / 2, end=u + width / 2)
        self.figure.y_range.update(start=dec - height / 2, end=dec + height / 2)
        self._agree_on_ranges()

    def _agree_on_ranges(self) -> None:
        """Tell the browser all four ends at once.

        They reach it one by one, and Bokeh 3.10 changes the others whenever it paints in between.
        """
        x, y, serial = self.figure.x_range, self.figure.y_range, self.goal.data["serial"][0]
        ends = {"x0": [x.start], "x1": [x.end], "y0": [y.start], "y1": [y.end]}
        self.goal.data = {**ends, "serial": [serial + 1]}

    def fit(self, coverage: Coverage) -> tuple[float, float, float]:
        """Return (ra, dec, width) of a view that shows `coverage` whole."""
        ra, dec, width, height = coverage_view(coverage)
        return ra, dec, min(max(width, height / self.shape), SQUARE)

    def must_move(self, coverage: Coverage, center: tuple[float, float], width: float) -> bool:
        """Whether a view must move for a layer to be seen: it is elsewhere, or but a dot."""
        if self.fresh or self.fit(coverage)[2] < width / 8:
            return True
        height = self.view.data["height"][0]
        across = ((coverage.ra_east + coverage.ra_west) / 2 - center[0] + 180.0) % 360.0 - 180.0
        down = (coverage.dec_min + coverage.dec_max) / 2 - center[1]
        aside = abs(across) >= (coverage.ra_east - coverage.ra_west + width) / 2
        return bool(aside or abs(down) >= (coverage.dec_max - coverage.dec_min + height) / 2)

    @property
    def shape(self) -> float:
        """Height over width of the map on screen, as the browser last told."""
        return float(self.view.data["height"][0] / self.view.data["width"][0])

    def limit_zoom(self, resolution: float) -> None:
        """Allow to zoom in until a native pixel is about 60 screen pixels wide."""
        least = max(resolution * 12.0, 1e-6)
        self.figure.x_range.min_interval = least
        self.figure.x_range.max_interval = 420.0
        self.view.data = {**self.view.data, "least": [least]}

    def _scripts(self) -> None:
        plot = self.figure
        swap = CustomJS(
            args={"want": self.want, "first": self.tiles, "plot": plot},
            code=asset("tiles.js"),
        )
        self.want.js_on_change("data", swap)
        plot.js_on_change("inner_width", swap)  # a page made again shows what was wanted last
        plot.js_on_change("renderers", swap)  # and so does one that got more markers
        goal = CustomJS(args={"plot": plot, "goal": self.goal}, code=asset("goal.js"))
        self.goal.js_on_change("data", goal)
        plot.tags = [self.goal]  # nothing else would make it part of the page
        settle = CustomJS(args={"plot": plot, "view": self.view}, code=asset("view.js"))
        for part in (plot.x_range, plot.y_range):
            part.js_on_change("start", settle)
            part.js_on_change("end", settle)
        for side in ("inner_width", "inner_height"):
            plot.js_on_change(side, settle)
        args = {"plot": plot, "readout": self.readout, "probe": self.probe}
        point = CustomJS(args=args, code=asset("readout.js"))
        plot.js_on_event(MouseMove, point)
        plot.js_on_event(MouseLeave, point)


def coverage_view(coverage: Coverage) -> tuple[float, float, float, float]:
    """Return (ra, dec, width, height) in degrees of a view that shows `coverage`, centred."""
    width = min((coverage.ra_east - coverage.ra_west) * MARGIN, SQUARE)
    height = (coverage.dec_max - coverage.dec_min) * MARGIN
    whole = coverage.ra_east - coverage.ra_west >= SQUARE
    ra = 0.0 if whole else (coverage.ra_east + coverage.ra_west) / 2 % 360.0
    return ra, (coverage.dec_max + coverage.dec_min) / 2, max(width, 1e-5), max(height, 1e-5)


def _cell_source(**values: object) -> ColumnDataSource:
    return ColumnDataSource(data={name: [value] for name, value in values.items()})


def _tile_source(url: str, max_zoom: int) -> WMTSTileSource:
    return WMTSTileSource(
        url=url,
        tile_size=256,
        min_zoom=0,
        max_zoom=max_zoom,
        x_origin_offset=180.0,
        y_origin_offset=270.0,
        initial_resolution=SQUARE / 256,
        wrap_around=True,
        **LEVELS,
    )


def _empty_figure() -> figure:
    wheel = WheelZoomTool(zoom_on_axis=False)
    tools = [PanTool(), wheel, BoxZoomTool(match_aspect=True), TapTool(), SaveTool()]
    plot = figure(
        x_range=Range1d(-180, 180, max_interval=420.0),
        y_range=Range1d(-90, 90, bounds=(-360, 360)),
        tools=tools,
        active_scroll=wheel,
        toolbar_location="above",
        sizing_mode="stretch_both",
        min_width=300,
        min_height=240,
        background_fill_color=GROUND,
        border_fill_color=VOID,
        outline_line_color="#2a3344",
        min_border_right=96,  # room for the colour bar's longest labels
        min_border_left=76,  # and for axis labels: the map must not jump when they grow
        min_border_top=0,
        lod_threshold=None,
        stylesheets=[".bk-Canvas { --outline-width: 0px; }"],
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = False
    plot.name = "sky-map"
    _style_axes(plot)
    for side in ({"bottom": 90.0}, {"top": -90.0}):
        plot.add_layout(
            BoxAnnotation(
                **side, fill_color=VOID, fill_alpha=1.0, line_color=None, level="underlay"
            )
        )
    return plot


def _style_axes(plot: figure) -> None:
    for axis in plot.axis:
        axis.update(
            axis_label_text_color=INK,
            axis_label_text_font=FONT,
            axis_label_text_font_size="12px",
            axis_label_text_font_style="normal",
            axis_label_standoff=6,
            major_label_text_color=INK,
            major_label_text_font=FONT,
            major_label_text_font_size="12px",
            axis_line_color="#3a4458",
            major_tick_line_color="#3a4458",
            minor_tick_line_color=None,
            major_tick_in=0,
        )
    plot.xaxis.axis_label = "Right ascension (ICRS)"
    plot.yaxis.axis_label = "Declination (ICRS)"
    for grid in plot.grid:
        grid.update(grid_line_color="#ffffff", grid_line_alpha=0.16, level="underlay")


def _angle_args(kind: Literal["ra", "dec"], sexagesimal: bool) -> dict[str, object]:
    return {"kind": kind, "sexagesimal": sexagesimal, "count": 8 if kind == "ra" else 6}


def _ticker(kind: Literal["ra", "dec"], span: Range1d, *, sexagesimal: bool) -> CustomJSTicker:
    code = asset("ticks.js") + (
        "const {start, end} = cb_data;"
        "return positions(start, end, step_of(Math.abs(span.end - span.start), count));"
    )
    args = {**_angle_args(kind, sexagesimal), "span": span}
    return CustomJSTicker(args=args, major_code=code)


def _formatter(
    kind: Literal["ra", "dec"], span: Range1d, *, sexagesimal: bool
) -> CustomJSTickFormatter:
    code = asset("ticks.js") + (
        "return label(tick, step_of(Math.abs(span.end - span.start), count));"
    )
    return CustomJSTickFormatter(args={**_angle_args(kind, sexagesimal), "span": span}, code=code)
