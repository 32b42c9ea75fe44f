"""A query: which events a reader wants, and in which window of positions.

Keeps one meaning for every backend: `Query.matches` is what a filter means, and a backend's own way
of finding events must agree with it (the contract suite compares them).
"""

from __future__ import annotations

from tidings.errors import InvalidQuery, shorten
from tidings.fields import encode_json
from tidings.record import PAYLOAD
from tidings.timestamps import instant_of, parse_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Any, TypeAlias

    from tidings.event import Event

    Words: TypeAlias = "str | Iterable[str] | None"
    Moment: TypeAlias = "datetime | str | int | None"

__all__ = ["Filter", "Query", "fold", "matches_type", "types_alone"]


class Filter:
    """Conditions on an event; all that are given must hold.

    Args:
        ids: ids of events; any of them.
        types: event types, exact or with a `*` at the end (`job.*`); any of them.
        project: projects; any of them. The empty string is the project of events without one.
        status: outcomes; any of them.
        source: sources; any of them.
        aggregate_type: the kind of thing the event is about; empty for events about nothing.
        aggregate_id: the thing the event is about.
        correlation_id: the larger undertaking it belongs to.
        causation_id: what caused it.
        user_id: on whose behalf it happened.
        since: the earliest moment it happened (inclusive): a datetime, ISO 8601 text or an instant
            (microseconds since 1970).
        until: the moment before which it happened (exclusive).
        payload: values that the keys of its payload (an object) must have.
        contains: text in its payload's JSON, A–Z and a–z alike.

    Raises:
        InvalidQuery: a condition makes no sense.

    >>> Filter(types="job.*", project="figrecipe").types
    ('job.*',)
    """

    __slots__ = (
        "_given",
        "_payload_texts",
        "aggregate_id",
        "aggregate_type",
        "causation_id",
        "contains",
        "correlation_id",
        "ids",
        "payload",
        "project",
        "since",
        "source",
        "status",
        "types",
        "until",
        "user_id",
    )

    def __init__(
        self,
        *,
        ids: Words = None,
        types: Words = None,
        project: Words = None,
        status: Words = None,
        source: Words = None,
        aggregate_type: str | None = None,
        aggregate_id: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        user_id: str | None = None,
        since: Moment = None,
        until: Moment = None,
        payload: Mapping[str, Any] | None = None,
        contains: str | None = None,
    ) -> None:
        self.ids = _words("ids", ids)
        self.types = _words("types", types)
        self.project = _words("project", project)
        self.status = _words("status", status)
        self.source = _words("source", source)
        self.aggregate_type = _text("aggregate_type", aggregate_type)
        self.aggregate_id = _text("aggregate_id", aggregate_id)
        self.correlation_id = _text("correlation_id", correlation_id)
        self.causation_id = _text("causation_id", causation_id)
        self.user_id = _text("user_id", user_id)
        self.since = _instant("since", since)
        self.until = _instant("until", until)
        self.payload = _pairs(payload)
        self.contains = _text("contains", contains) or None
        self._payload_texts = _encoded(self.payload)
        self._given = tuple(
            (name, value)
            for name in Filter.__slots__
            if not name.startswith("_") and (value := getattr(self, name)) not in (None, (), {})
        )

    @property
    def needle(self) -> str | None:
        """`contains` as it stands in JSON text, A–Z folded to a–z."""
        return None if self.contains is None else fold(encode_json(self.contains)[1:-1])

    @property
    def payload_texts(self) -> dict[str, str]:
        """The JSON text that each key of the payload must have."""
        return self._payload_texts

    def conditions(self) -> list[tuple[str, Any]]:
        """The conditions that are given, by name; the window of a query is none of them."""
        return list(self._given)

    def matches(self, event: Event) -> bool:
        """Whether all conditions hold for the event."""
        return all(_holds(self, name, event) for name, _ in self._given)

    def matches_any(self, event: Event) -> bool:
        """Whether at least one condition holds for the event."""
        return any(_holds(self, name, event) for name, _ in self._given)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.conditions())
        return f"{type(self).__name__}({given})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class Query(Filter):
    """Which events a reader wants, and in which window of positions.

    Args:
        after: only events past this position.
        before: only events ahead of this position.
        limit: at most so many events; none means all.
        backwards: newest first.
        exclude: drops events for which any one of its conditions holds.
        conditions: see `Filter`.

    Raises:
        InvalidQuery: a condition, position or limit makes no sense.

    >>> Query(types=["job_done"], after=17, limit=20)
    Query(types=('job_done',), after=17, limit=20)
    """

    __slots__ = ("after", "backwards", "before", "exclude", "limit")

    def __init__(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int | None = None,
        backwards: bool = False,
        exclude: Filter | None = None,
        **conditions: Any,
    ) -> None:
        try:
            super().__init__(**conditions)
        except TypeError as error:
            raise InvalidQuery(f"{error}".partition(") ")[2] or str(error)) from None
        self.after = _whole("after", after)
        self.before = None if before is None else _whole("before", before)
        self.limit = None if limit is None else _whole("limit", limit)
        self.backwards = bool(backwards)
        if exclude is not None and not isinstance(exclude, Filter):
            raise InvalidQuery(f"exclude {shorten(exclude)} must be a Filter")
        self.exclude = exclude if exclude is not None and exclude.conditions() else None

    def matches(self, event: Event) -> bool:
        """Whether the event is wanted, its position aside."""
        if self.exclude is not None and self.exclude.matches_any(event):
            return False
        return super().matches(event)

    def replace(self, **changes: Any) -> Query:
        """The same query with some arguments changed.

        >>> Query(project="figrecipe", limit=5).replace(after=7)
        Query(project=('figrecipe',), after=7, limit=5)
        """
        given: dict[str, Any] = dict(self.conditions())
        for name in Query.__slots__:
            given[name] = getattr(self, name)
        return Query(**{**given, **changes})

    def __repr__(self) -> str:
        given = dict(self.conditions())
        defaults = {"after": 0, "before": None, "limit": None, "backwards": False, "exclude": None}
        given |= {n: getattr(self, n) for n, value in defaults.items() if getattr(self, n) != value}
        return f"Query({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def matches_type(pattern: str, event_type: str) -> bool:
    """Whether a type fits a pattern: exact, or a prefix followed by `*`.

    >>> matches_type("job.*", "job.done"), matches_type("job.*", "job"), matches_type("*", "x")
    (True, False, True)
    """
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def types_alone(query: Query, known: Iterable[str]) -> set[str] | None:
    """Which of the types there are a query lets through; none where it asks for more than types.

    The events of a type are counted as they come, so such a query is counted without looking.

    >>> sorted(types_alone(Query(types="job.*", exclude=Filter(types="job.x")), ["job.x", "job.y"]))
    ['job.y']
    """
    left_out = query.exclude
    named = {name for name, _ in query.conditions()}
    named |= {name for name, _ in left_out.conditions()} if left_out is not None else set()
    if named - {"types"} or query.after or query.before is not None:
        return None
    wanted = query.types or ("*",)
    unwanted = left_out.types if left_out is not None else ()
    return {
        kind
        for kind in known
        if any(matches_type(pattern, kind) for pattern in wanted)
        and not any(matches_type(pattern, kind) for pattern in unwanted)
    }


