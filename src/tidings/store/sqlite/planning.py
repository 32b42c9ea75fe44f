"""How a query becomes SQL: which index drives it, and which conditions are left to check.

SQLite could choose an index by itself, but it does not know what our tables are like, so one is
named here. Text is composed of fixed fragments only; every value is bound. It runs nothing;
`reading` does.
"""

from __future__ import annotations

from tidings.fields import encode_json
from tidings.ids import id_of_key, key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.store.query import Filter, Query

__all__ = ["Condition", "Plan", "plan"]

_MERGED = 32
"""So many types or projects are merged from their index; more are filtered in order of position."""

# What has an index, the most selective first.
_DRIVERS = {
    "ids": "events_by_key",
    "causation_id": "events_by_causation",
    "correlation_id": "events_by_correlation",
    "aggregate_id": "events_by_aggregate_id",
    "types": "events_by_type",
    "project": "events_by_project",
    "status": "events_by_failure",
    "aggregate_type": "events_by_aggregate_type",
}


class Condition:
    """A fragment of SQL, the values it binds, and the index that answers it, if one does."""

    __slots__ = ("index", "sql", "values")

    def __init__(self, sql: str, *values: Any, index: str | None = None) -> None:
        self.sql = sql
        self.values = values
        self.index = index

    @property
    def source(self) -> str:
        """What stands after FROM."""
        return "events NOT INDEXED" if self.index is None else f"events INDEXED BY {self.index}"


class Plan:
    """How to find a query's events.

    Attributes:
        driver: the name of the condition that indexes answer; none where the log itself is read.
        driving: conditions an index answers, each in order of position; what matches any of them is
            looked at. Empty where the log itself is read.
        remaining: what must hold besides.
        verify: whether SQL finds too much (payload keys) and Python must look again.
    """

    __slots__ = ("driver", "driving", "remaining", "verify")

    def __init__(
        self,
        driver: str | None,
        driving: list[Condition],
        remaining: list[Condition],
        *,
        verify: bool,
    ) -> None:
        self.driver = driver
        self.driving = driving
        self.remaining = remaining
        self.verify = verify

    @property
    def exact(self) -> bool:
        """Whether one look at an index, or at the log, finds what is wanted and nothing else."""
        return not self.remaining and len(self.driving) <= 1

    @property
    def everything(self) -> bool:
        """Whether every event is wanted."""
        return not self.driving and not self.remaining

    def select(self, what: str, low: int, high: int) -> Condition:
        """A SELECT of what is wanted between two positions, both included."""
        parts = list(self.remaining)
        if len(self.driving) > 1:
            source = "events NOT INDEXED"
            parts.append(_within(self.driving, low, high))
        else:
            source = self.driving[0].source if self.driving else "events NOT INDEXED"
            parts += [*self.driving, Condition("position BETWEEN ? AND ?", low, high)]
        where = _joined(" AND ", parts)
        return Condition(f"SELECT {what} FROM {source} WHERE {where.sql}", *where.values)  # noqa: S608 - fixed fragments

    def dangling(self, low: int, high: int) -> Condition:
        """A SELECT that counts the positions indexes give where there is no event."""
        given = _given(self.driving, low, high)
        return Condition(
            f"SELECT count(*) FROM ({given.sql}) "  # noqa: S608 - fixed fragments
            "WHERE position NOT IN (SELECT position FROM events)",
            *given.values,
        )


def plan(query: Query, known_types: Sequence[str]) -> Plan:
    """Plan a query.

    Args:
        query: what is wanted; its window of positions is the reader's matter.
        known_types: the types that occur, to find what a pattern such as `job.*` stands for.
    """
    given = dict(query.conditions())
    driver = next((name for name in _DRIVERS if _can_drive(name, given, known_types)), None)
    driving = [] if driver is None else _driving(driver, given, known_types)
    if driver == "aggregate_id":
        given.pop("aggregate_type", None)
    remaining = [
        condition for name in given if name != driver for condition in _conditions(query, name)
    ]
    verify = bool(query.payload)
    if query.exclude is not None:
        verify = verify or bool(query.exclude.payload)
        remaining += _exclusions(query.exclude)
    return Plan(driver, driving, remaining, verify=verify)


def _matching_types(patterns: Sequence[str], known_types: Sequence[str]) -> list[str]:
    """The types that occur and fit a pattern."""
    exact = {pattern for pattern in patterns if not pattern.endswith("*")}
    prefixes = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
    return [name for name in known_types if name in exact or name.startswith(prefixes)]


