"""Makes an event of what a client sent: of our own JSON form, or of a CloudEvent.

Keeps promise 5. What only a store can say (`position`, `version`, `recorded_at`, `redacted`) is
left out, so that what was read from one store can be sent to another as it is. No context is added:
the server is not where the event was made.
"""

from __future__ import annotations

from tidings.cloudevents import from_binary, from_cloudevent
from tidings.errors import InvalidEvent, shorten
from tidings.event import Event
from tidings.event_item import WIRE_AGGREGATES
from tidings.outcome import infer_status
from tidings.record import INSTANT, WRITTEN
from tidings.server.ingest.moments import moment_of
from tidings.server.ingest.strict_json import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.server.ingest.idempotency import Idempotency

__all__ = ["SOURCE", "at_moment", "event_of", "event_of_binary", "event_of_cloudevent"]

SOURCE = "http"
"""The source of events whose producer named none."""

DIGEST = "requestdigest"
"""The extension that holds the digest of the request's body; see `idempotency`."""

_AGGREGATES = {wire: ours for ours, wire in WIRE_AGGREGATES.items()}
_OF_THE_STORE = frozenset(("position", "version", "recorded_at", "redacted"))
_ATTRIBUTES_OF_THE_STORE = frozenset(("position", "aggregateversion", "recordedat", "redacted"))
_HEADERS_OF_THE_STORE = frozenset(f"ce-{name}" for name in _ATTRIBUTES_OF_THE_STORE)
_FIELDS = frozenset(
    (
        *("type", "project", "status", "payload", "source", "timestamp", "id", "aggregate_type"),
        *("aggregate_id", "correlation_id", "causation_id", "user_id", "context", "extensions"),
    )
)


def event_of(
    data: object, index: int, max_payload: int, idempotency: Idempotency | None = None
) -> Event:
    """The event in a JSON object of the form that `Event.to_dict` writes.

    Args:
        data: the object. None counts as left out, but for the payload; a missing status is
            inferred; a time without offset is UTC.
        index: its place in the request, from 0.
        max_payload: the bound on the encoded payload (bytes).
        idempotency: gives the id where the event has none of its own.

    Raises:
        InvalidEvent: it is no object, a field breaks its rule, or is not known.

    >>> event_of({"type": "build.failed", "position": 7}, 0, 1024).status
    'failure'
    """
    if not isinstance(data, dict):
        raise InvalidEvent("event", data, "must be an object with at least a type")
    is_plain = _FIELDS.issuperset(data) and None not in data.values()
    fields = data.copy() if is_plain else _known_fields(data)
    if "type" not in fields:
        raise InvalidEvent("type", None, "must be given")
    if "status" not in fields:
        fields["status"] = infer_status(fields["type"], fields.get("payload"))
    if "source" not in fields:
        fields["source"] = SOURCE
    if idempotency is not None and "id" not in fields:
        _give_id(fields, idempotency, index)
    kind = fields.get("aggregate_type")
    if isinstance(kind, str) and kind in _AGGREGATES:
        # As answers name it; kept so, no filter would find it, because filters read it as ours.
        fields["aggregate_type"] = _AGGREGATES[kind]
    timestamp = fields.pop("timestamp", None)
    event = Event(**fields, max_payload=max_payload)
    return event if timestamp in (None, "") else at_moment(event, *moment_of(timestamp))


def _known_fields(data: dict[str, Any]) -> dict[str, Any]:
    """The fields that were given, without those that only a store can say."""
    fields = {
        field: value
        for field, value in data.items()
        if (value is not None or field == "payload") and field not in _OF_THE_STORE
    }
    if not _FIELDS.issuperset(fields):
        unknown = min(fields.keys() - _FIELDS)
        rule = "is no field of an event; put what is your own into payload or extensions"
        raise InvalidEvent(shorten(unknown)[1:-1], data[unknown], rule)
    return fields


def _give_id(fields: dict[str, Any], idempotency: Idempotency, index: int) -> None:
    fields["id"] = idempotency.event_id(index)
    extensions = fields.get("extensions", {})
    if idempotency.digest is not None and isinstance(extensions, dict):
        fields["extensions"] = {**extensions, DIGEST: idempotency.digest}


def at_moment(event: Event, instant: int, written: str | None) -> Event:
    """The event with the time its producer gave.

    An event takes a time without offset as local, and its own reading of one takes as long as all
    the rest of it (6 of 12 µs).
    """
    record = event.record
    return Event.from_record((*record[:INSTANT], instant, written, *record[WRITTEN + 1 :]))


def event_of_cloudevent(message: object, max_payload: int) -> Event:
    """The event in the JSON object of a CloudEvent.

    Raises:
        InvalidEvent: it is no CloudEvent 1.0; the error names the attribute.
    """
    if isinstance(message, dict) and not _ATTRIBUTES_OF_THE_STORE.isdisjoint(message):
        message = {k: v for k, v in message.items() if k not in _ATTRIBUTES_OF_THE_STORE}
    return from_cloudevent(message, max_payload=max_payload)  # type: ignore[arg-type]  # it checks


def event_of_binary(headers: list[tuple[str, str]], body: bytes, max_payload: int) -> Event:
    """The event in the headers and the body of a CloudEvent in binary mode.

    Raises:
        InvalidEvent: they are no CloudEvent 1.0; the error names the attribute.
        Problem: the body is said to be JSON, and is none.
    """
    kept = [(name, value) for name, value in headers if name not in _HEADERS_OF_THE_STORE]
    given = dict(kept)
    essence = given.get("content-type", "application/json").partition(";")[0].strip().lower()
    # Where Tidings says what the body is, beside its type, that counts.
    if body and "ce-tidings" not in given and essence.endswith(("/json", "+json")):
        read_json(body)
    return from_binary(kept, body, max_payload=max_payload)
