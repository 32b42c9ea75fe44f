"""What stands behind the name `scitex_events`: its verbs on a bus, its files, and what it left.

Keeps: an emit always leaves its event in the state files of scitex-events, in their form, and in
the store, or in the spool where that is away; it raises only where no place at all took it. What
scitex-events itself wrote, before or beside us, is imported before it could be missed. Bringing it
in costs an emit a quarter of a second at most, once, and never makes one fail.
"""

from __future__ import annotations

import atexit
import logging
import os
import warnings
from json import dumps, loads
from threading import Lock, Thread
from typing import TYPE_CHECKING

from tidings import settings
from tidings.api import DefaultBus
from tidings.built_in_types import BUILT_IN
from tidings.bus import OWN_TYPES, Bus
from tidings.errors import (
    InvalidEvent,
    NotKept,
    OutcomeUnknown,
    StoreClosed,
    StoreUnavailable,
    TransferError,
)
from tidings.state_files import SIX_FIELDS, StateFiles, six_fields
from tidings.state_files.places import has_files, may_have_foreign_files, places
from tidings.store.query import Filter
from tidings.timestamps import parse_instant

if TYPE_CHECKING:
    from typing import Any

    from tidings.event import Event
    from tidings.transfer.scitex_events import ScitexFiles

__all__ = ["KeptInFilesOnly", "emit", "get_type_info", "history", "latest", "list_types"]

_KNOWN_TYPES = ("build_result", "job_done", "scholar_done", "stats_done", "test_complete")

_PATIENCE = 0.25
"""So long an emit waits for what was there before (seconds), so that it comes after that."""

_LAST_PATIENCE = 1.0
"""So long the process's end does (seconds)."""

_AWAY = (StoreUnavailable, OutcomeUnknown, StoreClosed)
_OWN = Filter(types=OWN_TYPES)

_log = logging.getLogger("tidings.integrations.scitex_events")


class KeptInFilesOnly(RuntimeWarning):
    """Neither store nor spool could take an event; it stands in the state files, and nowhere else.

    Those are not synced to the disk, and nobody moves it into a store later.
    """


def emit(
    event_type: str, project: str, status: str, payload: dict[str, Any] | None, source: str
) -> Event:
    """Keep an event in the store and write it to the state files; arguments as for `Bus.emit`.

    Raises:
        InvalidEvent: a field breaks its rule; nothing was kept.
        NotKept: neither the store, nor the spool, nor the state files could take it.
    """
    bus, files = _bus(), _files()
    _inbox(bus).begin()
    event = _event(bus, event_type, project, status, payload, source)
    try:
        event = bus.publish(event)
    except NotKept as error:
        if not files.write(event):
            raise
        warnings.warn(f"{event!r}: {error}", KeptInFilesOnly, stacklevel=3)
    else:
        files.write(event)
    return event


def latest(event_type: str | None = None) -> dict[str, Any] | None:
    """The newest event's six fields, of one type if given; none where there is none."""
    written = _files().latest(event_type)
    bus = _bus()
    try:
        _bring_in(bus)
        if event_type is not None:
            kept = bus.latest(event_type)
        else:
            kept = next(iter(bus.history(1, exclude=_OWN)), None)
    except _AWAY as error:
        _log.info("the state files are read, as %s", error)
        kept = None
    if kept is None:
        return _six(written)
    # What was imported is the last that the store took, and need not be what happened last.
    if written is not None and _instant(written) > kept.instant:
        return _six(written)
    return six_fields(kept)


def history(limit: int = 20) -> list[dict[str, Any]]:
    """The newest events' six fields, newest first; at most `limit`."""
    if limit <= 0:
        return []
    bus = _bus()
    try:
        _bring_in(bus)
        return [six_fields(event) for event in bus.history(limit, exclude=_OWN)]
    except _AWAY as error:
        _log.info("the state files are read, as %s", error)
    return [event for line in _files().history(limit) if (event := _six(line)) is not None]


def list_types() -> list[str]:
    """The types that scitex-events knows and those that users registered, sorted."""
    try:
        registered = {*_bus().list_types()} - BUILT_IN.keys()
    except _AWAY:
        registered = set()
    return sorted({*_KNOWN_TYPES, *registered})


