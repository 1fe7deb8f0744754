"""The stored planes of one segment of an index."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from skyshade.errors import DataError
from skyshade.geometry.grids import MAX_ZOOM
from skyshade.geometry.keys import encode
from skyshade.index.format import PLANE, TOP, Manifest
from skyshade.index.packing import SIDE, unpack
from skyshade.index.reads import Reads
from skyshade.storage import Folder
from skyshade.types import AnyArray, IntArray, State, StateArrays, Tile

CELL_BITS = 2 * MAX_ZOOM + 2
MAX_BYTES = 64 << 20  # of one packed plane
_ARRAYS = {"sum": 2, "min": 2, "max": 2, "moments": 3}


def read_records(folder: Folder, key: str, dtype: np.dtype[Any]) -> AnyArray:
    """Return the records of a ``.npy`` file; DataError where it does not hold just these."""
    data = folder.read(key)
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise DataError(folder.name, f"{key} is damaged: npy version {version}")
        shape, order, found = np.lib.format.read_array_header_1_0(file)
    except (ValueError, EOFError, SyntaxError) as error:
        raise DataError(folder.name, f"{key} is damaged: {error}") from error
    start = file.tell()
    whole = len(shape) == 1 and not order and found == dtype
    if not whole or len(data) - start != shape[0] * dtype.itemsize:
        cause = f"{key} is damaged: {len(data):,} bytes for shape {shape} of {found}"
        raise DataError(folder.name, cause)
    return np.frombuffer(data, dtype, shape[0], start)


class StoredPlanes:
    """Finds and reads the planes of one segment; thread-safe.

    Parameters
    ----------
    folder : Folder
        Of the index.
    manifest : Manifest
    segment : str
        Name of the segment.
    reads : Reads
        What is read is counted there.

    Raises
    ------
    DataError
        The list of planes is damaged, or is not that of the manifest.
    """

    def __init__(self, folder: Folder, manifest: Manifest, segment: str, reads: Reads) -> None:
        self._folder, self._root, self._reads = folder, f"segments/{segment}", reads
        self._records = read_records(folder, f"{self._root}/planes.npy", PLANE)
        self._categories = {c.name: len(c.categories or ()) for c in manifest.columns}
        self._spans: dict[tuple[str, State], tuple[int, IntArray]] = {}
        self._list(manifest)

    def _list(self, manifest: Manifest) -> None:
        records, states = self._records, manifest.stored
        kinds = records["grid"].astype(np.int64) * 256 + records["state"]
        cells = records["z"].astype(np.int64) << CELL_BITS | records["cell"]
        if (np.diff(kinds) < 0).any() or (records["cell"] >> CELL_BITS).any():
            raise self._damaged("its planes are not sorted")
        for kind in np.unique(kinds).tolist():
            grid, state = divmod(kind, 256)
            if grid >= len(manifest.grids) or state >= len(states):
                raise self._damaged(f"it has planes of grid {grid}, state {state}")
            first, last = np.searchsorted(kinds, (kind, kind + 1))
            mine = cells[first:last]
            if (np.diff(mine) <= 0).any():
                raise self._damaged("its planes are not sorted")
            self._spans[manifest.grids[grid], states[state]] = int(first), mine

    def __len__(self) -> int:
        return int(self._records.size)

    def read(self, grid: str, state: State, tile: Tile) -> StateArrays | None:
        """Return the state of a tile; None when it is not stored."""
        number = self._find(grid, state, tile)
        if number is None:
            return None
        record = self._records[number]
        leaf, size = int(record["leaf"]), int(record["size"])
        if size > MAX_BYTES:
            raise self._damaged(f"a plane has {size:,} bytes")
        name = "top" if leaf == TOP else f"{leaf:06d}"
        key = f"{self._root}/planes/{name}.bin"
        data = self._folder.read_range(key, int(record["offset"]), size)
        self._reads.add(planes=1)
        return self._checked(unpack(data, self._folder.name), state)

    def _find(self, grid: str, state: State, tile: Tile) -> int | None:
        start, cells = self._spans.get((grid, state), (0, None))
        if cells is None:
            return None
        cell = tile.z << CELL_BITS | int(encode(np.array([tile.x]), np.array([tile.y]))[0])
        at = int(np.searchsorted(cells, cell))
        return start + at if at < cells.size and cells[at] == cell else None

    def has(self, grid: str, state: State, tile: Tile) -> bool:
        """Return whether a tile is stored."""
        return self._find(grid, state, tile) is not None

    def _checked(self, arrays: StateArrays, state: State) -> StateArrays:
        depth = (self._categories.get(state.column, 0),) if state.kind == "category" else ()
        given = [a for a in (arrays.n, arrays.a, arrays.b) if a is not None]
        right = len(given) == _ARRAYS.get(state.kind, 1) and arrays.n.dtype.kind == "u"
        if not right or arrays.n.shape != (SIDE, SIDE, *depth):
            raise self._damaged(f"a plane of {state.label} has shape {arrays.n.shape}")
        if any(a.dtype.kind != "f" or a.shape != (SIDE, SIDE) for a in given[1:]):
            raise self._damaged(f"a plane of {state.label} holds no numbers")
        return arrays

    def _damaged(self, cause: str) -> DataError:
        return DataError(self._folder.name, f"the index is damaged: {cause} ({self._root})")
