"""The ledger of the PostgreSQL backend: named records with compare-and-set by revision.

Revisions come from one counter of the store, so that a record which is deleted and made again never
has an old revision. A removal moves it too: that tells a removal whose commit broke from one that
never was. What keys and values may be is said in `store/ledger.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from json import loads

from tidings.store.base import LedgerRecord
from tidings.store.ledger import (
    checked_key,
    checked_page,
    encoded_value,
    end_of,
    expect_revision,
)
from tidings.store.postgres.writing import Work, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.store.postgres.bookkeeping import Numbers
    from tidings.store.postgres.connections import Connections
    from tidings.store.postgres.writing import Rows, Statement

__all__ = ["delete", "get", "keys", "put"]


def get(connections: Connections, key: str) -> LedgerRecord | None:
    """The record under a key."""
    found = connections.ask("ledger_get", checked_key(key))
    return LedgerRecord(key, found[0][0], loads(found[0][1])) if found else None


def put(connections: Connections, key: str, value: Any, expected: int | None) -> int:
    """Write a record; returns its new revision."""
    name, text = checked_key(key), encoded_value(value)
    return write(connections, lambda: _Put(connections, name, text, expected)).revision


def delete(connections: Connections, key: str, expected: int | None) -> bool:
    """Remove a record; returns whether it was there."""
    name = checked_key(key)
    return write(connections, lambda: _Delete(connections, name, expected)).was_there


def keys(connections: Connections, prefix: str, after: str, limit: int | None) -> list[str]:
    """The keys that start with a prefix; see `Store.keys`."""
    start, past, most = checked_page(prefix, after, limit)
    if "\0" in start:
        return []  # no key has one, and PostgreSQL takes none
    past = past.replace("\0", "\x01")  # no key has either, so it parts the same keys
    bounds = max(start, past), end_of(start), past, most
    return [row[0] for row in connections.ask("ledger_keys", *bounds)]


class _Change(Work):
    """A change to one record."""

    def __init__(self, connections: Connections, key: str, expected: int | None) -> None:
        super().__init__(connections)
        self._key = key
        self._expected = expected
        self.revision = 0
        self.was_there = False

    def questions(self) -> list[Statement]:
        return [(self.sql["revisions"], ([self._key],))]

    def decide(self, answers: Sequence[Rows]) -> list[Statement]:
        at = answers[0][0][1] if answers[0] else 0
        expect_revision(self._key, self._expected, at)
        self.revision = self.known.revision + 1
        self.was_there = bool(at)
        change = self.change()
        if change is None:
            return []
        place = self.known.head, self.known.gaps, self.revision, self.mark
        return [change, (self.sql["move_head"], place)]

    @abstractmethod
    def change(self) -> Statement | None:
        """What changes the record; none where nothing is to do."""

    def was_kept(
        self,
        now: Numbers,
        answers: Sequence[Rows],  # noqa: ARG002 - nothing is asked: the store's own revision tells
    ) -> bool | None:
        """By the revision: the store's own is still lower where it was not kept."""
        return False if now.revision < self.revision else None


class _Put(_Change):
    """A record to write."""

    def __init__(
        self, connections: Connections, key: str, value: str, expected: int | None
    ) -> None:
        super().__init__(connections, key, expected)
        self._value = value

    def change(self) -> Statement:
        return self.sql["ledger_put"], (self._key, self.revision, self._value)


class _Delete(_Change):
    """A record to remove."""

    def change(self) -> Statement | None:
        return (self.sql["ledger_delete"], (self._key,)) if self.was_there else None
