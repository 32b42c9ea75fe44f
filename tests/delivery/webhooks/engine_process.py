"""A process that delivers webhooks until its standard input ends; tests kill it at any moment.

    python -m tests.delivery.webhooks.engine_process URL BEGAN

Its clock runs twenty times as fast as the machine's from the instant BEGAN on, so that what failed
is soon tried again; its leases are taken over within a second.
"""

from __future__ import annotations

import sys

from tidings.clock import Clock
from tidings.delivery.webhooks import serving
from tidings.delivery.webhooks.engine import Webhooks
from tidings.store import open_store
from tidings.subscriptions.leases import Leases
from tidings.testing.elsewhere import PATIENCE

FASTER = 20


class FastClock(Clock):
    """A clock that all processes of a test go by."""

    def __init__(self, began: int) -> None:
        self._began = began

    def now(self) -> int:
        """The instant of a faster world."""
        return self._began + (super().now() - self._began) * FASTER


def main(url: str, began: str) -> None:
    """Deliver until standard input ends."""
    with open_store(url) as store:
        clock = FastClock(int(began))
        leases = Leases(store, clock=clock, beat=0.2, patience=1.5)
        webhooks = Webhooks(store, leases, clock=clock)
        webhooks.start()
        leases.start()
        sys.stdin.read()
        # Each attempt is to be listed, however slow the machine is.
        serving._LAST_SECONDS = PATIENCE
        webhooks.close(PATIENCE)
        leases.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
