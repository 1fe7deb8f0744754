"""Cards read here have the values that astropy gives them; all others are astropy's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from astropy.io.fits import Header, VerifyError
from astropy.io.fits.card import Undefined

from skyshade.loaders.fits_cards import CARD, Cards, plain_cards
from skyshade.loaders.fits_headers import Hdu, value, walk, whole
from skyshade.quiet import quiet
from skyshade.storage import ByteFile

PLAIN = [
    "SIMPLE  =                    T / conforms to FITS standard",
    "EXTEND  = F",
    "BITPIX  =                  -32",
    "NUMBER  = +007 / it's an agent",
    "CRVAL1  =    1.2345678901234567 / [deg]",
    "CDELT1  = -2.5D-03",
    "CDELT2  = .5e+3/step",
    "HUGE    = 1E999",
    "LONG    = 123456789012345678901234567890",
    "BUNIT   = 'uK_CMB  '           / (K: kelvin)",
    "EMPTY   = ''",
    "BLANKS  = '    '",
    "LEADING = '  two'",
    "COLONS  = 'a:b, 12:30'",
    "NOTHING =                      / no value",
    "BARE    =",
    "DATE-OBS= '2020-01-01'",
    "COMMENT = 'not a value'",
    "HISTORY made by hand",
    "        = 5",
]
ODD = [
    "HIERARCH ESO TEL ALT = 5",
    "CONTINUE  'more of it'",
    "lower   = 1",
    "SHORT= 1",
    "QUOTES  = 'it''s'",
    "QUOTES  = 'one' / and 'another'",
    "DP1     = 'NAXIS: 2'",
    "NOSPACE =5",
    "COMPLEX = (1.0, 2.0)",
    "BROKEN  = 1.0.0",
    "BROKEN  = 'no end",
    "BROKEN  = NaN",
    "NO VALUE INDICATOR",
    "A B     = 1",
]


def image(card: str) -> str:
    return card.ljust(CARD)


def astropys(text: str) -> list[tuple[str, Any]]:
    """Return what astropy makes of the cards of a header, commentary left out."""
    with quiet():
        found = [(card.keyword, card.value) for card in Header.fromstring(text).cards]
    kept = [(k, v) for k, v in found if k not in ("COMMENT", "HISTORY", "")]
    return [(k, None if isinstance(v, Undefined) else v) for k, v in kept]


def same(text: str) -> bool:
    """Return whether cards are read here; then check them."""
    ours = plain_cards(text)
    if ours is None:
        return False
    wanted = astropys(text)
    assert ours == wanted
    assert [type(v) for _, v in ours] == [type(v) for _, v in wanted]
    return True


@pytest.mark.parametrize("card", PLAIN)
def test_a_usual_card(card: str) -> None:
    assert same(image(card))


@pytest.mark.parametrize("card", ODD)
def test_any_other_card(card: str) -> None:
    """One of them makes astropy read the whole header: it may be about the others."""
    assert plain_cards(image("NAXIS   = 2") + image(card)) is None


def test_damaged_cards() -> None:
    rng = random.Random(1)
    alphabet = "'/ :=TF0123456789.+-EDed()ABC_az,"
    seen = 0
    for _ in range(4000):
        letters = list(image(rng.choice(PLAIN)))
        for _ in range(rng.randint(1, 4)):
            letters[rng.randrange(40)] = rng.choice(alphabet)
        seen += same("".join(letters))
    assert seen > 500


def test_headers_of_real_files(shared_data: Path) -> None:
    plain = 0
    for path in sorted((shared_data / "real").rglob("*.fits")):
        file = ByteFile.open(path)
        for hdu in walk(file):
            assert isinstance(hdu, Hdu)
            raw = file.read(hdu.start, hdu.stop - hdu.start).decode("ascii", "replace")
            cards = [raw[at : at + CARD] for at in range(0, len(raw), CARD)]
            plain += same("".join(cards[: cards.index(image("END"))]))
    assert plain > 10


@pytest.mark.parametrize("last", ["NAXIS   = 2", "HIERARCH odd card = 2"])
def test_a_header_whoever_reads_it(last: str) -> None:
    cards = ["A       = 1", "B       = 'text'", "A       = 2", "C       =", "COMMENT x", last]
    header = Cards("".join(map(image, cards)))
    assert (header.plain is None) == last.startswith("HIERARCH")
    assert "A" in header
    assert "Z" not in header
    assert (header.get("A"), value(header, "B"), value(header, "C", 5)) == (1, "text", 5)
    assert [k for k in header if k in ("A", "B", "C")] == ["A", "B", "A", "C"]
    assert header.full["B"] == "text"


def test_a_card_that_nobody_can_read_is_missing() -> None:
    header = Cards(image("NAXIS   = 1.0.0"))
    with pytest.raises(VerifyError):
        header.get("NAXIS")
    assert value(header, "NAXIS", "nothing") == "nothing"
    with pytest.raises(ValueError, match="NAXIS = None is not a whole number"):
        whole(header, "NAXIS")
