"""The lines of scitex-events: read from where one stopped, told from ours, made into events.

Its history is rewritten by it whenever it has more than 1,000 lines, and may be appended to by us
as well. Keeps: a line has the same id whenever and by whomever it is read; a line that is being
written is left for the next time. It knows no store.
"""

from __future__ import annotations

import os
from datetime import datetime
from hashlib import sha256
from json import dumps, loads
from typing import TYPE_CHECKING, NamedTuple

from tidings import settings
from tidings.errors import InvalidEvent
from tidings.event import Event
from tidings.state_files.names import LATEST
from tidings.state_files.places import is_our_line
from tidings.timestamps import instant_of
from tidings.transfer.lines import LineIds, NoEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

__all__ = ["Mark", "Reading", "newest_events"]

_LONGEST_LINE = 16 * 1024 * 1024
_LOOK_BACK = 64 * 1024
"""Equal lines are numbered, and counted from so many bytes before where reading goes on."""

_SEAL_BYTES = 256

_OUT_OF_ORDER = 10_000_000
"""By so much (microseconds) two processes may write their lines in the wrong order. A line that is
earlier than the one before by more was written after the clock was put back."""


class Mark(NamedTuple):
    """How far a file was read: bytes, a hash of the last ones, and the time of its last line."""

    offset: int
    seal: str
    instant: int

    @classmethod
    def of(cls, value: Any) -> Mark | None:
        """The mark of a ledger's record; none where it is none."""
        try:
            return cls(int(value["offset"]), str(value["seal"]), int(value["instant"]))
        except (TypeError, ValueError, LookupError):
            return None


class Reading:
    """One pass through a history.

    Args:
        path: the file.
        mark: how far it was read before; none reads all, as does a mark of a file that was
            rewritten since: scitex-events cuts its history to the last 1,000 lines.

    Attributes:
        offset: how far it was read by now.
    """

    def __init__(self, path: str, mark: Mark | None) -> None:
        self.path = path
        self._mark = mark
        self._ids = LineIds()
        self.offset = self._instant = 0
        self._seal = ""

    def events(self) -> Iterator[tuple[int, bytes, Event | NoEvent]]:
        """The lines that scitex-events wrote: number (from where reading began), text, event.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            file = open(self.path, "rb")  # noqa: SIM115 - the next `with` closes it
        except FileNotFoundError:
            return
        with file:
            mark = self._mark
            if mark is not None and mark.seal and _seal(file, mark.offset) == mark.seal:
                self.offset, self._instant = mark.offset, mark.instant
            number = 0
            for line, is_new in _lines(file, self.offset):
                if not is_our_line(line):
                    event_id = self._ids.id_of(line)
                    found = self._event(line, event_id) if is_new else None
                    if found is not None:
                        number += 1
                        yield number, line, found
                if is_new:
                    self.offset += len(line)
            self._seal = _seal(file, self.offset)

    def mark(self) -> Mark:
        """How far it was read."""
        return Mark(self.offset, self._seal, self._instant)

    def _event(self, line: bytes, event_id: str) -> Event | NoEvent | None:
        """The event in a line, why there is none, or none at all where the line is not theirs."""
        try:
            fields = _fields(line)
            if fields is None:
                return None
            timestamp, instant = _with_offset(fields["timestamp"], self._instant)
            self._instant = max(instant, self._instant)
            return _event(fields, timestamp, event_id)
        except NoEvent as reason:
            return reason


def newest_events(place: str) -> list[Event]:
    """The newest event of each type, in the order of time; the history may have lost them."""
    found: list[Event] = []
    for name in sorted(os.listdir(place)):
        if not name.endswith(LATEST) or name.startswith("."):
            continue
        try:
            with open(os.path.join(place, name), "rb") as file:
                text = file.read(_LONGEST_LINE)
            fields = _fields(text)
            if fields is not None:
                timestamp, _ = _with_offset(fields["timestamp"], 0)
                # As its line was, so that it is known if it came with the history.
                line = dumps(loads(text)).encode()
                found.append(_event(fields, timestamp, LineIds().id_of(line)))
        except (NoEvent, OSError):
            continue  # it is being written; its line in the history says the same
    return sorted(found, key=lambda event: event.instant)


def _lines(file: BinaryIO, start: int) -> Iterator[tuple[bytes, bool]]:
    """The whole lines of a file, and whether they lie past the start; a few from before it too."""
    place = max(0, start - _LOOK_BACK)
    file.seek(place)
    if place:
        place += len(file.readline())
    while line := file.readline(_LONGEST_LINE):
        if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
            return  # it is being written
        yield line, place >= start
        place += len(line)


def _seal(file: BinaryIO, offset: int) -> str:
    file.seek(max(0, offset - _SEAL_BYTES))
    return sha256(file.read(min(offset, _SEAL_BYTES))).hexdigest()[:32]


def _fields(text: bytes) -> dict[str, Any] | None:
    """The fields of an event of scitex-events; none where it is another's.

    Raises:
        NoEvent: it cannot be read.
    """
    try:
        # It writes what JSON has no word for: a p-value that is not a number becomes null.
        data = loads(text, parse_constant=lambda _: None)
    except RecursionError:
        raise NoEvent("it is nested too deeply to be an event") from None
    except ValueError as error:
        raise NoEvent(f"it is not one whole JSON object: {error}") from None
    if not isinstance(data, dict):
        raise NoEvent("it is no JSON object")
    timestamp = data.get("timestamp")
    if not isinstance(timestamp, str) or not timestamp:
        raise NoEvent("it does not say when it happened")
    return data if _is_local(timestamp) else None


def _is_local(timestamp: str) -> bool:
    try:
        return datetime.fromisoformat(timestamp).tzinfo is None
    except ValueError:
        raise NoEvent(f"timestamp {timestamp[:60]!r} is no ISO 8601 timestamp") from None


def _event(fields: dict[str, Any], timestamp: str, event_id: str) -> Event:
    defaults = {"project": "", "status": "unknown", "payload": {}, "source": "local"}
    try:
        return Event.from_dict(
            defaults | fields | {"timestamp": timestamp, "id": event_id},
            max_payload=settings.max_payload(),
        )
    except InvalidEvent as error:
        raise NoEvent(str(error)) from None


def _with_offset(text: str, before: int) -> tuple[str, int]:
    """A local time with its offset, so that it is the same moment everywhere; and its instant.

    When clocks are put back, an hour happens twice. Its second turn is told by lines that were
    written later and seem to be earlier.

    Args:
        text: the local time.
        before: the instant of the line before.

    Raises:
        NoEvent: it lies outside of what a calendar knows.
    """
    try:
        moment = datetime.fromisoformat(text)
        local = moment.astimezone()
        instant = instant_of(local)
        if instant < before - _OUT_OF_ORDER:
            later = moment.replace(fold=1).astimezone()
            if instant_of(later) > instant:
                local, instant = later, instant_of(later)
    except (ValueError, OverflowError, OSError) as error:
        raise NoEvent(f"timestamp {text[:60]!r} cannot be placed in time: {error}") from None
    return local.isoformat(), instant
