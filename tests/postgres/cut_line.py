"""A line to PostgreSQL that is cut at a COMMIT, on the one side of it or the other.

Real sockets, nothing pretended. It knows a COMMIT by the bytes in which a client first prepares it,
so each connection can be cut at its first one.
"""

from __future__ import annotations

import socket
from threading import Thread

__all__ = ["CutLine"]

_PIECE = 65536
_COMMIT_SENT = b"\0COMMIT\0"  # the end of a statement's name, and the statement
_COMMIT_DONE = b"COMMIT\0"  # how the server says that it is done


class CutLine:
    """A line to a server.

    Args:
        port: the server's, on this machine.

    Attributes:
        port: its own end.
        cut_before: how many connections to cut when a COMMIT comes, which the server does not get.
        cut_after: how many to cut when a COMMIT is done, of which the client does not hear.
        silent: whether everything is swallowed and nothing closed, as by a network that is gone.
        refusing: whether new connections are closed at once.
        connections: how many there were.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.cut_before = 0
        self.cut_after = 0
        self.silent = False
        self.refusing = False
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads = [self._start(self._accept)]

    def cut(self) -> None:
        """Hang up all that are connected now; who comes next is let through."""
        for each in list(self._open):
            _hang_up(each)

    def close(self) -> None:
        """Hang up."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()  # so that nobody comes after all were hung up
        self._listening.close()
        for each in self._open:
            _hang_up(each)
        for thread in self._threads:
            thread.join()
        for each in self._open:
            each.close()

    def _start(self, work: object, *given: object) -> Thread:
        thread = Thread(target=work, args=given, daemon=True)  # type: ignore[arg-type]  # a callable
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            if self.refusing:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server_port))
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, server]
            self._threads.append(self._start(self._ask, client, server))
            self._threads.append(self._start(self._answer, server, client))

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what the client says."""
        said = b""
        try:
            while piece := client.recv(_PIECE):
                if self.silent:
                    continue
                said = said[1 - len(_COMMIT_SENT) :] + piece
                if self.cut_before and _COMMIT_SENT in said:
                    self.cut_before -= 1
                    break
                server.sendall(piece)
        except OSError:
            pass  # The other end has gone, which is what this is about.
        _hang_up(client)
        _hang_up(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        """Pass on what the server says."""
        said = b""
        answers = 0
        try:
            while piece := server.recv(_PIECE):
                if self.silent:
                    continue
                said = said[1 - len(_COMMIT_DONE) :] + piece
                answers += said.count(_COMMIT_DONE)
                # The first one of a connection ends the look at the schema.
                if self.cut_after and answers > 1:
                    self.cut_after -= 1
                    break
                client.sendall(piece)
        except OSError:
            pass  # As above.
        _hang_up(server)
        _hang_up(client)


def _hang_up(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