def fold(text: str) -> str:
    """The text with A–Z as a–z and nothing else changed, as SQL's `lower` does it.

    >>> fold("ÄBC")
    'Äbc'
    """
    return text.lower() if text.isascii() else text.translate(_FOLDED)


_FOLDED = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _holds(filter: Filter, name: str, event: Event) -> bool:
    if name == "types":
        return any(matches_type(pattern, event.type) for pattern in filter.types)
    if name == "ids":
        return event.id in filter.ids
    if name == "since":
        return event.instant >= (filter.since or 0)
    if name == "until":
        return filter.until is not None and event.instant < filter.until
    if name == "payload":
        return _payload_holds(filter.payload_texts, event)
    if name == "contains":
        return (filter.needle or "") in fold(event.record[PAYLOAD] or "")
    wanted = getattr(filter, name)
    actual = getattr(event, name)
    if name == "aggregate_type":
        actual = actual or ""
    return actual in wanted if isinstance(wanted, tuple) else actual == wanted


def _payload_holds(wanted: dict[str, str], event: Event) -> bool:
    # Every pair stands in the text as it was encoded, if it holds; decoding then makes sure.
    text = event.record[PAYLOAD] or ""
    if not all(f"{encode_json(key)}:{value}" in text for key, value in wanted.items()):
        return False
    payload = event.payload
    return isinstance(payload, dict) and all(
        key in payload and encode_json(payload[key]) == value for key, value in wanted.items()
    )


def _pairs(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    if payload is None:
        return {}
    try:
        return {_sayable("payload", key): value for key, value in payload.items()}
    except AttributeError:
        raise InvalidQuery(f"payload {shorten(payload)} must be an object") from None


def _encoded(payload: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {key: _sayable("payload", encode_json(value)) for key, value in payload.items()}
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidQuery(f"payload {shorten(payload)} must hold JSON values: {error}") from None


def _words(name: str, value: Words) -> tuple[str, ...]:
    if value is None:
        return ()
    try:
        words = (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        raise InvalidQuery(f"{name} {shorten(value)} must be a string, or several") from None
    for word in words:
        _sayable(name, word)
        if name == "types" and "*" in word[:-1]:
            raise InvalidQuery(f"types {shorten(word)}: a * may stand at the end only")
    return tuple(dict.fromkeys(words))


def _text(name: str, value: object) -> str | None:
    return None if value is None else _sayable(name, value)


def _sayable(name: str, value: object) -> str:
    """A string that an event could hold; an undecodable argument of a command is none."""
    if not isinstance(value, str):
        raise InvalidQuery(f"{name} {shorten(value)} must be a string")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidQuery(f"{name} {shorten(value)} must not contain lone surrogates")
    return value


def _whole(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise InvalidQuery(f"{name} {shorten(value)} must be a whole number from 0 on")
    return value


def _in_bounds(instant: int) -> int:
    if isinstance(instant, bool) or not -(2**63) <= instant < 2**63:
        raise ValueError
    return instant


def _instant(name: str, value: Moment) -> int | None:
    if value is None:
        return None
    try:
        if isinstance(value, int):
            return _in_bounds(value)
        return parse_instant(value) if isinstance(value, str) else instant_of(value)
    except (ValueError, AttributeError, OverflowError):
        raise InvalidQuery(
            f"{name} {shorten(value)} must be a moment such as 2026-01-01T12:00:00Z"
        ) from None
