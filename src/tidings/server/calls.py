"""One HTTP call on a bare route: what was asked, and how it is answered.

Hot routes are plain ASGI, found in a table before FastAPI sees the request: on the machine of the
design's figures a FastAPI endpoint takes 2.6k durable emits a second, a bare one 8k. A bare route
brings its OpenAPI operation with it. Keeps promise 6 for bodies: bounded in size and in time.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import parse_qsl

from tidings.server.access import NOBODY
from tidings.server.guard import merged
from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Generator,
        MutableMapping,
        Sequence,
    )
    from typing import Any, TypeAlias

    from tidings.server.access import Caller
    from tidings.server.service import Service

    Message: TypeAlias = MutableMapping[str, Any]
    Header: TypeAlias = tuple[bytes, bytes]
    Receive: TypeAlias = Callable[[], Coroutine[Any, Any, Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

__all__ = ["BareRoute", "Call", "Disconnected"]

BODY_SECONDS = 30.0
"""The longest a body that is read whole may take, and a streamed one may pause (seconds)."""


class Disconnected(Exception):  # noqa: N818 - what happened; nobody is left to be told of an error
    """The client has gone; there is nobody to answer."""


class BareRoute(NamedTuple):
    """A route that is answered without FastAPI.

    Attributes:
        method: such as `POST`.
        path: without parameters, such as `/events/`.
        scope: what a key must allow: `emit`, `read`, `admin`; empty where no key is needed.
        handler: answers the call, or raises a `Problem` or another error of Tidings.
        operation: its OpenAPI operation object.
    """

    method: str
    path: str
    scope: str
    handler: Callable[[Call], Awaitable[None]]
    operation: dict[str, Any]


class Call:
    """One HTTP call.

    Args:
        scope: the ASGI scope.
        receive: ASGI's.
        send: ASGI's.
        service: what the server holds.
        caller: who asks; nobody until the guard has said who.
        request_id: names the call in the log.

    Attributes:
        added: headers that the answer has beside its own.
        status: of the answer once it has begun, else 0.
    """

    __slots__ = ("_send", "added", "caller", "receive", "request_id", "scope", "service", "status")

    def __init__(
        self,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
        service: Service,
        caller: Caller = NOBODY,
        request_id: str = "",
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.service = service
        self.caller = caller
        self.request_id = request_id
        self.added: list[Header] = []
        self.status = 0
        self._send = send

    @property
    def query_string(self) -> str:
        """What stands after the question mark, as it came."""
        return str(self.scope["query_string"], "latin-1")

    @property
    def params(self) -> list[tuple[str, str]]:
        """The query's parameters, in order."""
        return parse_qsl(self.query_string, keep_blank_values=True) if self.query_string else []

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers, names in lower case."""
        return [(str(n, "latin-1"), str(v, "latin-1")) for n, v in self.scope["headers"]]

    def header(self, name: str) -> str | None:
        """The first header of this name (lower case), if it was sent."""
        wanted = name.encode("latin-1")
        for each, value in self.scope["headers"]:
            if each == wanted:
                return str(value, "latin-1")
        return None

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Args:
            limit: the most that is taken (bytes).

        Raises:
            Problem: it is larger (413), or takes too long (408).
            Disconnected: the client has gone.
        """
        declared = self.header("content-length")
        if declared is not None and declared.isdecimal() and int(declared) > limit:
            raise too_large(limit)
        message = await self._next()
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            if len(body) > limit:
                raise too_large(limit)
            return body
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._rest_of_body(body, limit)
        except TimeoutError:
            raise too_slow() from None

    async def _rest_of_body(self, body: bytes, limit: int) -> bytes:
        parts, size, more = [body], len(body), True
        while more:
            if size > limit:
                raise too_large(limit)
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
        if size > limit:
            raise too_large(limit)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, however long it is.

        Raises:
            Problem: nothing came for too long (408).
            Disconnected: the client has gone.
        """
        more = True
        while more:
            message = await self._next()
            if message.get("body"):
                yield message["body"]
            more = message.get("more_body", False)

    async def _next(self) -> Message:
        receiving = self.receive()
        try:
            # A body of one packet is there already; a timer for it would cost ten microseconds.
            waiting_for = receiving.send(None)
        except StopIteration as there:
            message: Message = there.value
        else:
            message = await _in_time(receiving, waiting_for)
        if message["type"] == "http.disconnect":
            raise Disconnected
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's send, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = merged(message.get("headers", ()), self.added)
        await self._send(message)

    async def answer(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        headers: Sequence[Header] = (),
    ) -> None:
        """Answer at once."""
        own = [
            (b"content-type", content_type.encode("latin-1")),
            (b"content-length", b"%d" % len(body)),
        ]
        self.status = status
        every = merged([*own, *headers], self.added) if headers else own + self.added
        await self._send({"type": "http.response.start", "status": status, "headers": every})
        await self._send({"type": "http.response.body", "body": body})


def too_large(limit: int, what: str = "body") -> Problem:
    """The body, or a line of it, is larger than is taken here."""
    many = "send many events as NDJSON, and " if what == "body" else "send "
    return Problem(
        413,
        "too-large",
        f"the {what} is larger than the {limit:,} bytes that are taken here; {many}large data "
        f"somewhere else with an event that says where",
        limit=limit,
        headers=(("connection", "close"),),
    )


def too_slow() -> Problem:
    """The body did not come in time."""
    return Problem(
        408,
        "too-slow",
        f"the body did not come within {BODY_SECONDS:g} seconds; send it again",
        headers=(("connection", "close"),),
    )


async def _in_time(begun: Coroutine[Any, Any, Message], waiting_for: Any) -> Message:
    """The result of a coroutine that has begun to wait, if it comes in time.

    Raises:
        Problem: it does not (408).
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _Begun(begun, waiting_for)
    except TimeoutError:
        raise too_slow() from None


class _Begun:
    """A coroutine that has begun, to be awaited from where it is."""

    __slots__ = ("_begun", "_waiting_for")

    def __init__(self, begun: Coroutine[Any, Any, Message], waiting_for: Any) -> None:
        self._begun = begun
        self._waiting_for = waiting_for

    def __await__(self) -> Generator[Any, Any, Message]:
        try:
            yield self._waiting_for
        except BaseException:
            self._begun.close()
            raise
        return (yield from self._begun.__await__())
