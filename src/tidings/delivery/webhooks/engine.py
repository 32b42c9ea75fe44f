"""The engine: one thread a process that delivers webhooks.

Keeps promise 3 for webhooks over any number of processes: each serves some of the shards, by
leases, and takes over those of a process that died. What the thread does is in `serving`; here it
is started and ended, and begun anew should it fail.
"""

from __future__ import annotations

import asyncio
import logging
from threading import Event as Signal
from threading import Thread

from tidings.clock import Clock
from tidings.delivery.webhooks.addresses import allowed_networks
from tidings.delivery.webhooks.keys import SHARDS, shard_key
from tidings.delivery.webhooks.sending import Sender
from tidings.delivery.webhooks.serving import Serving
from tidings.delivery.webhooks.shard import FIRST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tidings.store.base import Store
    from tidings.subscriptions.leases import Leases

__all__ = ["Webhooks"]

_AGAIN_SECONDS = 5.0

_log = logging.getLogger("tidings.webhooks")


class Webhooks:
    """Delivers the events of a store to its endpoints, as one of any number of processes.

    Args:
        store: whose events and endpoints they are.
        leases: what this process holds; whoever made them starts and closes them.
        clock: what time it is.
        sender_factory: makes what sends, in the thread of the engine.

    Raises:
        InvalidSetting: `TIDINGS_WEBHOOK_NETWORKS` names what is no network.

    `start` and `close` it, or use it as a context manager.
    """

    def __init__(
        self,
        store: Store,
        leases: Leases,
        *,
        clock: Clock | None = None,
        sender_factory: Callable[[], Sender] | None = None,
    ) -> None:
        self._store = store
        self._leases = leases
        self._clock = clock or Clock()
        allowed_networks()  # said now, to who can say it, not again and again by the thread
        self._make_sender = sender_factory or (lambda: Sender(clock=self._clock))
        self._grace = 0.0
        self._stopping = Signal()
        self._thread: Thread | None = None
        self._serving: Serving | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        if self._thread is None:
            for number in range(SHARDS):
                self._leases.offer(shard_key(number), dict(FIRST))
            self._leases.on_change.append(self.wake)
            self._thread = Thread(target=self._work, name="tidings-webhooks", daemon=True)
            self._thread.start()

    def close(self, grace: float = 2.0) -> None:
        """Let requests under way end, write how far each endpoint has come, and let go of all.

        Args:
            grace: so long (seconds) requests may take; those that take longer are made again by
                whoever delivers next.
        """
        if self._thread is None or self._stopping.is_set():
            return
        self._grace = grace
        self._stopping.set()
        self.wake()
        self._thread.join()
        self._leases.on_change.remove(self.wake)
        for number in range(SHARDS):
            self._leases.withdraw(shard_key(number))

    def wake(self) -> None:
        """Look at clock, leases and ledger now: a test has moved its clock."""
        serving = self._serving
        if serving is not None:
            serving.wake()

    def counts(self) -> dict[str, int]:
        """What this process has done since it began, and has to do; for metrics.

        Returns:
            `sent` and `failed` attempts, requests `under_way`, endpoints that wait for room
            (`waiting`) and `endpoints` served; nothing while it is not running.
        """
        serving = self._serving
        return {} if serving is None else serving.counts()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                asyncio.run(self._serve())
            except Exception:  # noqa: BLE001 - a bug must not end deliveries for good, nor spin
                _log.exception("delivering webhooks failed; it begins anew")
                self._stopping.wait(_AGAIN_SECONDS)

    async def _serve(self) -> None:
        async with self._make_sender() as sender:
            self._serving = Serving(self._store, self._leases, self._clock, sender)
            try:
                await self._serving.until(self._stopping)
                await self._serving.finish(self._grace)
            finally:
                self._serving.let_go()
                self._serving = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
