"""HTTP/1.1 on a connection: uvicorn's protocol on httptools, with bounds it does not have.

Keeps promise 6's limits on connections: a client may take ten seconds to say what it wants, and may
not say it at any length. Who sends a byte a second is let go, and holds nothing meanwhile but one
socket. It also gives the app `transport.abort`, with which a stream lets go of a client that does
not read. How slow a body may be is decided in `calls`, how long a stream may idle in `live`.

    scope["extensions"]["tidings.abort"]    closes the connection at once, what is unsent is dropped
"""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tidings.server.joined_writes import JoinedWrites
from tidings.server.logs import AccessLine
from tidings.server.problems import PROBLEM_TYPE, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["HEAD_BYTES", "HEAD_SECONDS", "Protocol"]

HEAD_SECONDS = 10.0
"""So long a request's line and headers may take; beyond that, 408."""

HEAD_BYTES = 64 * 1024
"""So large they may be; beyond that, 431. More than proxies let through (nginx: 32 KiB)."""

_STALL_SECONDS = 30.0
"""A client that takes less than `_LEAST_BYTES` of what waits for it in so long is let go."""

_LEAST_BYTES = 256 * 1024

_LINGER_SECONDS = 1.0
"""So long a refused client may go on to send; it is read and dropped."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = False
        self._head_bytes = 0
        self._chunk_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._trailer_bytes = 0
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.transport = JoinedWrites(transport, self.loop)  # type: ignore[assignment]  # it is one, but by name
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._let_go)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._cancel_deadline()
        self._cancel_stall()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes what it is sent more slowly than it is made."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._cancel_stall()
        super().resume_writing()

    def _wait_for_reader(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(_STALL_SECONDS, self._look_at_reader, left)

    def _look_at_reader(self, before: int) -> None:
        """Let go of a client that hardly reads: what waits for it is memory of ours."""
        if self.transport.get_write_buffer_size() > before - _LEAST_BYTES:
            self._disconnect()
            self.transport.abort()
        else:
            self._wait_for_reader()

    def _cancel_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._refused:
            return
        began_before, self._chunk_bytes = self._in_head, len(data)
        super().data_received(data)
        if self._in_head and began_before:
            self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif not self._in_head and self._is_answering():
            self._cancel_deadline()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._let_go)

    # Called by the parser -------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request's first byte came."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._trailer_bytes = 0
        extensions: dict[str, Any] = {"tidings.abort": self.transport.abort}
        self.scope["extensions"] = extensions

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header came; or a trailer, which must never pass for one (RFC 9110, section 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)
            return
        self._trailer_bytes += len(name) + len(value) + 4
        if self._trailer_bytes > HEAD_BYTES:
            self._refuse(_TOO_LARGE)
            raise httptools.HttpParserError(_TOO_LARGE.detail)

    def on_headers_complete(self) -> None:
        """A request's head is complete, and the app is called."""
        # The chunk may hold much else, such as the body, so it is looked at closely only then.
        large = self._head_bytes + self._chunk_bytes > HEAD_BYTES
        if large and self._length_of_head() > HEAD_BYTES:
            self._refuse(_TOO_LARGE)
            raise httptools.HttpParserError(_TOO_LARGE.detail)
        if self.access_log:
            self.access_logger = AccessLine(self.scope)  # type: ignore[assignment]  # only `info` is called
        super().on_headers_complete()
        self._in_head = False
        self._head_bytes = 0

    # Refusing -------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; as a problem, like every other error."""
        if not self._refused:
            self._refuse(Problem(400, "malformed-request", f"{msg} It was not understood as HTTP."))

    def _unsupported_upgrade_warning(self) -> None:
        # The request is answered as plain HTTP (RFC 9110, section 7.8: a server may ignore the
        # wish). httptools reads nothing after it, so another connection must serve what follows.
        self.cycle.keep_alive = False

    def _let_go(self) -> None:
        """End a connection that has taken too long to say what it wants."""
        self._deadline = None
        if self._in_head and not self._is_answering():
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless another answer is under way, and close the connection."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._cancel_deadline()
        if not self._is_answering():
            body = problem.body()
            headers = (
                *self.server_state.default_headers,
                (b"content-type", PROBLEM_TYPE.encode("latin-1")),
                (b"content-length", b"%d" % len(body)),
                (b"connection", b"close"),
            )
            head = b"".join(b"%s: %s\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + body)
        elif not self.cycle.more_body:
            self.cycle.keep_alive = False  # What follows the request is nonsense; it is none.
            return
        else:
            self._disconnect()
        self._close_after_a_while()

    def _disconnect(self) -> None:
        """Tell the app that nobody is left; what it still sends is dropped."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _close_after_a_while(self) -> None:
        # Closed at once, what the client still sends would be answered with a reset, and that may
        # overtake the problem. Source: RFC 9112, section 9.6.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # which uvicorn says is never none
        return cycle is not None and not cycle.response_complete

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _length_of_head(self) -> int:
        """How much of what came is the head, and not a body that came with it (bytes)."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)


_TOO_SLOW = Problem(
    408,
    "request-timeout",
    f"the request line and headers did not arrive within {HEAD_SECONDS:g} s; send them at once",
)
_TOO_LARGE = Problem(
    431,
    "headers-too-large",
    f"the request line and headers are over {HEAD_BYTES} bytes; send what is long in the body",
)
