"""Tables that are lists of sources by their nature: each row is meant to be marked."""

from __future__ import annotations

from skyshade.geometry.outlines import Outlines
from skyshade.loaders.tables import SkyTable


class SourceTable(SkyTable):
    """A `SkyTable` of sources or regions.

    Attributes
    ----------
    outlines : Outlines or None
        Shapes of the rows, where they have any.
    """

    outlines: Outlines | None = None


def skipped(count: int, first: str) -> str:
    """Return the sentence about records that were left out."""
    return f"{count:,} {'record was' if count == 1 else 'records were'} skipped ({first})"
