"""Write the stored colour maps: ``python -m tests.shaders.make_builtin``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skyshade.shaders import colormaps


def colours_of(name: str) -> np.ndarray:
    """(256, 3) colours of one of the two libraries; ``fire`` is colorcet's."""
    import colorcet
    import matplotlib

    if name == "fire":
        return np.array([list(bytes.fromhex(c[1:])) for c in colorcet.palette[name]], np.uint8)
    return matplotlib.colormaps[name](np.linspace(0, 1, 256), bytes=True)[:, :3]


if __name__ == "__main__":
    made = np.array([colours_of(name) for name in colormaps.STORED])
    np.save(Path(colormaps.__file__).with_name("builtin.npy"), made)
