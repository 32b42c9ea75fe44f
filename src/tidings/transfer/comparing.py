"""Whether one store holds the events that another one does, and counts them alike.

It reads both side by side, in constant memory, and says what differs. It writes nothing.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CHECKSUM,
    CORRELATION_ID,
    PAYLOAD,
    POSITION,
    TYPE,
)
from tidings.store.base import CORRELATION, TypeCount
from tidings.store.query import Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.event import Event
    from tidings.record import Record
    from tidings.store.base import Store

__all__ = ["Comparison", "difference", "is_redacted_since"]

_MOST_DIFFERENCES = 20
_TOLD_EVERY = 1_000


class Comparison:
    """What is found while the events of two stores are read side by side.

    Args:
        source: what should be there.
        target: what is.
        after: compare what lies past this position.
        upto: and up to this one.

    Attributes:
        compared: how many events were.
        differences: what differs, in words; the first few.
        redacted: positions whose payload the source has emptied, and the target not yet.
        touched: kinds and ids of the summaries that the events count for; only where
            `remember_names` is set, as there may be many.
        kinds: their kinds.
    """

    def __init__(self, source: Store, target: Store, after: int, upto: int) -> None:
        self._source = source
        self._target = target
        self._window = Query(after=after, before=upto + 1)
        self._types: dict[str, TypeCount] = {}
        self.compared = 0
        self.differences: list[str] = []
        self.redacted: list[int] = []
        self.kinds = {CORRELATION}
        self.touched: set[tuple[str, str]] = set()
        self.remember_names = False

    def run(self, progress: Callable[[int], None]) -> None:
        """Read both; `progress` is told how many now and then.

        Raises:
            HistoryPruned: the source was pruned meanwhile.
            StoreDamaged: an event is not what its store kept.
        """
        pairs = zip_longest(self._source.read(self._window), self._target.read(self._window))
        for expected, found in pairs:
            if not self._compare(expected, found):
                return
            self.compared += 1
            if self.compared % _TOLD_EVERY == 0:
                progress(self.compared)

    def compare_types(self) -> None:
        """Hold the counts by type that the target keeps against the events of the source.

        Only where events were compared from the beginning on.
        """
        kept = {counted.type: counted for counted in self._target.types()}
        for name in sorted(kept.keys() | self._types.keys()):
            expected, found = self._types.get(name), kept.get(name)
            if expected != found:
                self.differences.append(
                    f"type {name!r} is counted {_counted(found)}, and should be "
                    f"{_counted(expected)}"
                )

    def _compare(self, expected: Event | None, found: Event | None) -> bool:
        """Note what differs; whether it makes sense to go on."""
        if expected is None or found is None:
            only, who = (found, "source") if expected is None else (expected, "target")
            position = None if only is None else only.position
            self.differences.append(f"position {position}: the {who} has no event there")
            return False
        differs = difference(expected, found)
        if differs is not None:
            self.differences.append(differs)
            in_step = expected.position == found.position
            return in_step and len(self.differences) < _MOST_DIFFERENCES
        if is_redacted_since(expected, found):
            self.redacted.append(expected.record[POSITION])
        self._count(expected.record)
        return True

    def _count(self, record: Record) -> None:
        name, aggregate_type = record[TYPE], record[AGGREGATE_TYPE]
        before = self._types.get(name)
        count = 1 if before is None else before.count + 1
        self._types[name] = TypeCount(name, count, record[POSITION])
        if aggregate_type is not None:
            self.kinds.add(aggregate_type)
        if self.remember_names:
            if aggregate_type not in (None, CORRELATION):
                self.touched.add((aggregate_type, record[AGGREGATE_ID]))
            if record[CORRELATION_ID] is not None:
                self.touched.add((CORRELATION, record[CORRELATION_ID]))


def difference(expected: Event, found: Event) -> str | None:
    """In what two events differ that should be one, in words; none where they do not.

    A payload that was redacted at the source since is no difference: it is to be redacted too.

    Raises:
        StoreDamaged: one is not what its store kept.
    """
    expected.verify()
    found.verify()
    if expected.record[:CHECKSUM] == found.record[:CHECKSUM] or is_redacted_since(expected, found):
        return None
    if expected.position != found.position:
        return (
            f"position {expected.position}: the source has an event there, and the target only "
            f"at {found.position}"
        )
    one, other = expected.to_dict(), found.to_dict()
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return f"position {expected.position}: {', '.join(names) or 'its form'} differs"


def is_redacted_since(expected: Event, found: Event) -> bool:
    """Whether two events differ in nothing but a payload that the source has emptied."""
    one, other = expected.record, found.record
    return (
        one[PAYLOAD] is None
        and other[PAYLOAD] is not None
        and one[:PAYLOAD] == other[:PAYLOAD]
        and one[PAYLOAD + 1 : CHECKSUM] == other[PAYLOAD + 1 : CHECKSUM]
    )


def _counted(count: TypeCount | None) -> str:
    if count is None:
        return "not at all"
    return f"{count.count:,} times, last at {count.last_position:,}"
