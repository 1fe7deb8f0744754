"""Config files as items: the layers they describe, made again when their parts change."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from skyshade.atlas.atlas import Atlas, Entry
from skyshade.atlas.config import Config, read_config
from skyshade.atlas.derive import derived_layers
from skyshade.atlas.items import Made, slug
from skyshade.errors import SkyshadeError, one_line


def is_config(item: Any) -> bool:
    """Tell the path of a config file by its ending."""
    return isinstance(item, str | Path) and str(item).lower().endswith(".toml")


class ConfigReader:
    """Makes the entries that a config file describes, of layers that are open.

    Parameters
    ----------
    path : str or Path
    atlas : Atlas
        Where the layers are found that others are made of.
    """

    def __init__(self, path: str | Path, atlas: Atlas) -> None:
        self._path, self._atlas = Path(path).expanduser(), atlas

    def read(self) -> Config:
        """Return what the file says.

        Raises
        ------
        DataError
            It cannot be read, or is no config file.
        """
        return read_config(self._path)

    def entries(self, mine: Collection[str] = ()) -> Iterator[Made]:
        """Yield the entries; ids in `mine` are free for them. Never raises for what is in it."""
        others = Atlas()
        for entry in self._atlas.entries():
            if entry.id not in mine:
                others.add(entry)
        try:
            config = self.read()
        except SkyshadeError as error:
            yield self._rejected(error, others), None
            return
        for entry in derived_layers(config, others):
            yield entry, None

    def needs(self) -> frozenset[str]:
        """Return every name in the descriptions: whatever they are made of is among them."""
        try:
            items = self.read().layers
        except SkyshadeError:
            return frozenset()
        return frozenset(name for item in items for name in _texts(item.values))

    def _rejected(self, error: SkyshadeError, others: Atlas) -> Entry:
        wanted = name = slug(self._path.stem)
        number = 1
        while others.has(name):
            number += 1
            name = f"{wanted}-{number}"
        return Entry(name, None, "rejected", one_line(error), self._path.name)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
