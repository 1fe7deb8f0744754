"""Host header, token, cookie."""

from __future__ import annotations

import pytest

from skyshade.app.guard import Guard, is_api, link
from skyshade.app.settings import Settings


def ask(guard, host="localhost:8000", path="/", query="", method="GET", **headers):
    given = {"host": host, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return guard.check(method, path, query, lambda name: given.get(name, ""))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9182", "127.0.0.1:1", "[::1]:8000", "LOCALHOST:80", "[::1]"]
)
def test_this_machine_on_any_port(host):
    assert ask(Guard(Settings()), host).status == 0


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil",
        "",
        "a b",
        "localhost:x",
        "[::2]",
        "10.0.0.1",
        "localhost:8000:1",
        "user@localhost",
    ],
)
def test_other_hosts(host):
    verdict = ask(Guard(Settings()), host)
    assert verdict.status == 421
    assert "127.0.0.1" in verdict.detail
    assert "\n" not in verdict.detail


def test_given_and_allowed_hosts():
    guard = Guard(Settings(host="node7", token="t", allowed_hosts=("sky.example:443",)))
    for host in ("node7:8000", "sky.example", "sky.example:8443"):
        assert ask(guard, host, "/health").status == 0
    assert ask(guard, "node8", "/health").status == 421


def test_wildcard_takes_addresses_but_no_foreign_names():
    guard = Guard(Settings(host="0.0.0.0", token="t"))
    assert ask(guard, "192.168.1.5:8000", "/health").status == 0
    assert ask(guard, "evil.example", "/health").status == 421
    assert "0.0.0.0:*" not in guard.origins


def test_without_a_token_its_parameter_is_dropped():
    assert ask(Guard(Settings()), query="a=1&token=x&b=2").query == "a=1&b=2"


def test_link_sets_a_cookie_and_leads_to_the_page():
    guard = Guard(Settings(port=8123, token="s3cret&"))
    assert link("http://h/", "s3cret&") == "http://h/?token=s3cret%26"
    verdict = ask(guard, path="/", query="x=1&token=s3cret%26&y=2")
    assert verdict.status == 302
    headers = dict(verdict.headers)
    assert headers["Location"] == "./?x=1&y=2"
    cookie = headers["Set-Cookie"]
    assert cookie.startswith("skyshade-8123=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "s3cret" not in cookie
    value = cookie.partition(";")[0]
    assert ask(guard, cookie=f"other=1; {value}").status == 0
    assert ask(guard, cookie=value[:-1]).status == 403


@pytest.mark.parametrize("path", ["//evil.example", "/a//evil.example/", "/\r\nSet-Cookie: x=y"])
def test_redirects_stay_here(path):
    location = dict(ask(Guard(Settings(token="t")), path=path, query="token=t").headers)["Location"]
    assert location.startswith("./")
    assert "\n" not in location


def test_programs_are_not_redirected():
    guard = Guard(Settings(token="t"))
    verdict = ask(guard, path="/tiles/a/sky/0/0/0.png", query="v=1&token=t")
    assert (verdict.status, verdict.query, verdict.token) == (0, "v=1", "t")
    assert ("Access-Control-Allow-Origin", "*") in verdict.headers
    assert ask(guard, path="/api/layers", query="token=t", accept="text/html").status == 302
    assert ask(guard, path="/ws", query="token=t", upgrade="websocket").status == 0


@pytest.mark.parametrize("given", ["token t", "Bearer t", "bearer  t"])
def test_authorization_header(given):
    assert ask(Guard(Settings(token="t")), path="/api/layers", authorization=given).status == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"query": "token=x"},
        {"query": "token="},
        {"query": "token"},
        {"query": "token=%00%ff"},
        {"authorization": "token x"},
        {"authorization": "Basic t"},
        {"authorization": "t"},
        {"cookie": "skyshade-8000="},
        {"cookie": "skyshade-8000=t"},
    ],
)
def test_wrong_or_no_token(headers):
    verdict = ask(Guard(Settings(token="t")), path="/api/layers", **headers)
    assert verdict.status == 403
    assert "?token=" in verdict.detail


def test_cookie_allows_no_foreign_origin():
    guard = Guard(Settings(token="t"))
    cookie = dict(ask(guard, query="token=t").headers)["Set-Cookie"].partition(";")[0]
    assert ask(guard, path="/api/layers", cookie=cookie).headers == ()


def test_probes_need_no_token():
    guard = Guard(Settings(token="t"))
    assert [ask(guard, path=p).status for p in ("/health", "/ready", "/docs")] == [0, 0, 403]


@pytest.mark.parametrize(
    ("path", "api"),
    [("/api/layers", 1), ("/tiles/x", 1), ("/docs", 1), ("/", 0), ("/static/a", 0), ("/apix", 0)],
)
def test_what_belongs_to_the_api(path, api):
    assert is_api(path) == bool(api)


def test_verdicts_do_not_show_the_token():
    assert "s3cret" not in repr(
        ask(Guard(Settings(token="s3cret")), path="/api/layers", query="token=s3cret")
    )
