"""The choosers of layers and overlays, kept in line with an atlas that grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skyshade.app.viewer.labels import layer_groups, rejected_html, source_options
from skyshade.app.viewer.overlays import Boxes
from skyshade.app.viewer.sources import Sources

if TYPE_CHECKING:
    from skyshade.app.viewer.controls import Controls
    from skyshade.atlas.atlas import Atlas


class Lists:
    """What an atlas holds, as the page offers it.

    Parameters
    ----------
    atlas : Atlas
    controls : Controls
    sources : Sources
    boxes : Boxes
    """

    def __init__(self, atlas: Atlas, controls: Controls, sources: Sources, boxes: Boxes) -> None:
        self._atlas, self._controls = atlas, controls
        self._sources, self._boxes = sources, boxes
        self._known = {found.id for found in atlas.source_lists()}
        self._tell_rejected()

    def layers(self) -> list[str]:
        """Return the ids of the layers that can be shown, in order."""
        return [entry.id for entry in self._atlas.entries() if entry.layer is not None]

    def renew(self) -> None:
        """Offer and draw what there is by now."""
        ours, lists, boxes = self._controls, self._atlas.source_lists(), self._atlas.boxes()
        ours.offer_layers(layer_groups(self._atlas))
        ours.offer_sources(source_options(lists))
        ours.offer_boxes(len(boxes))
        self._sources.show(lists)
        self._boxes.put(boxes)
        self._tell_rejected()

    def shown(self, before: Sequence[str]) -> list[str]:
        """Return the source lists to show: those shown before, and new prominent ones."""
        lists = self._atlas.source_lists()
        ids = [found.id for found in lists]
        new = [found.id for found in lists if found.prominent and found.id not in self._known]
        self._known.update(ids)
        return [name for name in ids if name in before or name in new]

    def first_sources(self) -> str:
        """Return the source list whose table is opened first: one that is shown, "" for none."""
        ids = [found.id for found in self._atlas.source_lists()]
        shown = [name for name in ids if name in self._controls.sources.value]
        return next(iter((*shown, *ids)), "")

    def _tell_rejected(self) -> None:
        text = rejected_html(self._atlas)
        self._controls.rejected.object, self._controls.rejected.visible = text, bool(text)
