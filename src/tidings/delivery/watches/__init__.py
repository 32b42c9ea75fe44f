"""Watches: somebody is told when what was expected did not happen (a dead man's switch).

    watch      what is expected, and how it stands
    registry   the watches of a store: add, list, pause, resume, delete
    arrivals   events that must come at least so often
    lives      runs, workflows and agents that must end, or be heard of
    duty       reads the log, judges, and emits `tidings.watch.*`
    telling    the events

Keeps: each thing missed is said exactly once, whoever dies meanwhile, because what is said and what
is remembered are written in one transaction; and nothing is called missed that is in the log. Whom
to tell is the business of notices and webhooks for `tidings.watch.*`.
"""

from __future__ import annotations

from tidings.delivery.watches.duty import duties
from tidings.delivery.watches.registry import Watches
from tidings.delivery.watches.watch import EXPECTS, Watch, WatchState

__all__ = ["EXPECTS", "Watch", "WatchState", "Watches", "duties"]
