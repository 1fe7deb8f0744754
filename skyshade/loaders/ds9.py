"""The loader of DS9 region files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

from skyshade.errors import UnsupportedError, one_line
from skyshade.loaders.region_table import PIXELS, region_table
from skyshade.loaders.source import Loaded, Options, Source
from skyshade.loaders.source_table import skipped

LIMIT = 16 << 20  # bytes; a region takes some 60 of them and 0.3 ms
MOST_ALONE = 20_000  # records of a file with faults: each is read by itself, which is slower
_MARK = re.compile(rb"^\s*#\s*Region file format", re.IGNORECASE)
_SHAPE = re.compile(r"^\s*#?\s*[-+&|!]*\s*[a-z]+\s*\(", re.IGNORECASE)
_FRAME = re.compile(
    r"^\s*(icrs|fk4|b1950|fk5|j2000|galactic|ecliptic|image|physical|detector|amplifier|linear|wcs\w?)"
    r"\s*$",
    re.IGNORECASE,
)
_IN_PIXELS = ("image", "physical", "detector", "amplifier", "linear")


def sniff(head: bytes, uri: str) -> bool:
    """Tell region files by their first line or their name."""
    return bool(_MARK.match(head)) or uri.lower().endswith((".reg", ".reg.gz"))


def open(source: Source, options: Options) -> Loaded:  # noqa: ARG001 (the common form)
    """Return the regions of a file as a table of sources with outlines.

    Records that cannot be shown are skipped; a note counts them and has the first reason.
    """
    if source.file.size > LIMIT:
        cause = f"{source.file.size} bytes; region files of at most {LIMIT} are read"
        raise UnsupportedError(source.name, f"{cause}: convert to Parquet or CSV")
    before = source.file.stamp()
    text = source.file.read(0, before.size).decode("utf-8", "replace")
    source.file.check(before)
    if "\0" in text[:4096]:
        raise UnsupportedError(source.name, "not a region file: holds NUL bytes")
    found, reasons = parse(text)
    if not found:
        raise UnsupportedError(source.name, reasons[0] if reasons else "no regions")
    table = region_table(found, source.stem, source.file.version(), source.name)
    if reasons:
        table.notes += (skipped(len(reasons), reasons[0]),)
    return Loaded(tables=[table])


def parse(text: str) -> tuple[list[Any], list[str]]:
    """Return the sky regions of a text, and why each other record was left out.

    A text without fault is read at once, any other one line by line.
    """
    try:
        found, told = _read(text)
    except Exception:  # noqa: BLE001 (a foreign parser on a foreign text; told line by line below)
        told = ["?"]
    if not told and all(_on_sky(region) for region in found):
        return found, []
    return _by_line(text)


def _read(text: str) -> tuple[list[Any], list[str]]:
    from regions import Regions  # noqa: PLC0415 (only for region files)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = list(Regions.parse(text, format="ds9"))
    return found, [one_line(warning.message, 160) for warning in told]


def _on_sky(region: Any) -> bool:
    return not type(region).__name__.endswith("PixelRegion")


def _by_line(text: str) -> tuple[list[Any], list[str]]:
    found: list[Any] = []
    reasons: list[str] = []
    for count, (number, frame, defaults, record) in enumerate(_records(text)):
        if count == MOST_ALONE:
            reasons.append(f"line {number}: only the first {MOST_ALONE:,} records of a faulty file")
            break
        if frame.lower() in _IN_PIXELS:
            reasons.append(f"line {number}: {one_line(record, 60)} is {PIXELS}")
            continue
        try:
            regions, told = _read(f"{defaults}\n{frame}\n{record}\n")
        except Exception as error:  # noqa: BLE001 (a foreign parser on a foreign text)
            regions, told = [], [one_line(error, 160)]
        good = [region for region in regions if _on_sky(region)]
        found += good
        if not good:
            reasons.append(f"line {number}: {told[0] if told else 'no region'}")
    return found, reasons


def _records(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield line number, frame, ``global`` line and text of every shape."""
    frame, defaults = "image", ""  # what DS9 takes when the file does not say
    for number, whole in enumerate(text.splitlines(), 1):
        for part in _parts(whole):
            if part.lower().startswith("global"):
                defaults = part
            elif _FRAME.match(part):
                frame = part.strip()
            elif _SHAPE.match(part):
                yield number, frame, defaults, part


def _parts(whole: str) -> Iterator[str]:
    """Yield the commands of a line; semicolons within a comment or label do not part them."""
    if whole.lstrip().startswith("#"):
        yield whole
        return
    code, mark, comment = whole.partition("#")
    commands = [part.strip() for part in code.split(";") if part.strip()]
    yield from commands[:-1]
    if commands:
        yield f"{commands[-1]} {mark}{comment}".strip()
