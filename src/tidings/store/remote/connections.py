"""Connections to one server: opened when needed, used again, bounded in time, dropped after a fork.

Each exchange has a connection to itself; idle ones wait for the next. It knows HTTP and no store:
what answers mean, and when to try again, is said in `server`.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from http.client import HTTPResponse
    from typing import Any

    from tidings.store.remote.address import Address

__all__ = ["Broken", "Connections", "Exchange", "Unreached"]

_MOST_IDLE = 16
_PIECE = 256 * 1024
_LEAST_SECONDS = 0.001
"""A socket's timeout must not be 0: that would mean not to wait at all."""


class Unreached(Exception):  # noqa: N818 - what happened; `server` makes an error of it
    """There is no connection; nothing was sent. `timed_out` says whether time ran out."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.timed_out = isinstance(error, TimeoutError)


class Broken(Exception):  # noqa: N818
    """The connection broke, or time ran out, after something was sent."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.timed_out = isinstance(error, TimeoutError)


class Connections:
    """The connections of one store. Safe for many threads, and after a fork.

    Args:
        address: the server's.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._tls: ssl.SSLContext | None = None
        self._busy: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self._abandoned: list[_Connection] = []
        self._closed = False
        self._start_anew()

    def _start_anew(self) -> None:
        self._process = os.getpid()
        self._lock = Lock()

    def _ensure_own(self) -> None:
        """Begin anew in a forked child: its parent goes on with the connections."""
        if self._process == os.getpid():
            return
        self._start_anew()
        for connection in self._idle:
            connection.drop()
        for connection in self._busy:
            connection.abandon()
        # Kept, because to let go of one would close its buffer, and with it take a lock that a
        # thread of the parent may have held.
        self._abandoned += self._busy
        self._busy, self._idle = set(), []

    def exchange(self, connect_by: float, *, anew: bool, longest_idle: float | None) -> Exchange:
        """A connection for one exchange.

        Args:
            connect_by: by when there must be one (on the monotonic clock).
            anew: whether it must be a new one.
            longest_idle: how long one may have waited to be used again (seconds); none for however
                long.

        Raises:
            Unreached: there is none.
        """
        self._ensure_own()
        connection = None if anew else self._idle_one(longest_idle)
        if connection is None:
            try:
                connection = self._new_one(connect_by)
            except OSError as error:
                raise Unreached(error) from error
        with self._lock:
            if not self._closed:
                self._busy.add(connection)
                return Exchange(self, connection)
        connection.drop()
        raise Unreached(OSError("it was closed meanwhile"))

    def _idle_one(self, longest_idle: float | None) -> _Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.is_usable(longest_idle):
                return connection
            connection.drop()

    def _new_one(self, connect_by: float) -> _Connection:
        plain = _connected(self._address.host, self._address.port, connect_by)
        try:
            if self._address.scheme == "https":
                plain.settimeout(_left(connect_by))
                plain = self._tls_context().wrap_socket(plain, server_hostname=self._address.host)
        except BaseException:
            plain.close()
            raise
        return _Connection(self._address, plain)

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls

    def take_back(self, connection: _Connection, *, usable: bool) -> None:
        """Keep a connection for the next exchange, or let go of it."""
        self._ensure_own()
        with self._lock:
            self._busy.discard(connection)
            if usable and not self._closed and len(self._idle) < _MOST_IDLE:
                connection.idle_since = monotonic()
                self._idle.append(connection)
                return
        connection.drop()

    def close(self) -> None:
        """Let go of all; exchanges under way break."""
        self._ensure_own()
        with self._lock:
            self._closed = True
            busy, idle, self._idle = list(self._busy), self._idle, []
        for connection in idle:
            connection.drop()
        for connection in busy:
            connection.interrupt()


class Exchange:
    """One request and its answer on a connection of its own."""

    def __init__(self, connections: Connections, connection: _Connection) -> None:
        self._connections = connections
        self._connection = connection
        self._answer: HTTPResponse | None = None

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, end: float
    ) -> HTTPResponse:
        """Send the request; gives the answer, whose body is still to be read.

        Raises:
            Broken: no answer came by `end` (on the monotonic clock).
        """
        try:
            self._answer = self._connection.ask(method, path, headers, body, end)
        except (OSError, HTTPException) as error:
            raise Broken(error) from error
        return self._answer

    def read(self, end: float, most: int | None = None) -> bytes:
        """The rest of the answer's body, or at most so many bytes of it.

        Raises:
            Broken: it did not come by `end`, or not all of it.
        """
        assert self._answer is not None  # noqa: S101 - there is one, once `send` has returned
        try:
            return self._connection.read(self._answer, end, most)
        except (OSError, EOFError, HTTPException, ValueError) as error:
            raise Broken(error) from error

    def end(self) -> None:
        """Give the connection back; one whose answer was not read to its end is closed."""
        answer = self._answer
        usable = answer is not None and answer.isclosed() and not answer.will_close
        self._connections.take_back(self._connection, usable=usable)


class _Connection:
    """A connection, from when it stands."""

    def __init__(self, address: Address, plain: socket.socket) -> None:
        self.idle_since = monotonic()
        self._socket = plain
        self._http = HTTPConnection(address.host, address.port)
        # It stands already; so the time for the name, the connection and TLS is bounded in all.
        self._http.sock = plain
        self._authority = address.authority

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, end: float
    ) -> HTTPResponse:
        self.bound(end)
        try:
            self._http.request(method, path, body, {"Host": self._authority, **headers})
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a large body may answer and close before it has read it.
            return self._http.getresponse()
        self.bound(end)
        return self._http.getresponse()

    def read(self, answer: HTTPResponse, end: float, most: int | None) -> bytes:
        """Read a body piece by piece: one that trickles in is waited for no longer than `end`."""
        pieces: list[bytes] = []
        size = 0
        while most is None or size < most:
            if pieces and monotonic() > end:
                raise TimeoutError("timed out")
            self.bound(end)
            piece = answer.read1(_PIECE if most is None else min(_PIECE, most - size))
            if not piece:
                if answer.length:
                    raise EOFError(f"{answer.length:,} bytes of the answer are missing")
                break
            pieces.append(piece)
            size += len(piece)
        if answer.length == 0:
            answer.read()  # there is nothing left; that ends the answer, and frees the connection
        return b"".join(pieces)

    def bound(self, end: float) -> None:
        """Wait no longer than `end` for what comes next."""
        self._socket.settimeout(_left(end))

    def is_usable(self, longest_idle: float | None) -> bool:
        """Whether the server has not closed it, as far as can be told."""
        if longest_idle is not None and monotonic() - self.idle_since > longest_idle:
            return False
        try:
            self._socket.settimeout(0)
            # Past TLS, which has no peeking; whatever comes unasked makes it unusable.
            socket.socket.recv(self._socket, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def interrupt(self) -> None:
        """Wake the thread that waits for an answer; it finds that none comes."""
        with suppress(OSError):  # it may have gone already
            # Past TLS, whose own state belongs to the thread that reads.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Let go of it in a forked child, whose parent is in the middle of an exchange on it."""
        os.close(self._socket.detach())

    def drop(self) -> None:
        """Let go of it."""
        self._http.close()
        self._socket.close()


def _connected(name: str, port: int, end: float) -> socket.socket:
    """A socket connected to the first of a host's addresses that answers."""
    failure: OSError = OSError(f"{name} has no address")
    # As bytes: text would load Python's tables of domain names, which a fork could find half done.
    for family, kind, protocol, _, address in _addresses(name.encode(), port, end):
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(_left(end))
            plain.connect(address)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError as error:
            plain.close()
            failure = error
        except BaseException:
            plain.close()
            raise
        else:
            return plain
    raise failure


def _addresses(host: bytes, port: int, end: float) -> list[Any]:
    """The addresses of a host, found by `end`.

    A resolver that does not answer blocks for as long as the system's settings say, often 10 s and
    more; so it is asked in a thread that can be left behind.
    """
    try:
        return socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except OSError:
        found: SimpleQueue[list[Any] | OSError] = SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.put(error)

    Thread(target=look_up, name="tidings-look-up", daemon=True).start()
    try:
        answer = found.get(timeout=_left(end))
    except Empty:
        raise TimeoutError(f"the name {host.decode()} was not resolved in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _left(end: float) -> float:
    return max(end - monotonic(), _LEAST_SECONDS)
