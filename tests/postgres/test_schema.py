"""A schema is a store at the newest version, or it is not touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest

from tests.engines.postgres import PostgresServer
from tidings.errors import NotAllowed, NotAStore, StoreLocked, StoreTooNew, StoreUnavailable
from tidings.event import Event
from tidings.store.postgres import PostgresStore
from tidings.store.postgres.schema import lock_key
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE

SERVERS = 10

OPEN = """
import os, sys
from tidings.event import Event
from tidings.store import open_store
from tidings.store.postgres import PostgresStore  # before the forks, so that they need not load it

url, count = sys.argv[1], int(sys.argv[2])
start, go = os.pipe()
children = []
for _ in range(count):
    children.append(os.fork())
    if children[-1] == 0:
        os.close(go)
        os.read(start, 1)  # until the parent lets go of its end
        with open_store(url, deadline=60) as store:
            store.append([Event("begun")])
        os._exit(0)
os.close(go)
sys.exit(sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def test_ten_servers_start_at_once(
    postgres: PostgresServer, schema: str, opened: Callable[..., PostgresStore]
) -> None:
    """Ten processes that open a new store at the same moment make it once, and all may write."""
    command = [sys.executable, "-W", "error", "-c", OPEN, postgres.url(schema=schema), str(SERVERS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    store = opened()
    assert (store.head(), store.check()) == (SERVERS, [])


def test_who_makes_a_store_is_waited_for_as_for_any_lock(
    postgres: PostgresServer,
    schema: str,
    opened: Callable[..., PostgresStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that does not come to an end of making it costs nobody more than the deadline."""
    # A small part of the deadline is for the lock, so that the server is the one that says no.
    monkeypatch.setattr("tidings.store.postgres.schema._PATIENCE", 0.8 / PATIENCE)
    hasty = opened()
    with psycopg.connect(postgres.url()) as maker:
        maker.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key(schema),))
        with pytest.raises(StoreLocked, match=f"locked by others for {PATIENCE:g} s"):
            hasty.append([Event("x")])
    assert opened().append([Event("x")])[0].position == 1


def test_a_newer_store_is_refused(
    postgres: PostgresServer, schema: str, opened: Callable[..., PostgresStore]
) -> None:
    """A schema that a newer Tidings made is left alone, and told so."""
    opened().head()
    postgres.execute(f"UPDATE {schema}.store SET version = 99")  # noqa: S608 - our own name
    with pytest.raises(StoreTooNew, match=r"version 99.*newer Tidings"):
        opened().append([Event("x")])


@pytest.mark.parametrize(
    "tables",
    ["{0}.theirs (n int)", "{0}.store (n int)", "{0}.store (application text, version int)"],
)
def test_a_schema_of_others_is_refused(
    postgres: PostgresServer, schema: str, opened: Callable[..., PostgresStore], tables: str
) -> None:
    """Where others have tables nothing is made, also where one of them is called as ours."""
    postgres.execute(f"CREATE SCHEMA {schema}")
    postgres.execute(f"CREATE TABLE {tables.format(schema)}")
    with pytest.raises(NotAStore, match=r"another one with \?schema="):
        opened().append([Event("x")])
    there = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(%s)"
    assert postgres.execute(there, schema) == [(1,)]


def test_any_name_is_quoted(postgres: PostgresServer, opened: Callable[..., PostgresStore]) -> None:
    """A name that would end the statement it stands in is a name."""
    name = "a\"b'; DROP TABLE x; -- é"
    try:
        store = opened(schema="a%22b%27; DROP TABLE x; -- %C3%A9")
        store.append([Event("x", aggregate_type="a", aggregate_id="1")])
        assert (store.wait(0), store.check()) == (1, [])
        assert len(list(store.read(Query(types="x")))) == 1
        store.put("k", 1)
        store.prune(1)
        found = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'a\"b%'"
        assert postgres.execute(found) == [(name,)]
    finally:
        doubled = name.replace('"', '""')
        postgres.execute(f'DROP SCHEMA "{doubled}" CASCADE')


def test_two_schemas_are_two_stores(
    postgres: PostgresServer, schema: str, opened: Callable[..., PostgresStore]
) -> None:
    """Stores of one database know nothing of each other, locks and notifications included."""
    one, other = opened(), opened(schema=f"{schema}_b")
    try:
        one.append([Event("x")])
        with one._connections.transaction():
            assert other.append([Event("y")])[0].position == 1
        assert [event.type for event in other.read(Query())] == ["y"]
    finally:
        postgres.execute(f"DROP SCHEMA {schema}_b CASCADE")


def test_a_database_in_another_encoding_is_refused(
    postgres: PostgresServer, opened: Callable[..., PostgresStore]
) -> None:
    """A database that cannot hold every character is told before anything is made in it."""
    database = postgres.fresh_database("ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreUnavailable, match=r"encoding LATIN1; .*--encoding=UTF8"):
        opened(postgres.url(database)).head()


def test_a_role_needs_only_its_schema(
    postgres: PostgresServer,
    schema: str,
    role: Callable[..., str],
    opened: Callable[..., PostgresStore],
) -> None:
    """Who may not make schemas is told what to ask for, and needs no more than that."""
    url = role()
    with pytest.raises(NotAllowed, match="CREATE SCHEMA … AUTHORIZATION"):
        opened(url).head()
    postgres.execute(f"CREATE SCHEMA {schema} AUTHORIZATION role_0_{schema}")
    assert opened(url).append([Event("x")])[0].position == 1


def test_who_may_only_read_reads(
    postgres: PostgresServer,
    schema: str,
    role: Callable[..., str],
    opened: Callable[..., PostgresStore],
) -> None:
    """A role with the right to read opens the store as it is; its appends are refused clearly."""
    opened().append([Event("x")])
    store = opened(role())
    postgres.execute(f"GRANT USAGE ON SCHEMA {schema} TO role_0_{schema}")
    postgres.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO role_0_{schema}")
    assert [event.type for event in store.read(Query())] == ["x"]
    with pytest.raises(NotAllowed, match="permission denied for table"):
        store.append([Event("y")])
    assert store.wait(0, timeout=PATIENCE) == 1


def test_a_store_that_is_dropped_is_told(
    postgres: PostgresServer, schema: str, opened: Callable[..., PostgresStore]
) -> None:
    """A store whose schema goes while it is open says so, and makes no new one in silence."""
    store = opened()
    store.append([Event("x")])
    postgres.execute(f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(NotAStore, match="removed or changed by others"):
        store.append([Event("y")])
