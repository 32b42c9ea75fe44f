"""The ledger of a store that is migrated: its records, and the mark that says whose the target is.

The mark is a record of the target's own ledger. A target without one belongs to somebody else, so
it must be empty; from then on its ledger is made like the source's, record by record, those that
are gone there included (a key that was revoked must not live on). Revisions are the target's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidings.errors import TransferError, shorten
from tidings.fields import encode_json
from tidings.masking import masked
from tidings.store.ledger import OWN_PREFIX, PRIVATE_PREFIXES

if TYPE_CHECKING:
    from tidings.store.base import Store

__all__ = ["MARK", "Mark", "Records", "copy_records"]

MARK = f"{OWN_PREFIX}migration"
"""The key of the mark."""

_ROUNDS = 3
"""How often records that change meanwhile are copied again."""

_PASSING = (OWN_PREFIX, "key-use/", "session/")
"""What Tidings writes into the ledger by itself when somebody only looks."""


class Records(NamedTuple):
    """What became of the ledger.

    `same` records are alike in both stores, `differing` changed meanwhile or cannot be copied,
    `withheld` are a server's own, which it does not take.
    """

    same: int
    differing: int
    withheld: int


class Mark:
    """The record that says that a store is filled by a migration, and how far it was verified.

    Args:
        target: the store that is filled.

    Attributes:
        origin: the URL of the source, without its secrets; empty where there is no mark.
        verified: the position up to which source and target were compared by an earlier run.
    """

    def __init__(self, target: Store) -> None:
        self._target = target
        record = target.get(MARK)
        value = record.value if record is not None and isinstance(record.value, dict) else {}
        self.origin = str(value.get("from", ""))
        self.verified = int(value.get("verified", 0))
        self._done = value.get("state") == "done"
        self._revision = record.revision if record is not None else 0

    def ensure_target_is_ours(self) -> None:
        """Refuse a target that holds anything that no migration brought.

        Raises:
            TransferError: it does.
        """
        where = masked(self._target.url)
        if not self.origin:
            head = self._target.head()
            keys = [key for key in _keys(self._target) if not key.startswith(OWN_PREFIX)]
            if head or keys:
                held = f"events up to position {head:,}" if head else f"record {shorten(keys[0])}"
                raise TransferError(
                    f"{where} is not empty ({held}), and no migration filled it; name a new store"
                )
        elif self._done:
            self._ensure_records_rest(where)

    def _ensure_records_rest(self, where: str) -> None:
        for key in _keys(self._target):
            record = self._target.get(key)
            if record is None or key.startswith(_PASSING) or record.revision <= self._revision:
                continue
            raise TransferError(
                f"{where} is in use: its record {shorten(key)} was written after the migration, "
                f"and would be overwritten; to migrate again, name a new store"
            )

    def begin(self, source: Store) -> None:
        """Write that the target is being filled."""
        self.origin = masked(source.url)
        self._write("begun")

    def finish(self, verified: int) -> None:
        """Write that all is there, and up to where it was compared."""
        self.verified = verified
        self._write("done")

    def _write(self, state: str) -> None:
        value = {"from": self.origin, "state": state, "verified": self.verified}
        self._target.put(MARK, value)


def copy_records(source: Store, target: Store) -> Records:
    """Make the target's ledger like the source's; what changes meanwhile is copied again."""
    # A server gives out none of its own records, and takes none.
    withheld = PRIVATE_PREFIXES if target.url.startswith(("http://", "https://")) else ()
    same = written = 0
    for _ in range(_ROUNDS):
        same, written = _copy(source, target, withheld)
        if not written:
            break
    kept_back = [key for prefix in withheld for key in source.keys(prefix)]
    return Records(same, written, len(kept_back))


def _copy(source: Store, target: Store, withheld: tuple[str, ...]) -> tuple[int, int]:
    """Copy every record that differs; how many were alike, and how many were written or removed."""
    same = written = 0
    left_out = (OWN_PREFIX, *withheld)
    there = {key for key in _keys(source) if not key.startswith(left_out)}
    for key in sorted(there):
        record, copy = source.get(key), target.get(key)
        if record is None:
            there.discard(key)  # removed just now
        elif copy is not None and encode_json(record.value) == encode_json(copy.value):
            same += 1
        else:
            target.put(key, record.value)
            written += 1
    for key in _keys(target):
        if key not in there and not key.startswith(left_out):
            written += target.delete(key)
    return same, written


def _keys(store: Store) -> list[str]:
    return store.keys()
