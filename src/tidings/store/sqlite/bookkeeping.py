"""The store's own numbers, kept beside the log, and how they must agree with it.

Rows outside of the log carry a checksum, as every event does, so that what a damaged page says is
not believed. What no checksum can tell, events that are missing, shows when the counts by type do
not add up; so types need no checksum, which would cost every emit. SQLite itself has checksums in
its WAL only (https://www.sqlite.org/fileformat2.html, section 4.1).
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from zlib import crc32

from tidings.store.base import TypeCount
from tidings.store.sqlite.statements import SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Head",
    "Numbers",
    "agreed_numbers",
    "checked",
    "checksum",
    "damaged",
    "kept_types",
    "numbers",
    "put_numbers",
]


class Numbers(namedtuple("Numbers", "head pruned gaps revision records")):
    """What a store knows of itself.

    `head` is the newest position ever kept, `pruned` the last one pruned away, `gaps` how many
    positions past it have no event, because restored ones left them out. `revision` is the newest
    one of the ledger, `records` how many records it has.
    """

    __slots__ = ()

    head: int
    pruned: int
    gaps: int
    revision: int
    records: int


class Head:
    """The head as the last append left it, which holds while nobody wrote since.

    To make sure that log and counts agree takes longer the more types there are, so a process that
    appends again and again does it once. Whether others committed, SQLite tells
    (https://www.sqlite.org/pragma.html#pragma_data_version); what the same connection wrote besides
    shows in how many rows it has changed. It knows nothing of transactions taken back: those who
    do that say `forget`.
    """

    __slots__ = ("_position", "_seen")

    def __init__(self) -> None:
        self._position = 0
        self._seen: tuple[sqlite3.Connection, int, int] | None = None

    def look_up(self, connection: sqlite3.Connection) -> int:
        """The head; `connection` is in a write transaction."""
        if self._seen != _state_of(connection):
            return agreed_numbers(connection).head
        return self._position

    def move(self, connection: sqlite3.Connection, position: int) -> None:
        """Remember the head that the transaction under way leaves."""
        self._position = position
        self._seen = _state_of(connection)

    def forget(self) -> None:
        """The transaction under way is taken back."""
        self._seen = None


def _state_of(connection: sqlite3.Connection) -> tuple[sqlite3.Connection, int, int]:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return connection, version, connection.total_changes


def checksum(*values: Any) -> int:
    """CRC-32 over the values of a row."""
    return crc32(repr(values).encode())


def checked(row: tuple[Any, ...] | None, what: str) -> tuple[Any, ...]:
    """A row without its checksum, which stands last, once it has been compared.

    Raises:
        sqlite3.DatabaseError: it differs, or there is no row; `failures` makes it `StoreDamaged`.
    """
    if row is None:
        raise damaged(f"{what} is missing")
    if row[-1] != checksum(*row[:-1]):
        raise damaged(f"{what} differs from its checksum")
    return row[:-1]


def damaged(how: str) -> sqlite3.DatabaseError:
    """The error that `failures` turns into `StoreDamaged`, with the file's path."""
    return sqlite3.DatabaseError(how)


def numbers(connection: sqlite3.Connection) -> Numbers:
    """What the store knows of itself."""
    return _numbers(connection.execute(SQL["numbers"]).fetchone())


def agreed_numbers(connection: sqlite3.Connection) -> Numbers:
    """What the store knows of itself, if log and counts by type agree on it.

    Raises:
        sqlite3.DatabaseError: they do not; events or counts are missing.
    """
    row = connection.execute(SQL["agreed_numbers"]).fetchone()
    known = _numbers(row and row[2:])
    kept, newest = row[:2]
    if kept + known.gaps != known.head - known.pruned or newest != (known.head if kept else 0):
        raise damaged(
            f"{kept} events are counted up to position {newest}, and the log ends at {known.head}"
        )
    return known


def _numbers(row: tuple[Any, ...] | None) -> Numbers:
    pruned, *others = checked(row and row[1:], "the row of the store's own numbers")
    return Numbers(max(row[0] if row else 0, pruned), pruned, *others)


def put_numbers(connection: sqlite3.Connection, new: Numbers) -> None:
    """Write the store's numbers; the head is the log's own."""
    connection.execute(SQL["put_numbers"], (*new[1:], checksum(*new[1:])))


def kept_types(connection: sqlite3.Connection) -> list[TypeCount]:
    """The types that occur, by name; each is what the newest event of its own says it is."""
    types = []
    for name, count, position, said in connection.execute(SQL["types"]):
        if said != name or type(count) is not int:
            raise damaged(f"the count of type {name!r} speaks of an event of type {said!r}")
        types.append(TypeCount(name, count, position))
    return types
