"""What a server does on a timer: it moves what waits in the spool into the store.

So an event that a job spooled while the store was away is kept soon after it is back, without
anybody asking for it. Keeps promise 1's other half: what waits is not forgotten. Trouble is logged
when it begins, changes and ends, not each time. Several workers, or a server and a shell, may do it
at once: the store knows the events by their ids.
"""

from __future__ import annotations

import asyncio
import logging

from tidings.errors import TidingsError
from tidings.server.probe import Probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.service import Service
    from tidings.spool import Collected

__all__ = ["Upkeep"]

_log = logging.getLogger("tidings.server.upkeep")

_LAST_SECONDS = 1.0
"""So long the server's end waits for a collect that has begun."""


class Upkeep:
    """What one server does on a timer.

    Args:
        service: whose.

    Attributes:
        probe: whether its store answers.
    """

    def __init__(self, service: Service) -> None:
        self.probe = Probe(service.store)
        self._bus = service.bus.bus
        self._every = service.config.collect_every
        self._task: asyncio.Task[None] | None = None
        self._work: asyncio.Future[None] | None = None
        self._trouble = ""

    def start(self) -> None:
        """Begin; in the event loop."""
        if self._every > 0 and self._task is None:
            self._task = asyncio.create_task(self._run(), name="tidings-upkeep")

    async def close(self) -> None:
        """End; what is being moved has a second to arrive, and otherwise goes on waiting."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self._work is not None:
            await asyncio.wait([self._work], timeout=_LAST_SECONDS)

    async def _run(self) -> None:
        while True:
            # Shielded, so that `close` can see when the thread, which cannot be cancelled, is done.
            self._work = asyncio.ensure_future(asyncio.to_thread(self._collect))
            await asyncio.shield(self._work)
            await asyncio.sleep(self._every)

    def _collect(self) -> None:
        try:
            collected = self._bus.collect() if self._bus.spool.waiting() else None
        except TidingsError as error:
            self._note(f"what waits in the spool cannot be collected: {error}")
        except Exception as error:  # noqa: BLE001 - a bug must not end the timer, nor fill the log
            if str(error) != self._trouble:
                _log.exception("a bug keeps the spool from being collected; please report it")
            self._trouble = str(error)
        else:
            self._tell(collected)
            self._note("")

    def _tell(self, collected: Collected | None) -> None:
        if collected is None:
            return
        if collected.kept:
            _log.info("collected %d events from the spool", collected.kept)
        if collected.rejected:
            _log.warning(
                "%d files in the spool are no events; the reasons lie beside them in %s",
                collected.rejected,
                self._bus.spool.directory,
            )

    def _note(self, trouble: str) -> None:
        """Log trouble where it is new, and its end."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            _log.warning(trouble)
        else:
            _log.info("the spool can be collected again")
