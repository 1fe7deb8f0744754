"""What is drawn over tiles: highlight boxes, lists of sources, regions.

Texts come from files and stay plain text; whoever shows them escapes them.
"""

from skyshade.overlays.boxes import MAX_DESCRIPTION, MAX_FILE, MAX_NAME, Box, box_of, read_boxes
from skyshade.overlays.export import FORMATS
from skyshade.overlays.importance import magnitude_column, sizes_by_magnitude
from skyshade.overlays.marks import Marks, Shown, View
from skyshade.overlays.sources import LIMIT, SourceList
from skyshade.overlays.tables import name_column, sources_from_table
from skyshade.overlays.text import plain_value

__all__ = [
    "FORMATS", "LIMIT", "MAX_DESCRIPTION", "MAX_FILE", "MAX_NAME", "Box", "Marks", "Shown",
    "SourceList", "View", "box_of", "magnitude_column", "name_column",
    "plain_value", "read_boxes", "sizes_by_magnitude", "sources_from_table",
]  # fmt: skip
