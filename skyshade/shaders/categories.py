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

# for more classes than datashader has colours: ColorBrewer's Dark2 and Paired
MORE = (
    "#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#e6ab02", "#1f78b4", "#b2df8a",
    "#cab2d6", "#fb9a99",
)  # fmt: skip
OTHERS = "*"  # in a key: every category that it does not name

Key = Mapping[str, str] | Sequence[str]


def key_colours(key: Key | None, names: Sequence[str]) -> RGBA:
    """Return the colours of the categories, shape (category, 4).

    Parameters
    ----------
    key : mapping of name to colour, or sequence of colours, optional
        None takes `COLOUR_KEY` and `MORE`, repeated where there are more categories. A mapping may
        name the colour of `OTHERS`; "" leaves them those that they have without a key.
    names : sequence of str

    Raises
    ------
    InputError
        When a category has no colour.
    """
    own = [(*COLOUR_KEY, *MORE)[i % (len(COLOUR_KEY) + len(MORE))] for i in range(len(names))]
    if key is None:
        chosen: Sequence[str] = own
    elif isinstance(key, Mapping):
        lacking = [name for name in names if name not in key]
        if lacking and OTHERS not in key:
            msg = f"color_key has no colour for category {lacking[0]!r}; it has {', '.join(key)}"
            raise InputError(msg)
        others = key.get(OTHERS)
        chosen = [key.get(name, others or own[i]) for i, name in enumerate(names)]
    else:
        if len(key) < len(names):
            msg = f"color_key has {len(key)} colours, but there are {len(names)} categories"
            raise InputError(msg)
        chosen = key[: len(names)]
    return rgba_of([hex_of(colour) for colour in chosen]).reshape(-1, 4)


def parse_key(text: str) -> dict[str, str]:
    """Return the colours of classes from ``star:#ff0,galaxy:#0af``.

    A colour is what follows the last colon of a part; ``*`` names all other classes, which keep
    their own colours without it.

    Raises
    ------
    InputError
    """
    key = {OTHERS: ""}
    for part in text.split(","):
        name, colon, colour = part.strip().rpartition(":")
        if not (colon and name.strip() and colour.strip()):
            msg = f"colors={text[:80]!r} is not allowed: give e.g. star:#ff0,galaxy:#0af"
            raise InputError(msg)
        key[name.strip()] = hex_of(colour.strip())
    return key


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


def classes_at(
    values: AnyArray, opacity: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return flat numbers of the pixels that marks cover, and the class of each.

    One beyond the last class means that the mark has none.
    """
    where = np.flatnonzero(opacity)
    there = values.reshape(-1, values.shape[2])[where]
    if values.shape[2] == 0:
        return where, np.zeros(where.size, np.int64)
    number = there.argmax(axis=1)
    return where, np.where(there.any(axis=1), number, values.shape[2])


def lay(total: FloatArray, pixels: RGBA, norm: Norm, nan: tuple[int, int, int, int]) -> None:
    """Set the opacity of `pixels` from their total, and the colour of missing ones, in place."""
    levels = MIN_ALPHA + np.arange(COLOURS) * ((255 - MIN_ALPHA) / (COLOURS - 1))
    index = norm.indices(total)
    pixels[:, :, 3] = np.concatenate([[0], levels]).astype(np.uint8)[index]
    pixels[index == 0] = nan
