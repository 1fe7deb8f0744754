"""A folder of files at any fsspec URL: whole reads, ranges, and writes that appear whole."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from skyshade.errors import DataError, InputError, one_line


class Folder:
    """Files under one URL; keys are relative paths with ``/``.

    Parameters
    ----------
    url : str or Path
        A local folder, ``file://`` or any fsspec URL such as ``s3://bucket/prefix``.
    storage_options : mapping, optional
        Given to fsspec, e.g. ``{"endpoint_url": ..., "anon": True}``.

    Raises
    ------
    InputError
        No such kind of URL, or its client is not installed.
    """

    def __init__(self, url: str | Path, storage_options: Mapping[str, Any] | None = None) -> None:
        text = os.fspath(url)
        parts = urlsplit(text) if "://" in text else None
        local = parts is None or parts.scheme == "file"
        place = text if parts is None else unquote(parts.path)
        self.path: Path | None = Path(place).absolute() if local else None
        self.url = str(self.path) if local else text.rstrip("/")
        self.options = dict(storage_options or {})
        self._fs: Any = None
        self._root = ""
        if not local:
            self._fs, self._root = _connect(self.url, self.options)

    @property
    def name(self) -> str:
        """Last part of the URL, for messages."""
        return self.url.rstrip("/").rpartition("/")[2] or self.url

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as the URL and the options."""
        return Folder, (self.url, self.options)

    def sub(self, key: str) -> Folder:
        """Return a folder within this one."""
        return Folder(f"{self.url}/{key}", self.options)

    def read(self, key: str) -> bytes:
        """Return all bytes of a file; DataError when it cannot be read."""
        try:
            if self.path is not None:
                return (self.path / key).read_bytes()
            return cast("bytes", self._fs.cat_file(self._at(key)))
        except (OSError, ValueError) as error:
            raise self._unreadable(key, error) from error

    def read_range(self, key: str, start: int, size: int) -> bytes:
        """Return `size` bytes from `start`; DataError when there are fewer."""
        try:
            if self.path is not None:
                with (self.path / key).open("rb") as file:
                    found = os.pread(file.fileno(), size, start)
            else:
                found = cast(
                    "bytes", self._fs.cat_file(self._at(key), start=start, end=start + size)
                )
        except (OSError, ValueError) as error:
            raise self._unreadable(key, error) from error
        if len(found) != size:
            cause = f"{key} is cut: {len(found)} of {size} bytes at {start}"
            raise DataError(self.name, cause)
        return found

    def open(self, key: str) -> BinaryIO:
        """Return a file to read and seek in; DataError when it cannot be opened."""
        try:
            if self.path is not None:
                return (self.path / key).open("rb")
            return cast("BinaryIO", self._fs.open(self._at(key), "rb"))
        except (OSError, ValueError) as error:
            raise self._unreadable(key, error) from error

    def write(self, key: str, data: bytes | memoryview) -> None:
        """Write a file that appears whole or not at all, in place of an older one."""
        if self.path is None:
            self._fs.pipe_file(self._at(key), bytes(data))
            return
        target = self.path / key
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f".{target.name}.{uuid.uuid4().hex}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def put(self, key: str, path: Path) -> None:
        """Move a finished local file here; it appears whole or not at all."""
        if self.path is None:
            self._fs.put_file(str(path), self._at(key))
            path.unlink()
            return
        target = self.path / key
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self.write(key, path.read_bytes())  # from another disk
            path.unlink()

    def exists(self, key: str) -> bool:
        """Return whether there is such a file."""
        if self.path is not None:
            return (self.path / key).is_file()
        return bool(self._fs.exists(self._at(key)))

    def list(self, prefix: str = "") -> Sequence[str]:
        """Return the keys of all files under a folder, sorted; hidden ones are left out."""
        if self.path is not None:
            files = (p for p in (self.path / prefix).rglob("*") if p.is_file())
            found = [p.relative_to(self.path).as_posix() for p in files]
        else:
            self._fs.invalidate_cache()
            root = self._root.rstrip("/") + "/"
            names = self._fs.find(self._at(prefix) if prefix else self._root)
            found = [str(n).removeprefix(root) for n in names]
        return sorted(k for k in found if not k.rpartition("/")[2].startswith("."))

    def delete(self, key: str) -> None:
        """Remove a file or a folder with all that is in it; no error when it is not there."""
        if self.path is not None:
            import shutil  # noqa: PLC0415 (30 ms; seldom needed)

            target = self.path / key
            if target.is_dir():
                shutil.rmtree(target, ignore_errors=True)
            else:
                target.unlink(missing_ok=True)
            return
        with suppress(FileNotFoundError):
            self._fs.rm(self._at(key), recursive=True)

    def version(self, key: str) -> str:
        """Return a short text that changes when a file does; "" when there is none."""
        try:
            if self.path is not None:
                stat = (self.path / key).stat()
                return f"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"
            self._fs.invalidate_cache()
            return str(self._fs.ukey(self._at(key)))
        except (OSError, ValueError):
            return ""

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _unreadable(self, key: str, error: Exception) -> DataError:
        cause = getattr(error, "strerror", None) or one_line(error, 160)
        return DataError(self.name, f"{key} cannot be read: {cause}")


def _connect(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 (50 ms)

    try:
        fs, root = fsspec.core.url_to_fs(url, **options)
    except (ValueError, ImportError) as error:
        msg = f"{one_line(url, 200)} cannot be used: {one_line(error, 160)}"
        raise InputError(msg) from error
    return fs, str(root).rstrip("/")
