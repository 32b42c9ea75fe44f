"""A line between client and server that breaks when it is told to; real sockets, nothing pretended.

It passes on what comes. Told to, it swallows answers and hangs up, so that the server has done what
the client never hears of; or it falls silent, as a machine does that lost its network.
"""

from __future__ import annotations

import socket
from threading import Event as Flag
from threading import Thread

__all__ = ["BrokenLine"]

_PIECE = 65536


class BrokenLine:
    """A line to a server.

    Args:
        port: the server's, on this machine.

    Attributes:
        url: its own end.
        answers_to_swallow: so many answers do not arrive; the client's connection is closed.
        answer_bytes: how many bytes of an answer to pass before the line is cut; none for all.
        connections: how many there were.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.answers_to_swallow = 0
        self.answer_bytes: int | None = None
        self.connections = 0
        self._silent = Flag()
        self._open: list[socket.socket] = []
        self._threads = [self._start(self._accept)]

    def fall_silent(self) -> None:
        """Answer nothing any more, and keep the connections."""
        self._silent.set()

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
            server = socket.create_connection(("127.0.0.1", self._port))
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, server]
            self._threads.append(self._start(self._pass_on, client, server, False))
            self._threads.append(self._start(self._pass_on, server, client, True))

    def _pass_on(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        passed = 0
        try:
            while piece := source.recv(_PIECE):
                if answers and self.answers_to_swallow:
                    self.answers_to_swallow -= 1
                    break
                if self._silent.is_set():
                    continue
                most = self.answer_bytes if answers else None
                if most is not None:
                    piece = piece[: most - passed]
                target.sendall(piece)
                passed += len(piece)
                if passed == most:
                    break
        except OSError:
            pass  # The other end has gone, which is what this is about.
        _hang_up(source)
        _hang_up(target)


def _hang_up(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
