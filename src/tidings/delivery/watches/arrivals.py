"""Events that must come at least so often: what was missed, and when it came again.

Keeps: what is judged is when events *happened*, as their producers say, but never later than when
they were kept, so that a clock which runs ahead cannot postpone a deadline. What was read is judged
as of its own time: a gap in the log is told even where nobody watched meanwhile, and no gap is told
that the log fills. Pure bookkeeping: it reads nothing and knows no clock.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.record import INSTANT, POSITION, RECORDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.event import Event

__all__ = ["Arrivals", "Missed", "Recovered", "happened"]


class Missed(NamedTuple):
    """Nothing came in time; `last` is the position of the one before, none for none."""

    deadline: int
    last: int | None


class Recovered(NamedTuple):
    """It came again with an event; `late` where that happened in time and was kept too late."""

    deadline: int
    event: Event
    late: bool


class Arrivals:
    """How the expectation stands that an event comes at least so often.

    Args:
        within: how often (microseconds).
        since: the instant from which on it is expected.
        value: what `to_value` wrote; none at first.

    >>> from tidings.event import Event
    >>> arrivals = Arrivals(within=10, since=100)
    >>> arrivals.deadline, arrivals.judge(110), arrivals.judge(111)
    (110, [], [Missed(deadline=110, last=None)])
    """

    def __init__(self, within: int, since: int, value: dict[str, Any] | None = None) -> None:
        value = value or {}
        self._within = within
        self._since = since
        self._last: int = value.get("last", since)
        self._position: int | None = value.get("last_position")
        self._missed: int | None = value.get("missed")

    @property
    def deadline(self) -> int | None:
        """The instant until which the next one must have happened; none where that was missed."""
        return None if self._missed is not None else self._end()

    @property
    def missed(self) -> int | None:
        """The deadline that was missed, while nothing has come since."""
        return self._missed

    @property
    def is_small(self) -> bool:
        """Whether what is remembered is small."""
        return True

    def fold(self, events: Sequence[Event]) -> list[Missed | Recovered]:
        """Take in events; what is to be said of that.

        Args:
            events: in order of position. Within them, the order in which they happened counts, as
                events that waited in a spool come late.
        """
        said: list[Missed | Recovered] = []
        for event in sorted(events, key=happened):
            said += self._take(event)
        return said

    def judge(self, now: int) -> list[Missed | Recovered]:
        """What is missed at an instant, if everything until then was taken in."""
        if self._missed is not None or now <= self._end():
            return []
        return [self._miss()]

    def to_value(self) -> dict[str, Any]:
        """As a JSON value."""
        return {"last": self._last, "last_position": self._position, "missed": self._missed}

    def _take(self, event: Event) -> list[Missed | Recovered]:
        at = happened(event)
        if at <= self._last:
            return []  # Older than what is known: history that was brought in, or a repetition.
        said: list[Missed | Recovered] = []
        if self._missed is None and at > self._end():
            said.append(self._miss())
        if self._missed is not None:
            said.append(Recovered(self._missed, event, at <= self._missed))
            self._missed = None
        self._last, self._position = at, event.record[POSITION]
        return said

    def _miss(self) -> Missed:
        self._missed = self._end()
        return Missed(self._missed, self._position)

    def _end(self) -> int:
        # What happened before it was resumed was not expected, and no gap before that counts.
        return max(self._last, self._since) + self._within


def happened(event: Event) -> int:
    """When an event happened (microseconds), which cannot be after it was kept."""
    instant, recorded = event.record[INSTANT], event.record[RECORDED]
    return instant if recorded is None else min(instant, recorded)  # type: ignore[no-any-return]  # records hold many types
