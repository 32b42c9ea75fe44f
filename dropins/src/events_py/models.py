"""Event envelope and kind definitions, by the name of events-py's module.

Kinds and envelopes are Tidings' own (`tidings.envelope`), the very same classes, so that either
name's members are the other's. Only the words of one error are those that events-py documents.
"""

from __future__ import annotations

from typing import Any

from tidings import envelope
from tidings.envelope import EventEnvelope, EventKind

__all__ = ["EventEnvelope", "EventKind", "create_event"]


def create_event(kind: EventKind, payload: Any, event_id: str | None = None) -> EventEnvelope:
    """Create an event envelope.

    Args:
        kind: Event kind (created, updated, deleted).
        payload: Event payload (must be JSON-serializable).
        event_id: Optional ID; if omitted, a UUID is generated.

    Returns:
        Event envelope dict.

    Raises:
        ValueError: If kind is not an EventKind member or payload is None.

    Example:
        >>> from events_py import EventKind, create_event
        >>> ev = create_event(EventKind.CREATED, {"name": "foo"})
        >>> ev["kind"]
        'created'
    """
    if not isinstance(kind, EventKind):
        raise ValueError(f"kind must be an EventKind member, got {kind!r}")  # noqa: TRY004 - documented
    if payload is None:
        raise ValueError("payload must not be None")
    return envelope.create_event(kind, payload, event_id)
