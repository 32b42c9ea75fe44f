"""The event envelope: a small dict of id, kind, payload and timestamp, as services pass it around.

Keeps: an envelope that became an event comes back unchanged (`to_event`, `from_event`), and
promise 5 (bad input gets a clear error). It does not publish; `Bus.publish` does.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypedDict

from tidings.errors import InvalidEvent
from tidings.event import Event
from tidings.fields import MAX_PAYLOAD_BYTES, name
from tidings.ids import new_id
from tidings.subject import read_subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidings.fields import EncodedObject

__all__ = ["EventEnvelope", "EventKind", "create_event", "from_event", "to_event"]


class EventEnvelope(TypedDict):
    """What happened to something, as one small JSON object.

    >>> envelope: EventEnvelope = {
    ...     "id": "evt-001",
    ...     "kind": "created",
    ...     "payload": {"name": "adapter-1"},
    ...     "timestamp": "2026-01-01T00:00:00+00:00",
    ... }
    """

    id: str
    kind: str
    payload: Any
    timestamp: str


class EventKind(str, Enum):  # noqa: UP042 - these bases are documented; StrEnum prints otherwise
    """What can happen to a thing that services know.

    >>> EventKind.CREATED.value
    'created'
    >>> EventKind("updated") == EventKind.UPDATED
    True
    """

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


_KEYS = frozenset(EventEnvelope.__annotations__)
_KINDS = tuple(kind.value for kind in EventKind)


def create_event(kind: EventKind, payload: Any, event_id: str | None = None) -> EventEnvelope:
    """Make an envelope for something that happened now.

    Args:
        kind: whether the thing was created, updated or deleted.
        payload: what there is to say about it; any JSON value but null.
        event_id: its id; left out or empty, a UUID is made.

    Returns:
        The envelope; its timestamp is in UTC, with the offset `+00:00`.

    Raises:
        ValueError: `kind` is no member of `EventKind`, or `payload` is None.

    >>> created = create_event(EventKind.CREATED, {"name": "foo"})
    >>> created["kind"]
    'created'
    """
    from datetime import UTC, datetime

    if not isinstance(kind, EventKind):
        raise ValueError(f"kind must be a member of EventKind, and {kind!r} is none")  # noqa: TRY004 - documented
    if payload is None:
        raise ValueError("payload must not be None; give a JSON value, such as {}")
    return EventEnvelope(
        id=event_id or new_id(),
        kind=kind.value,
        payload=payload,
        timestamp=datetime.now(UTC).isoformat(),
    )


def to_event(
    envelope: EventEnvelope,
    subject: str | None = None,
    project: str = "",
    source: str = "local",
    *,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    context: Mapping[str, Any] | EncodedObject | None = None,
    max_payload: int = MAX_PAYLOAD_BYTES,
) -> Event:
    """The event that says what an envelope says; its kind becomes the type, it has no outcome.

    Args:
        envelope: what `create_event` made, or any dict of that form.
        subject: the thing it is about, as `aggregate_type/aggregate_id` (see `tidings.subject`).
            Text that names no aggregate, such as one without a slash, is kept as the extension
            `subject`, which is how a CloudEvent carries it too.
        project: what it belongs to; may be empty.
        source: where it comes from.
        correlation_id: the larger undertaking it belongs to.
        causation_id: what caused it.
        context: where it was made.
        max_payload: the bound on the encoded payload (bytes).

    Raises:
        InvalidEvent: a key is missing or not known, or a value breaks its rule.

    >>> event = to_event(create_event(EventKind.DELETED, {}, "evt-001"), "adapter/adapter-1")
    >>> event.type, event.status, event.aggregate_type, event.aggregate_id
    ('deleted', '', 'adapter', 'adapter-1')
    """
    _check(envelope)
    aggregate, extensions = _about(subject)
    return Event(
        envelope["kind"],
        project,
        "",
        envelope["payload"],
        source,
        envelope["timestamp"],
        id=envelope["id"],
        aggregate_type=aggregate[0],
        aggregate_id=aggregate[1],
        correlation_id=correlation_id,
        causation_id=causation_id,
        context=context,
        extensions=extensions,
        max_payload=max_payload,
    )


def from_event(event: Event) -> EventEnvelope | None:
    """The envelope that an event says, as it was published.

    Returns:
        None where the event is none: its type is no kind, or it has no payload (it is null, or was
        redacted).

    >>> envelope = create_event(EventKind.UPDATED, [1, 2])
    >>> from_event(to_event(envelope)) == envelope
    True
    >>> from_event(Event("job_done", "figrecipe")) is None
    True
    """
    if event.type not in _KINDS or event.payload is None:
        return None
    return EventEnvelope(
        id=event.id, kind=event.type, payload=event.payload, timestamp=event.timestamp
    )


def _check(envelope: object) -> None:
    if not isinstance(envelope, dict):
        raise InvalidEvent("envelope", envelope, "must be a dict of id, kind, payload, timestamp")
    for key in sorted(_KEYS - envelope.keys()):
        raise InvalidEvent("envelope", envelope, f"must have the key {key}")
    for key in sorted(map(str, envelope.keys() - _KEYS)):
        raise InvalidEvent("envelope", envelope, f"must not have the key {key}; use the payload")
    if envelope["kind"] not in _KINDS:
        raise InvalidEvent("kind", envelope["kind"], f"must be one of {', '.join(_KINDS)}")
    if envelope["payload"] is None:
        raise InvalidEvent("payload", None, "must not be null")
    # Left out, an event would make these itself, and the envelope would not come back unchanged.
    name("id", envelope["id"])
    name("timestamp", envelope["timestamp"])


def _about(subject: str | None) -> tuple[tuple[str, str] | tuple[None, None], dict[str, Any]]:
    if subject is None:
        return (None, None), {}
    if not isinstance(subject, str):
        raise InvalidEvent("subject", subject, "must be a string such as adapter/adapter-1")
    aggregate = read_subject(subject)
    return (aggregate, {}) if aggregate else ((None, None), {"subject": name("subject", subject)})
