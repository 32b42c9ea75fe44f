"""What is looked at in rows just read, so that a damaged table or index is told and not believed.

Keeps: a read of the whole log, or of the newest event, gives what was kept or raises
`StoreDamaged`; a read by an index gives no event that was not asked for. An event's own checksum is
compared when it is first touched (`Event.verify`). Does not keep: a damaged index can hide an event
from a read that it drives; `check` and PostgreSQL's `amcheck` find that.
"""

from __future__ import annotations

from operator import itemgetter

from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CAUSATION_ID,
    CORRELATION_ID,
    POSITION,
    PROJECT,
    STATUS,
    TYPE,
)
from tidings.store.query import matches_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.record import Record
    from tidings.store.query import Query

__all__ = ["first_flaw"]

_COLUMNS = {
    "causation_id": CAUSATION_ID,
    "correlation_id": CORRELATION_ID,
    "aggregate_id": AGGREGATE_ID,
    "project": PROJECT,
    "status": STATUS,
    "aggregate_type": AGGREGATE_TYPE,
}


def first_flaw(
    rows: Sequence[Record], first: int, last: int, query: Query, driver: str | None
) -> str | None:
    """What is wrong with rows, if anything.

    Args:
        rows: what was read, in the order of the query.
        first: the first position that was looked at.
        last: the last one.
        query: what was asked for.
        driver: the condition that an index answered; see `planning.Plan`.
    """
    positions = list(map(itemgetter(POSITION), rows))
    ordered = sorted(set(positions), reverse=query.backwards)
    if positions != ordered or (rows and not first <= min(ordered) <= max(ordered) <= last):
        return f"events between positions {first} and {last} are out of order"
    if driver is not None and not _asked_for(rows, driver, query):
        return f"an index of {driver} leads to another event"
    return None


def _asked_for(rows: Sequence[Record], driver: str, query: Query) -> bool:
    if driver == "ids":
        return True  # the key is compared by PostgreSQL in the row itself, the id by its checksum
    if driver == "types":
        found = set(map(itemgetter(TYPE), rows))
        return all(any(matches_type(each, name) for each in query.types) for name in found)
    wanted = getattr(query, driver)
    wanted = {*wanted} if isinstance(wanted, tuple) else {wanted}
    return bool(wanted.issuperset(map(itemgetter(_COLUMNS[driver]), rows)))
