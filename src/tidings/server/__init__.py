"""The server: every event over HTTP, live and for good (extra `server`).

    config        what a server is told
    application   the app: routes found, callers admitted, errors told
    service       what a running server holds: bus, keys, limits, metrics, live stream
    routes/       one file for each group of routes
    live/         the live stream
    serving       the process around it: sockets, workers, signals, logs

`create_app()` gives an ASGI app for any server; `tidings serve` runs it. Keeps promise 6 (nobody
gets in) and never spools for its clients: it answers 503, and they do.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.application import Application, create_app
    from tidings.server.config import APIServerConfig, get_config, set_config

    app: Application

from tidings.errors import MissingExtra

__all__ = ["APIServerConfig", "app", "create_app", "get_config", "set_config"]


def __getattr__(name: str) -> object:
    if name in ("APIServerConfig", "get_config", "set_config"):
        from tidings.server import config

        return getattr(config, name)
    if name not in ("app", "create_app"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import fastapi  # noqa: F401 - only whether it is there
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra("the server", "server") from error
    from tidings.server.application import create_app

    # Made once, so that `uvicorn tidings.server:app` and an import give the same one.
    globals().update(create_app=create_app, app=create_app())
    return globals()[name]
