"""Durable readers: handlers of events that survive restarts, over any number of processes.

Keeps promise 3 for handlers in Python: at least once, in order for each aggregate; what keeps
failing becomes a dead letter. All state is in the ledger. What a handler wants is declared on the
bus (`Bus.on`, `handlers`); this runs it. `delivery` stands on the same parts.
"""

from __future__ import annotations
