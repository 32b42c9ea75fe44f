"""Removing: prune and redact, with a mark in the ledger that tells servers of it.

A server keeps the newest events in memory for its live streams. By the mark every server of a store
learns within two seconds that some of them were removed, whoever did it, and lets go of them; a
store's own `prune` and `redact` leave none. What is removed is the store's matter.
"""

from __future__ import annotations

from tidings.store.ledger import OWN_PREFIX
from tidings.timestamps import format_instant, now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store
    from tidings.store.query import Query

__all__ = ["last_removal", "prune", "redact"]

_MARK = f"{OWN_PREFIX}removed"


def prune(store: Store, through: int) -> int:
    """Remove the oldest events; as `Store.prune`."""
    pruned = store.prune(through)
    _mark(store)
    return pruned


def redact(store: Store, query: Query) -> int:
    """Empty the payloads of events; as `Store.redact`."""
    redacted = store.redact(query)
    _mark(store)
    return redacted


def last_removal(store: Store) -> int:
    """A number that grows when something was removed; 0 before the first time."""
    record = store.get(_MARK)
    return 0 if record is None else record.revision


def _mark(store: Store) -> None:
    store.put(_MARK, {"at": format_instant(now_instant())})
