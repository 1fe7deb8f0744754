"""Real servers on this machine, for tests."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

_numbers = itertools.count(1)


@dataclass
class S3:
    """An S3 server; `options` are what fsspec is to be given."""

    endpoint: str
    options: dict[str, Any] = field(default_factory=dict)

    def bucket(self) -> str:
        """Make a bucket and return its URL."""
        import fsspec

        name = f"bucket-{next(_numbers)}"
        fsspec.filesystem("s3", **self.options).mkdir(name)
        return f"s3://{name}"


@contextmanager
def s3_server() -> Iterator[S3]:
    """Run moto's S3; without it the test is skipped on a user's machine and fails in CI."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("moto[server] is not installed")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        options = {"endpoint_url": endpoint, "key": "test", "secret": "test"}
        yield S3(endpoint, options)
    finally:
        server.stop()
        for thread in threading.enumerate():
            if thread is getattr(server, "_thread", None):
                thread.join(5)
