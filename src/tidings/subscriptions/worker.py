"""A worker: runs a bus's handlers, its share of them, beside any number of other processes.

Keeps promise 3 together with its parts. It has a record for each subscription, offers to run its
partitions, and follows what people and other workers change about it. It waits for a store that is
away, at the start too.
"""

from __future__ import annotations

import logging
from threading import Event as Signal
from threading import Thread
from time import monotonic

from tidings.bus import Bus
from tidings.clock import Clock
from tidings.errors import InvalidSetting, OutcomeUnknown, StoreClosed, StoreUnavailable
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.calling import Calls, Loop
from tidings.subscriptions.duties import Runner
from tidings.subscriptions.generations import Generations
from tidings.subscriptions.partition import Partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self

    from tidings.aio import AsyncBus
    from tidings.handlers import Handler
    from tidings.subscriptions.leases import Leases

__all__ = ["Worker"]

_LOOK_SECONDS = 1.0
"""How often the bell is listened for."""

_LOOK_ANYWAY_SECONDS = 30.0
"""How often it looks even so: who changed something may have died before it rang."""

_log = logging.getLogger("tidings.subscriptions")


class Worker:
    """Runs handlers.

    Args:
        bus: where events are, and which declares the handlers; an `AsyncBus` will do.
        handlers: which there are; none for those of the bus.
        names: which of them to run; none for all.
        leases: what this process holds, started and closed by whoever gives them; none for its own.
        clock: what time it is.

    Raises:
        InvalidSetting: a name is not declared, or is declared twice.

    `start` and `close` it, or use it as a context manager.

    >>> from tidings import Bus
    >>> with Bus("memory:") as bus:
    ...     seen = Signal()
    ...     handler = bus.on("job_done", name="notify")(lambda event: seen.set())
    ...     event = bus.emit("job_done")
    ...     with Worker(bus):
    ...         seen.wait(60)
    True
    """

    def __init__(
        self,
        bus: Bus | AsyncBus,
        handlers: Iterable[Handler] | None = None,
        *,
        names: Iterable[str] | None = None,
        leases: Leases | None = None,
        clock: Clock | None = None,
    ) -> None:
        declared = bus.handlers if handlers is None else list(handlers)
        self._handlers = _chosen(declared, names)
        self._bus = bus if isinstance(bus, Bus) else bus.bus
        self._clock = clock or Clock()
        self._runner = Runner(bus.store, leases=leases, clock=self._clock)
        self._records = Generations(bus.store)
        self._bell = Bell(bus.store)
        self._loop = Loop()
        self._running: dict[str, list[Partition]] = {}
        self._stopping = Signal()
        self._thread: Thread | None = None

    @property
    def names(self) -> list[str]:
        """The names of the subscriptions it offers to run."""
        return list(self._handlers)

    def start(self) -> None:
        """Begin; returns at once, also where the store is away."""
        if self._thread is None:
            self._thread = Thread(target=self._follow, name="tidings-worker", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Let handlers end, save, and give everything up; calling again is harmless.

        A handler that does not end within ten seconds is left behind, an async one cancelled; its
        event will be handled again.
        """
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._runner.close()
        self._loop.close()

    # Following ------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Have every subscription run as its record says, and as it changes."""
        begun = away = False
        looked = 0.0
        while not self._stopping.is_set():
            try:
                late = monotonic() - looked >= _LOOK_ANYWAY_SECONDS
                if not begun:
                    self._begin()
                    begun, looked = True, monotonic()
                elif self._bell.rang() or late:
                    looked = -_LOOK_ANYWAY_SECONDS  # it looks again if the store goes away now
                    for name in self._handlers:
                        self._offer(name, self._records.completed(name))
                    looked = monotonic()
                    if late:
                        self._runner.wake()
                away = False
            except StoreClosed:
                return
            except (StoreUnavailable, OutcomeUnknown) as error:
                if not away:
                    _log.warning("the store is away; the worker waits for it: %s", error)
                away = True
            except Exception:  # noqa: BLE001 - a bug must not end the worker in silence
                _log.exception("looking at subscriptions failed; it is done again")
            self._stopping.wait(_LOOK_SECONDS)

    def _begin(self) -> None:
        self._bell.rang()
        for name, handler in self._handlers.items():
            self._offer(name, self._records.declare(handler, self._clock.now()))
        self._runner.start()

    def _offer(self, name: str, record: dict[str, Any] | None) -> None:
        """Offer to run the partitions there are now, and no others."""
        running = self._running.get(name, [])
        generation = None if record is None else record["generation"]
        if running and running[0].generation == generation:
            return
        for partition in running:
            self._runner.remove(partition.key)
        self._running[name] = []
        if record is None:
            if running:
                _log.warning("%s was deleted; it is made anew when a worker starts", name)
                self._records.sweep(name)
            return
        handler = self._handlers[name]
        calls = Calls(self._bus, handler, self._loop)
        self._running[name] = [
            Partition(self._bus, handler, calls, record, index, self._clock)
            for index in range(record["partitions"])
        ]
        for partition in self._running[name]:
            self._runner.add(partition)
        if running:
            self._records.sweep(name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _chosen(handlers: list[Handler], names: Iterable[str] | None) -> dict[str, Handler]:
    """The handlers to run, by name."""
    declared: dict[str, Handler] = {}
    for handler in handlers:
        if handler.name is None:
            continue
        if handler.name in declared:
            raise InvalidSetting(
                f"two handlers are called {handler.name!r}; give each subscription its own name"
            )
        declared[handler.name] = handler
    if names is None:
        return declared
    wanted = list(names)
    for name in wanted:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise InvalidSetting(f"no handler is called {name!r}; those declared are: {known}")
    return {name: declared[name] for name in declared if name in wanted}
