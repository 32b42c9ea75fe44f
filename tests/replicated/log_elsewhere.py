"""What other threads and processes do with a log, for `log_contract`; each returns what it saw."""

from __future__ import annotations

import os
import signal
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from tidings.testing.elsewhere import FORKS, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from tidings.store.replicated.log import Entry, Log

    Opener: TypeAlias = Callable[[], Log]

__all__ = [
    "fork_while_publishing",
    "identity_of",
    "named",
    "publish_all",
    "publish_many",
    "read_all",
    "read_until",
]

_CHILD_PATIENCE = 60


def named(*data: bytes) -> list[tuple[str, bytes]]:
    """Entries with names of their own."""
    return [(uuid4().hex, each) for each in data]


def publish_all(log: Log, *data: bytes) -> None:
    """Publish entries in one call."""
    log.publish(named(*data), PATIENCE)


def read_until(log: Log, last: bytes, after: int = 0) -> list[Entry]:
    """Read on from a sequence until an entry came; gives all up to it."""
    return read_all(log, [last], after)


def read_all(log: Log, wanted: Sequence[bytes], after: int = 0) -> list[Entry]:
    """Read on from a sequence until all of some entries came; gives everything that came."""
    seen: list[Entry] = []
    missing = set(wanted)
    end = monotonic() + PATIENCE
    while missing:
        if monotonic() > end:
            raise TimeoutError(f"{len(seen)} entries came, and {len(missing)} did not: {missing}")
        log.wait(after, 1.0)
        entries = log.read(after)
        seen += entries
        missing.difference_update(entry.data for entry in entries)
        after = entries[-1].sequence if entries else after
    return seen


def publish_many(open_log: Opener, publisher: int, count: int) -> list[bytes]:
    """Publish numbered entries, one to four a call; gives them."""
    kept: list[bytes] = []
    log = open_log()
    try:
        while len(kept) < count:
            size = min(1 + len(kept) % 4, count - len(kept))
            data = [b"%d:%d" % (publisher, len(kept) + n) for n in range(size)]
            publish_all(log, *data)
            kept += data
    finally:
        log.close()
    return kept


def identity_of(open_log: Opener) -> str:
    """The identity of a log that is opened for it."""
    log = open_log()
    try:
        return log.identity()
    finally:
        log.close()


def fork_while_publishing(open_log: Opener) -> list[str]:
    """Fork again and again while a thread publishes; gives what went wrong, in children or here."""
    log = open_log()
    enough = Flag()
    own: list[bytes] = []

    def publish() -> None:
        while not enough.wait(0.001):
            data = b"parent:%d" % len(own)
            publish_all(log, data)
            own.append(data)

    thread = Thread(target=publish)
    try:
        publish_all(log, b"first")
        read_until(log, b"first")
        thread.start()
        complaints = [_complaint_of_child(log, number) for number in range(FORKS)]
        enough.set()
        thread.join(PATIENCE)
        children = [b"child:%d" % number for number in range(FORKS)]
        entries = [entry.data for entry in read_all(log, [*own, *children])]
    finally:
        enough.set()
        log.close()
    if sorted(entries) != sorted([b"first", *own, *children]):
        complaints.append(f"published {len(own)} and {children}, read {entries}")
    return [complaint for complaint in complaints if complaint]


def _complaint_of_child(log: Log, number: int) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            # A child that hangs on a lock it inherited is killed, and its test fails.
            signal.alarm(_CHILD_PATIENCE)
            os.write(writer, _publish_and_read(log, number).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as told:
        complaint = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return complaint if code == 0 else f"child {number} ended with {code} {complaint}"


def _publish_and_read(log: Log, number: int) -> str:
    try:
        data = b"child:%d" % number
        publish_all(log, data)
        read_until(log, data)
        log.close()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent shall hear of it
        return f"{type(error).__name__}: {error}"
    return ""
