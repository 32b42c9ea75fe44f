"""How a query becomes SQL: which index drives it, and which conditions are left to check.

PostgreSQL chooses plans by statistics, and statistics may be old or silent about what matters: of a
type that was frequent once it believes that a look at the newest events finds some. So each SELECT
here has a form that one index alone can serve. A range of an index is a comparison of rows,
`(type, position) >= (…)`, in the order `type, position`: PostgreSQL does not see that the type is
constant, so the primary key cannot give that order; and the snapshot that reads forbids to sort
(`SURE_PLANS`). Text is composed of fixed fragments only; every value is bound. It runs nothing;
`reading` does.
"""

from __future__ import annotations

from psycopg.types.numeric import Int8

from tidings.fields import encode_json
from tidings.ids import id_of_key, key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tidings.store.query import Filter, Query

__all__ = ["SURE_PLANS", "Condition", "Plan", "Range", "plan"]

SURE_PLANS = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; "
    "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off; "
    "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; "
    "SET LOCAL plan_cache_mode = force_generic_plan"
)
"""Settings of a snapshot that reads: each plan follows one index, and none is worth compiling."""

_MERGED = 32
"""So many types or projects are merged from their index; more are filtered in order of position."""

# What has an index, the most selective first.
_DRIVERS = (
    "ids",
    "causation_id",
    "correlation_id",
    "aggregate_id",
    "types",
    "project",
    "status",
    "aggregate_type",
)


class Condition:
    """A fragment of SQL, and the values it binds."""

    __slots__ = ("sql", "values")

    def __init__(self, sql: str, *values: Any) -> None:
        self.sql = sql
        self.values = values


_NEVER = Condition("false")


class Range:
    """The events of which a column has one value: a range of its index, in order of position.

    Args:
        column: stands first in an index, `position` second.
        value: what it must be.
        also: what must hold besides, such as what a partial index says of its events.
    """

    __slots__ = ("also", "column", "value")

    def __init__(self, column: str, value: object, *also: Condition) -> None:
        self.column = column
        self.value = value
        self.also = also

    def select(
        self,
        what: str,
        table: str,
        low: int,
        high: int,
        remaining: Iterable[Condition] = (),
        *,
        backwards: bool = False,
    ) -> Condition:
        """A SELECT of the events between two positions, both included, in order."""
        pair = f"({self.column}, position)"
        bounds = Condition(
            f"{pair} >= (%s, %s) AND {pair} <= (%s, %s)",
            *(self.value, Int8(low), self.value, Int8(high)),
        )
        where = _joined(" AND ", [bounds, *self.also, *remaining])
        direction = _direction(backwards=backwards)
        return Condition(
            f"SELECT {what} FROM {table} WHERE {where.sql} "  # noqa: S608 - fixed fragments
            f"ORDER BY {self.column} {direction}, position {direction}",
            *where.values,
        )


class _OneKey(Range):
    """The event of one key: its index is unique, and has no position."""

    __slots__ = ()

    def select(
        self,
        what: str,
        table: str,
        low: int,
        high: int,
        remaining: Iterable[Condition] = (),
        *,
        backwards: bool = False,  # noqa: ARG002 - one event has no order
    ) -> Condition:
        bounds = Condition("position BETWEEN %s AND %s", Int8(low), Int8(high))
        where = _joined(" AND ", [bounds, *remaining])
        # OFFSET keeps the conditions apart, so that no other index can serve the inner one.
        return Condition(
            f"SELECT {what} FROM (SELECT * FROM {table} WHERE key = %s OFFSET 0) AS one "  # noqa: S608 - fixed fragments
            f"WHERE {where.sql}",
            *(self.value, *where.values),
        )


class Plan:
    """How to find a query's events.

    Attributes:
        driver: the name of the condition that indexes answer; none where the log itself is read.
        driving: ranges of an index, no event in two of them. Empty where the log itself is read.
        remaining: what must hold besides.
        verify: whether SQL finds too much (payload keys) and Python must look again.
    """

    __slots__ = ("driver", "driving", "remaining", "table", "verify")

    def __init__(
        self,
        table: str,
        driver: str | None,
        driving: list[Range],
        remaining: list[Condition],
        *,
        verify: bool,
    ) -> None:
        self.table = table
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

    def select(
        self, what: str, low: int, high: int, *, backwards: bool = False, ordered: bool = True
    ) -> Condition:
        """A SELECT of what is wanted between two positions, both included.

        Args:
            what: columns.
            low: the first position.
            high: the last one.
            backwards: newest first.
            ordered: whether the order counts. Several ranges are merged by sorting what they give,
                so nobody should ask for more than a page's worth of them in order.
        """
        if not self.driving:
            return self._of_the_log(what, low, high, backwards=backwards)
        parts = [
            each.select(what, self.table, low, high, self.remaining, backwards=backwards)
            for each in self.driving
        ]
        if len(parts) == 1:
            return parts[0]
        merged = _merged(parts)
        if not ordered:
            return merged
        direction = _direction(backwards=backwards)
        return Condition(
            f"SELECT * FROM ({merged.sql}) AS merged ORDER BY position {direction}",  # noqa: S608 - fixed fragments
            *merged.values,
        )

    def edge(self, low: int, high: int, width: int, *, backwards: bool) -> Condition:
        """A SELECT of the position of the `width`-th event that the ranges give from one end."""
        parts = []
        for each in self.driving:
            part = each.select("position", self.table, low, high, backwards=backwards)
            parts.append(Condition(f"{part.sql} LIMIT %s", *part.values, Int8(width)))
        merged = _merged(parts)
        return Condition(
            f"SELECT position FROM ({merged.sql}) AS merged "  # noqa: S608 - fixed fragments
            f"ORDER BY position {_direction(backwards=backwards)} LIMIT 1 OFFSET %s",
            *(*merged.values, Int8(width - 1)),
        )

    def _of_the_log(self, what: str, low: int, high: int, *, backwards: bool) -> Condition:
        bounds = Condition("position BETWEEN %s AND %s", Int8(low), Int8(high))
        where = _joined(" AND ", [bounds, *self.remaining])
        return Condition(
            f"SELECT {what} FROM {self.table} WHERE {where.sql} "  # noqa: S608 - fixed fragments
            f"ORDER BY position {_direction(backwards=backwards)}",
            *where.values,
        )


