"""Index catalogues of any size: the items of a user become a segment of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from skyshade.atlas.index_items import Items, listed
from skyshade.atlas.index_recipe import known_categories, manifest_of, recipe_of
from skyshade.errors import DataError, InputError, one_line
from skyshade.index.build import Progress, build_segment
from skyshade.index.cluster import connected
from skyshade.index.format import MANIFEST, Manifest, read_manifest
from skyshade.index.job import Job
from skyshade.index.pools import Pool, Threads
from skyshade.index.work import RECIPE, Work, work_folder
from skyshade.storage.folders import Folder


def index_catalog(
    items: Any,
    output: str | Path,
    *,
    aggregate: Sequence[str] = (),
    grids: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    ra: str | None = None,
    dec: str | None = None,
    name: str | None = None,
    scheduler: Any = None,
    workers: int | None = None,
    work: str | Path | None = None,
    progress: Progress | None = None,
    append: bool = False,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Manifest:
    """Index catalogues, so that a tile costs a tile whatever their size.

    Built out of core: memory does not grow with the number of rows. When it is stopped, even
    killed, the same call goes on where it was. An index appears whole: its manifest comes last.

    Parameters
    ----------
    items : str, path, object, or a sequence of them
        Files, URLs, patterns with ``*``, or tables of other libraries such as a dask DataFrame; all
        with the same columns.
    output : str or Path
        A folder or any fsspec URL.
    aggregate : sequence of str
        What tiles with many rows keep beside counts: ``"vt:mean,std"``, ``"type:category"``. Known
        are mean, sum, std, min, max, count (of values) and category.
    grids : sequence of str
        Other grids than ``"sky"`` that planes are kept for, e.g. ``"WebMercatorQuad"``. Without
        them the shallow tiles of such a grid are approximate.
    columns : sequence of str, optional
        Those that are kept; all by default. Aggregated ones always are.
    ra, dec : str, optional
        Coordinate columns; guessed by default.
    name : str, optional
        Title; the first item's name by default.
    scheduler : str or distributed.Client, optional
        Work on a Dask cluster: ``"tcp://host:8786"``, ``"tls://..."`` or a running client. Its
        workers must see the items, the output and the work folder.
    workers : int, optional
        Threads; as many as there are processors by default, up to 8. Each takes some 200 MB.
    work : str or Path, optional
        Folder for intermediate files, about as large as the rows; removed at the end. By default
        inside a local output, else in the user's cache folder; on a cluster inside the output.
    progress : callable, optional
        Given a step (``"sort"``, ``"write"``), and how many rows of how many are done. What it
        raises ends the build.
    append : bool
        Add the rows to the index that is there, as a new segment.
    overwrite : bool
        Replace the index that is there.
    storage_options : mapping, optional
        Given to fsspec for `output`.

    Returns
    -------
    Manifest
        What the index holds.

    Raises
    ------
    InputError
        There is an index already, a value is not allowed, the output cannot be written, or appended
        rows have other columns or are in the index already.
    DataError
        An item cannot be read, or has no row with a valid position.
    """
    folder = Folder(output, storage_options)
    before, old = existing(folder, append=append, overwrite=overwrite)
    tables = Items(listed(items), ra, dec)
    recipe = recipe_of(tables, aggregate, grids, columns, old if append else None)
    base = old if append and old is not None else None
    segment = f"{len(base.segments) if base else 0:06d}-{recipe.digest[:8]}"
    place = Work(work_folder(folder, work, shared=scheduler is not None))
    job = Job(tables, place, folder.sub(f"segments/{segment}"), recipe)
    known = known_categories(base, recipe)
    with place.locked(), _pool(scheduler, workers) as pool:
        _forget(place, folder, old, segment)
        made = build_segment(job, pool, progress, known)
        manifest = manifest_of(tables, recipe, made, name, base)
        if _manifest_bytes(folder) != before:
            msg = f"{one_line(folder.url, 200)} was changed by another build meanwhile: start again"
            raise InputError(msg)
        place.write(folder, MANIFEST, manifest.to_json())
    if old is not None:
        for gone in {s.name for s in old.segments} - {s.name for s in manifest.segments}:
            folder.delete(f"segments/{gone}")
    place.remove()
    return manifest


def _forget(place: Work, folder: Folder, old: Manifest | None, segment: str) -> None:
    """Remove what is there of a segment that another, unfinished build was making."""
    left = (place.record(RECIPE) or {}).get("segment", segment)
    if left != segment and (old is None or left not in {s.name for s in old.segments}):
        folder.delete(f"segments/{left}")


def _pool(scheduler: Any, workers: int | None) -> AbstractContextManager[Pool]:
    return nullcontext(Threads(workers)) if scheduler is None else connected(scheduler)


def existing(
    folder: Folder, *, append: bool, overwrite: bool
) -> tuple[bytes | None, Manifest | None]:
    """Return the manifest of the index that is there; InputError when that is not said."""
    place = one_line(folder.url, 200)
    if append and overwrite:
        msg = "append and overwrite exclude each other"
        raise InputError(msg)
    if folder.path is not None and folder.path.exists() and not folder.path.is_dir():
        msg = f"{place} is a file: an index is a folder"
        raise InputError(msg)
    data = _manifest_bytes(folder)
    if data is None:
        if append:
            msg = f"{place} holds no index to append to"
            raise InputError(msg)
        return None, None
    if not (append or overwrite):
        msg = f"{place} holds an index already: append adds rows to it, overwrite replaces it"
        raise InputError(msg)
    try:
        return data, read_manifest(data, folder.name)
    except DataError:
        if append:
            raise
        return data, None


def _manifest_bytes(folder: Folder) -> bytes | None:
    return folder.read(MANIFEST) if folder.exists(MANIFEST) else None
