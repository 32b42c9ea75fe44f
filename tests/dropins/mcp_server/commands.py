"""The real command `eventuali-mcp-server`, for the tests of this folder."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import asynccontextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.server.conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["COMMAND", "connected", "wait_until"]

COMMAND = os.path.join(os.path.dirname(sys.executable), "eventuali-mcp-server")


@asynccontextmanager
async def connected(directory: Path, **env: str) -> AsyncIterator[Client]:
    """The SDK's client of a command that it starts itself, over stdio.

    Args:
        directory: where the command runs; what it logs is in `stderr.txt` there.
        env: what is set for it.
    """
    server = StdioServerParameters(command=COMMAND, env={**os.environ, **env}, cwd=directory)
    with (directory / "stderr.txt").open("w") as said:
        async with Client(stdio_client(server, said)) as client:
            yield client


def _listens(port: int) -> bool:
    """Whether anybody listens at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def wait_until(port: int, *, listened: bool) -> None:
    """Wait until somebody listens at a port, or nobody does any more."""
    end = monotonic() + PATIENCE
    while _listens(port) != listened:
        if monotonic() > end:
            raise TimeoutError(f"port {port} is not as it should be after {PATIENCE} s")
        sleep(0.02)
