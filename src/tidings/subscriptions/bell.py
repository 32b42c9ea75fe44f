"""The bell: how readers that run somewhere hear that somebody changed or asked for something.

One record in the ledger whose revision grows. Who pauses a subscription, changes a webhook or
replays a dead letter changes that record first and rings then; who delivers listens once a second
and looks again at everything it runs. So thousands of endpoints cost one look-up a second.
"""

from __future__ import annotations

from tidings.timestamps import now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store

__all__ = ["Bell"]

_KEY = "bell"


class Bell:
    """The bell of a store.

    >>> from tidings.store.memory import MemoryStore
    >>> store = MemoryStore()
    >>> bell = Bell(store)
    >>> bell.rang(), bell.rang(), Bell(store).ring(), bell.rang(), bell.rang()
    (True, False, None, True, False)
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heard = -1

    def ring(self) -> None:
        """Have everybody look again."""
        self._store.put(_KEY, {"at": now_instant()})

    def rang(self) -> bool:
        """Whether it rang since this was last asked; yes when asked first."""
        record = self._store.get(_KEY)
        revision = 0 if record is None else record.revision
        rang, self._heard = revision != self._heard, revision
        return rang
