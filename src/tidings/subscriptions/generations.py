"""What the ledger knows of a subscription, and how its partitions change.

Keeps: *whatever changes, every event is handled at least once, and in order for each aggregate*. A
set of partitions is a *generation*, each with records of its own. To change their number, or to put
a subscription back, a new generation takes the old one's place: first the intent is noted, then
each old record is closed by compare-and-set, so that no process can write it any more, and then one
append makes the new records and names the new generation. Whoever finds a change begun ends it, so
a crash anywhere does no harm. It runs nothing; `worker` does.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from tidings.errors import RevisionConflict
from tidings.store.base import Put
from tidings.store.query import Query
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.checkpoint import state_of
from tidings.subscriptions.progress import (
    Lane,
    Progress,
    Settled,
    aggregate_of,
    lane_of,
    partition_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.handlers import Handler
    from tidings.store.base import LedgerRecord, Store

__all__ = ["CLOSED", "Generations", "key_of", "partition_key"]

PREFIX = "subscription/"
PARTITIONS = "partition/"

CLOSED: dict[str, Any] = {"closed": True}
"""The record of a partition that is over. Also what a process that does not know so makes anew."""

_log = logging.getLogger("tidings.subscriptions")


def key_of(name: str) -> str:
    """The key of a subscription's record."""
    return PREFIX + name


def partition_key(name: str, generation: int, index: int) -> str:
    """The key of a partition's record, which is its lease.

    >>> partition_key("notify", 1, 0)
    'partition/notify/1/0'
    """
    return f"{PARTITIONS}{name}/{generation}/{index}"


