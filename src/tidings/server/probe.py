"""Whether the store answers: asked at most once a second, and never waited for long.

A health check must be cheap, and must answer when the store does not. It only reads; whether
anything can be written now is told by the first emit. A replica that lags, or is cut off from what
it is a replica of, does not answer in this sense: another server does better.
"""

from __future__ import annotations

import asyncio
from threading import Thread
from time import monotonic

from tidings.errors import TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.store.base import Store

__all__ = ["Probe"]

_FRESH_SECONDS = 1.0
"""So long an answer counts."""

_PATIENCE = 2.0
"""A store that says nothing for so long does not answer (seconds)."""


class Probe:
    """Asks a store whether it is there.

    Args:
        store: the store.
        clock: gives the time (seconds).
    """

    def __init__(self, store: Store, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._asked: asyncio.Future[bool] | None = None
        self._answered_at = 0.0
        self._answer = False

    async def store_answers(self) -> bool:
        """Whether the store answers now, or did a moment ago."""
        if self._asked is None:
            if self._answered_at and self._clock() - self._answered_at < _FRESH_SECONDS:
                return self._answer
            self._ask()
        assert self._asked is not None  # noqa: S101 - `_ask` has just set it
        try:
            return await asyncio.wait_for(asyncio.shield(self._asked), _PATIENCE)
        except TimeoutError:
            return False

    def _ask(self) -> None:
        """Ask in a thread of its own: one that hangs takes none from those that serve."""
        loop = asyncio.get_running_loop()
        self._asked = loop.create_future()
        # Not waited for at the process's end: the store may hang for good.
        Thread(target=self._look, args=(loop,), name="tidings-probe", daemon=True).start()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        answer = False
        try:
            # Not `head`: a replica gives that also when it is cut off from its log.
            self._store.catch_up()
            answer = True
        except TidingsError:
            # Health says so; the requests that need the store say why.
            pass
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._settle, answer)

    def _settle(self, answer: bool) -> None:  # noqa: FBT001 - a callback's argument
        asked, self._asked = self._asked, None
        self._answer, self._answered_at = answer, self._clock()
        if asked is not None and not asked.done():
            asked.set_result(answer)
