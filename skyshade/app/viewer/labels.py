"""What is said about layers: names in the chooser, title, notes; foreign text is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from skyshade.app.viewer.text import escape, pretty_units
from skyshade.types import LayerInfo

if TYPE_CHECKING:
    from skyshade.atlas.atlas import Atlas

KINDS = {"map": "Maps", "image": "Images", "healpix": "HEALPix maps", "catalog": "Catalogues"}


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
    for entry in atlas.entries():
        if entry.layer is None:
            continue
        kind = KINDS.get(entry.layer.info.kind, "Other layers")
        title = entry.title or entry.id
        title = title if title not in seen else f"{title} ({entry.id})"
        seen.add(title)
        groups.setdefault(kind, {})[title] = entry.id
    return groups


def title_html(info: LayerInfo, trouble: str) -> str:
    """Return the line above the map; `trouble` says why the layer is not well, if it is not."""
    facts = [info.quantity, pretty_units(info.units), info.projection, info.size]
    line = " \N{MIDDLE DOT} ".join(escape(fact) for fact in facts if fact)
    state = f'<span class="state">{escape(trouble)}</span>' if trouble else ""
    return f'<div class="title"><b>{escape(info.title)}</b><span>{line}</span>{state}</div>'


def notes_html(info: LayerInfo) -> str:
    """Return what a user should know about a layer."""
    notes = "".join(f"<div>{escape(note)}</div>" for note in info.notes)
    return f'<div class="note">{notes}</div>' if notes else ""
