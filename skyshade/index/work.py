"""The work folder of a build: sorted runs, finished parts, and the records that say so.

Every file appears whole or not at all, and a part's record is written after its files. So whatever
has a record need not be made again after the build was killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from skyshade.errors import DataError, InputError, one_line
from skyshade.storage.folders import Folder
from skyshade.types import IntArray

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
BATCH = 16_384  # rows of a record batch: the least that is read of a run in another place
RECIPE = "recipe.json"  # what is being built here
_KEY = np.dtype("<i8")
_PART = ".part-"  # begins the name of a file that is being written


class Work:
    """Files under one folder, local or at any URL that all workers see.

    Parameters
    ----------
    folder : Folder
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return Work, (self.folder,)

    @contextmanager
    def file(self, target: Folder, key: str) -> Iterator[Path]:
        """Give a local path to write; afterwards what is there becomes `key` of `target`.

        Raises
        ------
        InputError
            The disk is full, or may not be written to.
        """
        place = self.folder.path or Path(tempfile.gettempdir())
        path = place / f"{_PART}{secrets.token_hex(8)}"
        try:
            place.mkdir(parents=True, exist_ok=True)
            yield path
            if target is not self.folder:
                _on_disk(path)
            target.put(key, path)
        except OSError as error:
            raise unwritable(target, error) from error
        finally:
            with suppress(OSError):
                path.unlink()

    def record(self, key: str) -> dict[str, Any] | None:
        """Return a record, None when there is none yet."""
        if not self.folder.exists(key):
            return None
        found: dict[str, Any] = json.loads(self.folder.read(key))
        return found

    def write_record(self, key: str, record: Mapping[str, Any]) -> None:
        """Write a record."""
        self.write(self.folder, key, json.dumps(record).encode())

    def write(self, target: Folder, key: str, data: bytes) -> None:
        """Write a small file."""
        with self.file(target, key) as path:
            path.write_bytes(data)

    def write_table(self, key: str, table: Any) -> None:
        """Write an arrow table such that it can be mapped into memory."""
        import pyarrow as pa  # noqa: PLC0415

        with (
            self.file(self.folder, key) as path,
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as writer,
        ):
            writer.write_table(table, max_chunksize=BATCH)

    def read_table(self, key: str, start: int, stop: int) -> Any:
        """Return rows of a table of `write_table`; where the file is local nothing is copied."""
        import pyarrow as pa  # noqa: PLC0415

        path = self.folder.path
        source = pa.memory_map(str(path / key)) if path else pa.PythonFile(self.folder.open(key))
        reader = pa.ipc.open_file(source)
        first, last = start // BATCH, -(-stop // BATCH)
        batches = [reader.get_batch(i) for i in range(first, last)]
        table = pa.Table.from_batches(batches, reader.schema)
        return table.slice(start - first * BATCH, stop - start)

    def write_keys(self, key: str, keys: IntArray) -> None:
        """Write keys, 8 bytes each."""
        with self.file(self.folder, key) as path:
            np.ascontiguousarray(keys, _KEY).tofile(path)

    def read_keys(self, key: str, start: int, stop: int) -> IntArray:
        """Return some of the keys of a run; where the file is local they are mapped."""
        if stop <= start:
            return np.empty(0, np.int64)
        if self.folder.path is None:
            data = self.folder.read_range(key, 8 * start, 8 * (stop - start))
            return np.frombuffer(data, _KEY)
        return np.memmap(self.folder.path / key, _KEY, "r", 8 * start, (stop - start,))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other builds out of a local folder; the lock ends with the process.

        Raises
        ------
        InputError
            Another process builds here, or the folder cannot be made.
        """
        if self.folder.path is None or fcntl is None:
            yield
            return
        try:
            self.folder.path.mkdir(parents=True, exist_ok=True)
            file = (self.folder.path / LOCK).open("wb")
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                msg = f"another process is building in {one_line(self.folder.url, 200)}"
                raise InputError(msg) from error
            yield

    def clear(self) -> None:
        """Remove what a build left, but for the lock."""
        for part in (RECIPE, "runs", "leaves", "states"):
            self.folder.delete(part)
        if self.folder.path is not None:
            for path in self.folder.path.glob(f"{_PART}*"):
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove everything."""
        self.folder.delete("")


def work_folder(output: Folder, asked: str | Path | None, *, shared: bool) -> Folder:
    """Return where a build keeps intermediate files: the same place for the same output.

    Parameters
    ----------
    output : Folder
        Of the index.
    asked : str or Path, optional
        What the user wants; a folder of its own is made inside.
    shared : bool
        Whether other machines must see it.
    """
    own = hashlib.sha256(output.url.encode()).hexdigest()[:12]
    if asked is not None:
        return Folder(asked, output.options).sub(f"skyshade-build-{own}")
    if output.path is not None or shared:
        return output.sub(".build")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Folder(cache / "skyshade" / f"build-{own}")


def _on_disk(path: Path) -> None:
    """Wait until a file is on the disk: a manifest must not outlive what it names."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def unwritable(folder: Folder, error: OSError) -> InputError | DataError:
    """Return what to say when a file cannot be written."""
    cause = error.strerror or one_line(error, 160)
    return InputError(f"{one_line(folder.url, 200)} cannot be written: {cause}")
