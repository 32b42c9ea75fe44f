"""What client and server of a remote store say to each other: events, batches and queries as JSON.

Lossless: an event travels as the values of its record, so timestamps stay as written, foreign ids
and checksums are kept. What a server is sent it does not trust: each event is made anew from its
values, as `Event` would be (promise 5). It sends nothing; client and server do.
"""

from __future__ import annotations

from json import loads

from tidings.errors import InvalidEvent, InvalidQuery, shorten
from tidings.event import Event
from tidings.fields import count, word
from tidings.ids import id_of_key
from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CAUSATION_ID,
    CHECKSUM,
    CONTEXT,
    CORRELATION_ID,
    EXTENSIONS,
    FOREIGN_ID,
    INSTANT,
    KEY,
    PAYLOAD,
    POSITION,
    PROJECT,
    RECORDED,
    SOURCE,
    STATUS,
    TYPE,
    USER_ID,
    VERSION,
    WRITTEN,
    checksum_of,
    placed,
    said,
)
from tidings.store.base import Batch, Put
from tidings.store.query import Filter, Query
from tidings.timestamps import format_instant, parse_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    Row: TypeAlias = list[Any]

__all__ = [
    "MOST_BATCHES",
    "MOST_SENT_BYTES",
    "batch_data",
    "batch_of",
    "event_of_row",
    "event_row",
    "kept_data",
    "kept_events",
    "object_with",
    "query_data",
    "query_of",
    "restored_event",
    "whole",
]

MOST_SENT_BYTES = 32 * 1024 * 1024
"""The most that one append or restore may take; a batch is kept or refused as a whole."""

MOST_BATCHES = 5000
"""How many batches one append may take: each has an answer of its own, and may be refused."""

_VALUES = CHECKSUM + 1
_DAY = 24 * 3600 * 1_000_000

# Events -------------------------------------------------------------------------------------------


def event_row(event: Event) -> Row:
    """The event's record as JSON has it; the key in hexadecimal."""
    position, key, *values = event.record
    return [position, key.hex(), *values]


def event_of_row(row: Row) -> Event:
    """The event of a row that a server gave; its checksum guards what it says.

    Raises:
        TypeError, ValueError: that is no row of an event.
    """
    if len(row) != _VALUES:
        raise ValueError(f"an event has {_VALUES} values, not {len(row)}")
    row[KEY] = bytes.fromhex(row[KEY])
    return Event.from_record(tuple(row))


def restored_event(row: object, max_payload: int) -> Event:
    """The event of a row that a client wants restored, with the place it brings.

    Raises:
        InvalidEvent: a value breaks its field's rule.
    """
    values = _values(row, _VALUES)
    record = list(_checked(values, max_payload))
    record[POSITION] = count("position", values[POSITION])
    record[VERSION] = count("version", values[VERSION])
    if values[RECORDED] is not None:
        record[RECORDED] = _instant("recorded_at", values[RECORDED])
    return Event.from_record(tuple(record))


def _sent_row(event: Event) -> Row:
    """As `event_row`, and whether the producer named the time: it then counts for duplicates."""
    position, key, *values = event.record
    return [position, key.hex(), *values, event.timestamp_given]


def _sent_event(row: object, max_payload: int) -> Event:
    """The event of a row that a client wants appended; the place it brings does not count."""
    values = _values(row, _VALUES + 1)
    given = values.pop()
    if not isinstance(given, bool):
        raise InvalidEvent("timestamp_given", given, "must be true or false")
    return Event.from_record(_checked(values, max_payload), timestamp_given=given)


def _values(row: object, length: int) -> Row:
    if not isinstance(row, list) or len(row) != length:
        raise InvalidEvent("event", row, f"must be a list of {length} values")
    return list(row)


