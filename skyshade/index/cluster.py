"""The units of a build as tasks of a Dask cluster.

They are the very units that threads do (`skyshade.index.pools`), over a work folder that all
workers see. Dask's own shuffle is not used: its partitions live in the workers' memory and are lost
with them, and its order follows from their number. A task here reads files and writes files, so a
worker that dies costs the task that it was at, and an index has the same bytes on any cluster.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from skyshade.errors import InputError, one_line
from skyshade.kernels.dispatch import compile_all

R = TypeVar("R")
RETRIES = 2  # of a unit that fails, e.g. because a worker's disk is full
PATIENCE = 30  # seconds to reach a scheduler

log = logging.getLogger("skyshade")


class Cluster:
    """A `skyshade.index.pools.Pool` on a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(
        self,
        function: Callable[..., R],
        job: Any,
        units: Sequence[Any],
        done: Callable[[Any, R], None] | None = None,
    ) -> list[R]:
        """Return the results in the order of the units; the first error ends all."""
        packed = _cloudpickle().dumps(job)
        futures = [
            self._client.submit(on_worker, function, packed, unit, pure=False, retries=RETRIES)
            for unit in units
        ]
        number = {future.key: i for i, future in enumerate(futures)}
        results: dict[int, R] = {}
        try:
            completed = _distributed().as_completed
            for future, result in completed(futures, self._client.loop, with_results=True):
                i = number[future.key]
                results[i] = result
                if done is not None:
                    done(units[i], result)
        finally:
            self._client.cancel(futures)
        return [results[i] for i in range(len(units))]


def on_worker(function: Callable[..., R], packed: bytes, unit: Any) -> R:
    """Do a unit in a task: kernels compiled, and dask tables computed in this very thread."""
    import dask  # noqa: PLC0415

    compile_all()
    with dask.config.set(scheduler="synchronous"):
        return function(_job(packed), unit)


@lru_cache(maxsize=2)
def _job(packed: bytes) -> Any:
    """Return a job; its tables are opened once a process."""
    return _cloudpickle().loads(packed)


def _cloudpickle() -> Any:
    return importlib.import_module("cloudpickle")  # comes with dask


@contextmanager
def connected(scheduler: Any) -> Iterator[Cluster]:
    """Give the pool of a scheduler's address, or of a client that stays open afterwards.

    Raises
    ------
    InputError
        distributed is not installed, or nothing answers there.
    """
    distributed = _distributed()
    if not isinstance(scheduler, str):
        yield Cluster(scheduler)
        return
    if not is_private(scheduler):
        log.warning(
            "%s is neither this machine nor tls://: whoever reaches it can run code on its workers",
            one_line(scheduler, 100),
        )
    try:
        client = distributed.Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        msg = f"scheduler {one_line(scheduler, 100)!r} cannot be reached: {one_line(error, 160)}"
        raise InputError(msg) from error
    with client:
        yield Cluster(client)


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        msg = "a scheduler needs the package distributed: pip install distributed"
        raise InputError(msg) from error


def is_private(address: str) -> bool:
    """Return whether only this machine, or holders of a key, can reach a scheduler."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme in ("tls", "inproc"):
        return True
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
