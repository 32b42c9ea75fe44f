"""The schema of a store: recognised, made, migrated forwards, or refused.

Keeps: a schema is a store of ours at the newest version, or it is not touched. Many processes may
open the same new one at once; they queue up at the store's advisory lock. A store that is current
is only read, so a standby serves readers.
"""

from __future__ import annotations

from hashlib import sha256
from time import monotonic

from psycopg import IsolationLevel, errors

from tidings.errors import NotAStore, StoreTooNew, StoreUnavailable
from tidings.store.postgres.statements import MIGRATIONS, literal, migration, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.postgres.address import Address
    from tidings.store.postgres.dialing import Line

__all__ = ["channel", "lock_key", "prepare"]

_APPLICATION = "tidings"
_LEAST_SERVER = 130000
"""PostgreSQL 13 is the oldest that these statements were written for; 16 and 18 are tested."""

_MAKING_SECONDS = 60.0
"""How long it may take to make a store, whatever the deadline: it happens once."""

_PATIENCE = 0.8
"""The part of the time left for which others that make it are waited for; see `transactions`."""


def lock_key(schema: str) -> int:
    """The number of the advisory lock under which a store is written; it is the database's own."""
    return int.from_bytes(_digest(schema), "big", signed=True)


def channel(schema: str) -> str:
    """The channel on which a store's writers notify those who wait; it is the database's own."""
    return f"tidings_{_digest(schema).hex()}"


def prepare(line: Line, address: Address) -> None:
    """Make sure that the schema is a store at the newest version.

    Args:
        line: freshly connected, in autocommit; up to its `until`, others that make the store are
            waited for.
        address: of the store.

    Raises:
        NotAStore: the schema is somebody else's.
        StoreTooNew: a newer Tidings made it.
        StoreUnavailable: this server is too old, or the database has another encoding.
    """
    # Not the role's own isolation: what the lock protects must be seen by who has got the lock.
    line.isolation_level = IsolationLevel.READ_COMMITTED
    version = _version(line, address)
    if version != len(MIGRATIONS):
        _make(line, address)


def _digest(schema: str) -> bytes:
    return sha256(f"tidings store in schema {schema}".encode()).digest()[:8]


def _version(line: Line, address: Address) -> int:
    """The version of the schema that is there; 0 where there is none."""
    store = f"{quoted(address.schema)}.store"
    try:
        row = _asked(line, f"SELECT application, version FROM {store}")  # noqa: S608 - it is quoted
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return 0
    except errors.UndefinedColumn:
        row = None
    if row is None or row[0] != _APPLICATION:
        raise _not_ours(address)
    version = int(row[1])
    if version > len(MIGRATIONS):
        raise StoreTooNew(
            f"{address.url} has schema version {version}, and this Tidings knows up to "
            f"{len(MIGRATIONS)}; install a newer Tidings"
        )
    return version


def _ensure_free(line: Line, address: Address) -> None:
    """Refuse a server that cannot hold a store, and a schema in which others have their tables."""
    server, name, encoding = _asked(
        line,
        "SELECT current_setting('server_version_num')::int, current_setting('server_version'), "
        "current_setting('server_encoding')",
    ) or (0, "", "")
    if server < _LEAST_SERVER:
        raise StoreUnavailable(
            f"{address.url} is served by PostgreSQL {name}; Tidings needs at least "
            f"{_LEAST_SERVER // 10000}"
        )
    if encoding != "UTF8":
        raise StoreUnavailable(
            f"the database of {address.url} has the encoding {encoding}; create one with "
            f"createdb --encoding=UTF8 --template=template0"
        )
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace({name})"
    (there,) = _asked(line, tables.format(name=literal(quoted(address.schema)))) or (0,)
    if there:
        raise _not_ours(address)


def _make(line: Line, address: Address) -> None:
    """Bring the store to the newest version, one process after the other."""
    assert line.until is not None  # noqa: S101 - a new connection is always waited for in bounds
    patience = max(1, int(_PATIENCE * 1000 * (line.until - monotonic())))
    with line.transaction():
        line.execute("SET LOCAL statement_timeout = 0")
        line.execute(f"SET LOCAL lock_timeout = {patience}")
        line.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key(address.schema),))
        # From here on it is ours to finish, and nobody waits for us longer than for any lock.
        line.until = monotonic() + _MAKING_SECONDS
        line.execute(f"SET LOCAL lock_timeout = {int(_MAKING_SECONDS * 1000)}")
        version = _version(line, address)
        if version == 0:
            _ensure_free(line, address)
        there = "SELECT FROM pg_namespace WHERE nspname = %s"
        if line.execute(there, (address.schema,)).fetchone() is None:
            # Not with IF NOT EXISTS, which asks for the right to make schemas where one is there.
            line.execute(f"CREATE SCHEMA {quoted(address.schema)}", prepare=False)
        for step in range(version, len(MIGRATIONS)):
            line.execute(migration(step, address.schema), prepare=False)


def _asked(line: Line, query: str) -> tuple[Any, ...] | None:
    """The first row of a query; on its own, or within the transaction under way."""
    if not line.at_rest:
        with line.transaction():
            return line.execute(query, prepare=False).fetchone()
    try:
        # One message, to which the role's own timeouts do not apply.
        cursor = line.execute(
            f"BEGIN; SET LOCAL statement_timeout = 0; {query}; COMMIT", prepare=False
        )
        cursor.nextset()
        cursor.nextset()
        return cursor.fetchone()
    finally:
        if line.in_transaction:
            line.rollback()


def _not_ours(address: Address) -> NotAStore:
    return NotAStore(
        f"schema {quoted(address.schema)} in {address.url} holds other tables than those of "
        f"Tidings; name another one with ?schema=…"
    )
