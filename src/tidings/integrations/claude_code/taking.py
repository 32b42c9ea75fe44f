"""A hook's events into a bus: in the store, else in the spool.

Keeps: *a hook that is told twice is kept once*, wherever it says enough to be known again. The bus
may be one that waits no longer than a hook may take; that is the caller's choice.
"""

from __future__ import annotations

from tidings.errors import Conflict, OutcomeUnknown, StoreUnavailable, TidingsError
from tidings.integrations.claude_code.lineage import asks_for_parent, parent_in, query_for_parent
from tidings.integrations.claude_code.mapping import attempts_at, events_of
from tidings.store.base import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.bus import Bus
    from tidings.event import Event
    from tidings.integrations.claude_code.hook import Hook
    from tidings.integrations.discretion import Discretion

__all__ = ["take"]


def take(
    bus: Bus,
    hook: Hook,
    discretion: Discretion,
    project: str | None = None,
    made: list[Event] | None = None,
) -> list[Event]:
    """Keep what a hook says.

    Args:
        bus: where.
        hook: what it was told.
        discretion: what is kept of texts.
        project: what the events belong to; none for the name of the directory the hook ran in.
        made: is given the events as soon as they are made, for whoever does not wait for the bus.

    Returns:
        The events, also where they were kept before.

    Raises:
        InvalidEvent: the hook says what no event may.
        NotKept: neither store nor spool took it.

    >>> from tidings import Bus
    >>> from tidings.integrations.claude_code.hook import Hook
    >>> from tidings.integrations.discretion import Discretion
    >>> told = {"hook_event_name": "PreToolUse", "session_id": "s-1", "tool_use_id": "t-1"}
    >>> with Bus("memory:") as bus:
    ...     for _ in range(2):
    ...         events = take(bus, Hook(told), Discretion())
    ...     [event.type for event in events], bus.store.head()
    (['tool.started'], 1)
    """
    parent = _parent(bus, hook) if asks_for_parent(hook) else None
    result: list[Event] | Exception = []
    for again, apart, version in attempts_at(hook):
        fields = events_of(hook, discretion, project, parent, again=again, apart=apart)
        events = [bus.event(each.pop("type"), **each) for each in fields]
        if made is not None:
            made[:] = events
        result = _kept(bus, events, version)
        if not isinstance(result, Conflict):
            break
    if isinstance(result, Exception):
        raise result
    return result


def _kept(bus: Bus, events: list[Event], version: int | None) -> list[Event] | Exception:
    (result,) = bus.keep_all([Batch(events, version)])
    if version is not None and isinstance(result, StoreUnavailable | OutcomeUnknown):
        # What depends on a version is never spooled; without one it is.
        (result,) = bus.keep_all([Batch(events)])
    return result


def _parent(bus: Bus, hook: Hook) -> tuple[str, bool] | None:
    try:
        return parent_in(bus.store.read(query_for_parent(hook)), hook)
    except TidingsError:
        return None  # it can be inferred less well without the store, and the event can be spooled
