"""The schema of a store's file: recognised, made, migrated forwards, or refused.

Keeps: a file is a store of ours at the newest schema, or it is not touched. Many processes may open
the same new file at once.
"""

from __future__ import annotations

import sqlite3
import time

from tidings.errors import NotAStore, StoreTooNew, StoreUnavailable
from tidings.store.sqlite.statements import MIGRATIONS, migration

__all__ = ["SCHEMA_VERSION", "prepare"]

SCHEMA_VERSION = len(MIGRATIONS)

APPLICATION_ID = 0x54444E47
"""`TDNG`, in the file's header (https://www.sqlite.org/fileformat2.html, section 1.3.17)."""

LEAST_SQLITE = (3, 24, 0)
"""The first with ON CONFLICT … DO UPDATE (https://www.sqlite.org/lang_upsert.html)."""

_RETRY_SECONDS = 0.005


def prepare(connection: sqlite3.Connection, path: str, deadline: float) -> None:
    """Make the file a store at the newest schema.

    Args:
        connection: freshly opened, in autocommit.
        path: the file, for messages.
        deadline: until when to wait for others who do the same (by the monotonic clock).

    Raises:
        NotAStore: it is a database of somebody else.
        StoreTooNew: a newer Tidings made it.
        StoreUnavailable: this SQLite is too old.
    """
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE))
        raise StoreUnavailable(
            f"{path} needs SQLite {least}, and this Python has {sqlite3.sqlite_version}; use a "
            f"newer Python"
        )
    if not _is_current(connection, path):
        _switch_to_wal(connection, deadline)
        _migrate(connection, path)
    elif connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        _switch_to_wal(connection, deadline)  # a backup that was put in place


def _is_current(connection: sqlite3.Connection, path: str) -> bool:
    """Whether there is nothing to do."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        # Once more: another process may just have made the tables, and the mark with them.
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application != APPLICATION_ID and (tables or version or application):
            raise NotAStore(
                f"{path} is a database, but not one of Tidings; set TIDINGS_URL to another file"
            )
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} has schema {version}, and this Tidings knows up to {SCHEMA_VERSION}; install "
            f"a newer Tidings"
        )
    return version == SCHEMA_VERSION


def _switch_to_wal(connection: sqlite3.Connection, deadline: float) -> None:
    # SQLite answers "busy" at once here, without waiting, when another process does the same.
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        _is_current(connection, path)  # another process may have been first
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in range(version, SCHEMA_VERSION):
            for statement in _split(migration(step)):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _split(script: str) -> list[str]:
    """The statements of a script; `executescript` would commit before the first of them."""
    statements, begun = [], ""
    for line in script.splitlines():
        begun += line + "\n"
        if sqlite3.complete_statement(begun):
            statements.append(begun)
            begun = ""
    return statements
