"""Attending to people: what they change about endpoints and ask for takes effect here.

Keeps its part of promise 3: an ask is forgotten only when what it changed was written. Used from
the engine's event loop; the ledger is asked in threads (`changes`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tidings.delivery.webhooks.asking import EVENT, SINCE
from tidings.delivery.webhooks.changes import (
    Ask,
    Changes,
    asked_letters,
    asks,
    endpoint_of,
)
from tidings.delivery.webhooks.endpoints import AFRESH, SKIP, remove_remains
from tidings.delivery.webhooks.keys import shard_of
from tidings.delivery.webhooks.shard import load_channel
from tidings.errors import OutcomeUnknown, StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor
    from typing import Any, TypeVar

    from tidings.clock import Clock
    from tidings.delivery.webhooks.channel import Channel
    from tidings.delivery.webhooks.courier import Courier
    from tidings.delivery.webhooks.feed import Ring
    from tidings.delivery.webhooks.matching import Matching
    from tidings.delivery.webhooks.shard import Shard
    from tidings.store.base import Store
    from tidings.subscriptions.dead_letters import DeadLetter

    T = TypeVar("T")

__all__ = ["Attending"]

_AGAIN_SECONDS = 1.0
"""How long what cannot be done now waits."""


class Attending:
    """Carries out what people change and ask for.

    Args:
        store: whose ledger says it.
        clock: what time it is.
        shards: those served, by number; changed here as endpoints come and go.
        matching: who wants what; kept up here.
        courier: told of endpoints that may have something to send.
        ring: how far the feed has come.
        threads: where the store is called.
        writer: where it is called to write how far endpoints have come.
        start: begins a task.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        shards: dict[int, Shard],
        matching: Matching,
        courier: Courier,
        ring: Ring,
        threads: Executor,
        writer: Executor,
        start: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._store = store
        self._clock = clock
        self._shards = shards
        self._matching = matching
        self._courier = courier
        self._ring = ring
        self._threads = threads
        self._writer = writer
        self._start = start
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._changes = Changes(store)
        self._carried_out: set[str] = set()
        self._looking = self._look_again = self._compare = self._remembering = False
        self._remembered: set[str] = set()

    async def begin(self) -> None:
        """Note what was changed last; before endpoints are loaded, so that nothing is missed."""
        with suppress(StoreUnavailable, OutcomeUnknown):  # then all are compared at first
            await self._in_thread(self._changes.ids)

    def remember(self) -> None:
        """Shards are being loaded: the next look after `loaded` sees to what changes meanwhile."""
        self._remembering = True

    async def loaded(self) -> None:
        """Shards were loaded: see what was changed since, and asked for."""
        self._remembering = False
        await self.look(compare=True)

    async def look(self, *, compare: bool = False) -> None:
        """See what was changed and asked for.

        Args:
            compare: also compare all endpoints with those known, in case a change was not noted.
        """
        self._look_again = True
        self._compare = self._compare or compare
        if self._looking:
            return
        self._looking = True
        try:
            while self._look_again:
                self._look_again = False
                await self._look_once()
        except (StoreUnavailable, OutcomeUnknown):
            self._compare = True
            self._later()
        finally:
            self._looking = False

    def begin_shard(self, number: int) -> None:
        """A shard was loaded: what was carried out before, but not written, is to be done again."""
        done = self._carried_out
        done.difference_update([key for key in done if shard_of(endpoint_of(key)) == number])

    def forget(self, keys: list[str]) -> None:
        """The records of asks that were carried out were removed."""
        self._carried_out.difference_update(keys)

    async def _look_once(self) -> None:
        known = {id for shard in self._shards.values() for id in shard.channels}
        # Compared first: who sees that an endpoint came may rely on it that earlier changes hold.
        compare, self._compare = self._compare, False
        found = await self._compared(known) if compare else set()
        changed = await self._in_thread(self._changes.ids)
        if changed is None and not compare:
            found = await self._compared(known)
        ids = (known if changed is None else changed | self._remembered) | found
        self._remembered = ids if self._remembering else set()
        # What was asked for together with a change is done before the change takes effect, so that
        # an endpoint that is to skip events is not sent them first; a new one must be known first.
        numbers = list(self._shards)
        asked = await self._in_thread(lambda: list(asks(self._store, numbers)))
        for ask in asked:
            if ask.id in known:
                self._carry_out(ask)
        for id, fresh in (await self._in_thread(self._load, ids)).items():
            self._take_in(id, fresh)
        for ask in asked:
            if ask.id not in known:
                self._carry_out(ask)
        replayed = {
            id: set(channel.replayed) if channel.replayed else ()
            for shard in self._shards.values()
            for id, channel in shard.channels.items()
        }
        letters = await self._in_thread(asked_letters, self._store, replayed)
        for letter in letters:
            self._replay(letter)
        if letters:
            self._later()  # there may be more

    async def _compared(self, known: set[str]) -> set[str]:
        return await self._in_thread(self._changes.compared, known, [*self._shards])

    def _load(self, ids: set[str]) -> dict[str, Channel | None]:
        """Read endpoints that were changed, of the shards served; in a thread."""
        positions = {n: shard.lease.value["position"] for n, shard in [*self._shards.items()]}
        return {
            id: load_channel(self._store, id, positions[shard_of(id)])
            for id in ids
            if shard_of(id) in positions
        }

    def _take_in(self, id: str, fresh: Channel | None) -> None:
        """Take in how an endpoint is now: new, changed, or no more."""
        shard = self._shards.get(shard_of(id))
        if shard is None:
            return
        channel = shard.channels.get(id)
        if fresh is None:
            shard.remove(id)
            self._matching.remove(id)
            # What was being written about it is written by then.
            self._writer.submit(remove_remains, self._store, id)
            return
        if channel is None:
            channel = fresh
            shard.add(channel)
        else:
            channel.reconfigure(fresh.endpoint)
        self._matching.add(id, channel.query)
        self._look_at(shard, channel)

    def _carry_out(self, ask: Ask) -> None:
        shard = self._shards.get(shard_of(ask.id))
        if shard is None or ask.key in self._carried_out:
            return
        channel = shard.channels.get(ask.id)
        what, now, end = ask.value.get("what"), self._clock.now(), self._ring.end
        if channel is not None and what == EVENT and channel.progress.full:
            self._later()
            return
        self._carried_out.add(ask.key)
        shard.asks.append(ask.key)
        if channel is None:
            return
        if what == AFRESH:
            channel.begin_afresh(now)
        elif what == SKIP:
            channel.skip_to(ask.value["position"], end)
        elif what == SINCE:
            channel.go_back(ask.value["position"], end)
        elif what == EVENT:
            channel.replay(ask.value["position"], ask.value["event_id"], now)
        self._look_at(shard, channel)

    def _replay(self, letter: DeadLetter) -> None:
        """Send a dead letter again, if there is room to have it wait."""
        id = letter.subscription.removeprefix("webhook:")
        shard = self._shards.get(shard_of(id))
        channel = None if shard is None else shard.channels.get(id)
        if shard is None or channel is None:
            return
        if channel.progress.full:
            return
        channel.replay(letter.position, letter.event_id, self._clock.now())
        self._look_at(shard, channel)

    def _look_at(self, shard: Shard, channel: Channel) -> None:
        shard.touch(channel)
        self._courier.look_at(shard, channel)

    def _later(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_AGAIN_SECONDS, self._now)

    def _now(self) -> None:
        self._timer = None
        self._start(self.look())

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._threads, call, *arguments)
