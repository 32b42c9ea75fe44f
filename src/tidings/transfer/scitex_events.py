"""What scitex-events wrote: its history and its newest events, read into a store.

Where that lies, `state_files.places` knows; `scitex_lines` reads it. Its events are told by their
times: it writes local time without an offset, Tidings never does. Keeps: each of them comes into a
store once, whoever imports it how often, also the later ones of a scitex-events that lives on
elsewhere; its files stay as they are. A record of the ledger says how far a file was read, and is
only there to save work.
"""

from __future__ import annotations

import logging
import os
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from tidings.errors import NotAllowed, TransferError
from tidings.state_files.names import HISTORY, LATEST
from tidings.state_files.places import has_files, places
from tidings.transfer.importing import Groups
from tidings.transfer.lines import NoEvent
from tidings.transfer.scitex_lines import Mark, Reading, newest_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.event import Event
    from tidings.store.base import Store
    from tidings.transfer.importing import Imported

__all__ = ["ScitexFiles", "import_scitex_events"]

_PREFIX = "scitex-events/"

_WORTH_A_MARK = 256 * 1024
"""After so many bytes without news it is noted how far a file was read."""

_REMEMBERED = 20_000

_log = logging.getLogger("tidings.transfer.scitex_events")


def import_scitex_events(
    store: Store,
    directory: str | os.PathLike[str] | None = None,
    *,
    progress: Callable[[int, int, int | None], None] | None = None,
) -> Imported:
    """Import all that scitex-events wrote, whatever was imported before; nothing is repeated.

    Args:
        store: where it goes.
        directory: where its files lie, or the one above; none for every place they may lie in.
        progress: called now and then with lines and bytes read so far (and none: what there is in
            all is not known).

    Raises:
        TransferError: the directory holds no such files, or they cannot be read.
        StoreUnavailable: the store takes nothing now; run it again.
        OutcomeUnknown: as before; nothing is repeated.
    """
    found = [place for place in places(directory) if has_files(place)]
    if not found and directory is not None:
        raise TransferError(
            f"{os.fspath(directory)} holds no files of scitex-events: neither {HISTORY} nor one "
            f"that ends in {LATEST}, there or in `runtime` or `events`"
        )
    groups = Groups(store)
    for place in found:
        reading = Reading(os.path.join(place, HISTORY), None)
        seen: set[str] = set()
        try:
            for number, line, event in reading.events():
                seen.update(() if isinstance(event, NoEvent) else (event.id,))
                _take(groups, number, event, len(line))
                if groups.is_due:
                    groups.keep(reading.path)
                    if progress is not None:
                        progress(groups.read, reading.offset, None)
            _take_newest(groups, place, seen)
        except OSError as error:
            raise TransferError(f"{place} cannot be read: {error}") from error
        groups.keep(place)
    return groups.imported()


class ScitexFiles:
    """What scitex-events wrote and writes, as far as one process brought it into a store.

    Args:
        store: where it goes.

    Safe for many threads.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._known: dict[str, _Known] = {}
        self._may_read = True

    def import_new(self) -> int:
        """Import what is new since the last time, by this process or any other; how many events.

        Where no file has changed, that takes a few microseconds. What is no event is left out and
        logged.

        Raises:
            StoreUnavailable: the store is away; so does `OutcomeUnknown`.
        """
        with self._lock:
            if not self._may_read:
                return 0
            return sum(self._import_place(place) for place in places())

    def _import_place(self, place: str) -> int:
        path = os.path.join(place, HISTORY)
        try:
            stamp = _stamp_of(path)
            known = self._known.get(path)
            if stamp is None and (known is not None or not os.path.isdir(place)):
                return 0
            if known is not None and known.stamp == stamp:
                return 0
            return self._import(place, path, stamp, known)
        except OSError as error:
            _log.warning("what scitex-events wrote to %s cannot be read: %s", place, error)
            return 0

    def _import(self, place: str, path: str, stamp: _Stamp | None, known: _Known | None) -> int:
        key, is_first = _key_of(path), False
        if known is None:
            mark = self._noted(key)
            known = _Known(stamp, mark, 0 if mark is None else mark.offset, set())
            is_first = mark is None
        groups = Groups(self._store)
        reading = Reading(path, known.mark)
        for number, line, event in reading.events():
            # scitex-events writes its whole history anew: what we brought needs not be sent again.
            if isinstance(event, NoEvent) or event.id not in known.brought:
                _take(groups, number, event, len(line))
            if not isinstance(event, NoEvent):
                known.brought.add(event.id)
            if groups.is_due:
                groups.keep(path)
        is_news = groups.read > 0
        if is_first or is_news:
            _take_newest(groups, place, known.brought)
        groups.keep(path)
        mark, noted = reading.mark(), known.noted
        if is_news or not noted <= mark.offset <= noted + _WORTH_A_MARK:
            self._store.put(key, {"path": path, **mark._asdict()})
            noted = mark.offset
        brought = known.brought if len(known.brought) < _REMEMBERED else set()
        self._known[path] = _Known(stamp, mark, noted, brought)
        return _told(place, groups)

    def _noted(self, key: str) -> Mark | None:
        """How far any process noted that it read a file."""
        try:
            record = self._store.get(key)
        except NotAllowed:
            # A server's key that may only emit. Without marks each process would send all anew.
            self._may_read = False
            raise
        return None if record is None else Mark.of(record.value)


class _Stamp(NamedTuple):
    number: int
    size: int
    changed: int


class _Known(NamedTuple):
    """What a process knows of a file.

    `stamp` is what it was like when it was read up to `mark`, `noted` how far that is said in the
    ledger, and `brought` are the ids of events that this process read in it.
    """

    stamp: _Stamp | None
    mark: Mark | None
    noted: int
    brought: set[str]


def _take(groups: Groups, number: int, event: Event | NoEvent, size: int) -> None:
    groups.read += 1
    if isinstance(event, NoEvent):
        groups.reject(number, str(event))
    else:
        groups.take(number, event, size)


def _take_newest(groups: Groups, place: str, seen: set[str]) -> None:
    for event in newest_events(place):
        if event.id not in seen:
            _take(groups, 0, event, 0)


def _stamp_of(path: str) -> _Stamp | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _Stamp(status.st_ino, status.st_size, status.st_mtime_ns)


def _key_of(path: str) -> str:
    host = os.uname().nodename if hasattr(os, "uname") else ""
    return _PREFIX + sha256(f"{host}\0{os.path.realpath(path)}".encode()).hexdigest()[:32]


def _told(place: str, groups: Groups) -> int:
    imported = groups.imported()
    if imported.kept:
        _log.info("%d events of scitex-events came from %s", imported.kept, place)
    if imported.rejected:
        _log.warning(
            "%d lines of scitex-events in %s are no events, such as: %s; "
            "`tidings import scitex-events` says why each",
            imported.rejected,
            place,
            imported.reasons[0].reason,
        )
    return imported.kept
