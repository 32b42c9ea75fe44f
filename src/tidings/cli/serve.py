"""`tidings serve`: the server, in the foreground.

It reads the options, says what to open and how to emit, and leaves the rest to
`tidings.server.serving`. Options override the environment (`TIDINGS_PORT` and so on).
"""

from __future__ import annotations

import os

from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE
from tidings.cli.show import let_go_of_output, printable, say
from tidings.cli.values import read_whole
from tidings.errors import MissingExtra
from tidings.masking import masked
from tidings.server.config import APIServerConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.cli.command import Given

__all__ = ["COMMANDS"]

_SWITCHES = ("reload", "insecure", "access_log")
_NO_DELIVER = Option(("--no-deliver",), "", "send no webhooks and notices, and watch nothing")


def _serve(given: Given) -> int:
    config = _config(given)
    try:
        import httptools  # noqa: F401 - only whether it is there

        from tidings.server.serving import run
    except ImportError as error:
        raise MissingExtra("the server", "server") from error
    if config.insecure:
        say(
            "WARNING: --insecure: whoever reaches this server may read, emit and administer "
            "without a key; tidings keys create makes one"
        )

    def announce(url: str, keyed: bool) -> None:  # noqa: FBT001 - as `run` calls it
        try:
            print("\n".join(map(printable, _greeting(config, url, keyed=keyed))), flush=True)
        except OSError:
            # Nobody reads the standard output any more; a server has better things to do.
            let_go_of_output()

    run(config, announce)
    return DONE


def _config(given: Given) -> APIServerConfig:
    """The environment's configuration, with what the options say in its place."""
    if given["url"] is not None and given["data_dir"] is not None:
        raise WrongUsage("--url and --data-dir both say where the store is; give one of them")
    config = APIServerConfig.from_env()
    for name, value in _said(given).items():
        setattr(config, name, value)
    if given["no_deliver"]:
        config.deliver = False
    if given["url"] is not None:
        config.data_dir = None
    elif config.data_dir is not None:
        # A relative one must mean the same in every worker, and in what is shown.
        config.data_dir = os.path.abspath(config.data_dir)
    config.root_path = config.root_path.rstrip("/")
    return config


def _said(given: Given) -> dict[str, Any]:
    names = [option.key for option in _OPTIONS] + ["url"]
    values = {name: given[name] for name in names}
    return {
        name: value
        for name, value in values.items()
        if value is not None and not (name in _SWITCHES and value is False)
    }


def _greeting(config: APIServerConfig, url: str, *, keyed: bool) -> list[str]:
    """What to open and how to emit, to be pasted as it is."""
    base = url + config.root_path
    key = ' -H "Authorization: Bearer $TIDINGS_KEY"' if keyed else ""
    store = masked(config.store_url)
    as_json = "-H 'content-type: application/json'"
    return [
        f"{base} serves {store}",
        f"  open    {base}/  or {base}/docs",
        f'  emit    curl{key} {as_json} -d \'{{"type": "hello"}}\' {base}/events/',
        f"  follow  curl -N{key} {base}/events/stream",
    ]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


_OPTIONS = (
    Option(("--host",), "ADDRESS", "where to listen; 127.0.0.1"),
    Option(("--port",), "N", "the port; 8765, and 0 for any free one", read=read_whole),
    Option(("--data-dir",), "DIR", "the store is DIR/tidings.db"),
    Option(("--workers",), "N", "so many processes share the port; 1", read=read_whole),
    Option(("--insecure",), "", "listen beyond this machine without any key"),
    Option(("--cors-origins",), "LIST", "web origins whose pages may ask; * for any", read=_words),
    Option(("--allowed-hosts",), "LIST", "further names it is reached by; * for any", read=_words),
    Option(("--root-path",), "PATH", "the prefix under which a proxy shows it"),
    Option(("--forwarded-allow-ips",), "LIST", "proxies that may name the client; 127.0.0.1"),
    Option(("--ssl-certfile",), "FILE", "the TLS certificate (PEM)"),
    Option(("--ssl-keyfile",), "FILE", "its key (PEM)"),
    Option(
        ("--log-level",),
        "LEVEL",
        "debug, info, warning, error or critical; info",
        choices=("debug", "info", "warning", "error", "critical"),
    ),
    Option(("--log-format",), "FORMAT", "text or json; text", choices=("text", "json")),
    Option(("--access-log",), "", "log each request"),
    Option(("--reload",), "", "start anew when Tidings' own sources change"),
)

COMMANDS = (
    Command(
        "serve",
        "serve the store over HTTP, until Ctrl-C",
        (),
        (*_OPTIONS, _NO_DELIVER),
        _serve,
        details="""\
Beyond this machine it listens only if there are keys (tidings keys create), or with --insecure.

Each option is a setting as well, and wins over it: TIDINGS_HOST, TIDINGS_PORT, TIDINGS_URL,
TIDINGS_DATA_DIR, TIDINGS_WORKERS, TIDINGS_INSECURE, TIDINGS_CORS_ORIGINS, TIDINGS_ALLOWED_HOSTS,
TIDINGS_ROOT_PATH, TIDINGS_FORWARDED_ALLOW_IPS, TIDINGS_SSL_CERTFILE, TIDINGS_SSL_KEYFILE,
TIDINGS_LOG_LEVEL, TIDINGS_LOG_FORMAT, TIDINGS_ACCESS_LOG, TIDINGS_RELOAD; for --no-deliver
TIDINGS_DELIVER=off. Settings only:
TIDINGS_DATABASE_TIMEOUT, TIDINGS_RATE_LIMIT, TIDINGS_MAX_STREAMS, TIDINGS_MAX_STREAMS_PER_KEY,
TIDINGS_COLLECT_EVERY, TIDINGS_CORS_ALLOW_CREDENTIALS, TIDINGS_CORS_ALLOW_METHODS,
TIDINGS_CORS_ALLOW_HEADERS, TIDINGS_RELOAD_DIRS, TIDINGS_TITLE, TIDINGS_DESCRIPTION,
TIDINGS_VERSION.""",
    ),
)
