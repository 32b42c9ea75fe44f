"""Server-Sent Events as the client's users get them: an item for each event, across connections.

Keeps promise 2 towards a Tidings server: the position that the stream last told is what the client
comes back with, so nothing is missed and nothing comes twice. It parses, and remembers what coming
back needs; asking is the client's work. Source:
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import json
import logging
from time import monotonic
from typing import NamedTuple

import httpx
from pydantic import ValidationError

from eventuali_mcp_server.models import StreamEventItem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

__all__ = ["Frame", "Reader", "item_of", "may_pass"]

_log = logging.getLogger("eventuali_mcp_server")

_NAMES = {"event": "event_created"}
"""What the server calls a frame, and what this client's users look for."""

_PASSING = (502, 503, 504)
"""What a server that starts anew, or a proxy in front of it, answers for a while."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
"""Whatever a server tells, so that nobody asks it in a circle or forgets it (seconds)."""

_LONG = 12
"""So many digits are no number of milliseconds."""


class Frame(NamedTuple):
    """One frame of the stream."""

    event: str
    data: str


class Reader:
    """Reads frames, and remembers what counts for coming back.

    Attributes:
        last_id: the last `id` that was told; empty where none was.
        retry: how long to wait before coming back (seconds).
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry = 2.0
        self._lost_at: float | None = None

    def found(self) -> None:
        """The server answered."""
        self._lost_at = None

    def lost(self) -> None:
        """The connection ended, or none was made."""
        self._lost_at = monotonic() if self._lost_at is None else self._lost_at

    def seconds_away(self) -> float:
        """How long the server has not answered (seconds)."""
        return 0.0 if self._lost_at is None else monotonic() - self._lost_at

    async def frames(self, lines: AsyncIterable[str]) -> AsyncGenerator[Frame, None]:
        """The frames that some lines hold; what a broken connection cut off is no frame.

        >>> import asyncio
        >>> async def lines():
        ...     for line in ("retry: 500", ":", "id: 7", "event: event", "data: {}", "", "id: 8"):
        ...         yield line
        >>> reader = Reader()
        >>> async def read():
        ...     return [frame async for frame in reader.frames(lines())]
        >>> asyncio.run(read()), reader.last_id, reader.retry
        ([Frame(event='event', data='{}')], '7', 0.5)
        """
        event, data, last_id = "", list[str](), self.last_id
        async for line in lines:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                # An `id` counts with its frame: cut off before its end, the event comes again.
                self.last_id = last_id
                if data:
                    yield Frame(event or "message", "\n".join(data))
                event, data = "", []
            elif name == "event":
                event = value
            elif name == "data":
                data.append(value)
            elif name == "id" and "\0" not in value:
                last_id = value
            elif name == "retry" and value.isdecimal() and len(value) < _LONG:
                self.retry = min(max(int(value) / 1000, _SHORTEST_PAUSE), _LONGEST_PAUSE)


def item_of(frame: Frame) -> StreamEventItem | None:
    """What a frame tells; none, and a word in the log, where it holds no JSON object.

    >>> item_of(Frame("event", '{"event_id": "e1"}'))
    StreamEventItem(event='event_created', data={'event_id': 'e1'}, id='e1')
    """
    try:
        data = json.loads(frame.data)
        name = _NAMES.get(frame.event, frame.event)
        return StreamEventItem(event=name, data=data, id=data.get("event_id"))
    except (ValueError, AttributeError, RecursionError, ValidationError) as error:
        _log.warning("the stream sent something that is no event, which is passed over: %s", error)
        return None


def may_pass(error: httpx.HTTPError) -> bool:
    """Whether a server that served before may answer again soon.

    >>> may_pass(httpx.ReadError("the connection was reset")), may_pass(httpx.HTTPError("odd"))
    (True, False)
    """
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _PASSING
    return isinstance(error, httpx.TransportError)
