"""Categories to colours, as `datashader.transfer_functions.shade` does for three dimensions.

The colour is the mean of the categories' colours, weighted by the values; the opacity follows the
total through the norm, from `MIN_ALPHA` to 255.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from skyshade.errors import InputError
from skyshade.kernels.colour import COLOURS, mix_categories
from skyshade.shaders.colours import RGBA, hex_of, rgba_of
from skyshade.shaders.norms import Norm
from skyshade.types import AnyArray, FloatArray

MIN_ALPHA = 40

# ColorBrewer's Set1, Set2 and Set3 (www.ColorBrewer.org) without greys that repeat: as datashader.
COLOUR_KEY = (
    "#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00", "#ffff33", "#a65628", "#f781bf",
    "#999999", "#66c2a5", "#fc8d62", "#8da0cb", "#a6d854", "#ffd92f", "#e5c494", "#ffffb3",
    "#fb8072", "#fdb462", "#fccde5", "#d9d9d9", "#ccebc5", "#ffed6f",
)  # fmt: skip

Key = Mapping[str, str] | Sequence[str]


def key_colours(key: Key | None, names: Sequence[str]) -> RGBA:
    """Return the colours of the categories, shape (category, 4).

    Parameters
    ----------
    key : mapping of name to colour, or sequence of colours, optional
        None takes `COLOUR_KEY`, repeated where there are more categories.
    names : sequence of str

    Raises
    ------
    InputError
        When a category has no colour.
    """
    if key is None:
        chosen: Sequence[str] = [COLOUR_KEY[i % len(COLOUR_KEY)] for i in range(len(names))]
    elif isinstance(key, Mapping):
        lacking = [name for name in names if name not in key]
        if lacking:
            msg = f"color_key has no colour for category {lacking[0]!r}; it has {', '.join(key)}"
            raise InputError(msg)
        chosen = [key[name] for name in names]
    else:
        if len(key) < len(names):
            msg = f"color_key has {len(key)} colours, but there are {len(names)} categories"
            raise InputError(msg)
        chosen = key[: len(names)]
    return rgba_of([hex_of(colour) for colour in chosen]).reshape(-1, 4)


def mix(
    values: AnyArray, colours: RGBA, baseline: float | None
) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Return the total of every pixel, NaN where there is nothing, and its colour.

    Parameters
    ----------
    values : ndarray, shape (height, width, category)
    colours : ndarray of uint8, shape (category, 4)
        Their opacity is not used.
    baseline : float, optional
        What counts as nothing when colours are mixed; None takes the smallest value of the whole
        aggregate (datashader's rule: good for one picture, but tiles would not join).

    Returns
    -------
    total : ndarray of float64, shape (height, width)
    pixels : ndarray of uint8, shape (height, width, 4)
        The opacity is not set.
    """
    numbers = np.ascontiguousarray(values, np.float64)
    if baseline is None:
        present = numbers[~np.isnan(numbers)]
        baseline = float(present.min()) if present.size else 0.0
    total = np.empty(numbers.shape[:2])
    pixels = np.empty((*numbers.shape[:2], 4), np.uint8)
    table = np.ascontiguousarray(colours[:, :3], np.float64)
    mix_categories(numbers, table, baseline, values.dtype.kind in "bu", total, pixels)
    return total, pixels


def lay(total: FloatArray, pixels: RGBA, norm: Norm, nan: tuple[int, int, int, int]) -> None:
    """Set the opacity of `pixels` from their total, and the colour of missing ones, in place."""
    levels = MIN_ALPHA + np.arange(COLOURS) * ((255 - MIN_ALPHA) / (COLOURS - 1))
    index = norm.indices(total)
    pixels[:, :, 3] = np.concatenate([[0], levels]).astype(np.uint8)[index]
    pixels[index == 0] = nan
