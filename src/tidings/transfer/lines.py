"""Lines of a file that is imported: read one by one, each an event or a reason why it is none."""

from __future__ import annotations

from hashlib import sha256
from json import loads
from typing import TYPE_CHECKING

from tidings.errors import InvalidEvent, InvalidSetting, shorten
from tidings.event import Event
from tidings.settings import max_payload
from tidings.transfer.compression import reader_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any, BinaryIO

    from tidings.transfer.compression import LineReader

__all__ = ["Damaged", "EventReader", "LineIds", "NoEvent", "numbered_lines"]

_OTHER_FIELDS_BYTES = 4 * 1024 * 1024  # context and extensions, at most 1 MiB each, and the rest
_LONGEST_ESCAPE = 6  # `\u0001`, the longest way to write one byte of a payload
_REMEMBERED_LINES = 100_000


class NoEvent(Exception):  # noqa: N818 - names say what is; these never leave the import
    """A line holds no event; the text says why."""


class Damaged(Exception):  # noqa: N818
    """The file cannot be read on; says after which line."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def numbered_lines(file: BinaryIO) -> Generator[tuple[int, bytes | None]]:
    """The lines that are not blank, with their numbers from 1 on; None for one that is too long.

    Args:
        file: what to read, compressed or not.

    Raises:
        Damaged: it cannot be read on.
        MissingExtra: it is compressed with zstd, and nothing here knows it.
    """
    number = 0
    damage: tuple[type[Exception], ...] = (OSError,)
    try:
        with reader_of(file) as (reader, damage):
            for line in _lines(reader, _longest_line()):
                number += 1
                if line is None or line.strip():
                    yield number, line
    except damage as error:
        raise Damaged(number) from error


def _lines(reader: LineReader, longest: int) -> Iterator[bytes | None]:
    while line := reader.readline(longest + 1):
        if len(line) <= longest or line.endswith(b"\n"):
            yield line
            continue
        while (rest := reader.readline(longest)) and not rest.endswith(b"\n"):
            continue
        yield None


def _longest_line() -> int:
    return _OTHER_FIELDS_BYTES + _LONGEST_ESCAPE * max_payload()


class EventReader:
    """Makes events of lines.

    Args:
        form: `ndjson` or `cloudevents`; none tells them apart line by line.

    Raises:
        InvalidSetting: the form has another name.
    """

    def __init__(self, form: str | None) -> None:
        if form not in (None, "ndjson", "cloudevents"):
            raise InvalidSetting(f"form {shorten(form)} must be ndjson or cloudevents")
        self._form = form
        self._max_payload = max_payload()
        self._ids = LineIds()

    def event(self, number: int, line: bytes | None) -> Event:
        """The event in a line.

        Raises:
            NoEvent: it holds none; the text says why.
        """
        if line is None:
            raise NoEvent(f"it is longer than any event, {_longest_line():,} bytes")
        try:
            data = loads(line.decode("utf-8-sig"))
            return self._event_of(data, number, line)
        except RecursionError:
            raise NoEvent("it is nested too deeply to be an event") from None
        except InvalidEvent as error:
            raise NoEvent(str(error)) from None
        except UnicodeDecodeError as error:
            raise NoEvent(f"it is not UTF-8: {error}") from None
        except ValueError as error:
            end = "" if line.endswith(b"\n") else "; the file ends within it"
            raise NoEvent(f"it is not one whole JSON object: {error}{end}") from None

    def _event_of(self, data: Any, number: int, line: bytes) -> Event:
        if self._form == "cloudevents" or (self._form is None and _is_cloudevent(data)):
            from tidings.cloudevents import from_cloudevent

            return from_cloudevent(data, max_payload=self._max_payload)
        if isinstance(data, dict) and data.get("id") is None:
            data["id"] = self._ids.id_of(line, 0 if data.get("timestamp") else number)
        return Event.from_dict(data, max_payload=self._max_payload)


class LineIds:
    """The ids of events that came without one, as scitex-events wrote them.

    An id is the same whenever the line is imported: of its text, and its ordinal among equal lines
    (those close by, so that memory stays bounded).
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def id_of(self, line: bytes, number: int = 0) -> str:
        """The id of the next event.

        Args:
            line: its text.
            number: its place in the file, where it does not say when it happened: it is known by
                that alone.
        """
        key = sha256(b"%d %s" % (number, line.strip())).digest()[:16]
        ordinal = self._seen.pop(key, 0) + 1
        self._seen[key] = ordinal
        if len(self._seen) > _REMEMBERED_LINES:
            del self._seen[next(iter(self._seen))]
        return f"line-{key.hex()}-{ordinal}"


def _is_cloudevent(data: object) -> bool:
    return isinstance(data, dict) and "specversion" in data
