"""A thread with an event loop, in which nats-py lives, and what other threads ask of it.

It ends with `close` or with the process. A forked child has no use for it (the thread is not there)
and makes one of its own. It knows no NATS.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import weakref
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from threading import Event as Flag
from threading import Thread, current_thread

from tidings.errors import StoreClosed, StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeVar

    from tidings.errors import TidingsError

    T = TypeVar("T")

__all__ = ["LoopThread"]

_log = logging.getLogger("tidings.store.jetstream")
# A library says nothing on stderr; who configures logging hears it.
_log.addHandler(logging.NullHandler())
logging.getLogger("nats").addHandler(logging.NullHandler())

_MARGIN = 5.0
"""How much longer than it was given a call may take before it is given up (seconds)."""


class LoopThread:
    """A thread that runs an event loop.

    Args:
        name: the thread's.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_tell)
        self._ready = Flag()
        self._closed = False
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._ready.wait()
        _running.add(self)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._ready.set)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._cancel_all())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def run(
        self,
        work: Coroutine[Any, Any, T],
        seconds: float | None,
        stalled: Callable[[str], TidingsError] = StoreUnavailable,
    ) -> T:
        """Run a coroutine in the loop, and wait for it.

        Args:
            work: it keeps its own deadline.
            seconds: that deadline; None where it has none.
            stalled: what it means if even the loop did not go on for that long.

        Raises:
            StoreClosed: the loop ended meanwhile.
            TidingsError: as `stalled` makes it.
        """
        if self._closed:
            work.close()
            raise StoreClosed("the store was closed; open it again")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(None if seconds is None else seconds + _MARGIN)
        except CancelledError:
            raise StoreClosed("the store was closed meanwhile") from None
        except FutureTimeout:
            if future.done():
                return future.result()
            future.cancel()
            raise stalled(
                f"this process did not come to speak to NATS for more than {seconds:g} seconds: it "
                f"was stopped, or its machine is too busy; the same (events with the same ids) may "
                f"be asked again"
            ) from None
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have a function called in the loop soon; nothing happens once it has ended."""
        if not self._closed:
            with suppress(RuntimeError):  # it ended just now
                self._loop.call_soon_threadsafe(function, *arguments)

    def close(self, last: Coroutine[Any, Any, object], seconds: float) -> None:
        """Run something last, and end the loop and its thread.

        Args:
            last: what to run; an error of it is logged.
            seconds: the longest it may take.
        """
        if self._closed:
            last.close()
            return
        future = asyncio.run_coroutine_threadsafe(last, self._loop)
        self._closed = True
        try:
            future.result(seconds)
        except Exception:  # noqa: BLE001 - whoever closes has no use for an error
            _log.exception("a JetStream store could not be closed cleanly")
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not current_thread():
            self._thread.join()
        _running.discard(self)

    def abandon(self) -> None:
        """In a forked child: have nothing more to do with the loop; its thread is not here."""
        self._closed = True
        _running.discard(self)


def _tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what no task waited for; asyncio would write it to stderr."""
    _log.error("JetStream store: %s", context.get("message"), exc_info=context.get("exception"))


_running: weakref.WeakSet[LoopThread] = weakref.WeakSet()


async def _nothing() -> None:
    """What a process that ends has still to do."""


def _end_all() -> None:
    """End the loops that nobody closed, before the interpreter takes their threads away."""
    for loop in list(_running):
        loop.close(_nothing(), _MARGIN)


atexit.register(_end_all)
