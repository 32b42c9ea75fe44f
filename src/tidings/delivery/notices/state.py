"""How far a notice has come, and what it has yet to tell: the record of its lease.

Small however much happens: what waits is counted by type and outcome and its first failures are
remembered by position, an undertaking by when it was last heard of. The events themselves stay in
the log and are read again when they are told. Bookkeeping only: it reads nothing and sends nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.delivery.notices.undertakings import Place
    from tidings.event import Event

__all__ = ["LISTED", "MOST_GROUPS", "Group", "State", "Waiting"]

LISTED = 10
"""So many failures are told one by one; the rest are counted."""

MOST_GROUPS = 200
"""So many undertakings are remembered; beyond, the ones longest silent are told, or forgotten."""

_MOST_KINDS = 30
_OTHERS = "\tothers"
_REMEMBERED = 7 * 24 * 3600 * 1_000_000
_MOST_WORDS = 200


class Waiting:
    """Events that are told by themselves, or together where they could not be.

    Attributes:
        count: how many.
        first: the position of the first one.
        last: of the last one.
        since: when the first one was read (microseconds since 1970).
        kinds: how many of each outcome and type, by `OUTCOME<tab>TYPE`; rare ones as others.
        failures: the positions of the first failures.
    """

    __slots__ = ("count", "failures", "first", "kinds", "last", "since")

    def __init__(self) -> None:
        self.count = self.first = self.last = self.since = 0
        self.kinds: dict[str, int] = {}
        self.failures: list[int] = []

    def take(self, event: Event, position: int, now: int) -> None:
        """Count an event."""
        if not self.count:
            self.first, self.since = position, now
        self.count += 1
        self.last = position
        kind = f"{event.status}\t{event.type}"
        if kind not in self.kinds and len(self.kinds) >= _MOST_KINDS:
            kind = event.status + _OTHERS
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if event.status == "failure" and len(self.failures) < LISTED:
            self.failures.append(position)

    def of_outcome(self, status: str) -> int:
        """How many have this outcome."""
        return sum(n for kind, n in self.kinds.items() if kind.partition("\t")[0] == status)

    def to_value(self) -> dict[str, Any]:
        """As a JSON value; `Waiting.of` reads it."""
        return {name: getattr(self, name) for name in Waiting.__slots__}

    @classmethod
    def of(cls, value: dict[str, Any]) -> Waiting:
        """What `to_value` wrote."""
        waiting = cls()
        for name in Waiting.__slots__:
            setattr(waiting, name, value[name])
        return waiting


class Group:
    """An undertaking that is told as one.

    Attributes:
        correlation_id: of its events.
        array: the number of the array; empty where it is none.
        words: what people call it.
        tasks: how many jobs it has, where that is known.
        last: the position of its last event.
        seen: when that was read (microseconds since 1970).
        since: when the first event was read that is still to be told; none where none is.
        count: how many events are to be told.
        told: everything of it up to this position was told.
        whole: whether it was told to be complete.
    """

    __slots__ = (
        "array",
        "correlation_id",
        "count",
        "last",
        "seen",
        "since",
        "tasks",
        "told",
        "whole",
        "words",
    )

    def __init__(self, place: Place) -> None:
        self.correlation_id = place.correlation_id
        self.array = place.array
        self.words = place.words[:_MOST_WORDS]
        self.tasks = place.tasks
        self.last = self.seen = self.told = self.count = 0
        self.since: int | None = None
        self.whole = False

    def take(self, place: Place, position: int, now: int, *, wanted: bool) -> None:
        """Note an event of it, and whether it is one to be told."""
        self.last, self.seen = position, now
        self.tasks = place.tasks or self.tasks
        if wanted:
            self.count += 1
            self.since = now if self.since is None else self.since

    def ready(self, ended: int, since: int, quiet: int, latest: int) -> int:
        """When it is to be told (microseconds since 1970).

        Args:
            ended: of so many of its jobs it is known how they ended.
            since: when there was something to tell first.
            quiet: as for `Notice` (microseconds).
            latest: as for `Notice` (microseconds).
        """
        end = since + latest
        if self.tasks is None or self.whole:
            return min(self.seen + quiet, end)
        return self.seen if ended >= self.tasks else end

    def tell(self, *, whole: bool) -> None:
        """Note that it was told as far as it goes."""
        self.told, self.since, self.count = self.last, None, 0
        self.whole = self.whole or whole

    def to_value(self) -> dict[str, Any]:
        """As a JSON value; `Group.of` reads it."""
        return {name: getattr(self, name) for name in Group.__slots__}

    @classmethod
    def of(cls, value: dict[str, Any]) -> Group:
        """What `to_value` wrote."""
        group = cls.__new__(cls)
        for name in Group.__slots__:
            setattr(group, name, value[name])
        return group


class State:
    """How far a notice has come.

    Attributes:
        position: every event up to here was told, waits, or was not wanted.
        messages: so many were sent.
        waiting: events to be told by themselves.
        groups: undertakings, by name; those longest silent first.
        sent: when the last messages were sent, within a minute (microseconds since 1970).
        attempts: so many sends have failed since one succeeded.
        failing: since when; none where the last one succeeded.
        due: when it is tried again.
        error: what went wrong last.

    >>> State.of(State(7).to_value()).position
    7
    """

    _PLAIN = ("position", "messages", "sent", "attempts", "failing", "due", "error")

    def __init__(self, position: int) -> None:
        self.position = position
        self.messages = 0
        self.waiting = Waiting()
        self.groups: dict[str, Group] = {}
        self.sent: list[int] = []
        self.attempts = 0
        self.failing: int | None = None
        self.due = 0
        self.error = ""

    def group(self, place: Place) -> Group:
        """The group of a place, made where there is none; it is the last one heard of now."""
        group = self.groups.pop(place.undertaking, None) or Group(place)
        self.groups[place.undertaking] = group
        return group

    def forget(self, now: int) -> list[str]:
        """Forget undertakings of which there is nothing to tell and nothing was heard for long.

        Returns:
            Their names.
        """
        silent = [name for name, group in self.groups.items() if group.since is None]
        over = max(0, len(self.groups) - MOST_GROUPS)
        gone = [
            name
            for index, name in enumerate(silent)
            if index < over or self.groups[name].seen + _REMEMBERED <= now
        ]
        for name in gone:
            del self.groups[name]
        return gone

    def to_value(self) -> dict[str, Any]:
        """As a JSON value; `State.of` reads it."""
        return {
            **{name: getattr(self, name) for name in State._PLAIN},
            "sent": list(self.sent),
            "waiting": self.waiting.to_value(),
            "groups": [[name, group.to_value()] for name, group in self.groups.items()],
        }

    @classmethod
    def of(cls, value: dict[str, Any]) -> State:
        """What `to_value` wrote."""
        state = cls(value["position"])
        for name in State._PLAIN:
            setattr(state, name, value[name])
        state.sent = list(value["sent"])
        state.waiting = Waiting.of(value["waiting"])
        state.groups = {name: Group.of(group) for name, group in value["groups"]}
        return state
