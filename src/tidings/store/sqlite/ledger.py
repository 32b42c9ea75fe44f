"""The ledger of the SQLite backend: named records with compare-and-set by revision.

Revisions come from one counter of the store, so that a record which is deleted and made again never
has an old revision. The functions run inside the caller's transaction; what keys and values may be
is said in `store/ledger.py`.
"""

from __future__ import annotations

from json import loads

from tidings.store.base import LedgerRecord
from tidings.store.ledger import checked_key, checked_page, checked_puts, end_of, expect_revision
from tidings.store.sqlite.bookkeeping import checked as checked_row
from tidings.store.sqlite.bookkeeping import checksum, damaged, numbers, put_numbers
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from typing import Any

    from tidings.store.base import Put

__all__ = ["checked", "delete", "ensure_all_there", "get", "keys", "write"]


def get(connection: sqlite3.Connection, key: str) -> LedgerRecord | None:
    """The record under a key."""
    row = connection.execute(SQL["ledger_get"], (checked_key(key),)).fetchone()
    if row is None:
        ensure_all_there(connection)
        return None
    _, revision, text = _checked(row)
    return LedgerRecord(key, revision, loads(text))


def checked(connection: sqlite3.Connection, puts: Sequence[Put]) -> list[tuple[str, str]]:
    """The keys and encoded values of writes that may happen together; see `checked_puts`."""
    return checked_puts(puts, lambda key: _revision(connection, key))


def write(connection: sqlite3.Connection, key: str, value: str) -> int:
    """Write a record that `checked` let pass; returns its new revision."""
    known = numbers(connection)
    revision = known.revision + 1
    records = known.records + (_revision(connection, key) == 0)
    put_numbers(connection, known._replace(revision=revision, records=records))
    connection.execute(SQL["ledger_put"], (key, revision, value, checksum(key, revision, value)))
    return revision


def delete(connection: sqlite3.Connection, key: str, expected: int | None) -> bool:
    """Remove a record."""
    expect_revision(checked_key(key), expected, _revision(connection, key))
    if connection.execute(SQL["ledger_delete"], (key,)).rowcount == 0:
        return False
    known = numbers(connection)
    put_numbers(connection, known._replace(records=known.records - 1))
    return True


def keys(connection: sqlite3.Connection, prefix: str, after: str, limit: int | None) -> list[str]:
    """The keys that start with a prefix; see `Store.keys`."""
    start, past, most = checked_page(prefix, after, limit)
    bounds = max(start, past), end_of(start), past, -1 if most is None else most
    found = [_checked(row)[0] for row in connection.execute(SQL["ledger_keys"], bounds)]
    if most is None or len(found) < most:
        ensure_all_there(connection)  # A full page does not say that there are no more.
    return found


def _revision(connection: sqlite3.Connection, key: str) -> int:
    row = connection.execute(SQL["ledger_get"], (key,)).fetchone()
    return 0 if row is None else int(_checked(row)[1])


def ensure_all_there(connection: sqlite3.Connection) -> None:
    """Refuse to say that a record is not there when the ledger has fewer than were written."""
    (there,) = connection.execute(SQL["ledger_count"]).fetchone()
    written = numbers(connection).records
    if there != written:
        raise damaged(f"the ledger has {there} records, and {written} were written")


def _checked(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return checked_row(row, f"ledger record {row[0]!r}")
