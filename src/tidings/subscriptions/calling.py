"""How a handler is called: plain functions where they are, async ones in one loop of the worker.

An async one is given several events while the loop is at it, one after the other: to go there and
back costs more than most handlers do.

Keeps its part of promise 3: whatever a handler raises is an outcome of this one event and ends
neither a thread nor the loop, `SystemExit`, `KeyboardInterrupt` and `CancelledError` included (a
signal reaches the main thread, so one that arrives here was raised by the handler itself).
"""

from __future__ import annotations

import asyncio
from inspect import iscoroutine
from threading import Lock, Thread
from time import monotonic
from typing import NamedTuple

from tidings.cause import handling
from tidings.outbox import Outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from tidings.bus import Bus
    from tidings.event import Event
    from tidings.handlers import Handler

__all__ = ["Calls", "Loop", "Outcome", "told"]

_GRACE_SECONDS = 1.0
"""So long a cancelled handler may take to end."""

_MOST_AT_ONCE = 100
_AT_ONCE_SECONDS = 0.05
"""So many events an async handler is given at once, and for so long: what was handled is noted
afterwards only."""


class Outcome(NamedTuple):
    """What became of one event.

    Attributes:
        error: what its handler raised, or none.
        follow_ups: what it put into its outbox.
        seconds: how long it took.
    """

    error: BaseException | None
    follow_ups: Sequence[Event]
    seconds: float


class Loop:
    """An event loop in a thread of its own, begun when it is first needed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._closed = False

    def run(self, made: Coroutine[Any, Any, None]) -> BaseException | None:
        """Run a coroutine to its end, while the calling thread waits.

        Returns:
            Why it could not be run, or none: the loop was closed before, or meanwhile.
        """
        try:
            with self._lock:
                future = asyncio.run_coroutine_threadsafe(made, self._begun())
            future.result()
        except BaseException as error:  # noqa: BLE001 - see above; what it runs raises nothing itself
            made.close()
            return error
        return None

    def close(self) -> None:
        """Cancel what still runs, and end the thread; calling again is harmless."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None and not loop.is_closed():
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_GRACE_SECONDS * 2)

    def _begun(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise RuntimeError("the worker was closed")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = Thread(
                target=_run_loop, args=(self._loop,), name="tidings-handlers", daemon=True
            )
            self._thread.start()
        return self._loop


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=_GRACE_SECONDS))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


class Calls:
    """Calls one handler.

    Args:
        bus: where its outbox makes events.
        handler: what to call.
        loop: where it runs if it is async.
    """

    def __init__(self, bus: Bus, handler: Handler, loop: Loop) -> None:
        self._bus = bus
        self._function: Callable[..., Any] = handler.function
        self._loop = loop
        self._with_outbox = handler.outbox
        self._is_async = handler.is_async

    @property
    def at_once(self) -> int:
        """How many events are best given at once."""
        return _MOST_AT_ONCE if self._is_async else 1

    def call(self, events: Sequence[Event]) -> list[Outcome]:
        """Have events handled, one after the other, until one fails or time is up.

        Returns:
            What became of the first of them, and at least of one.
        """
        outcomes: list[Outcome] = []
        if not self._is_async:
            outcomes.append(self._called(events[0]))
            return outcomes
        began = monotonic()
        broken = self._loop.run(self._handle_all(events, outcomes))
        # Where the loop was closed meanwhile: whatever was going on failed. A copy, as a handler
        # that will not be cancelled may end yet.
        return outcomes[:] or [Outcome(broken, (), monotonic() - began)]

    def _called(self, event: Event) -> Outcome:
        """Call a plain function; one that gives something to await is awaited all the same."""
        began = monotonic()
        outbox, arguments = self._arguments(event)
        error: BaseException | None = None
        with handling(event):
            try:
                made = self._function(*arguments)
            except BaseException as raised:  # noqa: BLE001 - see the module
                error = raised
        if error is None and iscoroutine(made):
            awaited: list[BaseException | None] = []
            broken = self._loop.run(_await(event, made, awaited))
            error = awaited[0] if awaited else broken
        return Outcome(error, _emitted(outbox), monotonic() - began)

    async def _handle_all(self, events: Sequence[Event], outcomes: list[Outcome]) -> None:
        """Await an async function for each event; in the loop."""
        end = monotonic() + _AT_ONCE_SECONDS
        errors: list[BaseException | None] = []
        for event in events:
            began = monotonic()
            outbox, arguments = self._arguments(event)
            await _await(event, self._function(*arguments), errors)
            now = monotonic()
            outcomes.append(Outcome(errors[-1], _emitted(outbox), now - began))
            if errors[-1] is not None or now >= end:
                return

    def _arguments(self, event: Event) -> tuple[Outbox | None, tuple[Any, ...]]:
        """The event's outbox, if it is to have one, and what the handler is called with."""
        if not self._with_outbox:
            return None, (event,)
        outbox = Outbox(self._bus, event)
        return outbox, (event, outbox)


async def _await(
    event: Event, made: Coroutine[Any, Any, None], errors: list[BaseException | None]
) -> None:
    """Await a handler; an error as a value, as two kinds of them would end the whole loop."""
    with handling(event):
        try:
            await made
        except BaseException as error:  # noqa: BLE001 - see above
            errors.append(error)
        else:
            errors.append(None)


def _emitted(outbox: Outbox | None) -> Sequence[Event]:
    """What is in an outbox, which takes nothing any more."""
    if outbox is None:
        return ()
    outbox.close()
    return outbox.events


def told(error: BaseException) -> str:
    """An error as `Type: message`; a stranger's message may itself fail."""
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:  # noqa: BLE001 - see above
        return type(error).__name__
