"""The checkpoint of a partition: how far it has come, what goes with it, and when that is saved.

Keeps two promises. Whatever a partition did is written with its position or not at all: follow-up
events, dead letters and what is said of them share one append with the lease's record. And who has
lost the lease writes nothing. It is saved in batches; what a batch says is lost with its process,
and those events are handled again.
"""

from __future__ import annotations

from tidings.errors import (
    Conflict,
    InvalidEvent,
    InvalidQuery,
    OutcomeUnknown,
    RevisionConflict,
    TidingsError,
)
from tidings.record import PAYLOAD
from tidings.store.base import Batch, Put
from tidings.subscriptions.progress import Progress, Settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.bus import Bus
    from tidings.clock import Clock
    from tidings.event import Event
    from tidings.subscriptions.dead_letters import DeadLetter
    from tidings.subscriptions.leases import Lease

__all__ = ["Checkpoint", "Refused", "state_of"]

_SECONDS = 0.1
"""Under flow it is saved so often."""

_SELDOM_SECONDS = 5.0
"""So often where only unwanted events went by: to read those again costs nobody anything."""

_MOST_EVENTS = 500
_MOST_CHARACTERS = 256 * 1024
"""So much waits to be kept with the position, at most, about; a message of NATS holds four times
that."""


class Refused(Exception):  # noqa: N818 - it says what is, as the names of `errors` do
    """The store will not keep what handlers emitted.

    Args:
        error: why.
    """

    def __init__(self, error: TidingsError) -> None:
        super().__init__(str(error))
        self.error = error


class Checkpoint:
    """How far a partition has come.

    Args:
        bus: keeps what goes with it.
        lease: whose record it is.
        clock: what time it is.

    Attributes:
        lease: as given.
        progress: position and lanes, as they stand here; saved by `save`.
        settled: what was settled under other partitions, as far as it still counts.
        unsaved: how many attempts were made since it was last saved.
        trying: the position of the event that is being handled and how many processes have tried
            to; saved only where one of them died.
    """

    def __init__(self, bus: Bus, lease: Lease, clock: Clock) -> None:
        self.lease = lease
        self._bus = bus
        self._clock = clock
        self.progress = Progress.of(lease.value)
        self.settled = [Settled(tuple(each)) for each in lease.value.get("settled", ())]
        self.unsaved = 0
        self.trying: tuple[int, int] | None = None
        self._handled: int = lease.value.get("handled", 0)
        self._failed: int = lease.value.get("failed", 0)
        self._changed = False
        self._saved_at = clock.elapsed()
        self._events: list[Event] = []
        self._characters = 0
        self._puts: list[Put] = []

    def handled(self, follow_ups: Sequence[Event]) -> None:
        """An event was handled, and its handler emitted these; the caller moves `progress`."""
        self._handled += 1
        self.unsaved += 1
        self._changed = True
        if follow_ups:
            self.say(*follow_ups)

    def failed(self) -> None:
        """An attempt failed; the caller notes it in `progress`."""
        self._failed += 1
        self.unsaved += 1
        self._changed = True

    def changed(self) -> None:
        """Something in `progress` changed that must be saved soon."""
        self._changed = True

    def say(self, *events: Event) -> None:
        """Keep these events with the position."""
        self._events += events
        self._characters += sum(len(event.record[PAYLOAD] or "") for event in events)
        self._changed = True

    def give_up(self, letter: DeadLetter) -> None:
        """Keep this letter with the position."""
        self._puts = [put for put in self._puts if put.key != letter.key]
        self._puts.append(Put(letter.key, letter.to_value()))
        self._changed = True

    @property
    def gives_up(self) -> bool:
        """Whether letters wait to be kept.

        They are before anything else is handled: if the process died then, another one might handle
        what was given up after what comes behind it.
        """
        return bool(self._puts)

    def due_in(self, *, idle: bool) -> float | None:
        """When to save (seconds); none where there is nothing to save.

        Args:
            idle: whether there is nothing to do just now. What handlers emitted is then kept at
                once, because somebody waits for it.
        """
        if self._events and (
            idle or len(self._events) >= _MOST_EVENTS or self._characters >= _MOST_CHARACTERS
        ):
            return 0.0
        if self._changed:
            every = _SECONDS
        elif self.progress.position != self.lease.value.get("position"):
            every = _SELDOM_SECONDS
        else:
            return None
        return max(0.0, self._saved_at + every - self._clock.elapsed())

    def save_if_due(self, *, idle: bool = False) -> None:
        """Save, if it is time; arguments as for `due_in`, errors as for `save`."""
        if self.due_in(idle=idle) == 0.0:
            self.save()

    def save(self) -> None:
        """Write everything, now, if there is anything.

        Raises:
            LeaseLost: another process goes on; nothing was written.
            StoreUnavailable: nothing was written, and everything waits for the next time.
            Refused: the store will not keep what handlers emitted; nothing was written.
        """
        if self.due_in(idle=True) is None:
            return
        lowest = self.progress.position
        self.settled = [each for each in self.settled if max(each.positions) > lowest]
        value = state_of(self.progress, self.settled, self._handled, self._failed)
        if self.trying is not None:
            value["trying"] = list(self.trying)
        if self._events or self._puts:
            self._append(value)
        else:
            self.lease.save(value)
        self._events, self._puts, self._characters = [], [], 0
        self._changed = False
        self.unsaved = 0
        self._saved_at = self._clock.elapsed()

    def _append(self, value: dict[str, Any]) -> None:
        batch = Batch(self._events, put=[*self._puts, self.lease.put(value)])
        (result,) = self._bus.keep_all([batch])
        if isinstance(result, (RevisionConflict, OutcomeUnknown, list)):
            self.lease.saved(value)  # looks whether it was written
        elif isinstance(result, (Conflict, InvalidEvent, InvalidQuery)):
            raise Refused(result)
        else:
            raise result


def state_of(
    progress: Progress, settled: Sequence[Settled], handled: int, failed: int
) -> dict[str, Any]:
    """The record of a partition.

    Args:
        progress: position and lanes.
        settled: what was settled under other partitions.
        handled: how many events were handled.
        failed: how many attempts failed.
    """
    return {
        **progress.to_value(),
        "settled": [list(each.positions) for each in settled],
        "handled": handled,
        "failed": failed,
    }