def _checked(values: Row, max_payload: int) -> tuple[Any, ...]:
    """The record of an event made anew from these values, without a place."""
    try:
        values[KEY] = bytes.fromhex(values[KEY])
        own_id = id_of_key(values[KEY])
    except (TypeError, ValueError):
        raise InvalidEvent("id", values[KEY], "must have a key in hexadecimal") from None
    instant = _instant("timestamp", values[INSTANT])
    event = Event(
        values[TYPE],
        values[PROJECT],
        values[STATUS],
        None if values[PAYLOAD] is None else _json("payload", values[PAYLOAD]),
        values[SOURCE],
        format_instant(instant),
        id=own_id if values[FOREIGN_ID] is None else values[FOREIGN_ID],
        aggregate_type=values[AGGREGATE_TYPE],
        aggregate_id=values[AGGREGATE_ID],
        correlation_id=values[CORRELATION_ID],
        causation_id=values[CAUSATION_ID],
        user_id=values[USER_ID],
        context=_json("context", values[CONTEXT]),
        extensions=_json("extensions", values[EXTENSIONS]),
        max_payload=max_payload,
    )
    if event.record[KEY] != values[KEY]:
        raise InvalidEvent("id", event.id, "does not belong to the key it was sent with")
    _ensure_undamaged(values)
    record = list(event.record)
    record[WRITTEN] = _written(values[WRITTEN], instant)
    if values[PAYLOAD] is None:
        record[PAYLOAD] = None  # redacted before it was sent
    return tuple(record)


