"""One lease: the record of something that one process runs, written by whoever holds it.

Keeps its part of promise 3: every write is a compare-and-set, so who lost the lease, however late
it notices, writes nothing. Who gets it is for `leases`.
"""

from __future__ import annotations

from tidings.errors import LeaseLost, OutcomeUnknown, RevisionConflict
from tidings.store.base import Put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.base import LedgerRecord, Store

__all__ = ["OWNER", "Lease"]

OWNER = "owner"


class Lease:
    """The right to run something, and the record of how far it has come.

    Attributes:
        key: the record's key in the ledger.
        value: what the record holds, beside who owns it.
        wanted: whether another process should have it: finish, save, and `Leases.release` it.
        inherited: whether the process that held it before died with it.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        owner: str,
        record: LedgerRecord,
        *,
        inherited: bool = False,
    ) -> None:
        self.key = key
        self.inherited = inherited
        self.value: dict[str, Any] = {k: v for k, v in record.value.items() if k != OWNER}
        self.wanted = False
        self._store = store
        self._owner = owner
        self._revision = record.revision
        self._lost = False

    @property
    def lost(self) -> bool:
        """Whether it is known to be held by another process now."""
        return self._lost

    def save(self, value: dict[str, Any]) -> None:
        """Write the record.

        Raises:
            LeaseLost: another process holds it now, or somebody reset it; nothing was written.
            StoreUnavailable: the store is away; nothing was written.
        """
        try:
            self._revision = self._store.put(self.key, self._owned(value), self._held_revision())
        except (RevisionConflict, OutcomeUnknown):
            self._look_again(value)
        self.value = value

    def put(self, value: dict[str, Any]) -> Put:
        """The write of the record, for `Store.append(…, put=[…])`; call `saved` afterwards."""
        return Put(self.key, self._owned(value), self._held_revision())

    def saved(self, value: dict[str, Any]) -> None:
        """Note that `put` was written by an append.

        Raises:
            LeaseLost: it was lost since.
        """
        self._look_again(value)
        self.value = value

    def give_up(self) -> None:
        """Write that nobody holds it any more; does nothing where it was lost."""
        if self._lost:
            return
        self._lost = True
        try:
            self._store.put(self.key, {**self.value, OWNER: None}, self._revision)
        except RevisionConflict:
            return  # It was lost before, so there is nothing to give up.

    def forget(self) -> None:
        """Take it as lost: it may be somebody else's by now."""
        self._lost = True

    def _owned(self, value: dict[str, Any]) -> dict[str, Any]:
        return {**value, OWNER: self._owner}

    def _held_revision(self) -> int:
        if self._lost:
            raise LeaseLost(self.key)
        return self._revision

    def _look_again(self, value: dict[str, Any]) -> None:
        """See whether a write that was not heard of arrived; everything else means it was lost."""
        record = self._store.get(self.key)
        if record is None or record.value != self._owned(value):
            self._lost = True
            raise LeaseLost(self.key)
        self._revision = record.revision
