"""Images in memory, for tests of map layers."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from skyshade.types import SkyImage


class ArrayReader:
    """A `PixelReader` of an array that counts what is read."""

    def __init__(self, values: Any, version: str = "1") -> None:
        self.values = np.asarray(values)
        self.mark = version
        self.boxes: list[tuple[int, int, int, int, int]] = []
        self.most = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def version(self) -> str:
        return self.mark

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> np.ndarray:
        assert 0 <= y0 <= y1 <= self.shape[0]
        assert 0 <= x0 <= x1 <= self.shape[1]
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        self.boxes.append((y0, y1, x0, x1, step))
        found = self.values[y0:y1:step, x0:x1:step].copy()
        self.most = max(self.most, found.size)
        return found


def image(wcs: Any, values: Any, **more: Any) -> SkyImage:
    """Return an image of `values` (float32 unless they are a reader)."""
    reader = values if isinstance(values, ArrayReader) else ArrayReader(np.asarray(values, "f4"))
    return SkyImage(reader=reader, wcs=wcs, **{"name": "test", **more})
