"""A writer that does a bit of everything for good, and reports what was acknowledged, as it is.

It runs in a process of its own (see `fork_server`) and ends by being killed. Each report is one
line on a pipe: the id of an event, or `name=number` for a ledger record.
"""

from __future__ import annotations

import asyncio
import os
from random import Random
from typing import TYPE_CHECKING, Any

from tidings.aio import AsyncBus
from tidings.bus import Bus
from tidings.errors import VersionConflict
from tidings.event import Event
from tidings.store.base import Put
from tidings.store.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["write"]

_PATIENCE = 30.0
"""How long a writer waits for the others' lock (seconds): none may spool for being slow."""


def write(url: str, seed: int, pipe: int) -> None:
    """Write to a store until killed.

    Args:
        url: the store.
        seed: what the writer does, and the name of its ledger record.
        pipe: where it reports.
    """
    writer = _Writer(url, seed, pipe)
    while True:
        writer.act()


class _Writer:
    def __init__(self, url: str, seed: int, pipe: int) -> None:
        self._random = Random(seed)
        self._name = f"cursor/{seed}"
        self._pipe = pipe
        self._url = url
        self._bus = Bus(url, context=False, deadline=_PATIENCE)
        self._done = 0

    def act(self) -> None:
        """Do one thing, chosen at random, and report it."""
        acts = (self._emit, self._emit, self._emit_many, self._expect, self._put, self._append_put)
        act = self._group_commit if self._random.random() < 0.02 else self._random.choice(acts)
        act()

    def _event(self, **fields: Any) -> Event:
        self._done += 1
        text = "x" * self._random.choice((0, 10, 300, 6_000))
        return Event(f"step.{self._done % 5}", "crash", payload={"text": text}, **fields)

    def _emit(self) -> None:
        event = self._bus.publish(self._event(correlation_id=self._name))
        self._report([event])

    def _emit_many(self) -> None:
        about = {"aggregate_type": "run", "aggregate_id": f"shared-{self._done % 3}"}
        events = [self._event(**about) for _ in range(self._random.randrange(1, 40))]
        self._report(self._bus.emit_many(events))

    def _expect(self) -> None:
        """Take the next version of an aggregate that other writers want too."""
        event = self._event(aggregate_type="run", aggregate_id="contended")
        summaries = self._bus.store.summaries("run", Query(aggregate_id="contended"))
        version = summaries[0].version if summaries else 0
        try:
            kept = self._bus.publish(event, expected_version=version)
        except VersionConflict:
            return
        self._report([kept])

    def _put(self) -> None:
        self._done += 1
        self._bus.store.put(self._name, self._done)
        self._tell(f"{self._name}={self._done}")

    def _append_put(self) -> None:
        """An event and a ledger record in one transaction."""
        event = self._event()
        self._report(self._bus.store.append([event], put=[Put(self._name, self._done)]))
        self._tell(f"{self._name}={self._done}")

    def _group_commit(self) -> None:
        asyncio.run(self._share_commits())

    async def _share_commits(self) -> None:
        async with AsyncBus(self._url, context=False, deadline=_PATIENCE) as bus:

            async def publish(event: Event) -> None:
                self._report([await bus.publish(event)])

            await asyncio.gather(*(publish(self._event()) for _ in range(16)))

    def _report(self, events: Iterable[Event]) -> None:
        events = list(events)
        if any(event.position is None for event in events):
            raise RuntimeError(f"a writer had to spool: {self._bus.last_failure}")
        self._tell(*(event.id for event in events))

    def _tell(self, *lines: str) -> None:
        os.write(self._pipe, "".join(f"{line}\n" for line in lines).encode())
