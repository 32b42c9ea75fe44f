"""Collecting: from the files in new/ into a store, in groups, idempotently by id.

Keeps: a file goes away only after its event is kept, and what is no event is put aside with its
reason. It can be killed anywhere; the next collect goes on.
"""

from __future__ import annotations

import os
from stat import S_ISREG
from time import time

from tidings.durable_files import NOT_OURS, make_directory, names_in, remove
from tidings.errors import Conflict, InvalidEvent
from tidings.spool.marks import mark, marked_url, remove_mark
from tidings.spool.reading import NoEvent, read_event
from tidings.store.base import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from tidings.event import Event
    from tidings.spool import Spool
    from tidings.store.base import Put, Store

    Events: TypeAlias = dict[str, Event]
    Reasons: TypeAlias = dict[str, str]

__all__ = ["collect"]

_GROUP_FILES = 500
_GROUP_BYTES = 8 * 1024 * 1024
_ABANDONED_AFTER = 36 * 3600
"""The age at which the writer of a file in tmp/ counts as dead (seconds); maildir(5) says so."""

_NAME_BYTES = 200
"""Of a rejected file's name: with a number and `.reason` it fits the 255 bytes names may have."""


def collect(spool: Spool, store: Store) -> tuple[int, int]:
    """Move the files that wait into the store; how many were kept and how many rejected."""
    kept = rejected = 0
    _rescue_abandoned(spool)
    paths = (spool.path("new", name) for name in names_in(spool.path("new")))
    for events, unfit in _groups(paths):
        moved, refused = _keep(events, store)
        kept += moved
        for path, reason in (unfit | refused).items():
            rejected += _reject(spool, path, reason)
    return kept, rejected


def _groups(paths: Iterable[str]) -> Iterator[tuple[Events, Reasons]]:
    """Read files, a bounded number at a time: events by path, and why the others hold none."""
    events: Events = {}
    unfit: Reasons = {}
    size = 0
    for path in paths:
        try:
            events[path], read = read_event(path)
            size += read
        except NoEvent as reason:
            unfit[path] = str(reason)
        except OSError as error:
            if error.errno not in NOT_OURS:
                raise
        if len(events) + len(unfit) >= _GROUP_FILES or size >= _GROUP_BYTES:
            yield events, unfit
            events, unfit, size = {}, {}, 0
    if events or unfit:
        yield events, unfit


def _keep(events: Events, store: Store) -> tuple[int, Reasons]:
    """Keep each event for itself, then remove its file; also why some are refused."""
    kept, failure = 0, None
    refused: Reasons = {}
    batches = [Batch([event], put=_marks(path, event)) for path, event in events.items()]
    results = store.append_all(batches) if events else []
    for path, batch, result in zip(events, batches, results, strict=True):
        if isinstance(result, list):
            kept += remove(path)
            if batch.put:
                remove_mark(path)
        elif isinstance(result, Conflict | InvalidEvent):
            refused[path] = str(result)
        else:
            failure = result
    if failure is not None:
        raise failure
    return kept, refused


def _marks(path: str, event: Event) -> list[Put]:
    """What is written with an event: that it is to be forwarded, if it is."""
    url = marked_url(path)
    return [mark(event, url)] if url else []


def _reject(spool: Spool, path: str, reason: str) -> bool:
    """Put a file aside with its reason; says whether it was still there.

    The file goes first, so that of two collectors only one explains it. One that is killed in
    between leaves it without a reason; moved back to new/ it is judged again.
    """
    make_directory(spool.path("rejected"))
    place = _free_place(spool, os.path.basename(path))
    try:
        os.rename(path, place)
    except FileNotFoundError:
        return False
    with open(f"{place}.reason", "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{reason}\n")
    return True


def _free_place(spool: Spool, name: str) -> str:
    wanted = spool.path("rejected", os.fsdecode(os.fsencode(name)[:_NAME_BYTES]))
    place, number = wanted, 1
    while os.path.lexists(place) or os.path.lexists(f"{place}.reason"):
        number += 1
        place = f"{wanted}.{number}"
    return place


def _rescue_abandoned(spool: Spool) -> None:
    """Move whole events that dead writers left in tmp/ to new/, and remove torn ones.

    A clock that is wrong by more than a day could call a living writer dead. That is harmless: what
    it wrote is then in new/ before it comes to rename it.
    """
    for name in names_in(spool.path("tmp")):
        path = spool.path("tmp", name)
        try:
            status = os.lstat(path)
            if S_ISREG(status.st_mode) and time() - status.st_mtime > _ABANDONED_AFTER:
                _rescue(spool, path)
        except OSError as error:
            if error.errno not in NOT_OURS:
                raise


def _rescue(spool: Spool, path: str) -> None:
    try:
        read_event(path)
    except NoEvent:
        remove(path)
        return
    make_directory(spool.path("new"))
    os.rename(path, spool.path("new", os.path.basename(path)))
