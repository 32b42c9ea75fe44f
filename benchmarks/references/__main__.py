"""Serves one reference on a free port: uvicorn with httptools and uvloop, as `tidings serve`."""

from __future__ import annotations

import socket
import sys
from importlib import import_module

import uvicorn

_BACKLOG = 2048


def main() -> None:
    """Serve the app of the module named, which may keep files in the directory given."""
    name, directory = sys.argv[1:]
    app = import_module(f"benchmarks.references.{name}").app(directory)
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        log_level="warning",
        backlog=_BACKLOG,
    )
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


main()
