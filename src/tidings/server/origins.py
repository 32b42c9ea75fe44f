"""Which hosts a request may be for, and which web pages may make one.

Keeps promise 6 against browsers, which carry other people's pages into this machine: a page must
neither read nor post here unless its origin is the server's own or was allowed (CORS), and a name
that was made to point here (DNS rebinding) is not ours. Also says where a server without keys may
listen. Who makes a request is decided in `guard`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from tidings.errors import shorten
from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from tidings.server.config import APIServerConfig

    Headers: TypeAlias = list[tuple[bytes, bytes]]

__all__ = ["Hosts", "Origins", "is_loopback", "refusal_to_bind"]

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
"""Methods that change nothing. Source: RFC 9110, section 9.2.1."""

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?")
_TOKENS = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z, -]*")
_MOST_REMEMBERED = 1000
_PREFLIGHT_SECONDS = 600
_EXPOSED = "X-Request-ID, Retry-After, Link, Location"


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether an address or name can only be reached from this machine.

    >>> is_loopback("localhost"), is_loopback("127.9.9.9"), is_loopback("::1"), is_loopback("")
    (True, True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refusal_to_bind(host: str, keys_exist: bool, insecure: bool) -> str | None:  # noqa: FBT001 - the facts it goes by
    """Why a server must not listen at an address; none where it may.

    Args:
        host: the address; empty for all of them.
        keys_exist: whether the store has keys.
        insecure: whether the user wants it without.

    >>> refusal_to_bind("127.0.0.1", False, False) is None
    True
    """
    if keys_exist or insecure or is_loopback(host):
        return None
    return (
        f"{host or 'every address'} can be reached from other machines, and there is no key yet, "
        f"so anybody could read and emit; make one first (tidings keys create NAME --scope emit "
        f"--scope read), listen at 127.0.0.1, or give --insecure if that is what you want"
    )


class Hosts:
    """Which names a request may be for.

    On loopback those of this machine and those allowed; elsewhere any, unless names are allowed.

    Args:
        config: `host` and `allowed_hosts` count.
    """

    def __init__(self, config: APIServerConfig) -> None:
        self._allowed = frozenset(name.lower() for name in config.allowed_hosts)
        checks = is_loopback(config.host) or bool(self._allowed)
        self._any = not checks or "*" in self._allowed
        self._good: set[bytes] = set()

    def check(self, host: bytes | None, server: tuple[str, int | None] | None) -> None:
        """Refuse a request for another host.

        Args:
            host: the `Host` header.
            server: the address the request came to, as ASGI says it.

        Raises:
            Problem: 421.
        """
        if self._any or host in self._good:
            return
        match = _HOST.fullmatch(host or b"")
        name = match[1].decode("ascii").lower() if match else ""
        known = is_loopback(name) or name in self._allowed
        # An app that is called without a network (a test client) is the host it was called by.
        if not known and (not name or server is None or server[0] != name):
            raise Problem(
                421,
                "unknown-host",
                f"this server is not the host {shorten(str(host or b'', 'latin-1'))}; ask for it "
                f"as localhost, or start it with that name among its allowed hosts",
            )
        if known and host is not None and len(self._good) < _MOST_REMEMBERED:
            self._good.add(host)


class Origins:
    """Which web pages may make requests, and what their browsers are told (CORS).

    Source: the Fetch standard, section 3.2 (CORS protocol); the rule for requests that change
    something is that of Go's `http.CrossOriginProtection`.

    Args:
        config: its `cors_…` fields count.
    """

    def __init__(self, config: APIServerConfig) -> None:
        self._any = "*" in config.cors_origins
        self._allowed = frozenset(_origin(each) for each in config.cors_origins)
        # A browser refuses `*` with credentials; to answer with each origin instead would hand
        # every page what only its user may see.
        self._credentials = config.cors_allow_credentials and not self._any
        self._methods = ", ".join(config.cors_allow_methods)
        self._headers = ", ".join(config.cors_allow_headers)
        self.varies = bool(self._allowed) and not self._any
        """Whether answers differ by origin, so that caches must be told."""

    def allows(self, origin: bytes) -> bool:
        """Whether pages of this origin may read answers."""
        return self._any or str(origin, "latin-1").lower() in self._allowed

    def check(self, headers: dict[bytes, bytes]) -> None:
        """Refuse a request to change something that another site's page makes.

        A browser says where a page is from, `Sec-Fetch-Site` in words and `Origin` in full; who
        sends neither is no browser. A form needs no permission by CORS to post, so a server that
        only left out the headers of CORS would still take what it sends.

        Raises:
            Problem: 403.
        """
        origin = headers.get(b"origin")
        site = headers.get(b"sec-fetch-site")
        if (origin is None and site is None) or self._is_own(origin, site, headers):
            return
        if origin is not None and self.allows(origin):
            return
        whose = shorten(str(origin, "latin-1")) if origin is not None else "another site"
        raise Problem(
            403,
            "cross-site",
            f"a page of {whose} may not do this here; add its origin to cors_origins "
            f"(--cors-origins) if it shall",
        )

    def check_cookie(self, headers: dict[bytes, bytes]) -> None:
        """Refuse a cookie for a request to change something, unless an own page made it.

        Raises:
            Problem: 403.
        """
        origin = headers.get(b"origin")
        trusted = self._credentials and origin is not None and self.allows(origin)
        if not trusted and not self._is_own(origin, headers.get(b"sec-fetch-site"), headers):
            raise Problem(
                403,
                "cross-site",
                "with a session's cookie a request that changes something needs the server's own "
                "Origin header; outside of a browser send the key instead",
            )

    def headers_for(self, origin: bytes) -> Headers:
        """What the answer tells the browser of a page; nothing where it may not read it."""
        if not self.allows(origin):
            return []
        headers = [
            (b"access-control-allow-origin", b"*" if self._any else origin),
            (b"access-control-expose-headers", _EXPOSED.encode()),
        ]
        if self._credentials:
            headers.append((b"access-control-allow-credentials", b"true"))
        return headers

    def preflight(self, headers: dict[bytes, bytes]) -> tuple[int, Headers] | None:
        """The answer to a browser that asks what a page may do; none where it does not ask.

        Raises:
            Problem: 403 for a page that may not.
        """
        origin = headers.get(b"origin")
        if origin is None or b"access-control-request-method" not in headers:
            return None
        if not self.allows(origin):
            raise Problem(
                403,
                "cross-site",
                f"pages of {shorten(str(origin, 'latin-1'))} may not ask here; add the origin to "
                f"cors_origins (--cors-origins) if they shall",
            )
        wanted = str(headers.get(b"access-control-request-headers", b""), "latin-1")
        allowed = self._headers
        if "*" in allowed:
            # With credentials a browser takes `*` for a name, so the names are said back to it.
            allowed = wanted if _TOKENS.fullmatch(wanted) else ""
        return 204, [
            (b"access-control-allow-methods", self._methods.encode("latin-1")),
            (b"access-control-allow-headers", allowed.encode("latin-1")),
            (b"access-control-max-age", b"%d" % _PREFLIGHT_SECONDS),
        ]

    def _is_own(
        self, origin: bytes | None, site: bytes | None, headers: dict[bytes, bytes]
    ) -> bool:
        """Whether a page of this server made the request."""
        if site is not None:
            # Behind a proxy that rewrites `Host` only the browser itself can tell.
            return site in (b"same-origin", b"none")
        host = headers.get(b"host")
        if origin is None or host is None:
            return False
        scheme, _, place = str(origin, "latin-1").lower().partition("://")
        port = {"http": ":80", "https": ":443"}.get(scheme)
        if port is None:
            return False
        return place.removesuffix(port) == str(host, "latin-1").lower().removesuffix(port)


def _origin(text: str) -> str:
    return text.strip().rstrip("/").lower()
