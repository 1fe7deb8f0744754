"""Three bands to colours: Lupton's asinh, which keeps hues, or each band by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skyshade.kernels.dispatch import kernel
from skyshade.types import FloatArray

FRACTION = 0.1  # of the linear range; at it, every softening gives the same brightness


@kernel("void(float32[:,:,::1], float64[::1], float64[::1], float64, uint8[:,:,::1])")
def colour_bands(
    values: NDArray[np.float32],
    low: FloatArray,
    per_unit: FloatArray,
    q: float,
    out: NDArray[np.uint8],
) -> None:
    """Write the colours of red, green and blue values.

    With x = (value - low) * per_unit of each band and I their mean, Lupton's colour is
    x * f(I) / I, f(I) = asinh(q I) * 0.1 / asinh(0.1 q), and colours brighter than white are
    darkened as a whole (Lupton et al. 2004, PASP 116, 133, with the constants of
    `astropy.visualization.make_lupton_rgb`).

    Parameters
    ----------
    values : ndarray of float32, shape (height, width, 3)
        NaN is no light; a pixel of three NaN is missing.
    low, per_unit : ndarray of float64, shape (3,)
    q : float
        Softening; 0 clips each band to 0..1 instead.
    out : ndarray of uint8, shape (height, width, 4)
        Written: straight RGBA, all 0 where missing.
    """
    missing = np.isnan(values)
    x = np.where(missing, 0.0, (values.astype(np.float64) - low) * per_unit)
    if q > 0.0:
        mean = x.sum(axis=2, keepdims=True) / 3.0
        lit = mean > 0.0
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            f = np.arcsinh(q * mean) * (FRACTION / np.arcsinh(FRACTION * q)) / mean
            x = np.maximum(x * np.where(lit, f, 0.0), 0.0)
        x /= np.maximum(x.max(axis=2, keepdims=True), 1.0)
    out[:, :, :3] = np.floor(np.clip(x, 0.0, 1.0) * 255.0 + 0.5)
    out[:, :, 3] = 255
    out[missing.all(axis=2)] = 0
