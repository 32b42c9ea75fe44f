"""Subscriptions as people see them: how far each is, and pausing, resetting and deleting them.

All of it is records in the ledger, so it works from any process, whether or not workers run; those
that run hear the bell and follow within a second or two. It keeps no promise but the truth about
others'; `generations` says how a reset is safe beside a running worker.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

from tidings.errors import InvalidSetting, NotFound, shorten
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.dead_letters import DeadLetters
from tidings.subscriptions.generations import PREFIX, Generations, key_of, partition_key
from tidings.subscriptions.leases import OWNER, WORKERS
from tidings.subscriptions.progress import Progress
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tidings.store.base import LedgerRecord, Store

__all__ = ["PartitionState", "SubscriptionState", "Subscriptions"]


@dataclass(frozen=True, slots=True)
class PartitionState:
    """How one partition stands, as of its last checkpoint.

    Attributes:
        index: which of the subscription's partitions.
        position: how far it has come.
        owner: the id of the worker that runs it, if one does that lives.
        host: the machine that worker is on.
        pid: its process id there.
        waiting: aggregates whose events wait to be tried again.
        held: aggregates that wait for a decision about a dead letter.
        handled: how many events were handled since the subscription was made.
        failed: how many attempts failed since then.
        oldest_waiting: when the event that waits longest failed first (microseconds since 1970).
    """

    index: int
    position: int
    owner: str | None
    host: str | None
    pid: int | None
    waiting: int
    held: int
    handled: int
    failed: int
    oldest_waiting: int | None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        oldest = None if self.oldest_waiting is None else format_instant(self.oldest_waiting)
        return {**asdict(self), "oldest_waiting": oldest}


class SubscriptionState(NamedTuple):
    """How a subscription stands.

    Attributes:
        name: its name.
        kind: `handler`.
        paused: whether it rests until it is resumed.
        filter: which events it wants, in words.
        created_at: when it was made (microseconds since 1970).
        start: the position past which it began.
        on_failure: `skip` or `hold`.
        generation: how often its partitions were made, which they are anew with each reset.
        head: the newest position of the store.
        dead_letters: how many events it gave up and nobody discarded or replayed.
        partitions: each of them.
    """

    name: str
    kind: str
    paused: bool
    filter: str
    created_at: int
    start: int
    on_failure: str
    generation: int
    head: int
    dead_letters: int
    partitions: tuple[PartitionState, ...]

    @property
    def position(self) -> int:
        """How far its slowest partition has come."""
        return min(each.position for each in self.partitions)

    @property
    def lag(self) -> int:
        """How many positions its slowest partition is behind, events it does not want included."""
        return max(0, self.head - self.position)

    @property
    def handled(self) -> int:
        """How many events were handled since it was made; more than once counts more than once."""
        return sum(each.handled for each in self.partitions)

    @property
    def failed(self) -> int:
        """How many attempts failed since it was made."""
        return sum(each.failed for each in self.partitions)

    @property
    def waiting(self) -> int:
        """How many aggregates wait to be tried again."""
        return sum(each.waiting for each in self.partitions)

    @property
    def held(self) -> int:
        """How many aggregates wait for a decision about a dead letter."""
        return sum(each.held for each in self.partitions)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object, sums included."""
        return {
            **self._asdict(),
            "created_at": format_instant(self.created_at),
            "position": self.position,
            "lag": self.lag,
            "handled": self.handled,
            "failed": self.failed,
            "waiting": self.waiting,
            "held": self.held,
            "partitions": [each.to_dict() for each in self.partitions],
        }


