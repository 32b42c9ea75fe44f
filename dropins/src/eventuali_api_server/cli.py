"""The command `eventuali-api-server`, with the options and variables of release 0.2.2.

An option wins over its variable, and that one over the default. What it starts is Tidings' server
(`tidings.server.serving`); `tidings serve` has the same and more.
"""

from __future__ import annotations

import argparse
import os
import sys

from eventuali_api_server.config import APIServerConfig, set_config
from tidings.errors import MissingExtra, TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["configured", "main"]

_LEVELS = ("debug", "info", "warning", "error", "critical")


def main(argv: Sequence[str] | None = None) -> int:
    """Start the server, and serve until it is told to end.

    Args:
        argv: the options; left out, those of this process.

    Returns:
        The exit code: 0 where it was told to end, 1 where it could not serve.

    Raises:
        SystemExit: an option or a variable is wrong (2), or `--help` was asked for (0).
    """
    config = configured(argv)
    set_config(config)
    try:
        _serve(config)
    except KeyboardInterrupt:
        pass  # That is how it is ended.
    except TidingsError as error:
        _say(str(error))
        return 1
    return 0


def _serve(config: APIServerConfig) -> None:
    try:
        from tidings.server.serving import run
    except ImportError as error:
        raise MissingExtra("eventuali-api-server", "server") from error

    def announce(url: str, keyed: bool) -> None:  # noqa: FBT001 - as `run` calls it
        if config.insecure and not keyed:
            _say(
                f"WARNING: it listens at {config.host} and asks for no key: whoever reaches this "
                f"machine can read, emit and administer. `tidings keys create NAME --scope emit "
                f"--scope read --url {config.store_url}` makes a key, which is asked for from then "
                f"on; --host 127.0.0.1 keeps others out."
            )
        _say(f"{url} serves {config.store_url}; documentation at {url}/docs")

    run(config, announce)


def configured(argv: Sequence[str] | None = None) -> APIServerConfig:
    """What the command serves with, by its options and the environment.

    Args:
        argv: as for `main`.

    Raises:
        SystemExit: as for `main`.
    """
    parser = _parser()
    try:
        config = APIServerConfig.from_env()
    except TidingsError as error:
        parser.error(str(error))
    given = parser.parse_args(argv)
    said = {name: value for name, value in vars(given).items() if value is not None}
    if "cors_origins" in said:
        origins = [word.strip() for word in said["cors_origins"].split(",")]
        said["cors_origins"] = [origin for origin in origins if origin] or None
    facts = {
        **vars(config),
        **said,
        "insecure": False,
        "access_log": said.get("log_level", config.log_level) in ("debug", "info"),
        "reload_dirs": [os.getcwd()],
    }
    # A relative one must mean the same in every process, and in what is shown.
    facts["data_dir"] = os.path.abspath(facts["data_dir"])
    return APIServerConfig(**facts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="eventuali-api-server",
        description="Start the API server (Tidings, by the name of eventuali-api-server).",
        epilog="Each option is a variable as well, such as HOST or DATA_DIR, and wins over it.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--host", help="where to listen; 127.0.0.1")
    add("--port", type=int, help="the port; 8765")
    add(
        "--reload",
        action=argparse.BooleanOptionalAction,
        help="start anew when a Python file in this directory changes",
    )
    add("--log-level", choices=_LEVELS, help="how much is logged; info")
    add("--data-dir", help="the directory of the events; .events")
    add("--cors-origins", help="web origins whose pages may ask, with commas between")
    add("--database-timeout", type=float, help="the longest a request waits for the store (s); 10")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"eventuali-api-server: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
