"""How well an endpoint takes what it is sent, and what that means for what it is sent next.

One that answers nothing but failures is *broken*: fresh events are tried on it one now and then
only, to see whether it lives. One that asked for a pause gets it. Bookkeeping only.
"""

from __future__ import annotations

from tidings.schedule import Schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.subscriptions.progress import Attempt

__all__ = ["BROKEN_AFTER", "FAILING_SECONDS", "Health"]

BROKEN_AFTER = 3
"""After so many failures in a row an endpoint is broken; at once where it gave no answer."""

FAILING_SECONDS = 5 * 86_400
"""An endpoint that has taken nothing for so long is disabled (seconds)."""

_PROBES = Schedule.doubling(100, first=5.0, most=300.0, jitter=0.5)
"""How often a broken endpoint is tried with an event that was not tried yet."""

_MICROSECONDS = 1_000_000


class Health:
    """How well an endpoint takes what it is sent.

    Args:
        failing_since: when the first attempt since the last success failed (microseconds since
            1970), as it was kept; none where there was no such.

    Attributes:
        failing_since: the same, now.
        hold_until: it gets nothing before this instant, because it asked for a pause.
        probe_at: while it is broken, it gets no fresh event before this instant.
        proven: whether it took what it was sent last.
        slow: whether its last request took long, or one under way does.

    >>> from tidings.subscriptions.progress import Attempt
    >>> health = Health()
    >>> for _ in range(3):
    ...     health.failed(Attempt(0, 0.1, "no", 500), None, 0)
    >>> health.broken, health.may_probe(0), health.may_probe(10_000_000)
    (True, False, True)
    """

    __slots__ = ("_failures", "_stuck", "failing_since", "hold_until", "probe_at", "proven", "slow")

    def __init__(self, failing_since: int | None = None) -> None:
        self.failing_since = failing_since
        self.hold_until = self.probe_at = 0
        self.proven = self.slow = self._stuck = False
        # It failed when it was last heard of: it is broken until it takes something.
        self._failures = 0 if failing_since is None else BROKEN_AFTER

    @property
    def broken(self) -> bool:
        """Whether it has answered nothing but failures lately."""
        return self._failures >= BROKEN_AFTER

    @property
    def doubtful(self) -> bool:
        """Whether it is not known to be alive: it is broken, or has not answered for long."""
        return self._stuck or self.broken

    def takes_long(self) -> None:
        """A request has been under way for long; who knows whether it will be answered."""
        self.slow = self._stuck = True

    def answered(self, *, slowly: bool) -> None:
        """A request has ended, well or not."""
        self.slow = slowly
        self._stuck = False

    def may_probe(self, now: int) -> bool:
        """Whether it may get a fresh event, as far as its health goes."""
        return now >= self.hold_until and not (self.broken and now < self.probe_at)

    def is_failing_for_good(self, now: int) -> bool:
        """Whether it has taken nothing for so long that it is to be disabled."""
        since = self.failing_since
        return since is not None and now - since >= FAILING_SECONDS * _MICROSECONDS

    def instants(self) -> tuple[int, int]:
        """When it must be looked at again; some may be past."""
        return self.hold_until, self.probe_at if self.broken else 0

    def succeeded(self) -> bool:
        """It took something; returns whether it has come back from being broken."""
        came_back = self.broken
        self._failures = 0
        self.failing_since = None
        self.proven = True
        return came_back

    def failed(self, attempt: Attempt, pause: float | None, now: int) -> None:
        """An attempt failed, and maybe asked for a pause (seconds)."""
        self._failures += 1
        self.proven = False
        if attempt.status is None:
            self._failures = max(self._failures, BROKEN_AFTER)
        if self.failing_since is None:
            self.failing_since = attempt.at
        if pause is not None:
            self.hold_until = max(self.hold_until, now + round(pause * _MICROSECONDS))
        if self.broken:
            self.probe_at = _PROBES.due(self._failures - BROKEN_AFTER + 1, now) or now

    def begin_afresh(self) -> None:
        """Forget for how long it failed."""
        self.failing_since = None
        self._failures = self.hold_until = self.probe_at = 0
