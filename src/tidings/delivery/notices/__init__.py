"""Notices: people are told of events, through Apprise and its hundred services.

Keeps its part of promise 3: what a notice is for is told at least once, if need be in one message
with what came meanwhile; nothing is given up. Each notice is a duty, so any number of processes may
offer to send. `notices` keeps the records that people change, `duty` does the work.
"""

from __future__ import annotations

from tidings.delivery.notices.duty import duties
from tidings.delivery.notices.notices import Notices

__all__ = ["Notices", "duties"]
