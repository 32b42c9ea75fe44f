"""Pages of other sites: what they may read and post."""

from __future__ import annotations

from collections.abc import Callable

from tests.server.guard.admission import FROM_EVIL, Server
from tidings.server.access import ANYONE, NOBODY
from tidings.server.keys import Key


def test_another_sites_page_posts_nothing(start: Callable[..., Server]) -> None:
    """A page of another origin changes nothing here, by script or by form, also without keys."""
    server = start()
    for method in ("POST", "PUT", "DELETE", "PATCH", "QUERY"):
        assert server.refused(403, FROM_EVIL, method=method).slug == "cross-site"
    form = (b"content-type", b"text/plain")
    for site in (b"cross-site", b"same-site"):
        server.refused(403, (b"sec-fetch-site", site), form, method="POST")
    for origin in (b"null", b"", b"http://localhost:9999", b"http://localhost:8765.evil.example"):
        server.refused(403, (b"origin", origin), method="POST")
    assert server.ask(FROM_EVIL).caller is ANYONE  # it may ask, but its browser shows it nothing
    assert b"access-control-allow-origin" not in dict(server.ask(FROM_EVIL).headers)


def test_another_sites_page_sets_nothing_off(start: Callable[..., Server]) -> None:
    """A picture that is a backup would be costly, though the page could not read it."""
    start().refused(403, (b"sec-fetch-site", b"cross-site"), path="/log/backup")


def test_own_pages_and_programs_post(start: Callable[..., Server]) -> None:
    """The server's own pages may post, also under a name only the browser knows; so may curl."""
    server = start()
    assert server.ask(method="POST")
    assert server.ask((b"origin", b"http://localhost:8765"), method="POST")
    assert server.ask((b"origin", b"http://LOCALHOST:8765"), method="POST")
    behind_proxy = ((b"origin", b"https://example.org"), (b"sec-fetch-site", b"same-origin"))
    assert server.ask(*behind_proxy, method="POST")
    plain = start(allowed_hosts=["example.org"])
    own = ((b"host", b"example.org"), (b"origin", b"https://example.org:443"))
    assert plain.ask(*own, host=False, method="POST")


def test_allowed_origins_read_and_post(start: Callable[..., Server]) -> None:
    """A configured origin gets its name back, credentials if configured, and may post."""
    page = (b"origin", b"http://localhost:3000")
    headers = dict(start().ask(page, method="POST").headers)
    assert headers[b"access-control-allow-origin"] == b"http://localhost:3000"
    assert headers[b"access-control-allow-credentials"] == b"true"
    assert headers[b"vary"] == b"Origin"
    strict = start(cors_origins=["http://localhost:3000"], cors_allow_credentials=False)
    assert b"access-control-allow-credentials" not in dict(strict.ask(page).headers)
    other = strict.ask((b"origin", b"http://other.example"))
    assert (b"vary", b"Origin") in other.headers


def test_any_origin_is_never_with_credentials(start: Callable[..., Server]) -> None:
    """`*` answers `*`, without credentials though those are configured, and no cookie posts."""
    server = start(cors_origins=["*"], cors_allow_credentials=True)
    headers = dict(server.ask(FROM_EVIL, method="POST").headers)
    assert headers[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-credentials" not in headers


def preflight(origin: bytes, *headers: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The headers with which a browser asks what a page may do."""
    asked = (b"origin", origin), (b"access-control-request-method", b"POST")
    return (*asked, *((b"access-control-request-headers", each) for each in headers))


def test_preflights_are_answered(start: Callable[..., Server], key: tuple[Key, str]) -> None:
    """An allowed page is told what it may do, without a key; another one is refused."""
    assert key
    server = start()
    asked = preflight(b"http://localhost:3000", b"authorization, x-request-id")
    admission = server.ask(*asked, method="OPTIONS")
    assert admission.caller is NOBODY
    assert admission.preflight is not None
    status, headers = admission.preflight
    assert status == 204
    assert dict(headers)[b"access-control-allow-headers"] == b"authorization, x-request-id"
    assert b"POST" in dict(headers)[b"access-control-allow-methods"]
    server.refused(403, *preflight(b"https://evil.example"), method="OPTIONS")
    server.refused(401, method="OPTIONS")  # no preflight, so a request like any other


def test_a_preflight_reflects_no_forged_header(start: Callable[..., Server]) -> None:
    """What is no list of header names is not said back."""
    asked = preflight(b"http://localhost:3000", b"x\r\nset-cookie: a=b")
    admission = start().ask(*asked, method="OPTIONS")
    assert admission.preflight is not None
    assert dict(admission.preflight[1])[b"access-control-allow-headers"] == b""


# From whom? --------------------------------------------------------------------------------------
