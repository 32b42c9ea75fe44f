"""A line between a tidings server and its engine that can be cut and restored; real sockets.

Cut, it resets every connection and takes none; or it falls silent, as a cable does that was pulled:
nothing arrives and nobody is told. It knows no protocol.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from threading import Event as Flag
from threading import Lock, Thread

from tests.server.conftest import free_port

__all__ = ["Line"]

_PIECE = 65536
_RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: what is closed is reset, and what was sent may be lost."""


class Line:
    """A line to a port of this machine, which is open at first.

    Args:
        port: where it leads.

    Attributes:
        port: its own end.
    """

    def __init__(self, port: int) -> None:
        self._leads_to = port
        self.port = free_port()
        self._lock = Lock()
        self._sockets: set[socket.socket] = set()
        self._passing = Flag()
        self._passing.set()
        self._listening: socket.socket | None = None
        self.restore()

    def cut(self) -> None:
        """Reset all connections and refuse new ones, until it is restored."""
        with self._lock:
            if self._listening is not None:
                _close(self._listening)
                self._listening = None
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            _close(each)
        self._passing.set()

    def silence(self) -> None:
        """Let nothing through any more, and tell nobody, until it is cut or restored."""
        self._passing.clear()

    def restore(self) -> None:
        """Let through what comes, also what has waited meanwhile."""
        self._passing.set()
        with self._lock:
            if self._listening is None:
                self._listening = socket.create_server(("127.0.0.1", self.port))
                _start(self._accept, self._listening)

    def close(self) -> None:
        """Cut it for good."""
        self.cut()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return  # It was cut.
            try:
                far = socket.create_connection(("127.0.0.1", self._leads_to))
            except OSError:
                _close(near)  # Nobody is at home there.
                continue
            with self._lock:
                if self._listening is not listening:
                    _close(near)
                    _close(far)
                    return
                self._sockets |= {near, far}
            for source, target in ((near, far), (far, near)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _start(self._pass_on, source, target)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                self._passing.wait()
                target.sendall(piece)
        for each in (source, target):
            with self._lock:
                self._sockets.discard(each)
            _close(each)


def _close(end: socket.socket) -> None:
    """Close a socket that another thread may be waiting at."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def _start(work: object, *given: object) -> None:
    Thread(target=work, args=given, daemon=True).start()  # type: ignore[arg-type]  # a callable
