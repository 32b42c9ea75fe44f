"""How far one reader of a subscription has come, and what it could not handle yet.

Keeps promise 3 (at least once, in order for each aggregate): a reader goes on past an event that
failed, but not past it within its aggregate. Events about one aggregate make a *lane*. An event
that failed waits at the head of its lane, until it was handled or given up; the lane's later events
are not listed, because the log has them: they are read again from there. So what is kept stays
small however much is held up. Pure bookkeeping: it reads nothing, calls nobody and knows no clock.
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

from tidings.subject import read_subject, write_subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.event import Event

__all__ = [
    "MOST_LANES",
    "Attempt",
    "Lane",
    "Progress",
    "Settled",
    "aggregate_of",
    "lane_of",
    "partition_of",
]

MOST_LANES = 100
"""So many lanes may wait; then the reader stays where it is. What fails for everything is mostly
not a matter of one aggregate, and what is kept must stay small."""

_OF = "of:"
"""Begins the name of a lane that is an aggregate's."""

_MOST_TEXT = 500
"""So much of an error or an answer is kept (characters)."""

_MOST_WAITING_TEXT = 160
"""So much of it while the event waits: all lanes stand in one record, which is written often, and a
log takes a megabyte at once."""


class Attempt(NamedTuple):
    """One attempt that failed, or, in a webhook's list, any attempt.

    Attributes:
        at: when it began (microseconds since 1970).
        seconds: how long it took.
        error: what went wrong, as `ErrorType: message`; empty where nothing did.
        status: the HTTP status it was answered with; none where there was no answer, and for
            handlers.
        answer: the first characters of the answer.
    """

    at: int
    seconds: float
    error: str
    status: int | None = None
    answer: str = ""

    def cut(self, most: int = _MOST_TEXT) -> Attempt:
        """The same with each text cut to what is kept, or to so many characters.

        What UTF-8 cannot say, such as half a character of a file's name, is written as an escape.
        """
        return self._replace(error=_said(self.error, most), answer=_said(self.answer, most))


class Lane:
    """An event that waits, and with it all later ones of its aggregate.

    Attributes:
        position: of the event that waits; the lane's events before it are settled.
        event_id: its id.
        attempts: those that failed so far.
        due: the instant (microseconds) from which it is tried again.
        held: whether it was given up and its aggregate waits for a person: not tried again.
        alone: whether nothing waits behind it, so that it ends with its event: a dead letter that
            is replayed.
    """

    __slots__ = ("alone", "attempts", "due", "event_id", "held", "position")

    def __init__(
        self,
        position: int,
        event_id: str,
        due: int,
        attempts: tuple[Attempt, ...] = (),
        *,
        held: bool = False,
        alone: bool = False,
    ) -> None:
        self.position = position
        self.event_id = event_id
        self.due = due
        self.attempts = attempts
        self.held = held
        self.alone = alone

    def to_value(self) -> dict[str, Any]:
        """As a JSON value; `Lane.of` reads it."""
        return {
            "position": self.position,
            "event_id": self.event_id,
            "due": self.due,
            "attempts": [list(attempt) for attempt in self.attempts],
            "held": self.held,
            "alone": self.alone,
        }

    @classmethod
    def of(cls, value: dict[str, Any]) -> Lane:
        """The lane that `to_value` wrote."""
        return cls(
            value["position"],
            value["event_id"],
            value["due"],
            tuple(Attempt(*attempt) for attempt in value["attempts"]),
            held=value["held"],
            alone=value["alone"],
        )


