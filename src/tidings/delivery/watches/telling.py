"""The events of a watch: `tidings.watch.missed`, `.stuck`, `.recovered` and `.full`.

They are about the aggregate `watch/NAME`. Their ids follow from what they say, so what is emitted
again because an answer was lost is kept once.
"""

from __future__ import annotations

from hashlib import sha256

from tidings.delivery.watches.arrivals import Missed, Recovered
from tidings.delivery.watches.lives import MOST_LIVES, Alive, Full, Stuck
from tidings.event import Event
from tidings.store.query import Query
from tidings.store.wire import query_of
from tidings.store.words import words_of
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from tidings.delivery.watches.watch import Watch
    from tidings.store.base import Store

    Said: TypeAlias = Missed | Recovered | Stuck | Alive | Full

__all__ = ["event_of"]

_SECOND = 1_000_000


def event_of(store: Store, watch: Watch, said: Said) -> Event:
    """The event that says it.

    Args:
        store: where events it speaks of are looked up.
        watch: whose it is.
        said: what is to be said.
    """
    if isinstance(said, Missed):
        last = None if said.last is None else _event_at(store, said.last)
        facts = {"deadline": format_instant(said.deadline), "last": _named(last)}
        return _event(watch, "missed", ("", said.deadline), facts, project=_project(watch))
    if isinstance(said, Recovered):
        return _recovered(watch, ("", said.deadline), said, {})
    if isinstance(said, Stuck):
        return _stuck(watch, said, _event_at(store, said.last))
    if isinstance(said, Alive):
        about = {"about": "/".join(said.about), "ended": said.ended}
        return _recovered(watch, (*said.about, said.deadline), said, about)
    return _full(watch, said)


def _full(watch: Watch, said: Full) -> Event:
    facts = {"most": MOST_LIVES, "first": _named(said.event)}
    return _event(watch, "full", (said.event.id, said.event.position), facts, _project(watch))


def _stuck(watch: Watch, said: Stuck, last: Event | None) -> Event:
    facts = {
        "about": "/".join(said.about),
        "began": format_instant(said.began),
        "heard": format_instant(said.heard),
        "deadline": format_instant(said.deadline),
        "last": _named(last),
    }
    project = _project(watch) if last is None else last.project
    return _event(watch, "stuck", (*said.about, said.deadline), facts, project, last)


def _recovered(
    watch: Watch, which: tuple[Any, ...], said: Recovered | Alive, more: dict[str, Any]
) -> Event:
    event = said.event
    facts = {
        **more,
        "deadline": format_instant(said.deadline),
        "late": said.late,
        "happened": event.timestamp,
        "kept": event.recorded_at,
        "event": _named(event),
    }
    which = (*which, event.id)
    return _event(watch, "recovered", which, facts, event.project, event)


def _event(
    watch: Watch,
    what: str,
    which: tuple[Any, ...],
    facts: dict[str, Any],
    project: str = "",
    cause: Event | None = None,
) -> Event:
    text = "\0".join(map(str, (watch.name, watch.created_at, what, *which)))
    return Event(
        f"tidings.watch.{what}",
        project,
        "success" if what == "recovered" else "failure",
        {
            "watch": watch.name,
            "expects": watch.expects,
            "within": watch.within / _SECOND,
            "of": words_of(query_of(watch.filters)),
            **facts,
        },
        "tidings",
        id=f"watch-{sha256(text.encode()).hexdigest()[:32]}",
        aggregate_type="watch",
        aggregate_id=watch.name,
        correlation_id=None if cause is None else cause.correlation_id,
        causation_id=None if cause is None else cause.id,
    )


def _event_at(store: Store, position: int) -> Event | None:
    """The event at a position; none where it was pruned."""
    window = Query(before=position + 1, backwards=True, limit=1)
    event = next(store.read(window), None)
    return event if event is not None and event.position == position else None


def _named(event: Event | None) -> dict[str, Any] | None:
    if event is None:
        return None
    return {
        "id": event.id,
        "type": event.type,
        "position": event.position,
        "timestamp": event.timestamp,
    }


def _project(watch: Watch) -> str:
    """The project of what did not come: the one that is watched, where it is one."""
    projects = query_of(watch.filters).project
    return projects[0] if len(projects) == 1 else ""
