"""Who may talk to the server: the Host header, the token, and headers that browsers obey.

A page elsewhere could point a name of its own at 127.0.0.1 and read what the server shows (DNS
rebinding), so requests must be addressed to this machine or to an allowed name; any port will do,
because ``ssh -L`` changes it. The token works as Jupyter's: a link with ``?token=`` sets an
HttpOnly cookie; programs send ``Authorization: token ...``.
"""

from __future__ import annotations

import hmac
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qsl, quote, urlencode

from skyshade.app.settings import Settings

API_PREFIXES = ("/api/", "/tiles/")
API_PATHS = ("/api", "/tiles", "/health", "/ready", "/docs", "/openapi.json")
OPEN_PATHS = ("/health", "/ready")  # say nothing about the data; probes know no token
OPEN_PREFIX = "/static/"  # Bokeh's and Panel's scripts: a notebook's page has no cookie for them
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
ANYWHERE = ("0.0.0.0", "::", "")
_URL_SAFE = "%~!$&'()*+,;=:@/"
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/\s]+)(:[0-9]{1,5})?")

SAFE_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
# Bokeh's page needs inline scripts and eval; what it must never do is fetch from elsewhere.
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' ws: wss: data: blob:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; frame-ancestors 'self'"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard says of one request.

    Parameters
    ----------
    status : int
        0 lets the request pass; otherwise the answer's status.
    detail : str
        The one sentence of a refusal.
    headers : tuple of (str, str)
        To be added to the answer.
    query : str
        The query without the token.
    token : str
        The token when the query held it: for links that must hold it too.
    """

    status: int = 0
    detail: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""
    token: str = field(default="", repr=False)


def is_api(path: str) -> bool:
    """Return whether `path` belongs to the HTTP API rather than to the viewer's page."""
    return path.startswith(API_PREFIXES) or path in API_PATHS


class Guard:
    """Checks one request; knows no framework.

    Parameters
    ----------
    settings : Settings
        `Settings.port` names the cookie.
    """

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token
        self._cookie = f"skyshade-{settings.port}"
        self._literals = settings.host in ANYWHERE
        self._any = "*" in settings.allowed_hosts and settings.token is not None
        names = {*LOCAL_NAMES, settings.host, *settings.allowed_hosts} - {"*"}
        if self._literals:
            names.add(socket.gethostname())
        self.names = frozenset(_host_name(name) for name in names if name not in ANYWHERE)

    @property
    def origins(self) -> set[str]:
        """Patterns of websocket origins, as Bokeh reads them."""
        return {f"{name}:*" for name in self.names}

    def check(self, method: str, path: str, query: str, header: Callable[[str], str]) -> Verdict:
        """Return what to do with a request.

        Parameters
        ----------
        method, path, query : str
        header : callable
            Gives a header's value by its lower-case name, "" when there is none.
        """
        host = header("host")
        if not self._addressed(host):
            names = ", ".join(sorted(self.names))
            detail = f"host {host[:80]!r} is not served here; allowed: {names} (--allowed-host)"
            return Verdict(421, detail)
        if self._token is None or path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return Verdict(query=_without_token(query)[1] if "token=" in query else query)
        return self._admit(method, path, query, header)

    def _addressed(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower()
        return self._any or name in self.names or (self._literals and _is_literal(name))

    def _admit(self, method: str, path: str, query: str, header: Callable[[str], str]) -> Verdict:
        given, rest = _without_token(query)
        if given and self._is_token(given):
            if self._wants_page(method, path, header):
                found = (("Location", _location(path, rest)), ("Set-Cookie", self._set_cookie()))
                return Verdict(302, "the token is now in a cookie", found)
            # who sends the token itself may read from any origin: a notebook on another port
            return Verdict(headers=(("Access-Control-Allow-Origin", "*"),), query=rest, token=given)
        kind, _, named = header("authorization").partition(" ")
        if kind.lower() in ("token", "bearer") and self._is_token(named.strip()):
            return Verdict(headers=(("Access-Control-Allow-Origin", "*"),), query=rest)
        if _same(_cookie(header("cookie"), self._cookie), self._cookie_value()):
            return Verdict(query=rest)
        detail = "a valid token is needed: open the link with ?token= that the server printed"
        return Verdict(403, detail)

    def _wants_page(self, method: str, path: str, header: Callable[[str], str]) -> bool:
        if method != "GET" or header("upgrade"):
            return False
        return not is_api(path) or "text/html" in header("accept")

    def _is_token(self, given: str) -> bool:
        return self._token is not None and _same(given, self._token)

    def _cookie_value(self) -> str:
        return hmac.new((self._token or "").encode(), b"cookie", "sha256").hexdigest()

    def _set_cookie(self) -> str:
        return f"{self._cookie}={self._cookie_value()}; HttpOnly; SameSite=Lax; Path=/"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _host_name(name: str) -> str:
    """Return a host name as it stands in a Host header: IPv6 in brackets, no port."""
    if ":" in name and not name.startswith("[") and _is_literal(name):
        return f"[{name.lower()}]"
    found = _HOST.fullmatch(name)
    return (found[1] if found else name).lower()


def _is_literal(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _without_token(query: str) -> tuple[str, str]:
    """Return (the token or "", the query without it); other fields keep their own spelling."""
    token, rest = "", []
    for part in query.split("&"):
        name, _, _ = part.partition("=")
        if name == "token":
            token = dict(parse_qsl(part)).get("token", "")
        elif part:
            rest.append(part)
    return token, "&".join(rest)


def _location(path: str, query: str) -> str:
    """Return the same page relative to itself: right behind any proxy, and never another host."""
    tail = quote(path.rpartition("/")[2], safe=_URL_SAFE)
    return "./" + tail + (f"?{quote(query, safe=_URL_SAFE)}" if query else "")


def _cookie(header: str, name: str) -> str:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


def link(base: str, token: str | None) -> str:
    """Return the address that a person opens: `base`, with the token when there is one."""
    return f"{base}?{urlencode({'token': token})}" if token else base
