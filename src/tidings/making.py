"""Making the events that a bus emits: what the caller says, and what goes without saying.

That is where it was made (the context), and what caused it: the event that is being handled, else
what the environment says. Keeps nothing; `keeping` does.
"""

from __future__ import annotations

import sys

from tidings.errors import InvalidEvent
from tidings.event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tidings.context import Context
    from tidings.envelope import EventEnvelope

__all__ = ["Making"]

_NO_LINKS = (None, None)


class Making:
    """What a bus knows of the events it makes.

    Args:
        context: whether they say where they were made.
        max_payload: the bound on an encoded payload (bytes).

    >>> Making(context=False, max_payload=100).event("job_done", payload={"job_id": 4711}).payload
    {'job_id': 4711}
    """

    def __init__(self, *, context: bool, max_payload: int) -> None:
        self._says_context = context
        self._max_payload = max_payload
        self._find_context: Callable[[], Context] | None = None

    def event(
        self,
        event_type: str,
        project: str = "",
        status: str = "success",
        payload: Mapping[str, Any] | None = None,
        source: str | None = None,
        **fields: Any,
    ) -> Event:
        """An event; arguments as for `Bus.emit`.

        Raises:
            InvalidEvent: a field breaks its rule.
        """
        if payload is None:
            payload = {}
        elif not isinstance(payload, dict):
            payload = _object("payload", payload)
        context = self._context()
        correlation_id, causation_id = _links(context)
        if correlation_id is not None and fields.get("correlation_id") is None:
            fields["correlation_id"] = correlation_id
        if causation_id is not None and fields.get("causation_id") is None:
            fields["causation_id"] = causation_id
        if context is None:
            return Event(event_type, project, status, payload, source or "local",
                         max_payload=self._max_payload, **fields)  # fmt: skip
        return Event(
            event_type,
            project,
            status,
            payload,
            context.source if source is None else source,
            context=context.text or None,
            max_payload=self._max_payload,
            **fields,
        )

    def event_of(self, event: Event | Mapping[str, Any]) -> Event:
        """An event as it is, or one from a dict of its fields.

        Raises:
            InvalidEvent: a field breaks its rule.
        """
        if isinstance(event, Event):
            return event
        fields = _object("event", event)
        context = self._context()
        correlation_id, causation_id = _links(context)
        known: dict[str, Any] = {"correlation_id": correlation_id, "causation_id": causation_id}
        if context is not None:
            known |= {"source": context.source, "context": context.fields}
        # As in `Event.from_dict`, none counts as left out.
        known |= {k: v for k, v in fields.items() if v is not None or k == "payload"}
        return Event.from_dict(known, max_payload=self._max_payload)

    def published(self, event: Event | EventEnvelope, subject: str | None, project: str) -> Event:
        """An event as it is, or the one that an envelope says; arguments as for `Bus.publish`.

        Raises:
            InvalidEvent: a field breaks its rule, or subject or project are given for an event.
        """
        if isinstance(event, Event):
            if subject is not None or project:
                raise InvalidEvent(
                    "subject", subject or project, "is for envelopes; an event has its own"
                )
            return event
        from tidings.envelope import to_event

        context = self._context()
        correlation_id, causation_id = _links(context)
        return to_event(
            event,
            subject,
            project,
            "local" if context is None else context.source,
            correlation_id=correlation_id,
            causation_id=causation_id,
            context=None if context is None else context.text,
            max_payload=self._max_payload,
        )

    def _context(self) -> Context | None:
        if not self._says_context:
            return None
        if self._find_context is None:
            from tidings.context import current

            self._find_context = current
        return self._find_context()


def _links(context: Context | None) -> tuple[str | None, str | None]:
    """The correlation id and causation id that go without saying."""
    # Nothing is being handled where nobody has loaded `cause`, and a shell emit need not either.
    cause = sys.modules.get("tidings.cause")
    handled: tuple[str, str] | None = None if cause is None else cause.current_cause()
    if handled is not None:
        return handled
    return _NO_LINKS if context is None else (context.correlation_id, context.causation_id)


def _object(field: str, value: object) -> dict[str, Any]:
    from collections.abc import Mapping

    if not isinstance(value, Mapping):
        raise InvalidEvent(field, value, "must be an object")
    return dict(value)