def _instant(field: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and _can_be_written(value):
        return value
    raise InvalidEvent(field, value, "must be microseconds since 1970, in the years 1 to 9999")


def _can_be_written(instant: int) -> bool:
    try:
        return parse_instant(format_instant(instant)) == instant
    except (ValueError, OverflowError, OSError):
        return False


def _written(text: object, instant: int) -> str | None:
    """A timestamp's text, where it is not the one we would write; it must mean the instant.

    A time without offset means what it meant where it was written, so it may be a day away.
    """
    if text is None:
        return None
    written = word("timestamp", text)
    try:
        away = abs(parse_instant(written, naive="utc") - instant)
        fits = away == 0 or (away < _DAY and _is_naive(written))
    except (ValueError, OverflowError):
        fits = False
    if not fits:
        raise InvalidEvent("timestamp", text, f"must mean the instant {format_instant(instant)}")
    return None if written == format_instant(instant) else written


def _is_naive(text: str) -> bool:
    if len(text.strip()) <= len("2026-01-01"):
        return True
    try:
        parse_instant(f"{text.strip()}Z")
    except ValueError:
        return False
    return True


def _json(field: str, text: object) -> Any:
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidEvent(field, text, "must be JSON text")
    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent(field, text, f"must be JSON text: {error}") from None


def _ensure_undamaged(values: Row) -> None:
    try:
        whole = values[CHECKSUM] is None or values[CHECKSUM] == checksum_of(tuple(values))
    except UnicodeEncodeError:
        whole = False
    if not whole:
        raise InvalidEvent("checksum", values[CHECKSUM], "is not that of the event's values")


# Batches ------------------------------------------------------------------------------------------


def batch_data(batch: Batch) -> dict[str, Any]:
    """A batch as JSON has it."""
    data: dict[str, Any] = {"events": [_sent_row(event) for event in batch.events]}
    if batch.expected_version is not None:
        data["expected_version"] = batch.expected_version
    if batch.put:
        data["put"] = [list(put) for put in batch.put]
    return data


def batch_of(data: object, max_payload: int) -> Batch:
    """The batch a client sent.

    Raises:
        InvalidEvent: a value of an event breaks its field's rule.
        InvalidQuery: it has another form.
    """
    fields = object_with("batch", data, {"events"}, {"expected_version", "put"})
    expected = fields.get("expected_version")
    if not isinstance(fields["events"], list):
        raise InvalidQuery(f"events {shorten(fields['events'])} must be a list")
    return Batch(
        [_sent_event(row, max_payload) for row in fields["events"]],
        whole("expected_version", expected),
        [_put(entry) for entry in _list("put", fields.get("put") or [])],
    )


def kept_data(batch: dict[str, Any], kept: Sequence[Event]) -> list[Row]:
    """What a client is told of a batch that was kept.

    Args:
        batch: the batch as it was sent.
        kept: the stored events.

    Returns:
        For each event its place (position, version, recorded at), or the whole row where the stored
        event says something else than what was sent: it was kept before.
    """
    return [
        list(_place(event)) if _says(event, row) else event_row(event)
        for event, row in zip(kept, batch["events"], strict=True)
    ]


def kept_events(events: Sequence[Event], told: Sequence[Row]) -> list[Event]:
    """The stored events, from those that were sent and what `kept_data` told.

    Raises:
        TypeError, ValueError: what was told has another form.
    """
    return [
        Event.from_record(placed(event.record, *row))
        if len(row) == _PLACE_VALUES
        else event_of_row(row)
        for event, row in zip(events, told, strict=True)
    ]


_PLACE_VALUES = 3


def _place(event: Event) -> tuple[Any, Any, Any]:
    record = event.record
    return record[POSITION], record[VERSION], record[RECORDED]


def _says(event: Event, row: Row) -> bool:
    return said(tuple(event_row(event))) == said(tuple(row))


def _put(entry: object) -> Put:
    if not isinstance(entry, list) or len(entry) != len(Put._fields):
        raise InvalidQuery(f"put {shorten(entry)} must be a key, a value and a revision or null")
    key, value, expected = entry
    return Put(key, value, whole("expected", expected))


# Queries ------------------------------------------------------------------------------------------


def query_data(query: Query) -> dict[str, Any]:
    """A query as JSON has it; what is not given is left out."""
    data = _conditions(query)
    for name, default in (("after", 0), ("before", None), ("limit", None), ("backwards", False)):
        if getattr(query, name) != default:
            data[name] = getattr(query, name)
    if query.exclude is not None:
        data["exclude"] = _conditions(query.exclude)
    return data


def query_of(data: object) -> Query:
    """The query a client sent.

    Raises:
        InvalidQuery: it makes no sense.
    """
    fields = object_with("query", data, set(), _CONDITIONS | _WINDOW)
    if fields.get("exclude") is not None:
        fields["exclude"] = Filter(**_given("exclude", fields["exclude"], _CONDITIONS))
    if not isinstance(fields.get("backwards", False), bool):
        raise InvalidQuery(f"backwards {shorten(fields['backwards'])} must be true or false")
    return Query(**_given("query", fields, _CONDITIONS | _WINDOW))


_CONDITIONS = {name for name in Filter.__slots__ if not name.startswith("_")}
_WINDOW = set(Query.__slots__)
_SEVERAL = ("ids", "types", "project", "status", "source")


def _conditions(query: Filter) -> dict[str, Any]:
    return dict(query.conditions())


def _given(name: str, data: object, known: set[str]) -> dict[str, Any]:
    """The arguments in an object; a list must be one, where several words may stand."""
    fields = object_with(name, data, set(), known)
    for each in _SEVERAL:
        if not isinstance(fields.get(each, []), list | str):
            raise InvalidQuery(f"{each} {shorten(fields[each])} must be a list of strings")
    return fields


# Their parts --------------------------------------------------------------------------------------


def object_with(
    name: str, data: object, needed: set[str], allowed: set[str] | None = None
) -> dict[str, Any]:
    """A copy of an object that has these members and no others.

    Raises:
        InvalidQuery: it is no object, lacks a member, or has one that is not known.
    """
    if not isinstance(data, dict):
        raise InvalidQuery(f"{name} {shorten(data)} must be an object")
    for missing in sorted(needed - data.keys()):
        raise InvalidQuery(f"{name} must have {missing!r}")
    for unknown in sorted(data.keys() - needed - (allowed or set())):
        raise InvalidQuery(f"{name} must not have {shorten(unknown)}")
    return dict(data)


def whole(name: str, value: object) -> int | None:
    """A whole number, or none.

    Raises:
        InvalidQuery: it is neither.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InvalidQuery(f"{name} {shorten(value)} must be a whole number")
    return value


def _list(name: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidQuery(f"{name} {shorten(value)} must be a list")
    return value
