"""The process that opens damaged files: ``python -m tests.fuzz.child FOLDER``.

Reads seeds from standard input, one a line, and answers each with one line of JSON. Whatever is not
a layer or a `SkyshadeError` is a failure.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from skyshade.atlas.items import How, ItemReader
from skyshade.errors import SkyshadeError
from skyshade.geometry.grids import SKY
from skyshade.types import Layer, Tile, Window
from tests.fuzz.files import KINDS, damaged

SPARE = 3 << 30  # bytes of address space beyond those at the start: the machine must survive too
LAYERS = 3  # of one file


class Loud(logging.Handler):
    """Keeps what the boundaries of the library caught: nothing that was foreseen."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self.records.append(record.getMessage() + trace)


def use(layer: Layer) -> None:
    """Ask a layer for everything that a viewer asks for."""
    info, box = layer.info, layer.info.coverage
    ra, dec = (box.ra_east + box.ra_west) / 2 % 360, (box.dec_min + box.dec_max) / 2
    layer.statistics()
    layer.scale()
    layer.value(ra, dec)
    layer.value(0.0, 90.0)
    for tile in (Tile(0, 0, 0), Tile(0, 1, 0), SKY.tile_of(ra, dec, info.max_zoom)):
        made = layer.compute(Window.of(SKY, tile))
        assert made.values.shape[:2] == (256, 256)


def run(path: Path) -> dict[str, Any]:
    """Open one file; return what became of it."""
    reader = ItemReader(path, How(), lambda _: False)
    entries = [entry for entry, _ in reader.entries()]
    reasons = [entry.reason for entry in entries if entry.layer is None]
    assert entries
    assert all(reason and "\n" not in reason for reason in reasons)
    for entry in entries[:LAYERS]:
        if entry.layer is not None:
            try:
                use(entry.layer)
            except SkyshadeError as error:
                reasons.append(f"while it was used: {error}")
    return {"layers": len(entries) - len(reasons), "reasons": reasons}


def memory(field: str) -> int:
    """Return VmHWM, VmRSS ... of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    return 0


def answer(folder: Path, seed: int, loud: Loud, before: int) -> dict[str, Any]:
    """Return one case's line."""
    kind = KINDS[seed % len(KINDS)]
    path = folder / f"case.{'fz' if kind == 'rice' else 'fits'}"
    path.write_bytes(damaged((folder / kind).read_bytes(), seed))
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    start = time.process_time()
    try:
        found = run(path)
    except BaseException:
        found = {"failure": traceback.format_exc()}
    if loud.records:
        found["failure"] = loud.records.pop(0)
        loud.records.clear()
    seconds, grown = time.process_time() - start, memory("VmHWM") - before
    return {"seed": seed, "kind": kind, "seconds": seconds, "grown": grown, **found}


def main(folder: Path) -> None:
    """Answer until standard input ends."""
    warnings.simplefilter("ignore")
    loud = Loud()
    logging.getLogger("skyshade").addHandler(loud)
    logging.getLogger("skyshade").setLevel(logging.ERROR)
    for kind in KINDS:  # imports and compiled kernels are no growth
        run(folder / kind)
    limit = memory("VmSize") + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = memory("VmRSS")
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(folder, int(line), loud, before)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
