"""numba loops of `skyshade.kernels.healpix`; their arguments are described there."""

from __future__ import annotations

from typing import Any

import numpy as np

from skyshade.kernels.loops.jit import jit

_THIRDS = 2.0 / 3.0
_TAN = 0.41421356237309503  # of an eighth of pi
_BYTES, _PAIRS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_8, _16, _32 = np.uint64(8), np.uint64(16), np.uint64(32)


@jit
def _spread(v: Any) -> Any:
    v = (v | (v << 16)) & 0x0000FFFF0000FFFF
    v = (v | (v << 8)) & 0x00FF00FF00FF00FF
    v = (v | (v << 4)) & 0x0F0F0F0F0F0F0F0F
    v = (v | (v << 2)) & 0x3333333333333333
    return (v | (v << 1)) & 0x5555555555555555


@jit
def _gather(v: Any) -> Any:
    v = v & 0x5555555555555555
    v = (v | (v >> 1)) & 0x3333333333333333
    v = (v | (v >> 2)) & 0x0F0F0F0F0F0F0F0F
    v = (v | (v >> 4)) & 0x00FF00FF00FF00FF
    v = (v | (v >> 8)) & 0x0000FFFF0000FFFF
    return (v | (v >> 16)) & 0xFFFFFFFF


@jit
def _cell(t: Any, z: Any, s: Any, order: Any) -> Any:
    """Return face, x and y of a position."""
    nside = np.int64(1) << order
    if abs(z) <= _THIRDS:
        v = 0.75 * z
        a, b = np.int64((t + 0.5 - v) * nside), np.int64((t + 0.5 + v) * nside)
        return _belt(a, b, nside, order)
    quarter = np.int64(min(t, 3.0))
    sigma = s * np.sqrt(3.0 / (1.0 + abs(z))) * nside
    east = min(np.int64((1.0 - (t - quarter)) * sigma), nside - 1)
    west = min(np.int64((t - quarter) * sigma), nside - 1)
    if z > 0.0:
        return quarter, nside - 1 - east, nside - 1 - west
    return quarter + 8, west, east


@jit
def _belt(a: Any, b: Any, nside: Any, order: Any) -> Any:
    row, col = a >> order, b >> order
    face = (row & 3) + 4
    if row != col:
        face = (row & 3) if row < col else (col & 3) + 8
    return face, b & (nside - 1), nside - 1 - (a & (nside - 1))


@jit
def _to_nested(face: Any, x: Any, y: Any, order: Any) -> Any:
    return (face << (2 * order)) + _spread(x) + (_spread(y) << 1)


@jit
def _to_ring(face: Any, x: Any, y: Any, order: Any) -> Any:
    nside = np.int64(1) << order
    zone = face >> 2
    ring = (2 + zone) * nside - x - y - 1
    middle = 2 * (face & 3) + (1 if zone != 1 else 0)
    if ring < nside:
        return 2 * ring * (ring - 1) + ((middle * ring + x - y - 1) >> 1)
    if ring > 3 * nside:
        length = 4 * nside - ring
        first = 12 * nside * nside - 2 * length * (length + 1)
        return first + ((middle * length + x - y - 1) >> 1)
    at = (middle * nside + x - y + ((ring - nside) & 1) - 1) >> 1
    first = 2 * nside * (nside - 1) + 4 * nside * (ring - nside)
    return first + (at & (4 * nside - 1))


@jit
def _ring_cell(ring: Any, at: Any, nside: Any, order: Any) -> Any:
    """Return face, x and y of a pixel by its ring and its place there."""
    if ring < nside:
        quarter, rest = at // ring, at % ring
        return quarter, nside - ring + rest, nside - 1 - rest
    if ring > 3 * nside:
        length = 4 * nside - ring
        quarter, rest = at // length, at % length
        return quarter + 8, rest, length - 1 - rest
    u, v = 2 * at + 1 - ((ring - nside) & 1), 2 * nside - ring
    return _belt((u - v + nside) >> 1, (u + v + nside) >> 1, nside, order)


