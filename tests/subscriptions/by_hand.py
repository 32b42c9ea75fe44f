"""Partitions that take their turns when a test says so, at a time that a test moves.

The same parts that a worker runs in threads, without the threads: nothing here sleeps or waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tidings import Bus, Event
from tidings.bus import followed
from tidings.clock import Clock
from tidings.handlers import Handler, wanted
from tidings.schedule import Schedule
from tidings.store.base import Batch
from tidings.store.sqlite import SQLiteStore
from tidings.subscriptions.calling import Calls, Loop
from tidings.subscriptions.dead_letters import DeadLetters
from tidings.subscriptions.generations import Generations
from tidings.subscriptions.leases import Leases
from tidings.subscriptions.partition import Partition
from tidings.subscriptions.registry import Subscriptions, SubscriptionState

__all__ = ["FaultyStore", "Receiver", "Time", "WorkerByHand", "handler_of", "tell"]

T = TypeVar("T")

_A_CHECKPOINT = 0.101
"""After so much time (seconds) a checkpoint is due."""


class Time(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self._now = 1_800_000_000_000_000
        self._elapsed = 100.0

    def now(self) -> int:
        """The instant."""
        return self._now

    def elapsed(self) -> float:
        """Seconds."""
        return self._elapsed

    def goes_by(self, seconds: float) -> None:
        """Move on."""
        self._now += round(seconds * 1_000_000)
        self._elapsed += seconds


class Receiver:
    """Notes what it handles, in order, and fails for the numbers it was told to refuse."""

    def __init__(self, *refuses: int) -> None:
        self.tried: list[int] = []
        self.got: list[int] = []
        self.refuses = set(refuses)

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        number = event.payload["n"]
        self.tried.append(number)
        if number in self.refuses:
            raise ValueError(f"{number} is no good")
        self.got.append(number)


class FaultyStore(SQLiteStore):
    """A store that can be told to refuse a write, or to do it and lose the answer."""

    _fault: tuple[Exception, int, bool] | None = None

    def fail(self, error: Exception, *, after: int = 0, done: bool = False) -> None:
        """Have a write fail.

        Args:
            error: what it raises.
            after: how many writes go well before.
            done: whether it is done all the same.
        """
        self._fault = (error, after, done)

    @property
    def failed(self) -> bool:
        """Whether the write it was told of came and failed."""
        return self._fault is None

    def works_again(self) -> bool:
        """Have no write fail any more; whether one did."""
        failed, self._fault = self.failed, None
        return failed

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """As a store's."""
        return self._written(lambda: SQLiteStore.append_all(self, batches))

    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        """As a store's."""
        return self._written(lambda: SQLiteStore.put(self, key, value, expected))

    def delete(self, key: str, expected: int | None = None) -> bool:
        """As a store's."""
        return self._written(lambda: SQLiteStore.delete(self, key, expected))

    def _written(self, write: Callable[[], T]) -> T:
        if self._fault is None:
            return write()
        error, after, done = self._fault
        self._fault = None if after == 0 else (error, after - 1, done)
        if after > 0:
            return write()
        if done:
            write()
        raise error


def handler_of(
    function: Callable[..., Any], *types: str, pauses: Sequence[float] = (1, 1), **options: Any
) -> Handler:
    """A handler named `notify`: three attempts, a second between them."""
    names = ("start", "partitions", "on_failure", "outbox")
    declared = {name: options.pop(name) for name in names if name in options}
    name = options.pop("name", "notify")
    schedule = Schedule(pauses, jitter=0)
    return Handler(
        function, name=name, query=followed(wanted(types, options)), schedule=schedule, **declared
    )


def tell(bus: Bus, *told: tuple[str | None, int]) -> list[Event]:
    """Keep events: the id of the thing each is about, or none, and its number."""
    return bus.emit_many(
        [
            Event(
                "told",
                payload={"n": number},
                aggregate_type=None if about is None else "thing",
                aggregate_id=about,
            )
            for about, number in told
        ]
    )


class WorkerByHand:
    """What one process runs of a subscription, in turns.

    Args:
        bus: where events are.
        handler: what is to be done.
        time: what time it is.
    """

    def __init__(self, bus: Bus, handler: Handler, time: Time) -> None:
        self.bus = bus
        self.time = time
        self.letters = DeadLetters(bus.store)
        self.leases = Leases(bus.store, clock=time)
        self.records = Generations(bus.store)
        self._handler = handler
        self._loop = Loop()
        self._calls = Calls(bus, handler, self._loop)
        self.partitions: list[Partition] = []
        self.look(self.records.declare(handler, time.now()))

    @property
    def state(self) -> SubscriptionState:
        """How the subscription stands."""
        return Subscriptions(self.bus.store).get("notify")

    def look(self, record: dict[str, Any] | None = None) -> None:
        """Run the partitions there are now."""
        record = record or self.records.completed("notify")
        assert record is not None
        for partition in self.partitions:
            self.leases.withdraw(partition.key)
        self.partitions = [
            Partition(self.bus, self._handler, self._calls, record, index, self.time)
            for index in range(record["partitions"])
        ]
        for partition in self.partitions:
            self.leases.offer(partition.key, partition.first)
        self.leases.turn()

    def turn(self, seconds: float = 0.0) -> None:
        """Let time go by, and have each partition take a turn, as if the bell had rung.

        A tenth of a second later they take another one, in which checkpoints are due.
        """
        for more in (seconds, _A_CHECKPOINT):
            self.time.goes_by(more)
            self.leases.turn()
            for partition in self.partitions:
                partition.rang()
                self.turn_of(partition)

    def turn_of(self, partition: Partition) -> int | None:
        """Have one partition take one turn, if it holds its lease; gives when it wants the next."""
        lease = self.leases.held(partition.key)
        return None if lease is None else partition.turn(lease, self.time.now())

    def ask(self, position: int, what: str) -> bool:
        """Decide about a dead letter."""
        return self.letters.ask("notify", position, what)

    def calls_end(self) -> None:
        """End the loop of async handlers."""
        self._loop.close()

    def leave(self) -> None:
        """End as a process ends that is told to."""
        for partition in self.partitions:
            lease = self.leases.held(partition.key)
            if lease is not None:
                partition.leave(lease)
        self.leases.close()
