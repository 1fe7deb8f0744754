"""OpenAPI for the tile URLs, and a page that shows the API without anything from a CDN."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from skyshade.app.api_grids import HERE, TAN
from skyshade.app.params import TILE, Parameter
from skyshade.app.tiles_route import FORMATS

_SCRIPT = """
const make = (tag, text, name) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
};
const kindOf = (schema) => {
  if (!schema) return "";
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.anyOf) return schema.anyOf.map(kindOf).filter((k) => k !== "null").join(" | ");
  return schema.type || "";
};
const show = (path, verb, what) => {
  const box = make("details");
  const head = make("summary");
  head.append(make("b", verb.toUpperCase() + " "), make("code", path));
  head.append(make("span", " " + (what.summary || "")));
  box.append(head, make("p", what.description || ""));
  if (what.parameters && what.parameters.length) {
    const table = make("table");
    for (const one of what.parameters) {
      const row = make("tr");
      row.append(make("td", one.name + (one.required ? " *" : "")), make("td", one.in));
      row.append(make("td", kindOf(one.schema)), make("td", one.description || ""));
      table.append(row);
    }
    box.append(table);
  }
  const list = make("ul");
  for (const [code, answer] of Object.entries(what.responses || {})) {
    list.append(make("li", code + ": " + answer.description));
  }
  box.append(list);
  if (!path.includes("{") && verb === "get") {
    const link = make("a", "try it");
    link.href = "." + path;
    box.append(link);
  }
  return box;
};
fetch("./openapi.json").then((reply) => reply.json()).then((api) => {
  document.title = api.info.title;
  const main = document.querySelector("main");
  main.replaceChildren(make("h1", api.info.title + " " + api.info.version));
  main.append(make("p", api.info.description || ""));
  for (const [path, verbs] of Object.entries(api.paths)) {
    for (const [verb, what] of Object.entries(verbs)) main.append(show(path, verb, what));
  }
}).catch((error) => {
  document.querySelector("main").textContent = "The API could not be read: " + error;
});
"""
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
details { border-bottom: 1px solid #8886; padding: .4rem 0; }
summary { cursor: pointer; }
summary span { opacity: .75; }
td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
td:first-child { font-family: ui-monospace, monospace; }
"""
PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>API</title>
<meta name="viewport" content="width=device-width">
<style>{_STYLE}</style></head>
<body><main>Reading the API ...</main><script>{_SCRIPT}</script></body></html>
"""


def _source(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


POLICY = (
    f"default-src 'none'; script-src {_source(_SCRIPT)}; style-src {_source(_STYLE)}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


def query_schema(parameters: Iterable[Parameter]) -> list[dict[str, Any]]:
    """Return OpenAPI objects of query parameters."""
    return [
        {"name": p.name, "in": "query", "schema": dict(p.schema), "description": p.about}
        for p in parameters
    ]


def _in_path(name: str, about: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema or {"type": "string"},
        "description": about,
    }


_GRID = _in_path("grid", f"{', '.join(HERE)} or {TAN}; /api/grids describes them")
_LAYER = _in_path("layer", "Id of a layer; /api/layers lists them")
_REFUSED = {"description": 'JSON {"detail": "one sentence that names the value"}'}
_ERRORS = {"404": _REFUSED, "422": _REFUSED}
_WHY = {
    404: "No such layer, or it has nothing there",
    413: "Too many pixels; the sentence names the most",
    422: "A parameter is not allowed",
    503: "Not ready before the deadline; try again",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses of refused requests, which are one JSON sentence."""
    return {s: {"description": f"{_WHY[s]}: {_REFUSED['description']}"} for s in statuses}


_TILE_GET: dict[str, Any] = {
    "tags": ["tiles"],
    "summary": "One tile",
    "description": (
        "256 px, or 512 px with @2x before the dot. png, webp and jpg are coloured; f4 holds "
        "float32 values, f2 float16 values divided by the header Skyshade-Scale; both are "
        "little-endian, row 0 on top, NaN for none. A tile inside the grid but outside the "
        "data is empty. A tile that is not exact yet has the header Skyshade-Quality."
    ),
    "parameters": [
        _LAYER,
        _GRID,
        _in_path("z", "Level", type="integer"),
        _in_path("x", "Column, 0 at the left", type="integer"),
        _in_path("y", "Row, 0 at the top; @2x may follow"),
        _in_path("format", "Format", type="string", enum=list(FORMATS)),
        *query_schema(TILE),
    ],
    "responses": {
        "200": {
            "description": "The tile",
            "content": {kind: {} for kind in ("image/png", "image/webp", "image/jpeg")}
            | {"application/octet-stream": {}},
        },
        "304": {"description": "The tile named by If-None-Match is current"},
        "503": {"description": "Not ready before the deadline; try again"},
        **_ERRORS,
    },
}
_TILEJSON_GET: dict[str, Any] = {
    "tags": ["tiles"],
    "summary": "TileJSON 3.0 of a layer on a grid; its query is passed on to the tiles",
    "parameters": [_LAYER, _GRID, *query_schema(TILE)],
    "responses": {
        "200": {"description": "TileJSON", "content": {"application/json": {}}},
        **_ERRORS,
    },
}
_ALIVE: dict[str, Any] = {"tags": ["server"], "responses": {"200": {"description": "Yes"}}}


def plain_paths() -> dict[str, Any]:
    """Return the OpenAPI path items of what FastAPI does not route: tiles and probes."""
    return {
        "/health": {"get": {**_ALIVE, "summary": "Whether the server lives"}},
        "/ready": {"get": {**_ALIVE, "summary": "Whether the server answers requests"}},
        "/tiles/{layer}/{grid}/{z}/{x}/{y}.{format}": {"get": _TILE_GET},
        "/tiles/{layer}/{grid}/tilejson.json": {"get": _TILEJSON_GET},
    }