def plan(query: Query, known_types: Sequence[str], schema: str) -> Plan:
    """Plan a query.

    Args:
        query: what is wanted; its window of positions is the reader's matter.
        known_types: the types that occur, to find what a pattern such as `job.*` stands for.
        schema: the store's, quoted.
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
    return Plan(f"{schema}.events", driver, driving, remaining, verify=verify)


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


def _driving(name: str, given: dict[str, Any], known_types: Sequence[str]) -> list[Range]:
    value = given[name]
    if name == "ids":
        ranges = [_of_id(event_id) for event_id in value if _can_be(event_id)]
    elif name == "types":
        ranges = [Range("type", kind) for kind in _matching_types(value, known_types)]
    elif name == "project":
        ranges = [Range("project", project) for project in value if _can_be(project)]
    elif name == "status":
        # Literally what the partial index says. An equality would tell PostgreSQL that the status
        # is constant.
        ranges = [Range("status", "failure", Condition("status BETWEEN 'failure' AND 'failure'"))]
    elif not _can_be(value):
        ranges = []
    else:
        also = [Condition(f"{name} IS NOT NULL")]
        if name == "aggregate_id" and "aggregate_type" in given:
            # Ids hardly ever recur under another type, so one index serves both.
            also.append(_is("aggregate_type", given["aggregate_type"]))
        ranges = [Range(name, value, *also)]
    return ranges or [Range("type", "", _NEVER)]


def _of_id(event_id: str) -> Range:
    key = key_of(event_id, "")
    if id_of_key(key) == event_id:
        return _OneKey("key", key)
    return Range("foreign_id", event_id, Condition("foreign_id IS NOT NULL"))


def _conditions(filter: Filter, name: str) -> list[Condition]:
    value = getattr(filter, name)
    if name == "types":
        return [_joined(" OR ", [_fits_type(pattern) for pattern in value])]
    if name == "ids":
        return [_joined(" OR ", [_has_id(event_id) for event_id in value])]
    if name in ("project", "status", "source"):
        return [_joined(" OR ", [_is(name, word) for word in value])]
    if name == "since":
        return [Condition("instant >= %s", Int8(value))]
    if name == "until":
        return [Condition("instant < %s", Int8(value))]
    if name == "payload":
        return [
            Condition("strpos(payload, %s) > 0", f"{encode_json(key)}:{text}")
            for key, text in filter.payload_texts.items()
        ]
    if name == "contains":
        # In the collation "C", lower() changes A–Z only.
        return [Condition('strpos(lower(payload COLLATE "C"), %s) > 0', filter.needle)]
    if name == "aggregate_type" and not value:
        return [Condition("aggregate_type IS NULL")]
    return [_is(name, value)]


def _exclusions(exclude: Filter) -> list[Condition]:
    """What keeps out events for which any condition holds.

    Conditions on payload keys find too much in SQL and would keep out too much: they are left to
    Python.
    """
    return [
        Condition(f"NOT coalesce({condition.sql}, false)", *condition.values)
        for name, _ in exclude.conditions()
        if name != "payload"
        for condition in _conditions(exclude, name)
    ]


def _fits_type(pattern: str) -> Condition:
    if not pattern.endswith("*"):
        return _is("type", pattern)
    prefix = pattern[:-1]
    return Condition("starts_with(type, %s)", prefix) if _can_be(prefix) else _NEVER


def _has_id(event_id: str) -> Condition:
    key = key_of(event_id, "")
    if id_of_key(key) == event_id:
        return Condition("key = %s", key)
    return _is("foreign_id", event_id)


def _is(column: str, word: str) -> Condition:
    return Condition(f"{column} = %s", word) if _can_be(word) else _NEVER


def _can_be(word: str) -> bool:
    """Whether PostgreSQL can be asked for a text; no event has one that it cannot keep."""
    return "\0" not in word


def _direction(*, backwards: bool) -> str:
    return "DESC" if backwards else "ASC"


def _merged(parts: list[Condition]) -> Condition:
    return _joined(" UNION ALL ", parts)


def _joined(word: str, conditions: Sequence[Condition]) -> Condition:
    return Condition(
        word.join(f"({part.sql})" for part in conditions),
        *(value for condition in conditions for value in condition.values),
    )
