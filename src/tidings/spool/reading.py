"""Reading one file of the spool: an event, or the reason why it is none.

Anyone may put files into a spool, so nothing about one is taken for granted: not that it is a plain
file, nor its size, its encoding or its JSON.
"""

from __future__ import annotations

import os
from hashlib import sha256
from json import loads
from stat import S_ISREG

from tidings.errors import InvalidEvent
from tidings.event import Event
from tidings.settings import max_payload
from tidings.timestamps import format_instant

__all__ = ["NoEvent", "read_event"]

_OTHER_FIELDS_BYTES = 4 * 1024 * 1024  # context and extensions, at most 1 MiB each, and the rest
_LONGEST_ESCAPE = 6  # `\u0001`, the longest way to write one byte of a payload

# A link could lead anywhere, and opening a pipe would wait for its other end.
_READ_PLAIN = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


class NoEvent(Exception):  # noqa: N818 - names say what is; it never leaves the spool
    """A file holds no event; the text says why."""


def read_event(path: str) -> tuple[Event, int]:
    """The event in a file, and the file's size (bytes).

    Raises:
        NoEvent: it holds none.
        OSError: it cannot be read.
    """
    text, changed = _read_text(path)
    try:
        data = loads(text.decode("utf-8-sig", "replace"))
        if isinstance(data, dict):
            _complete(data, os.path.basename(path), changed, text)
        return Event.from_dict(data, max_payload=max_payload()), len(text)
    except RecursionError:
        raise NoEvent("it is nested too deeply to be an event") from None
    except InvalidEvent as error:
        raise NoEvent(str(error)) from None
    except (ValueError, OverflowError) as error:
        raise NoEvent(f"it is not one whole JSON object: {error}") from None


def _complete(data: dict[str, object], name: str, changed: int, text: bytes) -> None:
    """Give an event what its file says for it, the same each time it is read."""
    if data.get("id") is None:
        said = b"\0".join((os.fsencode(name), str(changed).encode(), text))
        data["id"] = f"spool-{sha256(said).hexdigest()[:32]}"
    if data.get("timestamp") in (None, ""):
        data["timestamp"] = format_instant(changed // 1000)


def _read_text(path: str) -> tuple[bytes, int]:
    """What a plain file holds, and when it was changed (nanoseconds since 1970)."""
    if not S_ISREG(os.lstat(path).st_mode):
        raise NoEvent("it is not a plain file")
    most = _OTHER_FIELDS_BYTES + _LONGEST_ESCAPE * max_payload()
    with open(os.open(path, _READ_PLAIN), "rb") as file:
        text = file.read(most + 1)
        changed = os.fstat(file.fileno()).st_mtime_ns
    if len(text) > most:
        raise NoEvent(f"it is larger than any event, {most:,} bytes")
    return text, changed
