"""What a server is told: addresses, store, origins, limits.

The names are those of eventuali-api-server 0.2.2, and ours after them. Standard library only, since
the command line needs it before anything of the extra is loaded. A server reads its configuration
when it starts, so `set_config` works after the app was imported. It opens nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import Any, Self

from tidings import settings
from tidings.errors import InvalidSetting, shorten

__all__ = ["PREFIX", "APIServerConfig", "environment_of", "get_config", "set_config"]

PREFIX = "TIDINGS_"
"""What stands before a field's name in the environment: `TIDINGS_PORT`."""

_OF_THE_PEER = {
    name: name.upper()
    for name in ("host", "port", "reload", "log_level", "data_dir", "database_timeout")
} | {
    "cors_origins": "CORS_ORIGINS",
    "cors_allow_credentials": "CORS_ALLOW_CREDENTIALS",
    "title": "API_TITLE",
    "description": "API_DESCRIPTION",
    "version": "API_VERSION",
}
"""The bare variables of eventuali-api-server 0.2.2, by field."""

_ORIGINS = (
    "http://localhost:3210",
    "http://127.0.0.1:3210",
    "http://localhost:3000",
    "http://127.0.0.1:3000",
)


@dataclass
class APIServerConfig:
    """How a server runs.

    Args:
        host: the address to listen at. Beyond loopback it needs keys, or `insecure`.
        port: the port; 0 for any free one.
        reload: start anew when the sources change: Tidings' own, or those in `reload_dirs`.
        log_level: debug, info, warning, error or critical.
        data_dir: the directory whose `tidings.db` is the store; none for `url`. What an eventuali
            `events.db` beside it holds is imported once.
        database_timeout: the longest an answer waits for the store (seconds).
        cors_origins: the web origins whose pages may ask; `*` for any, then without credentials.
        cors_allow_credentials: whether such pages may send cookies and keys.
        cors_allow_methods: the methods they may use.
        cors_allow_headers: the headers they may send; `*` for any.
        title: what the server calls itself.
        description: one sentence more.
        version: its version.
        url: the store; none for the default one (`TIDINGS_URL`).
        workers: so many processes share the port.
        insecure: whether anybody may come in from beyond this machine, without a key.
        root_path: the path prefix under which a proxy shows the server, such as `/tidings`.
        allowed_hosts: names beside loopback's that a request may be for (`Host`); `*` for any.
        forwarded_allow_ips: the proxies whose word on the client's address is taken.
        ssl_certfile: the TLS certificate, a PEM file.
        ssl_keyfile: its key.
        log_format: text or json.
        access_log: whether each request is logged.
        rate_limit: requests a second that one key or address may make in the long run.
        max_streams: live streams in all.
        max_streams_per_key: live streams of one key or address.
        collect_every: how often what waits in the spool is collected (seconds), where the store
            served is the user's default one; 0 for never.
        deliver: whether it sends webhooks and notices, and watches.
        reload_dirs: where `reload` looks for changed sources; Tidings' own where none are given.

    >>> APIServerConfig(port=9000).cors_origins[0]
    'http://localhost:3210'
    """

    host: str = "127.0.0.1"
    port: int = 8765
    reload: bool = False
    log_level: str = "info"
    data_dir: str | None = None
    database_timeout: float = 10.0
    cors_origins: list[str] = field(default_factory=lambda: list(_ORIGINS))
    cors_allow_credentials: bool = True
    cors_allow_methods: list[str] = field(
        default_factory=lambda: ["GET", "POST", "PUT", "DELETE", "OPTIONS"]
    )
    cors_allow_headers: list[str] = field(default_factory=lambda: ["*"])
    title: str = "Tidings"
    description: str = "One event bus, from a shell line to a cluster."
    version: str = ""
    url: str | None = None
    workers: int = 1
    insecure: bool = False
    root_path: str = ""
    allowed_hosts: list[str] = field(default_factory=list)
    forwarded_allow_ips: str = "127.0.0.1"
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    log_format: str = "text"
    access_log: bool = False
    rate_limit: float = 1000.0
    max_streams: int = 10_000
    max_streams_per_key: int = 1000
    collect_every: float = 10.0
    deliver: bool = True
    reload_dirs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # As the peer takes it: none means the default.
        for name in ("cors_origins", "cors_allow_methods", "cors_allow_headers"):
            if getattr(self, name) is None:
                setattr(self, name, list(_default(name)))
        if not self.version:
            from tidings import __version__

            self.version = __version__
        self.root_path = self.root_path.rstrip("/")

    @property
    def store_url(self) -> str:
        """The store this server serves."""
        if self.url is not None:
            return self.url
        if self.data_dir is not None:
            return f"sqlite:///{os.path.join(self.data_dir, 'tidings.db')}"
        return settings.default_url()

    @property
    def forerunner(self) -> str | None:
        """The file of eventuali-api-server whose events belong into this server's store, if any."""
        if self.url is not None or self.data_dir is None:
            return None
        return os.path.join(self.data_dir, "events.db")

    @property
    def collects(self) -> bool:
        """Whether what waits in this user's spool is for the store served: for the default one."""
        return self.collect_every > 0 and self.store_url == settings.default_url()

    @classmethod
    def from_env(cls, prefix: str = PREFIX) -> Self:
        """The configuration the environment gives.

        Args:
            prefix: what stands before the names: `TIDINGS_PORT`. The drop-in for
                eventuali-api-server gives "", as that one reads `PORT`.

        Raises:
            InvalidSetting: a variable is not usable; the error names it.
        """
        given: dict[str, Any] = {}
        for each in fields(cls):
            variable = f"{prefix}{each.name.upper()}"
            if not prefix:
                # As the peer names them. Ours it has not, and their bare names mean other things.
                if each.name not in _OF_THE_PEER:
                    continue
                variable = _OF_THE_PEER[each.name]
            text = os.environ.get(variable, "").strip()
            if text and not (each.name == "url" and prefix == PREFIX):
                given[each.name] = _read(variable, str(each.type), text)
        return cls(**given)


