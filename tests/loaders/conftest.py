from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

Write = Callable[..., Path]


def car_header(nx: int = 40, ny: int = 20, **cards: Any) -> fits.Header:
    header = fits.Header()
    values = {
        "CTYPE1": "RA---CAR",
        "CTYPE2": "DEC--CAR",
        "CRVAL1": 30.0,
        "CRVAL2": 0.0,
        "CRPIX1": (nx + 1) / 2,
        "CRPIX2": (ny + 1) / 2,
        "CDELT1": -0.5,
        "CDELT2": 0.5,
    }
    for key, value in {**values, **cards}.items():
        if value is not None:
            header[key] = value
    return header


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an array as a FITS image with a CAR header; cards given override it."""

    def job(data: np.ndarray, name: str = "a.fits", **cards: Any) -> Path:
        header = car_header(data.shape[-1], data.shape[-2], **cards)
        path = tmp_path / name
        fits.PrimaryHDU(data, header).writeto(path)
        return path

    return job
