"""The clock that retries, leases, digests and watches go by; tests bring one of their own.

It tells the time and makes nobody wait: what is due is computed from what it says, so that a test
moves it instead of sleeping.
"""

from __future__ import annotations

from time import monotonic

from tidings.timestamps import now_instant

__all__ = ["Clock"]


class Clock:
    """The machine's clock.

    >>> clock = Clock()
    >>> clock.now() > 1_767_225_600_000_000, clock.elapsed() <= clock.elapsed()
    (True, True)
    """

    def now(self) -> int:
        """The instant (microseconds since 1970): for what is kept and shown, and for schedules."""
        return now_instant()

    def elapsed(self) -> float:
        """Seconds since some moment, which no setting of the time moves: for leases."""
        return monotonic()
