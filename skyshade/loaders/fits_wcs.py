"""From a FITS header to a checked celestial WCS of two axes."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from astropy.io.fits import Card, Header, VerifyError
from astropy.wcs import WCS, Wcsprm

from skyshade.errors import DataError, InputError, UnsupportedError, one_line
from skyshade.geometry.checks import POLES, check_celestial, check_poles
from skyshade.loaders.fits_cards import Cards
from skyshade.loaders.fits_headers import AnyHeader, text, value
from skyshade.quiet import quiet

log = logging.getLogger("skyshade")
Content = tuple[str, bool | int | float | str]
KEPT_KEYS = 1024

# Cards of axes beyond the second: CTYPE3, CD3_1, PC001003 ... They are dropped, since wcslib gives
# up on many real headers of this kind although their first two axes are sound.
_HIGHER = re.compile(
    r"(CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA|NAXIS|CNAME|CRDER|CSYER)([3-9]|\d\d)[A-Z]?$"
    r"|(CD|PC)([3-9]_\d+|\d+_[3-9])[A-Z]?$|PC(00[3-9]00\d|00\d00[3-9])$|(PV|PS)[3-9]_\d+[A-Z]?$"
)
# What a WCS is made of; such a card must be readable. SIP is among it, DSS plates are not.
_ESSENTIAL = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)[12]$|(CD|PC)[12]_[12]$|PV[12]_\d+$"
    r"|[AB]P?_(ORDER|\d+_\d+)$|(LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|EPOCH|MJD-OBS|NAXIS[12])$"
)
_NUMERIC = re.compile(
    r"(CRVAL|CRPIX|CDELT|CROTA)[12]$|(CD|PC)[12]_[12]$|PV[12]_\d+$|(LON|LAT)POLE$"
)
_WHERE = re.compile(r"ERROR \d+ in \w+\(\) at line \d+ of file [^:]*:\s*")  # in wcslib's messages
_ORDERS = re.compile(r"[AB]P?_ORDER$")
_HIGHEST = 20  # order of SIP polynomials: astropy makes room for its square, then loops over that
_TABLES = re.compile(r"(CPDIS|D2IMDIS)[12]$|D2IMEXT$")  # wcslib itself reads CQDIS
# What astropy itself reads: SIP, tables of distortion, PV of SCAMP. The rest is for wcslib alone.
_ASTROPY = re.compile(r"[AB]P?_|PV\d+_|C[PQ](DIS|ERR)|D[PQ]\d|D2IM|AXISCORR")
_PLAIN = re.compile(r"([ !#-&(-9;-~]|:(?! ))*\Z")  # no quotes, no "field: value" of a record
_VALUE = 70  # characters of a card
_STANDARD = re.compile(r"[A-Z0-9_-]{1,8}\Z")  # keywords
_IMAGE = -1  # keysel of Wcsprm: the cards of an image, as WCS asks for them
_SKIP = {"", "COMMENT", "HISTORY", "CONTINUE", "WCSAXES", "NAXIS", "BLANK", "CHECKSUM", "DATASUM"}


def celestial(header: AnyHeader, shape: tuple[int, int], name: str, part: str) -> tuple[Any, bool]:
    """Return the WCS of an image of `shape` (ny, nx), and whether to transpose the image.

    Latitude may be the first axis: then both axes of the WCS are swapped and so must be the image.

    Raises
    ------
    UnsupportedError
        There is no celestial WCS.
    DataError
        There is one, but it is broken.
    """
    try:
        with quiet():
            wcs, swapped = _parse(header)
    except Exception as error:
        # wcslib through astropy raises a dozen classes on real headers, MemoryError among them.
        log.debug("WCS of %s, %s cannot be read; it is rejected", name, part, exc_info=True)
        cause = _WHERE.sub("", str(error)).strip() or type(error).__name__
        raise DataError(name, f"broken WCS: {one_line(cause, 160)}", part) from error
    if wcs is None:
        types = [text(header, f"CTYPE{i}") for i in (1, 2)]
        found = f"CTYPE {', '.join(types)}" if any(types) else "no CTYPE"
        raise UnsupportedError(name, f"no celestial WCS ({found})", part)
    check(wcs, shape[::-1] if swapped else shape, name, part)
    return wcs, swapped


def distortion_notes(header: AnyHeader) -> tuple[str, ...]:
    """Return a note where a header names tables of distortion: they are not read."""
    found = [key for key in header if _TABLES.match(key)]
    if not found:
        return ()
    return (f"distortion tables ({', '.join(found)}) are not read; positions may be a little off",)


def celestial_of(wcs: Any, shape: tuple[int, int], name: str) -> tuple[Any, bool]:
    """Return the checked celestial part of a user's WCS, and whether to transpose the image."""
    prm = getattr(wcs, "wcs", None)
    if prm is None or not getattr(wcs, "has_celestial", False):
        kind = type(wcs).__name__
        raise UnsupportedError(name, f"no celestial WCS ({kind}); an astropy.wcs.WCS is needed")
    pair = (prm.lng, prm.lat)
    if sorted(pair) != [0, 1]:
        raise UnsupportedError(name, "the celestial axes are not the first two of the WCS")
    if pair != (0, 1) and wcs.has_distortion:
        raise UnsupportedError(name, "latitude is the first axis and there are distortions")
    plane = wcs if wcs.naxis == 2 and pair == (0, 1) else wcs.sub([prm.lng + 1, prm.lat + 1])
    swapped = pair != (0, 1)
    check(plane, shape[::-1] if swapped else shape, name)
    return plane, swapped


