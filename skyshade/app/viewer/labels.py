"""What is said about layers: names in the chooser, title, notes; foreign text is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from skyshade.app.viewer.text import escape, pretty_units
from skyshade.types import Layer, LayerInfo

if TYPE_CHECKING:
    from skyshade.atlas.atlas import Atlas, Entry
    from skyshade.overlays import SourceList

KINDS = {
    "map": "Maps",
    "healpix": "HEALPix maps",
    "rgb": "Colour composites",
    "image": "Pictures",
    "catalog": "Catalogues",
}
MOST = 50  # rejected files that are named
PREVIEW = "preview: exact means follow"


@runtime_checkable
class BecomesExact(Protocol):
    """A layer that shows previews until it is ready (maps)."""

    @property
    def ready(self) -> bool:
        """Whether every tile is exact."""
        ...


def layer_groups(atlas: Atlas) -> dict[str, dict[str, str]]:
    """Return ids by title, by kind of layer; titles are made unique with the id."""
    groups: dict[str, dict[str, str]] = {}
    seen: set[str] = set()
    layers = [(entry, entry.layer.info) for entry in atlas.entries() if entry.layer is not None]
    twins = Counter(tuple(info.planes) for _, info in layers)
    for entry, info in layers:
        title = entry.title or entry.id
        if twins[tuple(info.planes)] < len(info.planes):  # one layer for all planes of a cube
            title = title.removesuffix(f" {info.quantity}")
        title = title if title not in seen else f"{title} ({entry.id})"
        seen.add(title)
        groups.setdefault(KINDS.get(info.kind, "Other layers"), {})[title] = entry.id
    return groups


def source_options(lists: Iterable[SourceList]) -> dict[str, str]:
    """Return ids of source lists by what the chooser says."""
    return {f"{found.title} ({len(found):,})": found.id for found in lists}


def is_exact(layer: Layer) -> bool:
    """Whether every tile of a layer is exact by now."""
    return not isinstance(layer, BecomesExact) or layer.ready


def shown_version(layer: Layer) -> str:
    """Return the version for addresses: previews are asked for again when it changes."""
    return layer.version if is_exact(layer) else f"preview-{layer.version}"


def title_html(info: LayerInfo, choice: Iterable[str], trouble: str, *, exact: bool) -> str:
    """Return the line above the map.

    Parameters
    ----------
    info : LayerInfo
        Of the layer as it is shown.
    choice : iterable of str
        What was chosen: a plane, a reduction.
    trouble : str
        Why the layer is not well, if it is not.
    exact : bool
        Whether no preview can be on the screen.
    """
    what = "" if info.kind in ("rgb", "image") else info.quantity  # colours show no one number
    facts = [what, *choice, pretty_units(info.units), info.projection, info.size]
    facts = list(dict.fromkeys(fact for fact in facts if fact))
    line = " \N{MIDDLE DOT} ".join(escape(fact) for fact in facts)
    quiet = "" if exact else f'<span class="quiet">{PREVIEW}</span>'
    state = f'<span class="state">{escape(trouble)}</span>' if trouble else ""
    return f'<div class="title"><b>{escape(info.title)}</b><span>{line}</span>{quiet}{state}</div>'


def trouble_of(entry: Entry) -> str:
    """Return in words what is wrong with an entry, "" when nothing is."""
    return "" if entry.state == "ok" else f"{entry.state}: {entry.reason}"


def rejected_html(atlas: Atlas) -> str:
    """Return the files that cannot be shown, each with its reason; "" when there are none."""
    entries = [entry for entry in atlas.entries() if entry.layer is None]
    if not entries:
        return ""
    many = f"{len(entries):,} files or parts of files" if len(entries) > 1 else "1 file or part"
    lines = "".join(f"<li>{escape(entry.reason or entry.title)}</li>" for entry in entries[:MOST])
    more = f"<li>and {len(entries) - MOST:,} more</li>" if len(entries) > MOST else ""
    return (
        f'<details class="rejected"><summary>{many} cannot be shown</summary>'
        f"<ul>{lines}{more}</ul></details>"
    )


def notes_html(info: LayerInfo) -> str:
    """Return what a user should know about a layer."""
    notes = "".join(f"<div>{escape(note)}</div>" for note in info.notes)
    return f'<div class="note">{notes}</div>' if notes else ""
