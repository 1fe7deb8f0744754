"""The HTTP API, the viewer and their server: the only room that knows HTTP, Bokeh and Panel."""
