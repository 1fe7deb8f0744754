"""Builds an index again and again and kills it at random moments; run as a process of its own.

Arguments: source, output, seed, number of kills. Prints how many builds were killed, or what was
wrong with what a reader could see meanwhile.
"""

from __future__ import annotations

import functools
import os
import random
import signal
import sys
import time
from pathlib import Path

from skyshade.atlas import index_recipe, indexing
from skyshade.index.format import MANIFEST, read_manifest
from skyshade.index.job import Recipe
from skyshade.kernels.dispatch import compile_all

SIZES = {"run_rows": 900, "leaf_rows": 1500, "threshold": 700, "group_rows": 256}
STATES = ["v:mean,std,min", "c:category"]


def index(source: str, output: str, **how: bool) -> None:
    index_recipe.Recipe = functools.partial(Recipe, **SIZES)
    indexing.index_catalog(source, output, aggregate=STATES, workers=2, **how)


def forked(source: str, output: str, seconds: float | None, **how: bool) -> bool:
    """Build in a child that is killed after some time; return whether it had ended by itself."""
    child = os.fork()
    if child == 0:
        index(source, output, **how)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return os.WIFEXITED(status)


def seen(output: Path) -> None:
    """Check that what a manifest names is there."""
    if not (output / MANIFEST).exists():
        return
    manifest = read_manifest((output / MANIFEST).read_bytes(), "index")
    for segment in manifest.segments:
        for name in ("groups.npy", "planes.npy", "sample.parquet"):
            assert (output / "segments" / segment.name / name).exists(), name


def main() -> None:
    source, output, seed, kills = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    compile_all()
    start = time.monotonic()
    assert forked(source, output + "-whole", None)
    whole = time.monotonic() - start
    chance = random.Random(seed)
    killed = 0
    while killed < kills:
        if forked(source, output, chance.uniform(0.02, 0.5 * whole), overwrite=True):
            seen(Path(output))
            indexing.Folder(output).delete("")  # it was quicker than the kill: once more
            continue
        killed += 1
        seen(Path(output))
    assert forked(source, output, None, overwrite=True)
    print("killed", killed)


if __name__ == "__main__":
    main()