def get_type_info(event_type: str) -> dict[str, Any]:
    """What is known of a type: description, payload keys, maybe a schema; else empty."""
    try:
        return _bus().get_type_info(event_type)
    except _AWAY:
        return {**BUILT_IN.get(event_type, {})}


def _event(
    bus: Bus, event_type: str, project: str, status: str, payload: Any, source: str
) -> Event:
    try:
        return bus.event(event_type, project, status, payload, source)
    except InvalidEvent as error:
        # scitex-events writes what JSON has no word for, such as a p-value that is not a number.
        if error.field != "payload" or not _has_no_word(payload):
            raise
    plain = loads(dumps(payload), parse_constant=lambda _: None)
    return bus.event(event_type, project, status, plain, source)


def _has_no_word(payload: object) -> bool:
    """Whether a payload could be kept but for numbers that are none."""
    try:
        dumps(payload, allow_nan=True)
    except (TypeError, ValueError, RecursionError):
        return False
    try:
        dumps(payload, allow_nan=False)
    except ValueError:
        return True
    return False


def _six(written: dict[str, Any] | None) -> dict[str, Any] | None:
    """The six fields of what stands in a state file, by the defaults of scitex-events."""
    if written is None or not isinstance(written.get("type"), str):
        return None
    return {
        "type": written["type"],
        "project": written.get("project", ""),
        "status": written.get("status", "unknown"),
        "payload": written.get("payload", {}),
        "source": written.get("source", "local"),
        "timestamp": written.get("timestamp", ""),
    }


def _instant(written: dict[str, Any]) -> int:
    try:
        return parse_instant(written["timestamp"])
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return 0


# What it works with -------------------------------------------------------------------------------


def _wanted() -> tuple[object, ...]:
    return (
        settings.default_url(),
        settings.spool_directory(),
        settings.state_directory(),
        settings.scitex_target() or settings.api_target(),
    )


_bus = DefaultBus(_wanted, lambda: Bus(forward=settings.scitex_target()))
_written: dict[str, StateFiles] = {}


def _files() -> StateFiles:
    directory = settings.scitex_directory()
    if directory not in _written:
        _written[directory] = StateFiles(directory, SIX_FIELDS)
    return _written[directory]


def _bring_in(bus: Bus) -> None:
    """Move what waits in the spool into the store, and what scitex-events wrote."""
    try:
        if bus.spool.waiting():
            bus.collect()
    except TransferError as error:
        _log.warning("what waits in the spool is not shown: %s", error)
    _inbox(bus).bring_in()


class _Inbox:
    """What scitex-events wrote, on its way into the store of one bus.

    Args:
        bus: whose.
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._files: ScitexFiles | None = None
        self._has_begun = False
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Bring in what is there, before the first event; the others do not wait."""
        if self._has_begun:
            return
        self._has_begun = True
        if not may_have_foreign_files():
            return
        self._thread = Thread(target=self._run, name="tidings-scitex-events", daemon=True)
        self._thread.start()
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            atexit.register(self._thread.join, _LAST_PATIENCE)

    def bring_in(self) -> None:
        """Bring in what is new.

        Raises:
            StoreUnavailable: the store is away; so does `OutcomeUnknown`.
        """
        self._has_begun = True
        if self._files is not None or any(map(has_files, places())):
            self._import()

    def _run(self) -> None:
        try:
            self._import()
        except _AWAY as error:
            _log.info("what scitex-events wrote is imported later, as %s", error)
        except Exception:  # noqa: BLE001 - a bug here must not make an emit fail
            _log.exception("a bug keeps what scitex-events wrote from coming in; please report it")

    def _import(self) -> None:
        if self._files is None:
            # Loaded late: most have nothing to bring in.
            from tidings.transfer.scitex_events import ScitexFiles

            self._files = ScitexFiles(self.bus.store)
        self._files.import_new()


_lock = Lock()
_inboxes: list[_Inbox] = []


def _inbox(bus: Bus) -> _Inbox:
    """The inbox of the bus that is used just now."""
    with _lock:
        if not _inboxes or _inboxes[0].bus is not bus:
            _inboxes[:] = [_Inbox(bus)]
        return _inboxes[0]


def _start_anew() -> None:
    """A forked child has no thread of its parent's, and may have got a lock that one held."""
    global _lock
    _lock = Lock()
    _inboxes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
