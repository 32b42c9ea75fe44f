"""When something that failed is tried again.

Keeps half of promise 3: what fails is tried again, later and later, and in the end not any more.
It only computes; what an attempt is, and what becomes of what failed for good, is its user's.
"""

from __future__ import annotations

import random

from tidings.errors import InvalidSetting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["STANDARD_WEBHOOKS", "Schedule"]

_MICROSECONDS = 1_000_000


class Schedule:
    """The pauses before each further attempt.

    Args:
        pauses: before the second attempt, the third, … (seconds); there is one attempt more than
            there are pauses.
        jitter: each pause is lengthened by a random part of itself up to this, so that what failed
            together is not tried again together.

    Raises:
        InvalidSetting: a pause or the jitter is negative.

    >>> schedule = Schedule([5, 300], jitter=0)
    >>> schedule.attempts, schedule.pause(1), schedule.pause(2), schedule.pause(3)
    (3, 5.0, 300.0, None)
    """

    __slots__ = ("_jitter", "_pauses")

    def __init__(self, pauses: Sequence[float], jitter: float = 0.1) -> None:
        self._pauses = tuple(float(pause) for pause in pauses)
        self._jitter = float(jitter)
        if min((*self._pauses, self._jitter), default=0.0) < 0:
            raise InvalidSetting("pauses between attempts and their jitter must not be negative")

    @classmethod
    def doubling(
        cls, attempts: int, first: float = 1.0, most: float = 300.0, jitter: float = 0.1
    ) -> Schedule:
        """A schedule whose pauses double.

        Args:
            attempts: how often it is tried at all, at least once.
            first: the pause before the second attempt (seconds).
            most: no pause is longer (seconds).
            jitter: see the class.

        >>> [Schedule.doubling(5, 1, 3, jitter=0).pause(n) for n in (1, 2, 3, 4, 5)]
        [1.0, 2.0, 3.0, 3.0, None]
        """
        if attempts < 1:
            raise InvalidSetting(f"attempts {attempts!r} must be a whole number from 1 on")
        # Beyond 2 to the 63rd any pause is `most`, and a float would overflow.
        return cls([min(first * 2.0 ** min(n, 63), most) for n in range(attempts - 1)], jitter)

    @property
    def attempts(self) -> int:
        """How often it is tried at all."""
        return len(self._pauses) + 1

    def pause(self, made: int) -> float | None:
        """How long to wait (seconds) after so many attempts; none where that was the last one."""
        if made > len(self._pauses):
            return None
        pause = self._pauses[made - 1]
        return pause + pause * self._jitter * random.random()  # noqa: S311 - no secret

    def due(self, made: int, now: int) -> int | None:
        """The instant (microseconds) of the next attempt, after so many; none where it is over."""
        pause = self.pause(made)
        return None if pause is None else now + round(pause * _MICROSECONDS)


STANDARD_WEBHOOKS = Schedule([5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400])
"""Ten attempts in 75.6 hours. Source: Standard Webhooks specification, "Retry schedule"."""
