"""What every way into the server shares: the atlas, two caches, and the pool for tiles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import skyshade
from skyshade.app.params import Choice, TileParams
from skyshade.app.settings import Settings
from skyshade.atlas.atlas import Atlas
from skyshade.errors import ChangedError
from skyshade.shaders.shader import shader_for
from skyshade.storage.cache import ByteCache
from skyshade.tiles.make import TileBytes
from skyshade.types import Aggregate, Layer, Shader, Window

ENGINE = skyshade.__version__
OVERHEAD = 200  # bytes that a kept value takes beside its content
KEPT_SELECTIONS = 32  # a selection may hold a mask of every row
KEPT_LOOKS = 512
ANALYSIS_BYTES = 32 << 20
CHANGED = "changed while a tile was made; try again"


@dataclass(frozen=True, slots=True)
class Look:
    """A layer's numbers and colours, all resolved to values.

    Parameters
    ----------
    key : str
        Names layer version, selection, colours and engine: what a cached tile depends on.
    layer : Layer
        The selected layer.
    shader : Shader or None
        None for tiles of values.
    scale : float
        What f2 values are divided by.
    v : str
        Version that the client believes in.
    versions : tuple of str
        The versions that make a tile immutable: the layer's and the selection's.
    version : str
        The selected layer's.
    weight : int
        Share of `KEPT_LOOKS`: looks with a selection of their own count more.
    """

    key: str
    layer: Layer
    shader: Shader | None
    scale: float
    v: str
    versions: tuple[str, ...]
    version: str = ""
    weight: int = 1


def kept_bytes(made: TileBytes) -> int | None:
    """Return what a tile counts in the cache; None when it must not be kept."""
    return len(made.data) + OVERHEAD if made.quality == "exact" else None


class Services:
    """Shared by all requests; safe from any thread."""

    def __init__(self, atlas: Atlas, settings: Settings) -> None:
        self.atlas, self.settings = atlas, settings
        self.tiles: ByteCache[TileBytes] = ByteCache(settings.tile_cache_bytes)
        self.aggregates: ByteCache[Aggregate] = ByteCache(settings.aggregate_cache_bytes)
        self.looks: ByteCache[Look] = ByteCache(KEPT_LOOKS)
        self._selections: ByteCache[Layer] = ByteCache(KEPT_SELECTIONS)
        self.pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="skyshade-tile")
        self.analyses: ByteCache[Any] = ByteCache(ANALYSIS_BYTES)
        self.analysis_pool = ThreadPoolExecutor(  # long computations leave threads to tiles
            max(1, settings.threads // 2), thread_name_prefix="skyshade-analysis"
        )
        self.first_tile = threading.Event()
        self.on_first_tile: Callable[[], object] = lambda: None

    def selected(self, name: str, layer: Layer, choice: Choice) -> Layer:
        """Return what `choice` makes of layer `name`; recent ones are kept."""
        if choice == Choice():
            return layer
        key = (name, layer.version, choice)
        return self._selections.get_or_compute(key, lambda _: 1, lambda: choice.apply(layer))

    def look(self, name: str, base: Layer, params: TileParams, *, values: bool) -> Look:
        """Return the selected layer with its colours (or its scale); may read data.

        Raises
        ------
        ChangedError
            The layer's file changed meanwhile.
        """
        known = base.version
        layer = self.selected(name, base, params.choice)
        version = layer.version
        shader, scale, how = None, 1.0, "values"
        if values:
            scale = layer.scale()
        else:
            style = params.styled(layer.info.style)
            shader = shader_for(style, layer.statistics())
            how = repr(style)
        if layer.version != version:
            raise ChangedError(name, CHANGED)
        key = "|".join((version, how, ENGINE))
        versions = tuple({known, version})
        weight = 1 if layer is base else KEPT_LOOKS // KEPT_SELECTIONS
        return Look(key, layer, shader, scale, params.v, versions, version, weight)

    def aggregate(self, layer: Layer, window: Window, version: str = "") -> Aggregate:
        """Return the numbers on a window; exact ones are kept.

        Raises
        ------
        ChangedError
            They are not, or no longer, of `version`.
        """
        wanted = version or layer.version

        def compute() -> Aggregate:
            made = layer.compute(window)
            if made.version and made.version != wanted:
                raise ChangedError(layer.info.id, CHANGED)
            return made

        def size_of(made: Aggregate) -> int | None:
            return made.nbytes + OVERHEAD if made.quality == "exact" else None

        return self.aggregates.get_or_compute((wanted, window.key), size_of, compute)

    def tile_is_out(self) -> None:
        """Note that a first tile was made; what waited for it may begin."""
        if not self.first_tile.is_set():
            self.first_tile.set()
            self.on_first_tile()

    def close(self) -> None:
        """Let the pool's threads go; what is queued is dropped."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.analysis_pool.shutdown(wait=False, cancel_futures=True)
