from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skyshade.kernels.dispatch import compile_all
from skyshade.kernels.files import read_rows


@pytest.fixture(params=["twin", "loop"])
def read(request: pytest.FixtureRequest) -> Any:
    compile_all()
    return read_rows.twin if request.param == "twin" else read_rows.loop  # type: ignore[attr-defined]


@pytest.fixture
def bytes_file(tmp_path: Path) -> Any:
    path = tmp_path / "bytes"
    content = np.random.default_rng(1).integers(0, 256, 10_000, np.uint8)
    path.write_bytes(content.tobytes())
    fd = os.open(path, os.O_RDONLY)
    yield fd, content
    os.close(fd)


@pytest.mark.parametrize(
    ("offset", "pitch", "rows", "width"), [(0, 100, 100, 100), (7, 301, 30, 64)]
)
def test_rows_are_read(
    read: Any, bytes_file: Any, offset: int, pitch: int, rows: int, width: int
) -> None:
    fd, content = bytes_file
    out = np.zeros((rows, width), np.uint8)
    assert read(fd, offset, pitch, out) == rows
    for row in range(rows):
        start = offset + row * pitch
        np.testing.assert_array_equal(out[row], content[start : start + width])


def test_short_reads_end_it(read: Any, bytes_file: Any) -> None:
    fd, content = bytes_file
    out = np.zeros((5, 50), np.uint8)
    assert read(fd, 9_880, 30, out) == 3
    np.testing.assert_array_equal(out[2], content[9_940:9_990])


def test_a_closed_file_fills_nothing(bytes_file: Any) -> None:
    compile_all()
    assert read_rows.loop(-1, 0, 10, np.zeros((2, 10), np.uint8)) == 0  # type: ignore[attr-defined]
