"""The ledger of the SQLite backend: named records with compare-and-set by revision.

Revisions come from one counter of the store, so that a record which is deleted and made again never
has an old revision. The functions run inside the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from json import loads

from tidings.errors import InvalidEvent, InvalidQuery, RevisionConflict, shorten
from tidings.fields import json_text, name
from tidings.store.base import LedgerRecord
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.store.base import Put

__all__ = ["check", "delete", "get", "keys", "write"]

_MAX_VALUE_BYTES = 16 * 1024 * 1024


def checked_key(key: object) -> str:
    """The key, if it is one: 1–255 characters, none of them a control character."""
    try:
        return name("key", key)
    except InvalidEvent as error:
        raise InvalidQuery(f"ledger {error}") from None


def encoded(value: Any) -> str:
    """The JSON text of a record's value, at most 16 MiB."""
    try:
        return json_text("value", value, _MAX_VALUE_BYTES)
    except InvalidEvent as error:
        raise InvalidQuery(f"ledger {error}") from None


def get(connection: sqlite3.Connection, key: str) -> LedgerRecord | None:
    """The record under a key."""
    row = connection.execute(SQL["ledger_get"], (checked_key(key),)).fetchone()
    return None if row is None else LedgerRecord(row[0], row[1], loads(row[2]))


def check(connection: sqlite3.Connection, puts: Sequence[Put]) -> None:
    """Make sure that ledger writes may happen together, before any of them does.

    Raises:
        RevisionConflict: a record is at another revision than expected.
        InvalidQuery: a key or value is not fit, or a key stands twice.
    """
    seen = set()
    for put in puts:
        key = checked_key(put.key)
        if key in seen:
            raise InvalidQuery(f"ledger key {shorten(key)} must stand once in a request")
        seen.add(key)
        encoded(put.value)
        _expect(connection, key, put.expected)


def write(connection: sqlite3.Connection, put: Put) -> int:
    """Write a record that `check` let pass; returns its new revision."""
    connection.execute(SQL["next_revision"])
    revision = int(connection.execute(SQL["newest_revision"]).fetchone()[0])
    connection.execute(SQL["ledger_put"], (put.key, revision, encoded(put.value)))
    return revision


def delete(connection: sqlite3.Connection, key: str, expected: int | None) -> bool:
    """Remove a record."""
    _expect(connection, checked_key(key), expected)
    return connection.execute(SQL["ledger_delete"], (key,)).rowcount > 0


def keys(connection: sqlite3.Connection, prefix: str) -> list[str]:
    """The keys that start with a prefix."""
    if not isinstance(prefix, str):
        raise InvalidQuery(f"ledger prefix {shorten(prefix)} must be a string")
    return [row[0] for row in connection.execute(SQL["ledger_keys"], (prefix,))]


def _expect(connection: sqlite3.Connection, key: str, expected: int | None) -> None:
    if expected is None:
        return
    row = connection.execute(SQL["ledger_revision"], (key,)).fetchone()
    actual = 0 if row is None else int(row[0])
    if expected != actual:
        raise RevisionConflict(key, expected, actual)