class Generations:
    """The records of subscriptions.

    Args:
        store: whose ledger holds them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def declare(self, handler: Handler, now: int) -> dict[str, Any]:
        """Have a record for a handler; make it, or let it follow what is declared now.

        Args:
            handler: as declared in this process.
            now: the instant.

        Returns:
            The record's value, with no change under way.
        """
        name = str(handler.name)
        while True:
            record = self._store.get(key_of(name))
            if record is None:
                self._create(name, handler, now)
                continue
            value = _declared(record.value, handler)
            if value == record.value or self._written(record, value):
                settled = self.completed(name)
                if settled is not None:
                    self.sweep(name)  # who changed it last may have died before it did so
                    return settled

    def get(self, name: str) -> LedgerRecord | None:
        """The record of a subscription, or none."""
        return self._store.get(key_of(name))

    def change(self, name: str, **changes: Any) -> dict[str, Any] | None:
        """Change a record, whoever else changes it.

        Returns:
            What it says now, or none where there is none.
        """
        while True:
            record = self.get(name)
            if record is None:
                return None
            value = {**record.value, **changes}
            if self._written(record, value):
                return value

    def completed(self, name: str) -> dict[str, Any] | None:
        """End a change that was begun, by this process or by one that died.

        Returns:
            What the record says now, or none where there is none.
        """
        while True:
            record = self.get(name)
            if record is None or record.value["change"] is None:
                return None if record is None else record.value
            old = self._closed(name, record.value)
            value, puts = self._successor(name, record.value, old)
            try:
                self._store.append([], put=[Put(record.key, value, record.revision), *puts])
            except RevisionConflict:
                continue  # another process did the same, or somebody paused it
            _log.info(
                "%s goes on with %d partitions (generation %d)",
                name,
                value["partitions"],
                value["generation"],
            )
            self.sweep(name)
            Bell(self._store).ring()  # the other workers run the new ones too
            return value

    def sweep(self, name: str) -> None:
        """Remove the records of partitions that are over."""
        found = [self._store.get(key) for key in self._store.keys(f"{PARTITIONS}{name}/")]
        # Looked up last: what was found is not of a generation that began since.
        record = self.get(name)
        kept = None if record is None else f"{PARTITIONS}{name}/{record.value['generation']}/"
        for each in found:
            if each is not None and (kept is None or not each.key.startswith(kept)):
                with suppress(RevisionConflict):
                    self._store.delete(each.key, each.revision)

    def _create(self, name: str, handler: Handler, now: int) -> None:
        start = self._start(handler)
        value = {
            "kind": "handler",
            "paused": False,
            "created_at": now,
            "start": start,
            "generation": self._next_generation(name, 0),
            "partitions": handler.partitions,
            "change": None,
        }
        value = _declared(value, handler)
        first = state_of(Progress(start), [], 0, 0)
        try:
            self._store.append([], put=[Put(key_of(name), value, 0), *_puts(name, value, [first])])
        except RevisionConflict:
            return  # made by another process at the same time
        _log.info("%s is a new subscription and begins past position %d", name, start)

    def _next_generation(self, name: str, newest: int) -> int:
        """A number of which there are no records."""
        # A generation's records are made once: a process that still knows the records of one that
        # was deleted must find them closed, not those of a new subscription of the same name.
        known = [int(key.split("/")[2]) for key in self._store.keys(f"{PARTITIONS}{name}/")]
        return max([newest, *known]) + 1

    def _start(self, handler: Handler) -> int:
        if handler.start == "now":
            return self._store.catch_up()
        return handler.start if isinstance(handler.start, int) else 0

    def _written(self, record: LedgerRecord, value: dict[str, Any]) -> bool:
        try:
            self._store.put(record.key, value, record.revision)
        except RevisionConflict:
            return False
        return True

    def _closed(self, name: str, value: dict[str, Any]) -> list[dict[str, Any]]:
        """Close every partition of a generation; gives what their records said last."""
        generation, start = value["generation"], value["start"]
        return [
            self._close(partition_key(name, generation, index), start)
            for index in range(value["partitions"])
        ]

    def _close(self, key: str, start: int) -> dict[str, Any]:
        while True:
            record = self._store.get(key)
            if record is None:
                # Only where somebody else ended the change, and then ours will be refused.
                return state_of(Progress(start), [], 0, 0)
            said: dict[str, Any] = record.value
            if said.get("closed") or self._written(record, {**said, **CLOSED, "owner": None}):
                return said if "position" in said else state_of(Progress(start), [], 0, 0)

    def _successor(
        self, name: str, value: dict[str, Any], old: Sequence[dict[str, Any]]
    ) -> tuple[dict[str, Any], list[Put]]:
        """The record that names the new generation, and the records of its partitions."""
        change = value["change"]
        new = {
            **value,
            "generation": self._next_generation(name, value["generation"]),
            "partitions": change["partitions"],
            "change": None,
        }
        handled = sum(each["handled"] for each in old)
        failed = sum(each["failed"] for each in old)
        if change["position"] is not None:
            states = [state_of(Progress(change["position"]), [], 0, 0)] * new["partitions"]
        else:
            states = self._taken_over(old, new["partitions"])
        states = [{**states[0], "handled": handled, "failed": failed}, *states[1:]]
        return new, _puts(name, new, states)

    def _taken_over(self, old: Sequence[dict[str, Any]], partitions: int) -> list[dict[str, Any]]:
        """What the records of new partitions say at first: the least position, and every lane."""
        positions = tuple(each["position"] for each in old)
        position = min(positions)
        # What a quicker partition settled beyond that is not handled again.
        layers = {tuple(layer) for each in old for layer in each["settled"]} | {positions}
        settled = [Settled(layer) for layer in sorted(layers) if max(layer) > position]
        lanes: list[dict[str, Lane]] = [{} for _ in range(partitions)]
        for each in old:
            for lane, waiting in Progress.of(each).lanes.items():
                lanes[self._partition_of(lane, waiting, partitions)][lane] = waiting
        return [state_of(Progress(position, each), settled, 0, 0) for each in lanes]

    def _partition_of(self, lane: str, waiting: Lane, partitions: int) -> int:
        """Where a lane goes; one whose event is gone goes anywhere, to have it said there."""
        if aggregate_of(lane) is not None:
            return partition_of(lane, "", partitions)
        if waiting.position < self._store.first():
            return 0
        query = Query(after=waiting.position - 1, before=waiting.position + 1)
        for event in self._store.read(query):
            return partition_of(lane_of(event), event.project, partitions)
        return 0


def _puts(name: str, value: dict[str, Any], states: Sequence[dict[str, Any]]) -> list[Put]:
    """The writes that make the partitions of a generation; one state does for all of them."""
    partitions = range(value["partitions"])
    each = list(states) if len(states) > 1 else list(states) * len(partitions)
    keys = [partition_key(name, value["generation"], index) for index in partitions]
    return [Put(key, {**state, "owner": None}, 0) for key, state in zip(keys, each, strict=True)]


def _declared(value: dict[str, Any], handler: Handler) -> dict[str, Any]:
    """The record as a handler declares it."""
    wanted = described(handler.query)
    new = {**value, "filter": wanted, "on_failure": handler.on_failure}
    if value.get("filter", wanted) != wanted:
        _log.warning(
            "%s wants other events than before: %s instead of %s; positions stay as they are",
            handler.name,
            wanted,
            value["filter"],
        )
    begun = value["change"]  # by a process that died, or that is about to end it
    if (begun or value)["partitions"] != handler.partitions:
        position = None if begun is None else begun["position"]
        new["change"] = {"partitions": handler.partitions, "position": position}
    return new


def described(query: Query) -> str:
    """Which events a query asks for, as people read it.

    >>> described(Query(types=["job.*", "run"], project="figrecipe"))
    'project=figrecipe types=job.*,run'
    """
    said = [f"{name}={_text(value)}" for name, value in query.conditions()]
    if query.exclude is not None:
        for name, value in query.exclude.conditions():
            without = (
                tuple(each for each in value if each != "tidings.*") if name == "types" else value
            )
            if without:
                said.append(f"not {name}={_text(without)}")
    return " ".join(sorted(said, key=lambda each: each.startswith("not "))) or "all events"


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
