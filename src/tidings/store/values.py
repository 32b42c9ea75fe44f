"""What goes into a store and comes out of it, beside events: requests, pages, counts, summaries.

Plain tuples, known to every backend. What is done with them is said in `base`.
"""

from __future__ import annotations

from collections import namedtuple

from tidings.errors import InvalidEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.event import Event

__all__ = ["Batch", "Bin", "Count", "LedgerRecord", "Page", "Put", "Summary", "TypeCount"]


class Put(namedtuple("Put", "key value expected", defaults=(None,))):
    """A ledger write: `value` (any JSON value) under `key`, if it is at revision `expected`."""

    __slots__ = ()

    key: str
    value: Any
    expected: int | None


class LedgerRecord(namedtuple("LedgerRecord", "key revision value")):
    """A named record of the ledger. Revisions of a store only grow, also across deletes."""

    __slots__ = ()

    key: str
    revision: int
    value: Any


class Batch(namedtuple("Batch", "events expected_version put", defaults=(None, ()))):
    """One request to append: all of it is kept, or none."""

    __slots__ = ()

    events: Sequence[Event]
    expected_version: int | None
    put: Sequence[Put]

    def aggregate(self) -> tuple[str, str] | None:
        """The aggregate that `expected_version` speaks of; none where nothing is expected.

        Raises:
            InvalidEvent: the events are not all about one aggregate.
        """
        if self.expected_version is None:
            return None
        aggregates = {(event.aggregate_type, event.aggregate_id) for event in self.events}
        if len(aggregates) != 1 or (None, None) in aggregates:
            raise InvalidEvent(
                "expected_version",
                self.expected_version,
                "needs events that are all about the same aggregate",
            )
        kind, name = next(iter(aggregates))
        return str(kind), str(name)


class Page(namedtuple("Page", "events position complete", defaults=(True,))):
    """Some events in reading order, and the position up to which the log was looked at."""

    __slots__ = ()

    events: list[Event]
    position: int
    complete: bool


class Count(namedtuple("Count", "value exact")):
    """How many events match: exactly `value`, or at least so many."""

    __slots__ = ()

    value: int
    exact: bool


class TypeCount(namedtuple("TypeCount", "type count last_position")):
    """A type that occurs in the log, how often, and where last."""

    __slots__ = ()

    type: str
    count: int  # hides tuple.count
    last_position: int


class Bin(namedtuple("Bin", "start counts")):
    """How many events of each outcome happened from `start` (an instant) on, for one interval."""

    __slots__ = ()

    start: int
    counts: dict[str, int]


class Summary(
    namedtuple(
        "Summary",
        "kind id project state status version successes failures first_position last_position "
        "first_instant last_instant first_type last_type correlation_id",
    )
):
    """The kept-up head of one aggregate or correlation.

    `kind` is the aggregate's type or `"correlation"`, `project` that of its first event that has
    one: whoever comes later takes it from nobody. `version` counts its events since ever,
    pruned ones included; `successes` and `failures` those with an outcome. `state` is `running`,
    `done` or `failed` where its events say so (types that end in `started`, `completed`, `failed`
    …), else empty; a correlation takes its state from the aggregate of the same name. Instants are
    microseconds since 1970: `first_instant` that of its first event, `last_instant` the latest of
    all, which is its last event's unless that came late. What has ended does not run again with a
    start that happened before `last_instant`.
    """

    __slots__ = ()

    kind: str
    id: str
    project: str
    state: str
    status: str
    version: int
    successes: int
    failures: int
    first_position: int
    last_position: int
    first_instant: int
    last_instant: int
    first_type: str
    last_type: str
    correlation_id: str | None