class Subscriptions:
    """The subscriptions of a store.

    Args:
        store: where they are.

    >>> from tidings.store.memory import MemoryStore
    >>> Subscriptions(MemoryStore()).list()
    []
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records = Generations(store)
        self._letters = DeadLetters(store)

    def list(
        self, limit: int | None = None, letters: Mapping[str, int] | None = None
    ) -> list[SubscriptionState]:
        """All of them, by name.

        Args:
            limit: at most so many; none for all.
            letters: how many dead letters each has that has any; none to have them counted.
        """
        names = [key.removeprefix(PREFIX) for key in self._store.keys(PREFIX, limit=limit)]
        records = [self._records.get(name) for name in names]
        return [self._state(each, letters) for each in records if each is not None]

    def get(self, name: str) -> SubscriptionState:
        """How one stands.

        Raises:
            NotFound: there is none of this name.
        """
        record = self._records.get(name)
        if record is None:
            raise _not_found(name)
        return self._state(record)

    def pause(self, name: str) -> SubscriptionState:
        """Have it rest: nothing is handled until it is resumed.

        Raises:
            NotFound: there is none of this name.
        """
        return self._change(name, paused=True)

    def resume(self, name: str) -> SubscriptionState:
        """Have it go on from where it was.

        Raises:
            NotFound: there is none of this name.
        """
        return self._change(name, paused=False)

    def reset(self, name: str, to: str | int) -> SubscriptionState:
        """Have it go on from somewhere else; what waits to be tried again is forgotten.

        Its dead letters stay, and hold nothing up any more.

        Args:
            name: whose position it is.
            to: `beginning`, `now`, or the position past which it goes on.

        Raises:
            NotFound: there is none of this name.
            InvalidSetting: that is no place to begin.
        """
        record = self._records.get(name)
        if record is None:
            raise _not_found(name)
        position = self._place(to)
        pending = record.value["change"] or record.value
        change = {"partitions": pending["partitions"], "position": position}
        # The intent first: if this process dies now, workers end what it began.
        self._records.change(name, change=change)
        self._records.completed(name)
        return self.get(name)

    def delete(self, name: str) -> None:
        """Forget it, and its dead letters. A worker that starts and declares it makes it anew.

        Raises:
            NotFound: there is none of this name.
        """
        known = self._store.delete(key_of(name))
        Bell(self._store).ring()
        left = self._store.keys(partition_key(name, 0, 0).removesuffix("0/0"))
        self._records.sweep(name)
        self._letters.remove_all(name)
        if not known and not left:
            raise _not_found(name)

    def _place(self, to: str | int) -> int:
        head = self._store.catch_up()
        if isinstance(to, int) and not isinstance(to, bool) and 0 <= to <= head:
            return to
        if to not in ("beginning", "now"):
            raise InvalidSetting(
                f"a subscription cannot go on from {shorten(to)}: it must be beginning, now, or a "
                f"position from 0 to {head}, the newest event's"
            )
        return head if to == "now" else 0

    def _change(self, name: str, **changes: Any) -> SubscriptionState:
        if self._records.change(name, **changes) is None:
            raise _not_found(name)
        Bell(self._store).ring()
        return self.get(name)

    def _state(
        self, record: LedgerRecord, letters: Mapping[str, int] | None = None
    ) -> SubscriptionState:
        name, value = record.key.removeprefix(PREFIX), record.value
        found = [self._partition(name, value, index) for index in range(value["partitions"])]
        return SubscriptionState(
            name=name,
            kind=value["kind"],
            paused=value["paused"],
            filter=value["filter"],
            created_at=value["created_at"],
            start=value["start"],
            on_failure=value["on_failure"],
            generation=value["generation"],
            head=self._store.head(),
            dead_letters=self._letters.count(name) if letters is None else letters.get(name, 0),
            partitions=tuple(found),
        )

    def _partition(self, name: str, value: dict[str, Any], index: int) -> PartitionState:
        record = self._store.get(partition_key(name, value["generation"], index))
        said = {} if record is None else record.value
        progress = Progress.of({"position": value["start"], **said})
        worker = said.get(OWNER)
        alive = None if worker is None else self._store.get(WORKERS + worker)
        lanes = progress.lanes.values()
        waiting = [lane for lane in lanes if not lane.held]
        first = [lane.attempts[0].at if lane.attempts else lane.due for lane in waiting]
        return PartitionState(
            index=index,
            position=progress.position,
            owner=None if alive is None else worker,
            host=None if alive is None else alive.value["host"],
            pid=None if alive is None else alive.value["pid"],
            waiting=len(waiting),
            held=len(lanes) - len(waiting),
            handled=said.get("handled", 0),
            failed=said.get("failed", 0),
            oldest_waiting=min(first, default=None),
        )


def _not_found(name: str) -> NotFound:
    return NotFound("subscription", name, "`tidings subscriptions list` shows those there are")
