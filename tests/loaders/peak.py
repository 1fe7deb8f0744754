"""Peak memory of a child process.

``ru_maxrss`` will not do: on Linux a child begins with that of the process that started it.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak() -> int:
    """Return the largest resident memory of this process since it began, MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) // 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // (1 << 20 if sys.platform == "darwin" else 1024)