def environment_of(config: APIServerConfig) -> dict[str, str]:
    """The variables from which `from_env` makes this configuration again, in another process.

    The store is said in full (`TIDINGS_URL`), so that both processes serve the same.
    """
    variables = {f"{PREFIX}URL": config.store_url}
    for each in fields(config):
        value = getattr(config, each.name)
        if each.name not in ("url", "data_dir") and value is not None:
            variables[f"{PREFIX}{each.name.upper()}"] = _written(value)
    if not config.collects:
        # There `TIDINGS_URL` says that it were the default store.
        variables[f"{PREFIX}COLLECT_EVERY"] = "0"
    return variables


_config: APIServerConfig | None = None


def get_config() -> APIServerConfig:
    """The configuration of this process: what `set_config` was given, else the environment's."""
    return _config if _config is not None else APIServerConfig.from_env()


def set_config(config: APIServerConfig) -> None:
    """Say how servers that this process starts from now on shall run."""
    global _config
    _config = config


def _default(name: str) -> list[str]:
    return getattr(APIServerConfig(), name)  # type: ignore[no-any-return]  # only lists are asked


def _read(name: str, kind: str, text: str) -> object:
    try:
        if kind.startswith("bool"):
            return _switch(text)
        if kind.startswith("int"):
            return _not_negative(int(text))
        if kind.startswith("float"):
            return _not_negative(float(text))
    except ValueError:
        wanted = {"b": "true or false", "i": "a whole number", "f": "a number"}[kind[0]]
        raise InvalidSetting(f"{name} {shorten(text)} must be {wanted}") from None
    if kind.startswith("list"):
        return [word.strip() for word in text.split(",") if word.strip()]
    return text.lower() if name.endswith(("LOG_LEVEL", "LOG_FORMAT")) else text


def _written(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value) or ","  # an empty text would be read as "not given"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _switch(text: str) -> bool:
    words = dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True)
    words |= dict.fromkeys(("false", "0", "no", "off", "f", "n"), False)
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _not_negative(number: float) -> float:
    if not number >= 0:
        raise ValueError(number)
    return number
