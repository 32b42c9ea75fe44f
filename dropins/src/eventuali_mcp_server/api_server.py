"""The event server beside the MCP server, for `START_API_SERVER`.

Started where none answers, and ended with this process however that ends: the server reads from a
pipe whose other end only this process has. Run as a module, this file is the server's side of that.
It keeps the standard output clean, which belongs to MCP, and looks after no other machine.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from threading import Event as Flag
from threading import Thread
from urllib.parse import urlsplit

from tidings.server.origins import is_loopback

__all__ = ["ApiServer"]

_SERVER = "eventuali_api_server.cli"
"""By name: one drop-in does not import another."""

_STARTING_SECONDS = 30.0
"""How long MCP waits for the event server; about as long as clients wait for MCP."""

_ENDING_SECONDS = 10.0
_LOOK_EVERY = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 60.0


class ApiServer:
    """The event server at an address on this machine.

    Several of these may look after one address, as when each of several editors starts an MCP
    server: one of them runs the event server, and when that ends, another one does.

    Args:
        host: where it listens.
        port: its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._known = Flag()
        self._ending = Flag()
        self._keeper = Thread(target=self._keep, name="eventuali-api-server", daemon=True)

    @classmethod
    def at(cls, url: str) -> ApiServer | None:
        """The one at a URL; none where that leads to another machine.

        >>> ApiServer.at("https://events.example.org") is None
        True
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "http" or not is_loopback(host):
            return None
        return cls("127.0.0.1" if host == "localhost" else host, parts.port or 80)

    def start(self) -> None:
        """Have a server there from now on; waits until it answers, or is known not to come up."""
        self._keeper.start()
        self._known.wait(_STARTING_SECONDS)

    def close(self) -> None:
        """End the server, if it is ours."""
        self._ending.set()
        self._keeper.join()
        self._end()

    def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while not self._ending.is_set():
            if self._answers():
                self._known.set()
                pause = _FIRST_PAUSE
                self._watch()
            elif self._process is not None and self._process.poll() is None:
                self._ending.wait(_FIRST_PAUSE)  # It is about to come up, or very busy.
            else:
                if self._process is not None:
                    self._known.set()  # It has said on the standard error what was wrong.
                    self._end()
                self._process = self._started()
                # One that does not come up is started ever more rarely.
                self._ending.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _watch(self) -> None:
        """Wait until the server has gone: ours, or else whosoever listens there."""
        while not self._ending.wait(_LOOK_EVERY):
            if self._process is not None and self._process.poll() is None:
                continue
            try:
                # Its log need not hold a request each second.
                socket.create_connection((self._host, self._port), _LOOK_EVERY).close()
            except OSError:
                return

    def _answers(self) -> bool:
        try:
            with closing(HTTPConnection(self._host, self._port, timeout=_LOOK_EVERY)) as connection:
                connection.request("GET", "/health")
                connection.getresponse()
        except (OSError, HTTPException):
            return False
        return True

    def _started(self) -> subprocess.Popen[bytes]:
        where = ("--host", self._host, "--port", str(self._port))
        # A client may leave unread what is said here, and a full pipe would stop the server.
        quiet = () if os.environ.get("LOG_LEVEL") else ("--log-level", "warning")
        return subprocess.Popen(  # noqa: S603 - this interpreter, this file
            [sys.executable, "-m", "eventuali_mcp_server.api_server", *where, *quiet],
            stdin=subprocess.PIPE,
            stdout=2,  # what it says goes where this process logs
        )

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None


# The server's side ------------------------------------------------------------------------------


def _end_with_parent() -> None:
    """End this process as Ctrl-C would once nobody holds the pipe's other end."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(import_module(_SERVER).main())