@jit
def _ring_place(pixel: Any, nside: Any) -> Any:
    """Return the ring of a pixel and its place there."""
    cap, last = 2 * nside * (nside - 1), 12 * nside * nside - 1
    if pixel < cap:
        length = (1 + np.int64(np.sqrt(1.0 + 2.0 * pixel))) >> 1
        return length, pixel - 2 * length * (length - 1)
    if pixel > last - cap:
        length = (1 + np.int64(np.sqrt(1.0 + 2.0 * (last - pixel)))) >> 1
        return 4 * nside - length, pixel - last - 1 + 2 * length * (length + 1)
    return nside + (pixel - cap) // (4 * nside), (pixel - cap) % (4 * nside)


@jit
def find_pixels(t: Any, z: Any, s: Any, order: int, nested: bool, out: Any) -> None:
    """Find pixel by pixel."""
    for i in range(out.size):
        if (t[i] - t[i]) + (z[i] - z[i]) + (s[i] - s[i]) != 0.0:
            out[i] = -1
            continue
        face, x, y = _cell(t[i], z[i], s[i], order)
        out[i] = _to_nested(face, x, y, order) if nested else _to_ring(face, x, y, order)


@jit
def _quarter_turns(y: float, x: float) -> float:
    """Return the angle of (x, y) in quarter turns, 0 to 4, without a branch.

    Polynomial for the arc tangent up to an eighth of pi, interpolated at Chebyshev nodes; the
    result is off by less than 1e-15.
    """
    p, q = abs(x), abs(y)
    high, low = max(p, q), min(p, q)
    beyond = low > _TAN * high
    r = (low - high if beyond else low) / (low + high if beyond else max(high, 1e-300))
    w = r * r
    h = 0.031993742279864956 - 0.016095236278488027 * w
    h = h * w - 0.04142792853465605
    h = h * w + 0.04885448110239551
    h = h * w - 0.05786626252011255
    h = h * w + 0.07073517875607978
    h = h * w - 0.09094567354619576
    h = h * w + 0.12732395438620378
    h = h * w - 0.21220659078895193
    h = h * w + 0.6366197723675813
    h = h * r + (0.5 if beyond else 0.0)
    h = 1.0 - h if q > p else h
    h = 2.0 - h if x < 0.0 else h
    return 4.0 - h if y < 0.0 else h


@jit
def find_window(across: Any, along: Any, matrix: Any, order: int, nested: bool, out: Any) -> None:
    """Turn a row of positions, then number it."""
    height, width = out.shape
    t, z, s = np.empty(width), np.empty(width), np.empty(width)
    down, up = np.empty(width), np.empty(width)
    wide, tall = across.shape[1] > 1, along.shape[2] > 1
    m = matrix
    for r in range(height):
        cos_ra, sin_ra = across[0, r if wide else 0], across[1, r if wide else 0]
        if tall:
            down[:], up[:] = along[0, r], along[1, r]
        else:
            down[:], up[:] = along[0, r, 0], along[1, r, 0]
        for c in range(width):
            east, north, high = down[c] * cos_ra[c], down[c] * sin_ra[c], up[c]
            x = m[0, 0] * east + m[0, 1] * north + m[0, 2] * high
            y = m[1, 0] * east + m[1, 1] * north + m[1, 2] * high
            z[c] = m[2, 0] * east + m[2, 1] * north + m[2, 2] * high
            s[c] = np.sqrt(x * x + y * y)
            t[c] = _quarter_turns(y, x)
        find_pixels(t, z, s, order, nested, out[r])


@jit
def renumber(pixels: Any, order: int, nested: bool, out: Any) -> None:
    """Go through face coordinates."""
    nside = np.int64(1) << order
    for i in range(out.size):
        if nested:
            rest = pixels[i] & (nside * nside - 1)
            face, x, y = pixels[i] >> (2 * order), _gather(rest), _gather(rest >> 1)
            out[i] = _to_ring(face, x, y, order)
        else:
            ring, at = _ring_place(pixels[i], nside)
            face, x, y = _ring_cell(ring, at, nside, order)
            out[i] = _to_nested(face, x, y, order)


