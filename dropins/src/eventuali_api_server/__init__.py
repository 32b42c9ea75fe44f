"""eventuali-api-server by its own name: Tidings' server, with that one's settings and defaults.

    config   APIServerConfig, get_config, set_config
    main     app and create_app, for any ASGI server
    cli      the command eventuali-api-server

It holds no logic. The server itself is loaded when it is first asked for, so that a missing extra
is told in one line, and `eventuali-api-server --help` need not wait for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eventuali_api_server.main import app, create_app

from eventuali_api_server.config import APIServerConfig, get_config, set_config

__all__ = ["APIServerConfig", "app", "create_app", "get_config", "set_config"]

__version__ = "0.2.2"
"""The release of eventuali-api-server whose names, defaults and answers these are."""


def __getattr__(name: str) -> object:
    if name not in ("app", "create_app"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from eventuali_api_server import main

    return getattr(main, name)
