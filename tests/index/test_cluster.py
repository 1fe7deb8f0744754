"""The same build on a Dask cluster: the same bytes, whatever happens to its workers."""

from __future__ import annotations

import functools
import logging
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skyshade.atlas import index_recipe, indexing
from skyshade.errors import InputError
from skyshade.index.cluster import connected, is_private
from skyshade.index.job import Recipe
from tests.index.built import sky
from tests.index.test_resume import files

distributed = pytest.importorskip("distributed")
SIZES = {"run_rows": 300, "leaf_rows": 700, "threshold": 400, "group_rows": 256}
ASKED = {"aggregate": ["v:mean,std", "t:category"]}
# distributed closes its sockets and loops when they are collected, and says so
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning:distributed")


@pytest.fixture(scope="module")
def cluster():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="distributed")
        found = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
    with found:
        yield found


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(index_recipe, "Recipe", functools.partial(Recipe, **SIZES))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    table = sky(3_000).table.rename_columns(["ra", "dec", "v", "c", "t", "row"])
    path = tmp_path_factory.mktemp("sky") / "sky.parquet"
    pq.write_table(table, path, row_group_size=300)
    return path


@pytest.fixture
def local(tmp_path, source):
    indexing.index_catalog(source, tmp_path / "local", **ASKED)
    return files(tmp_path / "local")


def test_bytes_are_those_of_a_local_build(tmp_path, source, local, cluster):
    address = cluster.scheduler_address
    indexing.index_catalog(source, tmp_path / "out", scheduler=address, **ASKED)
    assert files(tmp_path / "out") == local
    assert len(local) > 12


@pytest.mark.parametrize("step", ["sort", "write"])
def test_a_killed_worker_changes_nothing(tmp_path, source, local, cluster, step):
    with distributed.Client(cluster, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())
        killed = []

        def kill(now, done, total):
            if now == step and not killed and done < total:
                killed.append(os.kill(pids[0], signal.SIGKILL))

        indexing.index_catalog(source, tmp_path / "out", scheduler=client, progress=kill, **ASKED)
        assert killed == [None]
        assert client.status == "running"  # a client that is lent is not closed
        client.wait_for_workers(2, timeout=60)
        assert set(client.run(os.getpid).values()) != set(pids)
    assert files(tmp_path / "out") == local


def test_dask_frames_on_a_cluster(tmp_path, source, cluster):
    import dask.dataframe as dd

    frame = dd.from_pandas(pq.read_table(source).to_pandas(), npartitions=4)
    address = cluster.scheduler_address
    made = indexing.index_catalog(frame, tmp_path / "out", scheduler=address)
    assert (made.rows, made.invalid) == (3000 - 37, 37)


def test_an_error_on_a_worker_is_that_of_a_local_build(tmp_path, source, cluster):
    with pytest.raises(InputError, match="'row' has more than 32 different values"):
        indexing.index_catalog(
            source,
            tmp_path / "out",
            scheduler=cluster.scheduler_address,
            aggregate=["row:category"],
        )


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("tcp://[::1]:8786", True),
        ("localhost:8786", True),
        ("tls://example.org:8786", True),
        ("tcp://10.0.0.3:8786", False),
        ("tcp://example.org:8786", False),
        ("ws://example.org:8786", False),
    ],
)
def test_who_can_reach_a_scheduler(address, private):
    assert is_private(address) == private


def test_open_scheduler_is_warned_about_and_a_dead_one_named(caplog, monkeypatch):
    monkeypatch.setattr("skyshade.index.cluster.PATIENCE", 0.2)
    caplog.set_level(logging.WARNING, "skyshade")
    with (
        pytest.raises(InputError, match=r"scheduler 'tcp://192\.0\.2\.1:9' cannot be reached"),
        connected("tcp://192.0.2.1:9"),
    ):
        pass
    said = [r.getMessage() for r in caplog.records if r.name == "skyshade"]
    assert said == [
        "tcp://192.0.2.1:9 is neither this machine nor tls://: "
        "whoever reaches it can run code on its workers"
    ]


def test_command(tmp_path, source, cluster):
    ran = subprocess.run(
        [
            str(Path(sys.executable).with_name("skyshade")),
            *("index", str(source), "--output", str(tmp_path / "out")),
            *("--scheduler", cluster.scheduler_address),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("Indexed 2,963 rows in ")
    assert "37 of 3,000 rows have no valid position." in ran.stdout
