"""A build that is killed goes on where it was, and its bytes are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skyshade.index.pools import Shares, Stopped, Threads, checkpoint
from tests.index.built import sky

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    table = sky(8_000).table.rename_columns(["ra", "dec", "v", "c", "t", "row"])
    path = tmp_path_factory.mktemp("sky") / "sky.parquet"
    pq.write_table(table, path, row_group_size=1500)
    return path


def files(folder: Path) -> dict[str, bytes]:
    found = [p for p in folder.rglob("*") if p.is_file()]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def kill_at_random(source, output, seed, kills):
    command = [sys.executable, "-m", "tests.index.killed", str(source), str(output)]
    ran = subprocess.run(
        [*command, str(seed), str(kills)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.stdout.split() == ["killed", str(kills)], ran.stderr
    whole = files(output.with_name(output.name + "-whole"))
    assert files(output) == whole
    assert len(whole) > 20
    assert "manifest.json" in whole
    assert not any(name.startswith(".build") for name in whole)


def test_bytes_are_the_same_after_five_kills(tmp_path, source):
    kill_at_random(source, tmp_path / "index", 1, 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_bytes_are_the_same_after_ten_kills(tmp_path, source, seed):
    kill_at_random(source, tmp_path / "index", seed, 10)


@pytest.mark.parametrize(("units", "workers"), [(0, 1), (1, 1), (1, 3), (10, 3), (100, 7)])
def test_each_unit_is_done_once(units, workers):
    found = Threads(workers).run(lambda job, unit: (job, unit), "job", range(units))
    assert found == [("job", i) for i in range(units)]


def test_a_worker_takes_its_units_in_order_then_half_of_what_is_left():
    shares = Shares(12, 2)
    assert [shares.next(0) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    assert shares.next(1) == 6
    assert [shares.next(0) for _ in range(4)] == [9, 10, 11, 8]
    assert [shares.next(1), shares.next(1), shares.next(0)] == [7, None, None]


def test_an_interrupt_ends_all_threads():
    begun, ended = [], []

    def unit(job, number):
        begun.append(number)
        if number == 0:
            while len(begun) < 3:
                time.sleep(0.001)
            signal.raise_signal(signal.SIGINT)
        try:
            while True:
                checkpoint()
                time.sleep(0.001)
        except Stopped:
            ended.append(number)
            raise

    with pytest.raises(KeyboardInterrupt):
        Threads(3).run(unit, None, range(20))
    assert len(begun) == 3
    assert sorted(begun) == sorted(ended)


def test_the_first_error_ends_all_threads():
    def unit(job, number):
        if number == 0:
            raise ValueError("of one unit")
        while True:
            checkpoint()
            time.sleep(0.001)

    with pytest.raises(ValueError, match="of one unit"):
        Threads(2).run(unit, None, range(20))


def test_interrupted_command_says_how_to_go_on(tmp_path):
    import numpy as np
    import pyarrow as pa

    n = 3_000_000
    rng = np.random.default_rng(1)
    big = pa.table({"ra": rng.uniform(0, 360, n), "dec": rng.uniform(-90, 90, n)})
    pq.write_table(big, tmp_path / "big.parquet", compression="none")
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("skyshade")), "index", "big.parquet", "--output", "x"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )
    runs = tmp_path / "x" / ".build" / "runs"
    while not runs.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "Stopped. The same command goes on where it was."
    assert "Traceback" not in said
    assert (tmp_path / "x" / ".build").exists()
    assert not (tmp_path / "x" / "manifest.json").exists()
