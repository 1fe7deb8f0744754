"""The cards of a FITS header: those of the usual form read here, all others by astropy.

Reading a card takes astropy ten times as long, which is most of what opening a small file takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from astropy.io.fits import Header

from skyshade.quiet import quiet

CARD = 80
Content = bool | int | float | str | None

_KEY = re.compile(r"[A-Z0-9_-]{1,8}\Z")
_COMMENTARY = ("COMMENT", "HISTORY", "")
# Text, logical, integer, float; nothing is an undefined value. Quotes within text or behind it, and
# "field: value", which may be a record, are left to astropy.
_VALUE = re.compile(
    r" *(?:'((?:[^':]|:(?! ))*)' *(?:/[^']*)?\Z"
    r"|(?:([TF])|([+-]?\d+)|([+-]?(?:\d+\.?\d*|\.\d+)(?:[DEde][+-]?\d+)?))? *(?:/.*)?\Z)"
)


class Cards:
    """The cards of one header.

    Parameters
    ----------
    text : str
        Whole cards of 80 printable ASCII characters, without END.

    Attributes
    ----------
    plain : list of (str, value) or None
        Keyword and value of every card in order, commentary left out; None where astropy must
        read the header, for one card that is not of the usual form.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.plain = plain_cards(text)
        self._values = dict(reversed(self.plain or ()))  # of equal keywords, the first one counts
        if self.plain is None:
            _ = self.full  # what cannot be read at all is told here

    @cached_property
    def full(self) -> Header:
        """The header as astropy reads it."""
        with quiet():
            return Header.fromstring(self._text)

    def __contains__(self, key: str) -> bool:
        return key in (self._values if self.plain is not None else self.full)

    def __iter__(self) -> Iterator[str]:
        if self.plain is None:
            return iter(self.full)
        return (key for key, _ in self.plain)

    def get(self, key: str, default: object = None) -> object:
        """Return the value of a card, `default` where there is none; may raise as astropy does."""
        if self.plain is not None:
            return self._values.get(key, default)
        with quiet():
            found: object = self.full.get(key, default)
        return found


def plain_cards(text: str) -> list[tuple[str, Content]] | None:
    """Return keyword and value of every card; None where one of them is not of the usual form.

    The values are those that astropy gives.
    """
    found: list[tuple[str, Content]] = []
    for at in range(0, len(text), CARD):
        key = text[at : at + 8].rstrip()
        if key in _COMMENTARY:
            continue
        value = _VALUE.match(text[at + 10 : at + CARD])
        if value is None or text[at + 8 : at + 10] != "= " or not _KEY.match(key):
            return None
        found.append((key, _content(value)))
    return found


def _content(found: re.Match[str]) -> Content:
    kind, shown = found.lastindex, found[found.lastindex or 0]
    if kind == 1:
        return shown.rstrip()
    if kind == 2:
        return shown == "T"
    if kind == 3:
        return int(shown)
    if kind == 4:
        return float(shown.upper().replace("D", "E"))
    return None
