"""Where a JetStream store is, who asks for it, and what it promises: what a `nats:` URL says.

Keeps promise 6 on the client's side: what is shown and logged (`Address.url`) holds no secret.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from tidings.errors import InvalidSetting, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from urllib.parse import SplitResult

__all__ = ["Address"]

_PORT = 4222
_MOST_REPLICAS = 5
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_FILES = ("credentials", "nkey", "ca", "certificate", "certificate_key")
_OPTIONS = ("replica", "replicas", "durability", *_FILES)


@dataclass(frozen=True)
class Address:
    """Where a store is.

    Attributes:
        hosts: the servers, each `host:port`.
        name: the store's, and with it the stream's.
        tls: whether nothing may go over the wire in the clear.
        user: who asks, if that is said by name.
        password: what goes with it.
        token: what is shown instead of a name.
        credentials: a file with a JWT and a seed.
        nkey: a file with a seed.
        ca: a file with the certificates of whom to trust; none for the system's.
        certificate: a file with our own certificate, for servers that ask for one.
        certificate_key: the file with its key.
        replica: the directory of this machine's replica; none for the usual place.
        replicas: on how many servers the stream is kept; none for 1 where it is made here.
        durability: what an acknowledged event survives, `process` or `power`.

    >>> address = Address.from_url("nats://ann:secret@n1,n2:4333/lab?replicas=3")
    >>> address.hosts, address.name, address.user, address.replicas
    (('n1:4222', 'n2:4333'), 'lab', 'ann', 3)
    >>> address.url
    'nats://n1,n2:4333/lab'
    """

    hosts: tuple[str, ...]
    name: str
    tls: bool = False
    user: str | None = None
    password: str | None = None
    token: str | None = None
    credentials: str | None = None
    nkey: str | None = None
    ca: str | None = None
    certificate: str | None = None
    certificate_key: str | None = None
    replica: str | None = None
    replicas: int | None = None
    durability: str = "process"

    @classmethod
    def from_url(cls, url: str) -> Address:
        """The address a URL names.

        Raises:
            InvalidSetting: it names no store, or has an option that is not known or makes no sense;
                the message shows no secret.
        """
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise InvalidSetting(f"the nats: URL cannot be read: {error}") from None
        secrets, _, hosts = parts.netloc.rpartition("@")
        name = parts.path.removeprefix("/")
        if not _NAME.fullmatch(name) or parts.fragment:
            raise InvalidSetting(
                f"the nats: URL must end with /NAME, 1 to 64 letters, digits, _ or -, and not "
                f"with {shorten(parts.path)}"
            )
        options = _options(parts)
        return cls(
            hosts=tuple(_host(host) for host in hosts.split(",")),
            name=name,
            tls=parts.scheme == "tls" or any(options[each] for each in ("ca", "certificate")),
            **_asker(secrets, options),
            ca=options["ca"],
            certificate=options["certificate"],
            certificate_key=options["certificate_key"],
            replica=options["replica"],
            replicas=_replicas(options["replicas"]),
            durability=_durability(options["durability"]),
        )

    @property
    def url(self) -> str:
        """The address as it may be shown."""
        return self._written(self.hosts)

    @property
    def plain(self) -> str:
        """The address in one form for all who name the same servers."""
        return self._written(sorted(self.hosts))

    def _written(self, hosts: tuple[str, ...] | list[str]) -> str:
        shown = ",".join(host.removesuffix(f":{_PORT}") for host in hosts)
        return f"{'tls' if self.tls else 'nats'}://{shown}/{self.name}"

    def ensure_usable(self) -> None:
        """Try what can be tried without a server.

        Raises:
            InvalidSetting: the files for TLS do not hold what they should.
        """
        self.tls_context()

    def tls_context(self) -> ssl.SSLContext | None:
        """How to speak TLS, where it is asked for.

        Raises:
            InvalidSetting: the files do not hold what they should.
        """
        if not self.tls:
            return None
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.certificate_key)
        except (OSError, ValueError) as error:
            files = [each for each in (self.ca, self.certificate, self.certificate_key) if each]
            raise InvalidSetting(
                f"TLS for {self.url} cannot use {', '.join(files)}: {error}"
            ) from error
        return context


def _options(parts: SplitResult) -> dict[str, str | None]:
    options: dict[str, str | None] = dict.fromkeys(_OPTIONS)
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        if option not in options:
            raise InvalidSetting(
                f"option {shorten(option)} of the nats: URL is not known; there are "
                f"{', '.join(_OPTIONS)}"
            )
        if options[option] is not None or not value:
            raise InvalidSetting(f"option {option} of the nats: URL must be given once, not empty")
        options[option] = _readable(option, value) if option in _FILES else value
    if (options["certificate"] is None) != (options["certificate_key"] is None):
        raise InvalidSetting("a nats: URL needs certificate and certificate_key, or neither")
    return options


def _readable(option: str, value: str) -> str:
    path = os.path.abspath(os.path.expanduser(value))
    if not os.access(path, os.R_OK):
        raise InvalidSetting(f"option {option} of the nats: URL: {path} cannot be read")
    return path


def _host(text: str) -> str:
    found = _HOST.fullmatch(text)
    port = int(found[2] or _PORT) if found else 0
    if not found or not 0 < port < 1 << 16:
        raise InvalidSetting(
            f"the nats: URL must name servers as host or host:port with commas between, and not "
            f"{shorten(text)}"
        )
    return f"{found[1].lower()}:{port}"


def _asker(secrets: str, options: dict[str, str | None]) -> dict[str, str | None]:
    """Who asks: by name and password, by token, with credentials or with an nkey."""
    user, colon, password = (unquote(part) for part in secrets.partition(":"))
    ways = [bool(secrets), options["credentials"] is not None, options["nkey"] is not None]
    if sum(ways) > 1:
        raise InvalidSetting(
            "a nats: URL says who asks in one way: user:password@, token@, credentials= or nkey="
        )
    return {
        "user": user if colon else None,
        "password": password if colon else None,
        "token": user if user and not colon else None,
        "credentials": options["credentials"],
        "nkey": options["nkey"],
    }


def _replicas(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_REPLICAS:
        raise InvalidSetting(f"replicas={shorten(text)} must be 1 to {_MOST_REPLICAS}")
    return int(text)


def _durability(text: str | None) -> str:
    if text not in (None, "process", "power"):
        raise InvalidSetting(
            f"durability={shorten(text)} must be process, or power where all servers run with "
            f"sync_interval: always"
        )
    return text or "process"
