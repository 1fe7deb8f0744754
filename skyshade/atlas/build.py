"""From files and objects to an atlas, at once or in the background; `open_layers` for users."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from operator import length_hint
from pathlib import Path
from typing import Any

from skyshade.atlas.atlas import MANY, Atlas, Entry
from skyshade.atlas.configs import ConfigReader, is_config
from skyshade.atlas.items import How, ItemReader, Made
from skyshade.atlas.watch import Watch, remote_stamps, stamps_of
from skyshade.errors import DataError, InputError, SkyshadeError, UnknownNameError
from skyshade.overlays import read_boxes
from skyshade.types import Layer

log = logging.getLogger("skyshade")
OnEntry = Callable[[Entry], object]

_PAUSE = 0.3  # seconds between two events about new layers


class Opening:
    """Opens items one after the other, in their order.

    Parameters
    ----------
    items : iterable of str, Path or object
        FITS maps, press images, catalogues, objects in memory, or layers.
    how : How
    boxes : str or Path, optional
        JSON file of highlight boxes; read at once.
    on_layer, on_reject : callable, optional
        Called with each entry as soon as it is known, from the thread that opens.
    atlas : Atlas, optional
        Where entries are published; a new one by default. It watches the files from then on.
    hold : callable, optional
        Called once, when the first layer is there and many files are left: it may wait until that
        layer is on the screen, which the opening of the others would delay.

    Raises
    ------
    DataError
        When the file of boxes cannot be read.
    """

    def __init__(
        self,
        items: Iterable[Any],
        how: How,
        *,
        boxes: str | Path | None = None,
        on_layer: OnEntry | None = None,
        on_reject: OnEntry | None = None,
        atlas: Atlas | None = None,
        hold: Callable[[], object] | None = None,
    ) -> None:
        self.atlas = Atlas() if atlas is None else atlas
        self._items, self._how = items, how
        self._on_layer = on_layer or (lambda _: None)
        self._on_reject = on_reject or (lambda _: None)
        self._hold = hold or (lambda: None)
        self._many = length_hint(items) > MANY
        self._watch = Watch(self.atlas)
        self.atlas.keep(self._watch)
        self._first, self._done = threading.Event(), threading.Event()
        self._stopped = False
        self._told = 0.0
        if boxes is not None:
            self._add_boxes(boxes)

    @property
    def done(self) -> bool:
        """Whether everything has been opened."""
        return self._done.is_set()

    def run(self) -> Atlas:
        """Open everything here; what cannot be shown becomes a rejected entry."""
        try:
            for item in self._items:
                if self._stopped:
                    break
                self._open(item)
                self._tell()
        finally:
            self._done.set()
            self._first.set()
            self._tell(last=True)
        return self.atlas

    def start(self) -> None:
        """Open everything on a thread of its own; listeners of the atlas hear of new layers."""
        threading.Thread(target=self.run, name="skyshade-open", daemon=True).start()

    def stop(self) -> None:
        """Open no further item."""
        self._stopped = True

    def wait_first(self, patience: float = 0.0) -> bool:
        """Wait for a layer that can be shown; return whether there is one.

        When there is, wait up to `patience` seconds for the others.
        """
        self._first.wait()
        self._done.wait(patience)
        return any(entry.layer is not None for entry in self.atlas.entries())

    def wait(self) -> None:
        """Wait for the end."""
        self._done.wait()

    def _open(self, item: Any) -> None:
        if is_config(item):
            self._open_config(item)
            return
        self._open_item(item, self._how)

    def _open_item(self, item: Any, how: How) -> None:
        stamps = stamps_of(item)  # taken first: a change while it is read is seen later
        reader = ItemReader(item, how, self.atlas.has)
        names = self._publish_all(reader.entries())
        stamps |= remote_stamps(self.atlas.entry(name).layer for name in names)
        self._watch.follow(reader.entries, stamps, names)

    def _open_config(self, path: str | Path) -> None:
        """Open the files that a config file names, then make its own layers of them."""
        stamps = stamps_of(path)
        reader = ConfigReader(path, self.atlas)
        with suppress(SkyshadeError):  # told by the entry that `reader` makes of it
            config = reader.read()
            self.atlas.title = config.title or self.atlas.title
            self._many = self._many or len(config.files) > MANY
            for file in config.files:
                said = {key: getattr(file, key) or None for key in ("ra", "dec", "all_sky", "name")}
                self._open_item(file.path, replace(self._how, **said))
                self._tell()
            if config.boxes:
                self._try_boxes(config.boxes)
        names = self._publish_all(reader.entries())
        self._watch.follow(reader.entries, stamps, names, reader.needs)

    def _try_boxes(self, path: str) -> None:
        try:
            self._add_boxes(path)
        except DataError as error:
            log.warning("%s", error)

    def _add_boxes(self, path: str | Path) -> None:
        found, problems = read_boxes(path)
        for problem in problems:
            log.warning("%s", problem)
        self.atlas.add_boxes(found)

    def _publish_all(self, made: Iterable[Made]) -> list[str]:
        names = []
        for one in made:
            self._publish(one)
            names.append(one[0].id)
        return names

    def _publish(self, made: Made) -> None:
        entry, sources = made
        self.atlas.add(entry)
        if sources is not None:
            self.atlas.add_sources(sources)
        if entry.layer is None:
            self._on_reject(entry)
            return
        self._on_layer(entry)
        if not self._first.is_set():
            self._first.set()
            if self._many:
                self._hold()

    def _tell(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._told > _PAUSE:
            self._told = now
            self.atlas.events.publish({"type": "layers"})


def open_atlas(
    items: Iterable[Any],
    *,
    boxes: str | Path | None = None,
    ra: str | None = None,
    dec: str | None = None,
    all_sky: str | None = None,
    max_decoded: int | None = None,
    on_layer: OnEntry | None = None,
    on_reject: OnEntry | None = None,
) -> Atlas:
    """Open files and objects; what cannot be shown becomes a rejected entry.

    Parameters
    ----------
    items : iterable of str, Path or object
        FITS maps, press images, catalogues, objects in memory, or layers.
    boxes : str or Path, optional
        JSON file of highlight boxes.
    ra, dec : str, optional
        Coordinate columns of the catalogues; None guesses.
    all_sky : str, optional
        Frame (``"icrs"``, ``"galactic"`` ...) of pictures without WCS that show the whole sky.
    max_decoded : int, optional
        Most bytes that a compressed file may become; 4 GiB by default.
    on_layer, on_reject : callable, optional
        Called with each entry as soon as it is known.

    Raises
    ------
    DataError
        When the file of boxes cannot be read.
    """
    how = How(ra=ra, dec=dec, all_sky=all_sky, max_decoded=max_decoded)
    return Opening(items, how, boxes=boxes, on_layer=on_layer, on_reject=on_reject).run()


def open_layers(*items: Any, **options: Any) -> dict[str, Layer]:
    """Open the layers of files and objects, ready to be computed, combined or shown.

    Parameters
    ----------
    *items : str, Path or object
        As for `skyshade.view`.
    **options
        ``ra``, ``dec``, ``all_sky``, ``max_decoded``: see `open_atlas`.

    Returns
    -------
    dict of str to Layer
        By id, in order: one for each map, plane of a map, press image and catalogue.

    Raises
    ------
    InputError
        No item is given.
    DataError
        Nothing can be shown. One bad part beside good ones is a warning in the log.
    """
    if not items:
        msg = "nothing to open: give at least one file or object"
        raise InputError(msg)
    rejected: list[Entry] = []
    how = How(**options)
    atlas = Opening(items, how, on_reject=rejected.append).run()
    found = {entry.id: entry.layer for entry in atlas.entries() if entry.layer is not None}
    if not found:
        causes = "; ".join(dict.fromkeys(e.reason for e in rejected)) or "they hold no data"
        raise DataError("the given items", f"none can be shown: {causes}")
    for entry in rejected:
        log.warning("%s", entry.reason)
    return found


def open_layer(
    item: Any, *, plane: str | None = None, hdu: str | int | None = None, **options: Any
) -> Layer:
    """Open one layer of a file or object: the first, or that of a plane or an HDU.

    Parameters
    ----------
    item : str, Path or object
    plane : str, optional
        E.g. ``"Q"``.
    hdu : str or int, optional
        EXTNAME or number.
    **options
        As for `open_layers`.

    Raises
    ------
    DataError
        Nothing can be shown.
    UnknownNameError
        There is no such plane or HDU.
    """
    found = list(open_layers(item, **options).values())
    if hdu is not None:
        found = _of_hdu(found, str(hdu))
    if plane is None:
        return found[0]
    named = next((layer for layer in found if plane in layer.info.planes), None)
    if named is None:
        raise UnknownNameError("plane", plane, [n for layer in found for n in layer.info.planes])
    return named.select(plane=plane)


def _of_hdu(layers: list[Layer], wanted: str) -> list[Layer]:
    known: list[str] = []
    found = []
    for layer in layers:
        attrs = getattr(getattr(layer, "image", None), "attrs", {})
        names = [str(attrs[key]) for key in ("EXTNAME", "HDU") if key in attrs]
        known += names
        if wanted.lower() in [name.lower() for name in names]:
            found.append(layer)
    if not found:
        raise UnknownNameError("HDU", wanted, dict.fromkeys(known))
    return found