@jit
def coarse_rings(first: int, order: int, k: int, out: Any) -> None:
    """Walk along the rings: eastward x grows and y falls, until a coarse pixel or a ring ends."""
    nside, side = np.int64(1) << order, np.int64(1) << k
    ring, at = _ring_place(first, nside)
    i = 0
    while i < out.size:
        length = 4 * min(ring, 4 * nside - ring, nside)
        face, x, y = _ring_cell(ring, at, nside, order)
        count = min(nside - x, y + 1, length - at, out.size - i)  # until the face ends
        _fill(face, x, y, order, k, side, out[i : i + count])
        i, at = i + count, at + count
        if at == length:
            ring, at = ring + 1, 0


@jit
def _fill(face: Any, x: Any, y: Any, order: Any, k: Any, side: Any, out: Any) -> None:
    i = 0
    while i < out.size:
        number = _to_ring(face, x >> k, y >> k, order - k)
        run = min(side - (x & (side - 1)), (y & (side - 1)) + 1, out.size - i)
        for n in range(i, i + run):
            out[n] = number
        i, x, y = i + run, x + run, y - run


@jit
def child_rings(cells: Any, order: int, k: int, out: Any) -> None:
    """Go through the rows of each square of children."""
    mask = (np.int64(1) << (2 * order)) - 1
    for n in range(cells.size):
        first = cells[n] << (2 * k)
        face, x, y = first >> (2 * order), _gather(first & mask), _gather((first & mask) >> 1)
        for c in range(out.shape[1]):
            out[n, c] = _to_ring(face, x + _gather(c), y + _gather(c >> 1), order)


@jit
def mark(pixels: Any, bits: int, flags: Any) -> None:
    """Mark block by block."""
    for r in range(pixels.shape[0]):
        for c in range(pixels.shape[1]):
            if pixels[r, c] >= 0:
                flags[pixels[r, c] >> bits] = 1


@jit
def pick(values: Any, where: Any, bits: int, pixels: Any, out: Any) -> None:
    """Take pixel by pixel."""
    mask = (np.int64(1) << bits) - 1
    for r in range(pixels.shape[0]):
        for c in range(pixels.shape[1]):
            p = pixels[r, c]
            v = values[where[p >> bits] + (p & mask)] if p >= 0 else np.float32(np.nan)
            out[r, c] = v if v - v == 0.0 else np.float32(np.nan)


@jit
def fold_sums(values: Any, at: Any, first: int, counts: Any, sums: Any, squares: Any) -> None:
    """Add value by value."""
    for i in range(values.size):
        v, place = np.float64(values[i]), at[i] - first
        if place >= 0 and place < counts.size and v - v == 0.0:
            counts[place] += 1.0
            sums[place] += v
            if squares.size:
                squares[place] += v * v


@jit
def fold_extremes(values: Any, at: Any, first: int, low: Any, high: Any) -> None:
    """Compare value by value."""
    for i in range(values.size):
        v, place = values[i], at[i] - first
        if place >= 0 and place < low.size and v - v == 0.0:
            low[place] = min(low[place], v)
            high[place] = max(high[place], v)


@jit
def native_floats(stored: Any, missing: float, near: float, out: Any) -> None:
    """Swap the bytes, then look at the values."""
    bits, size = out.view(stored.dtype), out.itemsize
    for i in range(out.size):
        w = np.uint64(stored[i])
        w = ((w & _BYTES) << _8) | ((w >> _8) & _BYTES)
        w = ((w & _PAIRS) << _16) | ((w >> _16) & _PAIRS)
        bits[i] = w if size == 4 else (w << _32) | (w >> _32)
    for i in range(out.size):
        v = np.float64(out[i])
        gone = (v - v != 0.0) | (abs(v - missing) <= near)
        out[i] = np.nan if gone else out[i]
