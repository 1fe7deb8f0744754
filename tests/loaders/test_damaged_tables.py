"""Tables with a few bytes changed: rows or one line of error, never the end of the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skyshade.errors import DataError
from skyshade.loaders.parquet_footer import read_groups
from tests.loaders.damage import ENDINGS, original


@pytest.mark.parametrize("kind", ENDINGS)
def test_damaged_files(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-m", "tests.loaders.damage", kind, "7", str(tmp_path)]
    root = Path(__file__).parents[2]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=root)
    assert found.returncode == 0, found.stderr[-2000:]
    sound, megabytes = map(int, found.stdout.split())
    assert 0 < sound < 120
    assert megabytes < 400


def test_a_footer_says_what_pyarrow_says(shared_data: Path) -> None:
    for path in (shared_data / "real").rglob("*.parquet"):
        raw = path.read_bytes()
        groups = read_groups(raw[-8 - int.from_bytes(raw[-8:-4], "little") : -8], path.name)
        truth = pq.read_metadata(path)
        assert len(groups) == truth.num_row_groups
        for i, group in enumerate(groups):
            assert group.rows == truth.row_group(i).num_rows
            assert len(group.chunks) == truth.num_columns
            for j in range(truth.num_columns):
                wanted = truth.row_group(i).column(j)
                chunk = group.chunks[wanted.path_in_schema]
                assert chunk.stored == wanted.total_compressed_size
                assert chunk.decoded == wanted.total_uncompressed_size
                if chunk.bounds is not None:
                    assert chunk.bounds == (wanted.statistics.min, wanted.statistics.max)
                else:
                    assert wanted.physical_type == "BYTE_ARRAY"


def test_broken_footers() -> None:
    raw = original("parquet")
    footer = raw[-8 - int.from_bytes(raw[-8:-4], "little") : -8]
    assert [g.rows for g in read_groups(footer, "t")] == [100, 100, 100]
    deep = bytes([0x19, 0xF9, 0xFF, 0xFF, 0x7F])
    nested = bytes([0x19]) + bytes([0x19]) * 200
    for broken in (footer[:100], b"", b"\xff" * 50, bytes([0x15]) + b"\x80" * 40, deep, nested):
        with pytest.raises(DataError, match="t: broken Parquet file: its footer is damaged"):
            read_groups(broken, "t")
