"""What stands on the line: events and signs of life as Server-Sent Events.

Keeps promise 6 for the stream: nothing in an event can end a frame or begin another. An event's
`id` is its position, `data` is one line of JSON, and both are written here alone. Source:
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from tidings.event_item import item_json
from tidings.fields import encode_json, forbidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import Event

__all__ = [
    "HEARTBEAT",
    "NAMINGS",
    "farewell",
    "frame_of",
    "gap",
    "join",
    "position_mark",
    "reconnect_after",
]

NAMINGS = ("event", "type", "none")
"""What the `event` field says: `event` as the peer sends it, the event's type, or nothing, so that
a browser's plain `onmessage` gets it."""

HEARTBEAT = b":\n"
"""A comment. No empty line after it: there is no event to end, and some clients would see one."""

_EVENT = b"event: event\n"

_OUR_NAMES = frozenset(("error", "gap", "open"))
"""Types that a client would take for a sign of ours or of its own; these are named `event`."""


def frame_of(event: Event) -> bytes:
    """An event's frame without its `event` field, which comes first.

    Raises:
        StoreDamaged: what the store gave is not what it was given.
    """
    return b"id: %d\ndata: %b\n\n" % (event.position or 0, one_line(item_json(event)))


def one_line(text: bytes) -> bytes:
    r"""JSON text as one line, whoever splits lines: also where only Python would.

    Nothing we write holds a line break, and a raw one in foreign JSON is white space.

    >>> one_line(b'{"n":\r\n1}'), one_line('"a\u2028b"'.encode())
    (b'{"n":  1}', b'"a\\u2028b"')
    """
    if b"\n" in text or b"\r" in text:
        text = text.replace(b"\r", b" ").replace(b"\n", b" ")
    if not text.isascii():
        for character in "\x85\u2028\u2029":
            text = text.replace(character.encode(), b"\\u%04x" % ord(character))
    return text


def join(naming: str, events: Sequence[Event], frames: Sequence[bytes]) -> bytes:
    """The frames of events, one after the other, each with the `event` field asked for.

    >>> join("event", [], [])
    b''
    """
    if naming == "type":
        return b"".join(_type_field(e) + f for e, f in zip(events, frames, strict=True))
    if naming == "none" or not frames:
        return b"".join(frames)
    return _EVENT + _EVENT.join(frames)


def _type_field(event: Event) -> bytes:
    name = event.type
    if name in _OUR_NAMES or any(map(forbidden, name)):
        return _EVENT
    return b"event: %b\n" % name.encode()


def gap(reason: str, asked: int, first: int) -> bytes:
    r"""Tells a client that it cannot go on from where it was.

    Args:
        reason: `pruned` where history is gone, `ahead` where there was none yet.
        asked: the position it wanted to go on from.
        first: the first position it can get.

    >>> gap("pruned", 7, 12)
    b'id: 11\nevent: gap\ndata: {"reason":"pruned","asked":7,"first":12}\n\n'
    """
    data = encode_json({"reason": reason, "asked": asked, "first": first}).encode()
    return b"id: %d\nevent: gap\ndata: %b\n\n" % (first - 1, data)


def position_mark(position: int) -> bytes:
    """Tells a client where it stands, without an event: it goes on from there when it comes back.

    A frame without data sets the last event id and dispatches nothing.
    """
    return b"id: %d\n\n" % position


def reconnect_after(seconds: float) -> bytes:
    r"""Tells a client how long to wait before it comes back.

    >>> reconnect_after(1.5)
    b'retry: 1500\n'
    """
    return b"retry: %d\n" % round(seconds * 1000)


def farewell(seconds: float) -> bytes:
    """Tells a client that its stream ends here, and when to come back."""
    return reconnect_after(seconds) + b": this stream ends; come back and nothing is missed\n"
