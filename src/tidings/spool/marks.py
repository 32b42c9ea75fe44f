"""Marks: which events are to be forwarded to a cloud, and where to.

    forward/TIME-HASH   a record of the ledger, written in the transaction that keeps the event
    .NAME.forward       a file beside an event in the spool, from which collecting makes that record

So nothing is lost between an event that is kept and its forward. A mark names an address and never
a key: who sends has a key of its own. What is done with marks is `tidings.forward`'s.
"""

from __future__ import annotations

import errno
import os
from hashlib import sha256

from tidings.durable_files import NOT_OURS, forget, remove, write_durably
from tidings.store.base import Put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.event import Event

__all__ = ["PREFIX", "forget_mark", "key_of", "mark", "marked_url", "remove_mark", "write_mark"]

PREFIX = "forward/"

_MOST_BYTES = 4096


def mark(event: Event, url: str, claim: dict[str, Any] | None = None) -> Put:
    """The record that says an event is to be forwarded.

    Args:
        event: which one.
        url: where to.
        claim: who is about to do it; none for nobody yet.
    """
    value = {
        "id": event.id,
        "source": event.source,
        "url": url,
        "attempts": 0,
        "due": 0,
        "claim": claim,
        "error": "",
    }
    return Put(key_of(event, url), value)


def key_of(event: Event, url: str) -> str:
    """The key of its record: in the order in which events happened, and always the same one."""
    said = f"{url}\0{event.source}\0{event.id}".encode()
    return f"{PREFIX}{max(event.instant, 0):018d}-{sha256(said).hexdigest()[:32]}"


def write_mark(path: str, url: str) -> None:
    """Mark the event that is about to be written to this file of the spool."""
    write_durably(_beside(path), f"{url}\n".encode())


def marked_url(path: str) -> str:
    """Where the event in a file of the spool is to be forwarded to; empty for nowhere."""
    try:
        with open(_beside(path), "rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace").strip()
    except OSError as error:
        # A name that others gave may leave no room for that of a mark.
        if error.errno not in (*NOT_OURS, errno.ENAMETOOLONG):
            raise
        return ""


def remove_mark(path: str) -> None:
    """Take the mark of a file away, once it is a record."""
    remove(_beside(path))


def forget_mark(path: str) -> None:
    """Take the mark of a file away that was not kept; where that fails, it stays."""
    forget(_beside(path))


def _beside(path: str) -> str:
    # Hidden files are left alone by whoever collects, also by those that know nothing of marks.
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.forward")
