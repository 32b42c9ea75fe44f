"""Runs, workflows and agents that must end, or be heard of: which ones are stuck.

Begun is what an event says so of (`run.started`), as in summaries; ended what an event says so of,
or of a run any event with an outcome. Times are those of `arrivals.happened`. What is remembered is
bounded. Pure bookkeeping, as in `arrivals`.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.delivery.watches.arrivals import happened
from tidings.record import AGGREGATE_ID, AGGREGATE_TYPE, POSITION, STATUS, TYPE
from tidings.store.summarize import state_after

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from tidings.event import Event

__all__ = ["MOST_LIVES", "Alive", "Full", "Lives", "Stuck", "begins", "ends"]

MOST_LIVES = 5_000
"""So many may have begun and not ended; what is remembered of them then takes half a megabyte,
which fits into one message of a replicated log."""

_MOST_SAID = 100
"""So many are told at once, for the same reason."""

_RUNNING = "running"
_SEPARATOR = "\t"  # no type or id has a control character


class Stuck(NamedTuple):
    """One that has not ended, or not been heard of, in time; `last` is its last event's place."""

    about: tuple[str, str]
    began: int
    heard: int
    deadline: int
    last: int


class Alive(NamedTuple):
    """One that was stuck ended or was heard of; `late`: that happened in time, but came late."""

    about: tuple[str, str]
    deadline: int
    event: Event
    late: bool
    ended: bool


class Full(NamedTuple):
    """So many have begun and not ended that this one is not watched, nor others after it."""

    event: Event


class _Life:
    """One that has begun and not ended."""

    __slots__ = ("began", "first_type", "heard", "last", "stuck")

    def __init__(
        self, began: int, heard: int, last: int, first_type: str, stuck: int | None = None
    ) -> None:
        self.began = began
        self.heard = heard
        self.last = last
        self.first_type = first_type
        self.stuck = stuck  # the deadline that it missed

    def to_value(self) -> list[Any]:
        return [self.began, self.heard, self.last, self.first_type, self.stuck]


class Lives:
    """Those that have begun and not ended.

    Args:
        within: in what time they must end or be heard of (microseconds).
        since: the instant from which on that is expected.
        must_end: whether only their end counts; otherwise any event about them.
        value: what `to_value` wrote; none at first.
    """

    def __init__(
        self, within: int, since: int, *, must_end: bool, value: dict[str, Any] | None = None
    ) -> None:
        value = value or {}
        self._within = within
        self._since = since
        self._must_end = must_end
        self._lives = {key: _Life(*life) for key, life in value.get("lives", {}).items()}
        self.full: bool = value.get("full", False)

    @property
    def count(self) -> int:
        """How many have begun and not ended."""
        return len(self._lives)

    @property
    def is_small(self) -> bool:
        """Whether what is remembered is small."""
        return len(self._lives) <= 100

    @property
    def deadline(self) -> int | None:
        """The next instant until which one of them must end or be heard of; none for none."""
        return min(
            (self._end(life) for life in self._lives.values() if life.stuck is None), default=None
        )

    def stuck(self) -> list[tuple[str, str]]:
        """Those that are stuck."""
        return [_about(key) for key, life in self._lives.items() if life.stuck is not None]

    def fold(
        self, events: Iterable[Event], is_wanted: Callable[[Event], bool]
    ) -> tuple[list[Stuck | Alive | Full], Event | None]:
        """Take in events, until so much is to be said that it must be said first.

        Args:
            events: all that may be about them, in order of position.
            is_wanted: whether an event begins something that is watched, beside what its type says.

        Returns:
            What is to be said, and the last event taken in.
        """
        said: list[Stuck | Alive | Full] = []
        last = None
        for event in events:
            last = event
            if event.record[AGGREGATE_ID] is not None:
                said += self._take(event, is_wanted)
            if len(said) >= _MOST_SAID:
                break
        return said, last

    def judge(self, now: int) -> list[Stuck | Alive | Full]:
        """Who is stuck at an instant, if everything until then was taken in; not all at once."""
        said: list[Stuck | Alive | Full] = []
        for key, life in self._lives.items():
            if life.stuck is None and now > self._end(life):
                said.append(self._stick(key, life))
                if len(said) == _MOST_SAID:
                    break
        return said

    def to_value(self) -> dict[str, Any]:
        """As a JSON value."""
        return {
            "lives": {key: life.to_value() for key, life in self._lives.items()},
            "full": self.full,
        }

    def _take(self, event: Event, is_wanted: Callable[[Event], bool]) -> list[Stuck | Alive | Full]:
        record = event.record
        key = f"{record[AGGREGATE_TYPE]}{_SEPARATOR}{record[AGGREGATE_ID]}"
        life = self._lives.get(key)
        if life is None:
            return self._begin(key, event) if begins(event) and is_wanted(event) else []
        at, begun, ended = happened(event), begins(event), ends(event, life.first_type)
        said: list[Stuck | Alive | Full] = []
        counts = ended or begun or not self._must_end
        if counts and life.stuck is None and at > self._end(life):
            said.append(self._stick(key, life))
        if counts and life.stuck is not None:
            said.append(Alive(_about(key), life.stuck, event, at <= life.stuck, ended))
            life.stuck = None
        life.heard, life.last = max(life.heard, at), record[POSITION]
        if begun:
            life.began = max(life.began, at)
        if ended:
            self._end_of(key)
        return said

    def _begin(self, key: str, event: Event) -> list[Stuck | Alive | Full]:
        if len(self._lives) >= MOST_LIVES and not self._forget_one():
            if self.full:
                return []
            self.full = True
            return [Full(event)]
        at = happened(event)
        self._lives[key] = _Life(at, at, event.record[POSITION], event.record[TYPE])
        return []

    def _forget_one(self) -> bool:
        """Make room: of those that are stuck, and were told of, the first will never end."""
        for key, life in self._lives.items():
            if life.stuck is not None:
                del self._lives[key]
                return True
        return False

    def _end_of(self, key: str) -> None:
        del self._lives[key]
        if len(self._lives) < MOST_LIVES * 9 // 10:
            self.full = False

    def _stick(self, key: str, life: _Life) -> Stuck:
        life.stuck = self._end(life)
        return Stuck(_about(key), life.began, life.heard, life.stuck, life.last)

    def _end(self, life: _Life) -> int:
        return max(life.began if self._must_end else life.heard, self._since) + self._within


def begins(event: Event) -> bool:
    """Whether an event says that what it is about begins."""
    record = event.record
    if record[AGGREGATE_ID] is None:
        return False
    kind, event_type = record[AGGREGATE_TYPE], record[TYPE]
    return state_after("", kind, event_type, event_type, "") == _RUNNING


def ends(event: Event, first_type: str) -> bool:
    """Whether an event says that what it is about has ended.

    Args:
        event: about it.
        first_type: the type of its first event.
    """
    record = event.record
    kind, event_type, status = record[AGGREGATE_TYPE], record[TYPE], record[STATUS]
    return state_after(_RUNNING, kind, first_type, event_type, status) != _RUNNING


def _about(key: str) -> tuple[str, str]:
    kind, _, name = key.partition(_SEPARATOR)
    return kind, name
