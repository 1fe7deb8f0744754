"""What everything that stands on a table says of itself as the table does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from skyshade.types import PointTable


class Described:
    """Name, columns and units of a table; subclasses keep it as `table`."""

    table: PointTable

    @property
    def name(self) -> str:
        """Title of the catalogue."""
        return self.table.name

    @property
    def columns(self) -> Sequence[str]:
        """All columns of the table."""
        return self.table.columns

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the columns that have any."""
        return self.table.units

    @property
    def guess(self) -> str:
        """How the coordinates were found."""
        return self.table.guess

    @property
    def frame(self) -> str:
        """Frame of the table's coordinates."""
        return self.table.frame
