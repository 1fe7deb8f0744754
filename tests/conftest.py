"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers import S3, s3_server

# In CI every run tries the same examples: a new one must not fail somebody else's change. On a
# developer's machine they are drawn anew each time.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("default", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real/ and bad/ data; skips on a user's machine, fails in CI when it is absent."""
    folder = Path(os.environ.get("SKYSHADE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if (folder / "real").is_dir():
        return folder
    message = f"test data not found at {folder} (set SKYSHADE_TEST_DATA)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def demo_data() -> Path:
    """Folder of the demo data in the package."""
    return ROOT / "skyshade" / "data"


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server on this machine."""
    with s3_server() as server:
        yield server
