"""The ledger of the SQLite backend: named records with compare-and-set by revision.

Revisions come from one counter of the store, so that a record which is deleted and made again never
has an old revision. The functions run inside the caller's transaction; what keys and values may be
is said in `store/ledger.py`.
"""

from __future__ import annotations

from json import loads

from tidings.store.base import LedgerRecord
from tidings.store.ledger import checked_key, checked_prefix, checked_puts, expect_revision
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tidings.store.base import Put

__all__ = ["checked", "delete", "get", "keys", "write"]


def get(connection: sqlite3.Connection, key: str) -> LedgerRecord | None:
    """The record under a key."""
    row = connection.execute(SQL["ledger_get"], (checked_key(key),)).fetchone()
    return None if row is None else LedgerRecord(row[0], row[1], loads(row[2]))


def checked(connection: sqlite3.Connection, puts: Sequence[Put]) -> list[tuple[str, str]]:
    """The keys and encoded values of writes that may happen together; see `checked_puts`."""
    return checked_puts(puts, lambda key: _revision(connection, key))


def write(connection: sqlite3.Connection, key: str, value: str) -> int:
    """Write a record that `checked` let pass; returns its new revision."""
    connection.execute(SQL["next_revision"])
    revision = int(connection.execute(SQL["newest_revision"]).fetchone()[0])
    connection.execute(SQL["ledger_put"], (key, revision, value))
    return revision


def delete(connection: sqlite3.Connection, key: str, expected: int | None) -> bool:
    """Remove a record."""
    expect_revision(checked_key(key), expected, _revision(connection, key))
    return connection.execute(SQL["ledger_delete"], (key,)).rowcount > 0


def keys(connection: sqlite3.Connection, prefix: str) -> list[str]:
    """The keys that start with a prefix."""
    return [row[0] for row in connection.execute(SQL["ledger_keys"], (checked_prefix(prefix),))]


def _revision(connection: sqlite3.Connection, key: str) -> int:
    row = connection.execute(SQL["ledger_revision"], (key,)).fetchone()
    return 0 if row is None else int(row[0])
