"""Damaged files in a child process: it gives layers or SkyshadeErrors, and always survives."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.files import KINDS, damaged, write_originals

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0  # a first start may compile
PATIENCE = 30.0  # seconds of a busy machine; what counts is the child's own time
SECONDS = 5.0
BYTES = 300 << 20
STEP = 50  # seeds a test

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures with /proc")


class Child:
    """A process that opens damaged files; started again when it has died."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def ask(self, seed: int) -> dict[str, Any]:
        """Return what became of one damaged file; "failure" when the child died or hung."""
        process = self._started()
        assert process.stdin is not None
        process.stdin.write(b"%d\n" % seed)
        process.stdin.flush()
        line = self._line(PATIENCE)
        if line:
            return json.loads(line)
        process.kill()
        self.close()
        code = process.returncode
        return {"failure": f"died with code {code}" if line == b"" else "hung", "seed": seed}

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.child"]
            self._process = subprocess.Popen(
                [*command, str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
            )
            self._rest = b""
            if self._line(START_SECONDS) != b"ready\n":
                self.close()
                pytest.fail("the child cannot open the sound files")
        return self._process

    def _line(self, seconds: float) -> bytes | None:
        """Return the child's next line; b"" when it is dead, None when it says nothing."""
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        return self._process.stdout.readline()

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    made = tmp_path_factory.mktemp("fuzz")
    write_originals(made, shared_data)
    return made


@pytest.fixture(scope="module")
def child(folder: Path) -> Iterator[Child]:
    made = Child(folder)
    yield made
    made.close()


def problems(found: dict[str, Any]) -> str:
    """Return what is wrong with an answer, "" when nothing is."""
    if "failure" in found:
        return found["failure"]
    if found["seconds"] > SECONDS:
        return f"took {found['seconds']:.1f} s"
    if found["grown"] > BYTES:
        return f"grew by {found['grown'] >> 20} MiB"
    return ""


def check(child: Child, seeds: range) -> list[dict[str, Any]]:
    answers = [child.ask(seed) for seed in seeds]
    bad = [f"seed {a['seed']}: {said}" for a in answers if (said := problems(a))]
    assert not bad, "\n\n".join(bad)
    return answers


@pytest.mark.parametrize("first", range(0, 100, STEP))
def test_damaged_files(child: Child, first: int) -> None:
    answers = check(child, range(first, first + STEP))
    assert any(a["layers"] for a in answers)  # it is not just refusing
    assert any(a["reasons"] for a in answers)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 1000, STEP))
def test_more_damaged_files(request: pytest.FixtureRequest, child: Child, first: int) -> None:
    if "slow" not in request.config.option.markexpr:
        pytest.skip("runs with -m slow only")
    check(child, range(first, first + STEP))


def test_every_seed_makes_another_file(folder: Path) -> None:
    for number, kind in enumerate(KINDS):
        original = (folder / kind).read_bytes()
        made = [damaged(original, seed) for seed in range(number, 100, len(KINDS))]
        assert len({original, *made}) == len(made) + 1
        assert {len(m) for m in made} == {len(original)}
