"""What the benchmarks look at, built once: a map with holes, and two million points."""

from __future__ import annotations

import numpy as np
import pytest

from skyshade.kernels.dispatch import compile_all


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    compile_all()


def smooth(height, width, seed=0):
    """Return a smooth random field with a little noise, float32."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = sum(
        np.sin(x * rng.uniform(0.01, 0.1) + y * rng.uniform(0.01, 0.1) + rng.uniform(0, 6))
        for _ in range(5)
    )
    return (100 * waves + rng.standard_normal((height, width))).astype(np.float32)


@pytest.fixture(scope="session")
def sky_map():
    """An all-sky plate carree map, 6 arcmin a pixel, with holes; its overview is ready."""
    from astropy.wcs import WCS

    from skyshade.atlas.build import open_atlas

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---CAR", "DEC--CAR"
    wcs.wcs.crpix = 1800.5, 900.5
    wcs.wcs.cdelt = -0.1, 0.1
    pixels = smooth(1800, 3600)
    pixels[np.random.default_rng(1).random(pixels.shape) < 0.01] = np.nan
    return only_layer(open_atlas([(pixels, wcs)]))


@pytest.fixture(scope="session")
def tangent_map():
    """A 4000 x 4000 tangent-plane image of 3.3 degrees, turned by 30 degrees."""
    from astropy.wcs import WCS

    from skyshade.atlas.build import open_atlas

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 150.0, 60.0
    wcs.wcs.crpix = 2000.5, 2000.5
    wcs.wcs.cdelt = -3 / 3600, 3 / 3600
    turn = np.radians(30)
    wcs.wcs.pc = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return only_layer(open_atlas([(smooth(4000, 4000), wcs)]))


@pytest.fixture(scope="session")
def stars():
    """Two million points, half of them in one crowded degree; its index is built."""
    import pandas as pd

    from skyshade.atlas.build import open_atlas

    rng = np.random.default_rng(2)
    n = 1_000_000
    ra = np.concatenate([rng.uniform(0, 360, n), rng.normal(83, 0.3, n)])
    dec = np.concatenate([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.normal(-5, 0.3, n)])
    table = pd.DataFrame({"ra": ra, "dec": dec, "mag": rng.normal(15, 2, 2 * n)})
    return only_layer(open_atlas([table]))


def only_layer(atlas):
    """Return the one layer of an atlas, at its best quality."""
    (entry,) = atlas.entries()
    assert entry.layer is not None, entry.reason
    if hasattr(entry.layer, "wait_exact"):
        entry.layer.wait_exact(60)
    return entry.layer
