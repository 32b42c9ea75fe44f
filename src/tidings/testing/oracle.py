"""What a query means, said a second time in plain Python: the suite compares stores with it.

It reads the events a store gave one by one and knows nothing of `Query.matches`, indexes or SQL, so
a mistake in those does not hide itself.
"""

from __future__ import annotations

import json
import string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tidings.event import Event

__all__ = ["answer", "query_of", "wanted"]


def answer(events: Sequence[Event], query: Mapping[str, Any]) -> list[Event]:
    """The events that a store holding `events`, in order, must give for a query.

    Args:
        events: what the store holds, by position.
        query: arguments of `Query`, with `exclude` as the arguments of its filter.
    """
    low, high = query.get("after", 0), query.get("before")
    found = [
        event
        for event in events
        if (event.position or 0) > low
        and (high is None or (event.position or 0) < high)
        and wanted(query, event)
    ]
    if query.get("backwards") or query.get("contains"):
        found.reverse()
    return found[: query.get("limit")]


def wanted(query: Mapping[str, Any], event: Event) -> bool:
    """Whether an event fits all conditions of a query, and none of those it excludes."""
    if any(_CONDITIONS[name](value, event) for name, value in query.get("exclude", {}).items()):
        return False
    return all(
        _CONDITIONS[name](value, event) for name, value in query.items() if name in _CONDITIONS
    )


def query_of(query: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as `Query` takes them."""
    from tidings.store.query import Filter

    if "exclude" not in query:
        return dict(query)
    return {**query, "exclude": Filter(**query["exclude"])}


def _type_fits(patterns: list[str], event: Event) -> bool:
    return any(
        event.type.startswith(pattern.removesuffix("*"))
        if pattern.endswith("*")
        else event.type == pattern
        for pattern in patterns
    )


def _payload_has(wanted: dict[str, Any], event: Event) -> bool:
    payload = event.payload
    return isinstance(payload, dict) and all(
        key in payload and _text(payload[key]) == _text(value) for key, value in wanted.items()
    )


def _payload_contains(needle: str, event: Event) -> bool:
    if event.redacted:
        return False
    return _lower(_text(needle)[1:-1]) in _lower(_text(event.payload))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _lower(text: str) -> str:
    return "".join(
        character.lower() if character in string.ascii_uppercase else character
        for character in text
    )


_CONDITIONS: dict[str, Callable[[Any, Event], bool]] = {
    "ids": lambda ids, event: event.id in ids,
    "types": _type_fits,
    "project": lambda projects, event: event.project in projects,
    "status": lambda statuses, event: event.status in statuses,
    "source": lambda sources, event: event.source in sources,
    "aggregate_type": lambda kind, event: (event.aggregate_type or "") == kind,
    "aggregate_id": lambda name, event: event.aggregate_id == name,
    "correlation_id": lambda name, event: event.correlation_id == name,
    "causation_id": lambda name, event: event.causation_id == name,
    "user_id": lambda name, event: event.user_id == name,
    "since": lambda instant, event: event.instant >= instant,
    "until": lambda instant, event: event.instant < instant,
    "payload": _payload_has,
    "contains": _payload_contains,
}
