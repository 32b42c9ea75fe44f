"""A store in plain Python, slow and simple: what the suite's machine holds a real store against.

It follows the contract by searching lists, without indexes or running counts. Only the meaning of a
summary is the stores' own (`tidings.store.summarize`); the suite checks that by examples.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import reduce

from tidings.errors import IdConflict, InvalidEvent, RevisionConflict, VersionConflict
from tidings.event import Event
from tidings.store.base import CORRELATION
from tidings.store.summarize import fold_aggregate, fold_correlation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.base import Batch, Put, Summary

__all__ = ["Model", "facts"]


def facts(event: Event) -> dict[str, Any]:
    """Everything an event says, but for the moment the store took it."""
    data = event.to_dict()
    data.pop("recorded_at", None)
    return data


class Model:
    """What a store should hold after the same calls.

    Attributes:
        ever: all events ever kept, by position, redacted ones as they are now.
        pruned: the last position that was pruned away.
        head: the newest position ever kept.
        ledger: the value of each record.
    """

    def __init__(self) -> None:
        self.ever: list[Event] = []
        self.pruned = 0
        self.head = 0
        self.ledger: dict[str, Any] = {}
        self._correlations_from: dict[str, int] = {}

    @property
    def left(self) -> list[Event]:
        """The events that may be read."""
        return [event for event in self.ever if (event.position or 0) > self.pruned]

    def append(self, batch: Batch) -> list[Event] | type[Exception]:
        """What `append` must give for a batch: the stored events, or the class of an error.

        Revisions are the store's own, so ledger writes may expect nothing, or a missing record (0).
        """
        fresh: list[Event] = []
        stored: list[Event] = []
        about = {_aggregate(event) for event in batch.events}
        if batch.expected_version is not None and (len(about) != 1 or (None, None) in about):
            return InvalidEvent
        for event in batch.events:
            known = next((kept for kept in self.left + fresh if _same_id(kept, event)), None)
            if known is None:
                known = self._placed(event, fresh)
                fresh.append(known)
            elif _contradicts(known, event):
                return IdConflict
            stored.append(known)
        if fresh and batch.expected_version not in (None, self.version(*_aggregate(fresh[0]))):
            return VersionConflict
        if any(put.expected == 0 and put.key in self.ledger for put in batch.put):
            return RevisionConflict
        self.keep(fresh, batch.put)
        return stored

    def keep(self, events: list[Event], puts: tuple[Put, ...] | list[Put] | Any = ()) -> None:
        """Take events that have their places, and ledger writes."""
        self.ever += events
        self.head = max([self.head, *(event.position or 0 for event in events)])
        for put in puts:
            self.ledger[put.key] = put.value

    def version(self, kind: str | None, name: str | None) -> int:
        """The version an aggregate stands at."""
        return max((e.version or 0 for e in self.ever if _aggregate(e) == (kind, name)), default=0)

    def prune(self, through: int) -> int:
        """Forget the events up to and with a position."""
        before = len(self.left)
        self.pruned = max(self.pruned, min(through, self.head))
        names = {event.correlation_id for event in self.ever} - {None}
        for name in names - {event.correlation_id for event in self.left}:
            self._correlations_from[str(name)] = self.pruned
        return before - len(self.left)

    def redact(self, positions: list[int | None]) -> int:
        """Empty the payloads at some positions."""
        chosen = [
            index
            for index, event in enumerate(self.ever)
            if event.position in positions and not event.redacted
        ]
        for index in chosen:
            self.ever[index] = Event.from_dict({**self.ever[index].to_dict(), "redacted": True})
        return len(chosen)

    def types(self) -> list[tuple[str, int, int]]:
        """The types that occur, how often and where last."""
        counts = Counter(event.type for event in self.left)
        last = {event.type: event.position or 0 for event in self.left}
        return [(name, counts[name], last[name]) for name in sorted(counts)]

    def summaries(self, kind: str) -> list[Summary]:
        """The summaries of a kind that have an event left, oldest first."""
        fold = fold_correlation if kind == CORRELATION else fold_aggregate
        of_each: dict[str, list[Event]] = {}
        for event in self.ever:
            name = self._name_of(event, kind)
            if name is not None:
                of_each.setdefault(name, []).append(event)
        return [
            summary
            for events in of_each.values()
            if (summary := _folded(fold, events)).last_position > self.pruned
        ]

    def _name_of(self, event: Event, kind: str) -> str | None:
        if kind != CORRELATION:
            return event.aggregate_id if event.aggregate_type == kind else None
        name = event.correlation_id
        forgotten = self._correlations_from.get(name or "", 0)
        return name if (event.position or 0) > forgotten else None

    def _placed(self, event: Event, fresh: list[Event]) -> Event:
        data = {**event.to_dict(), "position": self.head + len(fresh) + 1, "version": None}
        if event.aggregate_id is not None:
            earlier = sum(_aggregate(other) == _aggregate(event) for other in fresh)
            data["version"] = self.version(*_aggregate(event)) + earlier + 1
        return Event.from_dict(data)


def _folded(fold: Any, events: list[Event]) -> Summary:
    summary: Summary = reduce(fold, (event.record for event in events), None)
    return summary


def _aggregate(event: Event) -> tuple[str | None, str | None]:
    return event.aggregate_type, event.aggregate_id


def _same_id(one: Event, other: Event) -> bool:
    is_uuid = len(one.id) == 36 and one.id.count("-") == 4
    return one.id == other.id and (is_uuid or one.source == other.source)


def _contradicts(kept: Event, sent: Event) -> bool:
    left_out = {"position", "version", "recorded_at", "context", "timestamp", "redacted"}
    if kept.redacted:
        left_out.add("payload")
    if sent.timestamp_given and kept.instant != sent.instant:
        return True
    before, now = kept.to_dict(), sent.to_dict()
    # As text, because to Python 1, 1.0 and True are one.
    return any(
        json.dumps(before.get(key)) != json.dumps(now.get(key))
        for key in {*before, *now} - left_out
    )
