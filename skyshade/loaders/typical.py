"""Which plane of a large cube to show first."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from skyshade.errors import SkyshadeError
from skyshade.types import SkyImage

log = logging.getLogger("skyshade")

_LOOKS = (0.5, 0.25, 0.75, 0.0, 0.125, 0.875)  # parts of the cube that are looked at, in turn
_SIDE = 64  # pixels read along each side


def typical_plane(planes: Sequence[SkyImage]) -> int:
    """Return the number of a plane with data: the middle one, if that has any.

    Edge channels are often blank. At most six planes are looked at, a few thousand pixels of each.
    """
    middle = len(planes) // 2
    for part in _LOOKS:
        number = min(len(planes) - 1, int(part * len(planes)))
        reader = planes[number].reader
        ny, nx = reader.shape
        try:
            found = reader.read(0, ny, 0, nx, max(1, min(ny, nx) // _SIDE))
        except SkyshadeError:
            log.debug("plane %d cannot be read", number, exc_info=True)
            continue
        good = found[np.isfinite(found)]
        if good.size and good.min() != good.max():
            return number
    return middle
