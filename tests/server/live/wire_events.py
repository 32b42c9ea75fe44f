"""A strict reader of event streams, word by word as the HTML standard has it.

Clients in the field forgive; this one says what a browser would see. Source:
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Message", "Reader", "messages_in"]


class Message(NamedTuple):
    """What a browser dispatches."""

    event: str
    data: str
    last_id: str


class Reader:
    """Reads an event stream as it comes.

    Attributes:
        last_id: the last event id; what a browser sends when it comes back.
        retry: how long it then waits (milliseconds).
        comments: the comments seen.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry: int | None = None
        self.comments: list[str] = []
        self._id = self._event = self._data = ""
        self._rest = b""
        self._begun = False

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that are whole now."""
        self._rest += chunk
        if not self._begun and len(self._rest) >= 3:
            self._rest = self._rest.removeprefix(b"\xef\xbb\xbf")
            self._begun = True
        # A CR at the end may be the first half of CRLF.
        *lines, self._rest = re.split(rb"\r\n|\n|\r(?!\Z)", self._rest)
        found = (self._line(line.decode()) for line in lines)
        return [message for message in found if message is not None]

    def _line(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            self.comments.append(line[1:])
            return None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)
        return None

    def _dispatch(self) -> Message | None:
        self.last_id = self._id
        event, data = self._event, self._data
        self._event = self._data = ""
        if not data:
            return None
        return Message(event or "message", data.removesuffix("\n"), self.last_id)


def messages_in(stream: bytes) -> list[Message]:
    """All messages of a whole stream."""
    return Reader().feed(stream)