def _can_drive(name: str, given: dict[str, Any], known_types: Sequence[str]) -> bool:
    value = given.get(name)
    if value is None:
        return False
    if name == "types":
        return len(_matching_types(value, known_types)) <= _MERGED
    if name == "status":
        return bool(value == ("failure",))
    if name == "aggregate_type":
        return bool(value)  # events about nothing are not in its index
    return not isinstance(value, tuple) or len(value) <= _MERGED


def _driving(name: str, given: dict[str, Any], known_types: Sequence[str]) -> list[Condition]:
    index, value = _DRIVERS[name], given[name]
    if name == "ids":
        return [_has_id(event_id) for event_id in value]
    if name == "types":
        found = _matching_types(value, known_types)
        # Where no type fits, a condition that holds for no event.
        return [Condition("type = ?", kind, index=index) for kind in found] or [Condition("0")]
    if name == "status":
        # Literal: a bound value does not tell SQLite that the partial index fits.
        return [Condition("status = 'failure'", index=index)]
    if name == "project":
        return [Condition("project = ?", project, index=index) for project in value]
    if name == "aggregate_id" and "aggregate_type" in given:
        # Ids hardly ever recur under another type, so one index serves both.
        both = value, given["aggregate_type"]
        return [Condition("aggregate_id = ? AND aggregate_type = ?", *both, index=index)]
    return [Condition(f"{name} = ?", value, index=index)]


def _conditions(filter: Filter, name: str) -> list[Condition]:
    value = getattr(filter, name)
    if name == "types":
        return [_joined(" OR ", [_fits_type(pattern) for pattern in value])]
    if name == "ids":
        return [_joined(" OR ", [_has_id(event_id) for event_id in value])]
    if name in ("project", "status", "source"):
        return [_joined(" OR ", [Condition(f"{name} = ?", word) for word in value])]
    if name == "since":
        return [Condition("instant >= ?", value)]
    if name == "until":
        return [Condition("instant < ?", value)]
    if name == "payload":
        return [
            Condition("instr(payload, ?) > 0", f"{encode_json(key)}:{text}")
            for key, text in filter.payload_texts.items()
        ]
    if name == "contains":
        return [Condition("instr(lower(payload), ?) > 0", filter.needle)]
    if name == "aggregate_type" and not value:
        return [Condition("aggregate_type IS NULL")]
    return [Condition(f"{name} = ?", value)]


def _exclusions(exclude: Filter) -> list[Condition]:
    """What keeps out events for which any condition holds.

    Conditions on payload keys find too much in SQL and would keep out too much: they are left to
    Python.
    """
    return [
        Condition(f"NOT ifnull({condition.sql}, 0)", *condition.values)
        for name, _ in exclude.conditions()
        if name != "payload"
        for condition in _conditions(exclude, name)
    ]


def _fits_type(pattern: str) -> Condition:
    if not pattern.endswith("*"):
        return Condition("type = ?", pattern)
    prefix = pattern[:-1]
    return Condition("substr(type, 1, ?) = ?", len(prefix), prefix)


def _has_id(event_id: str) -> Condition:
    key = key_of(event_id, "")
    if id_of_key(key) == event_id:
        return Condition("key = ?", key, index="events_by_key")
    return Condition("foreign_id = ?", event_id, index="events_by_foreign_id")


def _within(driving: list[Condition], low: int, high: int) -> Condition:
    """That the position is among those the indexes give."""
    given = _given(driving, low, high)
    return Condition(f"position IN ({given.sql})", *given.values)


def _given(driving: list[Condition], low: int, high: int) -> Condition:
    """A SELECT of the positions the indexes give."""
    parts = [
        Condition(
            f"SELECT position FROM {condition.source} WHERE {condition.sql} "  # noqa: S608 - fixed fragments
            "AND position BETWEEN ? AND ?",
            *condition.values,
            low,
            high,
        )
        for condition in driving
    ]
    return _joined(" UNION ALL ", parts, brackets=False)


def _joined(word: str, conditions: list[Condition], *, brackets: bool = True) -> Condition:
    texts = [f"({part.sql})" if brackets else part.sql for part in conditions]
    text = word.join(texts)
    return Condition(
        f"({text})" if brackets else text,
        *(value for condition in conditions for value in condition.values),
    )
