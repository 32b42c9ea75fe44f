"""Durable readers: handlers of events that survive restarts, over any number of processes.

Keeps promise 3 for handlers in Python: at least once, in order for each aggregate; what keeps
failing becomes a dead letter. All state is in the ledger. What a handler wants is declared on the
bus (`Bus.on`, `handlers`); `worker` runs it here: `generations` knows a subscription's records,
`partition` reads on, `course` decides what becomes of each event, `checkpoint` saves it.
`registry` and `choosing` show and change it. `leases`, `duties`, `progress`, `dead_letters` and
`bell` are the parts that `delivery` stands on as well.
"""

from __future__ import annotations

__all__: list[str] = []
