"""The API's answers: strict JSON, never NaN, never cached without being asked."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from skyshade.app.api_errors import dump


class Json(Response):
    """A JSON answer; values that JSON does not know become null or text."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, **options: Any) -> None:
        super().__init__(content, status_code, **options)
        self.headers.setdefault("cache-control", "no-cache")

    def render(self, content: Any) -> bytes:
        """Return `content` as JSON in UTF-8."""
        return dump(content)
