"""Where a PostgreSQL store is: what its URL says, taken apart for libpq and for us.

The URL is libpq's own, with several hosts if need be
(https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS); a few options
are ours. Keeps promise 6: what is shown of it holds no password. It connects to nothing.
"""

from __future__ import annotations

from collections import namedtuple
from urllib.parse import quote, unquote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from tidings.errors import InvalidSetting, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Address"]

_SECRETS = (
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)
_DURABILITIES = ("power", "process")
_LONGEST_NAME = 63
"""PostgreSQL cuts longer names off in silence (NAMEDATALEN)."""
_MOST_CONNECTIONS = 100
_LAST_PORT = 65535

_NOTICE_DEAD_NETWORKS = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""A connection to a machine that is gone is given up within half a minute, where the URL says
nothing else; the system's own settings mean hours."""


class Address(namedtuple("Address", "url parameters schema durability pool")):
    """Where a store is.

    Attributes:
        url: the URL without its secrets, always written the same way.
        parameters: libpq's, by name, secrets included.
        schema: the schema that holds the store.
        durability: `power` or `process`.
        pool: how many connections read at once.
    """

    __slots__ = ()

    url: str
    parameters: dict[str, str]
    schema: str
    durability: str
    pool: int

    @classmethod
    def from_url(cls, url: str) -> Address:
        """The address a URL names.

        Raises:
            InvalidSetting: libpq does not understand it, or one of our options makes no sense; the
                error does not show the URL, which may hold a password.
        """
        place, query = _split(url)
        own: dict[str, str] = {}
        theirs = []
        for option in filter(None, query.split("&")):
            name, _, value = option.partition("=")
            if name in _OWN:
                own[name] = unquote(value)
            else:
                theirs.append(option)
        given = _parsed("?".join([place, "&".join(theirs)]), told="@" not in query)
        schema = _schema(own.get("schema", "tidings"))
        durability = own.get("durability", "power")
        if durability not in _DURABILITIES:
            raise InvalidSetting(
                f"durability {shorten(durability)} in a PostgreSQL URL must be power or process"
            )
        return cls(
            _shown(given, own), _completed(given), schema, durability, _pool(own.get("pool", "8"))
        )


_OWN = ("schema", "durability", "pool")


def _split(url: str) -> tuple[str, str]:
    """What stands before and behind the question mark; a password may have one too, as in libpq."""
    start = url.find("://") + len("://")
    at, slash = url.find("@", start), url.find("/", start)
    if at >= 0 and not 0 <= slash < at:
        start = at
    place, _, query = url[start:].partition("?")
    return url[:start] + place, query


def _parsed(url: str, *, told: bool) -> dict[str, str]:
    """What libpq reads in a URL.

    Args:
        url: without our own options.
        told: whether an option that is wrong may be named; not where it may be the rest of a
            password with a slash in it.
    """
    try:
        found: dict[str, Any] = conninfo_to_dict(url)
    except ProgrammingError as error:
        # libpq's message quotes the whole URL, but where it speaks of an option.
        said = str(error).strip()
        if not told or not said.startswith(("invalid URI query", "missing key/value", "extra key")):
            said = ""
        raise InvalidSetting(
            f"the PostgreSQL URL is not understood{': ' if said else ''}{said}; it must be "
            f"postgresql://user:password@host:port/database?option=value, with %-escapes for "
            f"what has a meaning in URLs"
        ) from None
    given = {name: str(value) for name, value in found.items()}
    for port in filter(None, given.get("port", "").split(",")):
        if not port.isdecimal() or not 1 <= int(port[:9]) <= _LAST_PORT:
            # Not shown: where a password has a slash, it is its beginning that is read as one.
            raise InvalidSetting(
                f"a port in a PostgreSQL URL must be 1 to {_LAST_PORT}; a / in a password is "
                f"written %2F"
            )
    return given


def _schema(name: str) -> str:
    if name.startswith("pg_") or not 1 <= len(name.encode()) <= _LONGEST_NAME:
        raise InvalidSetting(
            f"schema {shorten(name)} in a PostgreSQL URL must have 1 to {_LONGEST_NAME} bytes and "
            f"not begin with pg_"
        )
    if not name.isprintable() or "%" in name:
        raise InvalidSetting(
            f"schema {shorten(name)} in a PostgreSQL URL must be printable, and have no % in it"
        )
    return name


def _pool(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= _MOST_CONNECTIONS:
        raise InvalidSetting(
            f"pool {shorten(text)} in a PostgreSQL URL must be a number from 1 to "
            f"{_MOST_CONNECTIONS}"
        )
    return int(text)


def _completed(given: dict[str, str]) -> dict[str, str]:
    """What libpq is told: what the URL says, and what it should say."""
    defaults = {"fallback_application_name": "tidings", **_NOTICE_DEAD_NETWORKS}
    if "," in given.get("host", "") + given.get("hostaddr", ""):
        # Of several hosts the one is meant that takes writes; a standby would refuse each of them.
        defaults["target_session_attrs"] = "read-write"
    return {**defaults, **given, "client_encoding": "UTF8"}


def _shown(given: dict[str, str], own: dict[str, str]) -> str:
    """The URL again, without its secrets."""
    rest = {name: value for name, value in given.items() if name not in _SECRETS}
    user = rest.pop("user", "")
    hosts = rest.pop("host", "").split(",")
    ports = rest.pop("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    place = ",".join(map(_place, hosts, ports))
    database = quote(rest.pop("dbname", ""), safe="")
    options = "&".join(f"{n}={quote(value, safe=',/:')}" for n, value in {**rest, **own}.items())
    who = f"{quote(user, safe='')}@" if user else ""
    return f"postgresql://{who}{place}/{database}{'?' if options else ''}{options}"


def _place(host: str, port: str) -> str:
    host = f"[{host}]" if ":" in host else quote(host, safe="")
    return f"{host}:{port}" if port else host
