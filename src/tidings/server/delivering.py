"""Delivery in a server: begun with it, and ended with it in bounded time; tests of webhooks.

What is delivered, and how, stands in `tidings.delivery`; here is only that a server neither starts
nor ends later for it. What is under way at the end is cut off and delivered again by the next
process (promise 3: at least once).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from threading import Thread

from tidings.delivery.running import Delivery
from tidings.delivery.webhooks.managing import Manager
from tidings.errors import TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.bus import Bus

__all__ = ["Delivering"]

_LAST_SECONDS = 2.0
"""So long the server's end waits for what delivery is doing. What it held is else taken over when
it is found dead, some seconds later."""

_MOST_TESTS = 8
"""So many tests are sent at once; a receiver that hangs takes 20 s of one."""

_log = logging.getLogger("tidings.server.delivery")


class Delivering:
    """Delivery as a server runs it.

    Args:
        bus: whose events are delivered.
        wanted: whether this server delivers at all.
    """

    def __init__(self, bus: Bus, *, wanted: bool) -> None:
        self._bus = bus
        self._tests = asyncio.Semaphore(_MOST_TESTS)
        self._delivery = Delivery(bus) if wanted else None
        self._ended = asyncio.Event()
        self._runs = self._ending = False

    def start(self) -> None:
        """Begin; in the event loop, which is not held up."""
        if self._delivery is not None:
            self._runs = True
            self._delivery.start()

    def counts(self) -> dict[str, int]:
        """What was sent to webhooks; see `Delivery.counts`."""
        return {} if self._delivery is None else self._delivery.counts()

    async def test(self, webhook_id: str) -> dict[str, Any]:
        """Send a webhook a test; takes up to 20 s, and as long as others do theirs.

        Raises:
            NotFound: there is none of this id.
        """
        async with self._tests:
            return await Manager(self._bus.store).test_here(webhook_id)

    def drain(self) -> None:
        """Begin to end, beside everything else that does; in the event loop."""
        if self._delivery is None or not self._runs or self._ending:
            return
        self._ending = True
        # No thread of the loop's pool: Python waits for those before it ends, however long it be.
        Thread(
            target=self._end,
            args=(self._delivery, asyncio.get_running_loop()),
            name="tidings-delivery-end",
            daemon=True,
        ).start()

    async def close(self) -> None:
        """Wait for the end, at most two seconds."""
        self.drain()
        if self._ending:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _LAST_SECONDS)

    def _end(self, delivery: Delivery, loop: asyncio.AbstractEventLoop) -> None:
        try:
            delivery.close()
        except TidingsError as error:
            _log.info("delivery could not sign off: %s", error)
        with suppress(RuntimeError):  # The loop has ended meanwhile.
            loop.call_soon_threadsafe(self._ended.set)
