"""What is being handled just now, so that what is emitted meanwhile names its cause by itself.

A context variable: it holds for the handler's thread or task and what they start with a copy of
their context. It makes no events; `bus` asks it when it does.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.event import Event

__all__ = ["current_cause", "handling"]

_cause: ContextVar[Event | None] = ContextVar("tidings_cause", default=None)


def current_cause() -> tuple[str, str] | None:
    """The correlation id and causation id of what is emitted now; none outside of a handler.

    What is handled without a correlation begins one of its own, under its id.
    """
    event = _cause.get()
    return None if event is None else (event.correlation_id or event.id, event.id)


@contextmanager
def handling(event: Event) -> Iterator[None]:
    """Within it, whatever is emitted was caused by this event.

    >>> from tidings.event import Event
    >>> with handling(Event("order.created", id="o1")):
    ...     current_cause()
    ('o1', 'o1')
    """
    token = _cause.set(event)
    try:
        yield
    finally:
        _cause.reset(token)
