"""The outbox of a handler: events that are kept together with the note that its event was handled.

Keeps: *either both or neither*. A handler that dies in between is called again, and nothing of its
first call is there. It collects; who runs the handler keeps what was collected, in one transaction.
"""

from __future__ import annotations

from tidings.cause import handling
from tidings.errors import StoreClosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from tidings.bus import Bus
    from tidings.envelope import EventEnvelope
    from tidings.event import Event

__all__ = ["Outbox"]


class Outbox:
    """Collects what a handler emits.

    Args:
        bus: makes the events, and holds payloads against their schemas.
        cause: the event that is being handled.

    Attributes:
        events: what was collected so far, in order; none of it is kept yet.

    The verbs are those of a bus, in an async handler too: nothing waits for a store here. An
    expected version is not among them: what cannot be kept must be refused in time.

    >>> from tidings import Bus, Event
    >>> with Bus("memory:") as bus:
    ...     outbox = Outbox(bus, Event("order.created", id="o1"))
    ...     outbox.emit("shipment.created", payload={"parcels": 2}).causation_id
    'o1'
    """

    def __init__(self, bus: Bus, cause: Event) -> None:
        self.events: list[Event] = []
        self._bus = bus
        self._cause = cause
        self._closed = False

    def emit(self, event_type: str, *args: Any, **fields: Any) -> Event:
        """Say that something happened; arguments as for `Bus.emit`.

        Returns:
            The event as it will be kept; it has no position yet.

        Raises:
            InvalidEvent: a field breaks its rule, or the payload its type's schema.
            StoreClosed: the handler has returned.
        """
        with handling(self._cause):
            return self._put(self._bus.event(event_type, *args, **fields))

    def emit_many(self, events: Iterable[Event | Mapping[str, Any]]) -> list[Event]:
        """Say that many things happened; arguments as for `Bus.emit_many`, otherwise as `emit`."""
        with handling(self._cause):
            made = self._bus.events(events)
        return [self._put(event) for event in made]

    def publish(
        self, event: Event | EventEnvelope, *, subject: str | None = None, project: str = ""
    ) -> Event:
        """Keep an event or an envelope; arguments as for `Bus.publish`, otherwise as `emit`."""
        with handling(self._cause):
            return self._put(self._bus.published(event, subject, project))

    def close(self) -> None:
        """Take nothing more: the handler has returned, and a thread it left behind is too late."""
        self._closed = True

    def _put(self, event: Event) -> Event:
        if self._closed:
            raise StoreClosed(
                "the handler whose outbox this is has returned; emit before it does, or on the bus"
            )
        self._bus.check(event)
        self.events.append(event)
        return event
