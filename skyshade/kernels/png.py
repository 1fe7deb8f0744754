"""What a PNG writer asks of its pixels: which bytes occur, and which filter pays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel

Bytes2D = NDArray[np.uint8]


@kernel("void(uint8[:,::1], uint8[::1])")
def mark_used(pixels: Bytes2D, seen: NDArray[np.uint8]) -> None:
    """Set ``seen[p]`` to 1 for every byte p of `pixels`.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
    seen : ndarray of uint8, shape (256,)
    """
    seen[pixels] = 1


@kernel("boolean(uint8[:,::1], int64)")
def up_pays(pixels: Bytes2D, stride: int) -> bool:
    """Return whether differences from the row above are more alike than the bytes themselves.

    Alike is measured by the sum of squared frequencies (how probably two picks are equal), on
    every `stride`-th row: smooth maps gain a third, sparse points and noise lose.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
    stride : int
    """
    rows = np.arange(stride, pixels.shape[0], stride)
    plain = np.bincount(pixels[rows].reshape(-1), minlength=256)
    above = np.bincount((pixels[rows] - pixels[rows - 1]).reshape(-1), minlength=256)
    return bool((above * above).sum() > (plain * plain).sum())
