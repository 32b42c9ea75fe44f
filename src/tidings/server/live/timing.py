"""How long a live stream waits for what; one place, so that a test need not wait so long."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["TIMING", "Timing"]


class Timing(NamedTuple):
    """The periods of the live stream (seconds).

    Attributes:
        heartbeat: the longest a stream stays silent. Proxies cut connections that are idle for
            30 s and more; https://html.spec.whatwg.org/multipage/server-sent-events.html#authoring-notes
            advises a comment every 15 s.
        slow: a client that takes nothing for so long is let go.
        ahead: between two times that the store is asked to catch up, where a cursor is ahead of
            the head (the server's replica lags behind).
        farewell: how long a stream may take to end when the server stops.
        tick: between two looks at who is silent or slow.
        linger: how long the store is followed when nobody streams, so that clients that come
            back at once find the ring as they left it.
    """

    heartbeat: float = 15.0
    slow: float = 30.0
    ahead: float = 2.0
    farewell: float = 1.0
    tick: float = 1.0
    linger: float = 5.0


TIMING = Timing()
"""What a server goes by."""
