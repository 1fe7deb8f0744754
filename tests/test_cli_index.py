"""``skyshade index`` as a user runs it."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from skyshade.cli.index import duration, index_command, progress_line, spread_values
from skyshade.index.format import MANIFEST, read_manifest

SKYSHADE = str(Path(sys.executable).with_name("skyshade"))
ENV = {k: v for k, v in os.environ.items() if not k.startswith("SKYSHADE_")}


def run(*args, **how):
    return subprocess.run(
        [SKYSHADE, "index", *map(str, args)],
        env=ENV,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **how,
    )


@pytest.fixture
def source(demo_data):
    return demo_data / "tycho2_bright.parquet"


def test_index_then_append_then_refuse(tmp_path, source, shared_data):
    out = tmp_path / "out"
    ran = run(source, "--output", out, "--aggregate", "vt:mean,std", "bt:min", "--columns", "vt")
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert re.fullmatch(rf"Indexed 56,993 rows in \d+ s: {re.escape(str(out))}", said[0])
    assert said[1] == f"Show it: skyshade open {out}"
    shown = ran.stderr.splitlines()
    assert re.fullmatch(
        r" 50 %  Sorting 56,993 of 56,993 rows, [\d,]+ rows/s, \d+ s left", shown[0]
    )
    assert shown[-1].startswith("100 %  Writing 56,993 of 56,993 rows, ")
    made = read_manifest((out / MANIFEST).read_bytes(), "out")
    assert made.states == ("count", "sum:vt", "moments:vt", "min:bt")
    assert [c.name for c in made.columns] == ["bt", "vt"]
    ran = run(source, "--output", out)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[-1].startswith(f"Error: {out} holds an index already: append")
    ran = run(source, "--output", out, "--append")
    assert ran.returncode == 1
    assert ran.stderr == f"Error: {source} is in the index already\n"


@pytest.mark.parametrize("limit", [30_000, 300_000])
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(tmp_path, source, limit):
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    out = tmp_path / "out"
    ran = run(source, "--output", out, preexec_fn=small)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    last = ran.stderr.splitlines()[-1]
    assert re.fullmatch(rf"Error: {re.escape(str(out))}\S* cannot be written: .*too large.*", last)
    assert not (out / MANIFEST).exists()
    assert run(source, "--output", out).returncode == 0
    assert read_manifest((out / MANIFEST).read_bytes(), "out").rows == 56_993


def test_nothing_to_index(tmp_path):
    ran = run(tmp_path / "none-*.csv", "--output", tmp_path / "out")
    assert ran.returncode == 1
    assert ran.stderr == f"Error: no file fits '{tmp_path}/none-*.csv'\n"
    (tmp_path / "empty.csv").write_text("ra,dec\n")
    ran = run(tmp_path / "empty.csv", "--output", tmp_path / "out")
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("Error: ")


def test_options_are_those_of_the_function():
    import inspect

    from skyshade import index_catalog

    known = {p.name for p in index_command.params if isinstance(p, click.Option)}
    wanted = set(inspect.signature(index_catalog).parameters)
    assert known == wanted - {"items", "progress", "storage_options"}


def test_options_with_several_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hips").touch()
    given = "a.csv --aggregate vt:mean,std type:category b.csv c:d --grid sky tan-7 hips --append"
    assert spread_values(given.split()) == [
        *("a.csv", "--aggregate", "vt:mean,std", "--aggregate", "type:category", "b.csv", "c:d"),
        *("--grid", "sky", "--grid", "tan-7", "hips", "--append"),
    ]
    plain = ["--output", "x", "--aggregate", "vt:mean", "s3://bucket/a.parquet", "a.csv"]
    assert spread_values(plain) == plain
    assert spread_values(["--aggregate"]) == ["--aggregate"]


def test_progress():
    line = progress_line("sort", 10_000_000, 40_000_000, 2e6)
    assert line == " 12 %  Sorting 10,000,000 of 40,000,000 rows, 2,000,000 rows/s, 35 s left"
    line = progress_line("write", 20_000_000, 40_000_000, 1e5)
    assert line == " 75 %  Writing 20,000,000 of 40,000,000 rows, 100,000 rows/s, 3 min 20 s left"
    assert duration(7260) == "2 h 01 min"
