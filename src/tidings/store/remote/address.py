"""Where a server is: what `http(s)://host:port/prefix` says, and what it must not say.

Keeps promise 6 on the client's side: a key never stands in a URL, which is logged and shown.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from tidings.errors import InvalidSetting, shorten
from tidings.masking import masked

__all__ = ["Address"]

_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """Where a server is.

    Attributes:
        scheme: `http` or `https`.
        host: its name or number.
        port: its port.
        prefix: what a proxy wants before each path, such as `/tidings`; may be empty.

    >>> Address.from_url("https://events.example.org/tidings/")
    Address(scheme='https', host='events.example.org', port=443, prefix='/tidings')
    """

    scheme: str
    host: str
    port: int
    prefix: str

    @classmethod
    def from_url(cls, url: str) -> Address:
        """The address a URL names.

        Raises:
            InvalidSetting: it names no server, or holds a key, a query or a fragment.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            # Without the reason: it quotes what it takes for a port, which may be a password.
            raise InvalidSetting(
                f"store URL {shorten(masked(url))} names no server; use http://host:port"
            ) from None
        if "@" in parts.netloc:
            # Without the URL: what stands there is a secret.
            raise InvalidSetting(
                "a store URL must not hold a key, as URLs are shown and logged; set TIDINGS_KEY"
            )
        if not host or not url.isascii() or not url.isprintable() or " " in url:
            raise InvalidSetting(
                f"store URL {shorten(masked(url))} must be http://host:port or https://host:port"
            )
        if parts.query or parts.fragment:
            raise InvalidSetting(
                f"store URL {shorten(masked(url))} must end with the path; it has no options"
            )
        scheme = parts.scheme
        port = _PORTS[scheme] if port is None else port
        return cls(scheme, host, port, parts.path.rstrip("/"))

    @property
    def url(self) -> str:
        """The address as a URL, always written the same way."""
        return f"{self.scheme}://{self.authority}{self.prefix}"

    @property
    def authority(self) -> str:
        """Host and port as the header `Host` wants them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"
