"""Threads that take turns, one call at a time, in an order that comes from a seed alone.

Time stands still while one of them is at work, and is turned on where all sleep.
"""

from __future__ import annotations

from threading import Semaphore, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from typing import Protocol

    class Clock(Protocol):
        """What has a time that can be turned on (seconds)."""

        time: float


__all__ = ["Killed", "Turns"]


class Killed(BaseException):
    """A client's process is no more: it does nothing, not even tidy up."""


class Turns:
    """Lets one client do one call at a time, and none where all sleep but the clock.

    Args:
        clock: what it turns.
        chance: where the order comes from.
    """

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance
        self._asleep: dict[Thread, tuple[float, Semaphore]] = {}
        self._back = Semaphore(0)
        self._threads: list[Thread] = []
        self.failures: list[BaseException] = []

    def add(self, body: Callable[[], None]) -> None:
        """A client's work, to be done in turns."""

        def run() -> None:
            turn.acquire()
            try:
                body()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001 - the test judges
                self.failures.append(error)
            finally:
                self._back.release()

        turn = Semaphore(0)
        thread = Thread(target=run)
        self._asleep[thread] = (self._clock.time, turn)
        self._threads.append(thread)

    def run(self) -> None:
        """Let all come to their end."""
        for thread in self._threads:
            thread.start()
        while self._asleep and not self.failures:
            awake = [each for each, (until, _) in self._asleep.items() if until <= self._clock.time]
            if not awake:
                self._clock.time = min(until for until, _ in self._asleep.values())
                continue
            _, turn = self._asleep.pop(self._chance.choice(awake))
            turn.release()
            self._back.acquire()
        for _, turn in self._asleep.values():
            turn.release()

    def sleep(self, thread: Thread, seconds: float) -> None:
        """Called by a client: let others go on meanwhile."""
        if self.failures:
            raise Killed
        turn = Semaphore(0)
        self._asleep[thread] = (self._clock.time + seconds, turn)
        self._back.release()
        turn.acquire()
        if self.failures:
            raise Killed