def check(wcs: Any, shape: tuple[int, int], name: str, part: str = "") -> None:
    """Raise DataError where `wcs` does not place an image of `shape` on the sky."""
    try:
        with quiet():
            check_celestial(wcs, shape)
    except InputError as error:
        raise DataError(name, f"broken WCS: {error}", part) from error


def _parse(header: AnyHeader) -> tuple[Any, bool]:
    check_poles({key: value(header, key) for key in POLES})
    wcs = _tolerant(two_axes(header))
    if not wcs.has_celestial:
        return None, False
    if wcs.wcs.lng == 0:
        return wcs, False
    if wcs.sip is not None or wcs.has_distortion:
        message = "latitude is the first axis and there are distortions: not supported"
        raise ValueError(message)
    return wcs.sub([2, 1]), True


def _tolerant(cards: Sequence[Content]) -> Any:
    """Parse cards; if wcslib refuses, without half a DSS plate and with SCAMP's TAN as TPV."""
    try:
        return _wcs(cards)
    except Exception:
        header = Header(cards)
        plain = Header([c for c in header.cards if _ESSENTIAL.match(c.keyword)])
        for axis in (1, 2):
            if any(k.startswith(f"PV{axis}_") for k in plain):
                kind = text(plain, f"CTYPE{axis}")
                plain[f"CTYPE{axis}"] = kind.replace("-TAN", "-TPV")
        try:
            return WCS(plain, naxis=2)
        except Exception:
            log.debug("the plain cards alone give no WCS either", exc_info=True)
        raise


def _wcs(cards: Sequence[Content]) -> Any:
    """Return what ``WCS(Header(cards), naxis=2)`` does.

    That parses the header three times and formats it twice, for the sake of distortions: where no
    card is about these, wcslib is given the cards at once.
    """
    sizes = [(key, content) for key, content in cards if key in ("NAXIS1", "NAXIS2")]
    known = [(key, type(content)) for key, content in sizes] == [("NAXIS1", int), ("NAXIS2", int)]
    if not known or any(_is_astropys(*card) for card in cards):
        return WCS(Header(cards), naxis=2)
    raw = "".join(_image(*card) for card in cards).encode("ascii")
    wcs = WCS(naxis=2, fix=False)
    wcs.wcs = Wcsprm(header=raw, relax=True, keysel=_IMAGE).sub(2)
    wcs.fix()
    wcs.wcs.set()
    wcs.pixel_shape = [content for _, content in sizes]
    return wcs


def _is_astropys(key: str, content: bool | float | str) -> bool:
    """Return whether astropy does more with a card than handing it to wcslib."""
    odd = key in ("CTYPE1", "CTYPE2") and not isinstance(content, str)
    return odd or _kind(key).astropys


def _image(key: str, content: bool | float | str) -> str:
    """Return the 80 characters of a card (more, of a long text), floats with all their digits."""
    shown = ""
    if not _kind(key).standard:
        pass
    elif isinstance(content, bool):
        shown = "T" if content else "F"
    elif isinstance(content, int) or (isinstance(content, float) and math.isfinite(content)):
        shown = repr(content).upper()
    elif isinstance(content, str) and _PLAIN.match(content):
        shown = f"'{content:8}'" if content else "''"
    if not shown or len(shown) > _VALUE:
        return str(Card(key, content))  # refuses what is not allowed
    return f"{key:8}= {shown:>20}".ljust(80)


class _Kind(NamedTuple):
    """What a keyword says about its card."""

    skipped: bool
    numeric: bool
    order: bool
    astropys: bool
    standard: bool


@lru_cache(KEPT_KEYS)
def _kind(key: str) -> _Kind:
    patterns = (_NUMERIC, _ORDERS, _ASTROPY, _STANDARD)
    numeric, order, astropys, standard = (p.match(key) is not None for p in patterns)
    skipped = key in _SKIP or _HIGHER.match(key) is not None
    return _Kind(skipped, numeric, order, astropys, standard)


def two_axes(header: AnyHeader) -> list[Content]:
    """Return keywords and values of the readable cards of the first two axes only.

    Raises
    ------
    ValueError
        A card that the WCS is made of cannot be read.
    """
    kept: list[Content] = [("NAXIS", 2), ("WCSAXES", 2)]
    for key, content in _readable(header):
        kind = _kind(key)
        if kind.skipped or not isinstance(content, bool | int | float | str):
            continue
        if kind.numeric and isinstance(content, str):
            message = f"{key} = {one_line(content, 40)!r} is not a number"
            raise ValueError(message)
        if kind.order and not (isinstance(content, int | float) and 0 <= content <= _HIGHEST):
            message = f"{key} = {one_line(content, 40)} is not allowed: 0 to {_HIGHEST}"
            raise ValueError(message)
        kept.append((key, content))
    return kept


def _readable(header: AnyHeader) -> Iterator[tuple[str, object]]:
    """Yield keyword and value of cards; ValueError for one that the WCS is made of and is not."""
    if isinstance(header, Cards):
        if header.plain is not None:
            yield from header.plain
            return
        header = header.full
    for card in header.cards:
        try:
            key, content = card.keyword, card.value
        except (VerifyError, ValueError) as error:
            if _ESSENTIAL.match(key := card.keyword):
                message = f"{key} cannot be read: {one_line(card.image, 60)!r}"
                raise ValueError(message) from error
            continue
        yield key, content
