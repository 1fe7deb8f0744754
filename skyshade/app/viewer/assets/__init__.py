"""Scripts, styles and the page's frame, as files."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def asset(name: str) -> str:
    """Return the text of one of this folder's files."""
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