class Progress:
    """How far a reader has come.

    Args:
        position: everything up to here is settled (handled, given up or not wanted), but for what
            waits in lanes.
        lanes: what waits, by the name of its lane.

    >>> from tidings.event import Event
    >>> progress = Progress(7)
    >>> progress.failed("agent/a1", 5, "e5", Attempt(0, 0.1, "OSError: no"), due=1_000_000)
    >>> progress.blocks("agent/a1"), progress.blocks("agent/a2"), progress.next_due()
    (True, False, 1000000)
    >>> Progress.of(progress.to_value()).to_value() == progress.to_value()
    True
    """

    __slots__ = ("lanes", "position")

    def __init__(self, position: int, lanes: dict[str, Lane] | None = None) -> None:
        self.position = position
        self.lanes: dict[str, Lane] = {} if lanes is None else lanes

    @property
    def full(self) -> bool:
        """Whether so much waits that the reader must not go on."""
        return len(self.lanes) >= MOST_LANES

    def blocks(self, lane: str) -> bool:
        """Whether events of this lane must wait; they are found again by `Lane.position`."""
        return lane in self.lanes

    def failed(self, lane: str, position: int, event_id: str, attempt: Attempt, due: int) -> None:
        """An event failed and waits at the head of its lane, which is made where there is none."""
        waiting = self.lanes.get(lane)
        if waiting is None or waiting.position != position:
            self.lanes[lane] = Lane(position, event_id, due, (attempt.cut(_MOST_WAITING_TEXT),))
            return
        waiting.attempts += (attempt.cut(_MOST_WAITING_TEXT),)
        waiting.due = due

    def replay(self, position: int, event_id: str, now: int) -> None:
        """A dead letter is tried again, by itself: what came after it has long gone on."""
        self.lanes.setdefault(f"replay:{position}", Lane(position, event_id, now, alone=True))

    def moved_on(self, lane: str, following: Event | None, now: int) -> None:
        """The event at the head of a lane is settled.

        Args:
            lane: its name.
            following: the lane's next event up to `position`, which is due at once; none where
                there is none, and the lane ends.
            now: the instant.
        """
        if following is None or following.position is None or self.lanes[lane].alone:
            del self.lanes[lane]
        else:
            self.lanes[lane] = Lane(following.position, following.id, now)

    def due(self, now: int) -> list[str]:
        """The lanes whose events are to be tried now, those that wait longest first."""
        ready = [
            (lane.due, name)
            for name, lane in self.lanes.items()
            if not lane.held and lane.due <= now
        ]
        return [name for _, name in sorted(ready)]

    def next_due(self) -> int | None:
        """The instant when the next lane is to be tried; none where none is."""
        return min((lane.due for lane in self.lanes.values() if not lane.held), default=None)

    def to_value(self) -> dict[str, Any]:
        """As a JSON value; `Progress.of` reads it."""
        lanes = {name: lane.to_value() for name, lane in self.lanes.items()}
        return {"position": self.position, "lanes": lanes}

    @classmethod
    def of(cls, value: dict[str, Any]) -> Progress:
        """What `to_value` wrote; other keys of the value are left alone."""
        lanes = {name: Lane.of(lane) for name, lane in value.get("lanes", {}).items()}
        return cls(value["position"], lanes)


def _said(text: str, most: int) -> str:
    return text[:most].encode(errors="backslashreplace").decode()[:most]


def lane_of(event: Event) -> str:
    """The lane of an event: its aggregate, or itself where it is about none.

    >>> from tidings.event import Event
    >>> lane_of(Event("agent.started", aggregate_type="agent", aggregate_id="a1"))
    'of:agent/a1'
    """
    kind, name = event.aggregate_type, event.aggregate_id
    if kind is None or name is None:
        return f"event:{event.position}"
    # As a subject is written: a type may hold a slash, and two aggregates must not share a lane.
    return f"{_OF}{write_subject(kind, name)}"


def aggregate_of(lane: str) -> tuple[str, str] | None:
    """The type and id of the aggregate whose lane it is; none for a lane of one event.

    >>> aggregate_of("of:agent/a1"), aggregate_of("event:7")
    (('agent', 'a1'), None)
    """
    return read_subject(lane.removeprefix(_OF)) if lane.startswith(_OF) else None


def partition_of(lane: str, project: str, partitions: int) -> int:
    """Which of so many partitions an event belongs to: by its aggregate, else by its project.

    The same on every machine and for good, as records outlive processes.

    >>> partition_of("of:agent/a1", "x", 4) == partition_of("of:agent/a1", "y", 4)
    True
    """
    return crc32((lane if lane.startswith(_OF) else project).encode()) % partitions


class Settled(NamedTuple):
    """What was settled while a subscription had other partitions; see `generations`.

    Attributes:
        positions: how far each of those partitions had come; there were as many as there are
            positions.
    """

    positions: tuple[int, ...]

    def up_to(self, lane: str, project: str) -> int:
        """The position up to which events of a lane were settled then, or waited in lanes."""
        return self.positions[partition_of(lane, project, len(self.positions))]
