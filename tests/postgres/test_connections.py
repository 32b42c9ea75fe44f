"""Connections break, servers go and come back, networks fall silent: nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag
from threading import Thread

import psycopg
import pytest

from tests.engines.postgres import PostgresServer, running_postgres
from tests.postgres.cut_line import CutLine
from tests.postgres.sessions import hurry, wait_until
from tests.server.conftest import free_port
from tidings.errors import OutcomeUnknown, StoreClosed, StoreLocked, StoreUnavailable
from tidings.event import Event
from tidings.store.postgres import PostgresStore, connections
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server that the tests of this file end and start again."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def line(postgres: PostgresServer) -> Iterator[CutLine]:
    """A line to the shared server."""
    opened = CutLine(postgres.port)
    yield opened
    opened.close()


def types_of(store: PostgresStore) -> list[str]:
    """The types of all events, in order."""
    return [event.type for event in store.read(Query())]


def test_a_server_that_was_killed_between_calls_is_not_noticed(
    mortal: PostgresServer, opened: Callable[..., PostgresStore]
) -> None:
    """After a `kill -9` of the whole server every call works as before, and all is there."""
    store = opened(mortal.url(schema="between_calls"))
    store.append([Event("x", aggregate_type="a", aggregate_id="1")])
    store.put("k", 1)
    assert store.wait(0, PATIENCE) == 1
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, 1, PATIENCE)
        mortal.restart()
        assert types_of(store) == ["x"]
        stored = store.append([Event("y", aggregate_type="a", aggregate_id="1")], 1)
        assert [(event.position, event.version) for event in stored] == [(2, 2)]
        assert waiting.result(PATIENCE) == 2
    assert (store.keys(), store.check()) == (["k"], [])


def test_writers_go_on_over_a_kill(
    mortal: PostgresServer, opened: Callable[..., PostgresStore]
) -> None:
    """Writers at work while the server is killed lose nothing acknowledged, keep nothing twice."""
    url = mortal.url(schema="over_a_kill")
    opened(url).head()
    enough = Flag()

    def write(store: PostgresStore) -> list[str]:
        acknowledged: list[str] = []
        while not enough.is_set():
            event = Event("x")
            try:
                store.append([event])
            except OutcomeUnknown:
                store.append([event])
            acknowledged.append(event.id)
        return acknowledged

    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(write, opened(url)) for _ in range(3)]
        watching = opened(url)
        try:
            for _ in range(2):
                head = watching.head()
                watching.wait(head + 20, PATIENCE)
                mortal.restart()
            watching.wait(watching.head() + 20, PATIENCE)
        finally:
            enough.set()
        acknowledged = [name for each in writing for name in each.result(PATIENCE)]
    kept = [event.id for event in watching.read(Query())]
    assert sorted(kept) == sorted(acknowledged)
    assert (watching.head(), watching.check()) == (len(kept), [])


def test_a_server_that_is_down_is_told(
    mortal: PostgresServer, opened: Callable[..., PostgresStore]
) -> None:
    """Without a server each call says so within its deadline; with it, the same store goes on."""
    store = opened(mortal.url(schema="is_down"))
    store.append([Event("x")])
    hurry(store, 0.5)
    mortal.stop()
    try:
        calls: list[Callable[[], object]] = [
            store.head,
            lambda: store.append([Event("y")]),
            lambda: store.put("k", 1),
            lambda: list(store.read(Query())),
            lambda: store.wait(0, 0),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailable, match="is the server running"):
                call()
    finally:
        mortal.start()
    patient = opened(mortal.url(schema="is_down"))
    assert patient.append([Event("y")])[0].position == 2
    store._connections.deadline = PATIENCE
    assert store.head() == 2


def test_sessions_that_were_ended_are_replaced(
    postgres: PostgresServer, store: PostgresStore, schema: str
) -> None:
    """An administrator may end every session between calls; nobody notices."""
    store.append([Event("x")])
    assert store.head() == 1
    found = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE strpos(query, %s) > 0 AND pid <> pg_backend_pid()"
    )
    for n in range(2, 5):
        assert postgres.execute(found, schema)
        assert store.append([Event("y")])[0].position == n
        assert store.head() == n


def test_a_session_that_ends_in_the_middle_is_replaced(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that ends while it waits for the lock is replaced; the append is kept once."""
    store.append([Event("x")])
    number = store._connections.lock_key
    sql = store._connections.sql
    suicide = "SELECT pg_terminate_backend(pg_backend_pid()), %s"
    original = store._connections.writer

    def heal_afterwards(until: float) -> object:
        line = original(until)
        if len(lines) == 1:
            monkeypatch.setattr(store._connections, "sql", sql)
        lines.append(line)
        return line

    lines: list[object] = []
    monkeypatch.setattr(store._connections, "writer", heal_afterwards)
    monkeypatch.setattr(store._connections, "sql", {**sql, "lock": suicide})
    assert store.append([Event("y")])[0].position == 2
    assert (len(lines), store._connections.lock_key) == (2, number)
    assert types_of(store) == ["x", "y"]


def test_a_silent_network_is_given_up(
    line: CutLine,
    postgres: PostgresServer,
    schema: str,
    store: PostgresStore,
    opened: Callable[..., PostgresStore],
) -> None:
    """When nothing comes back any more, open sessions and new ones are given up in time."""
    store.append([Event("x")])
    far = opened(postgres.url(port=line.port, schema=schema))
    hurry(far)
    line.silent = True
    for call in (lambda: far.append([Event("y")]), lambda: far.put("k", 1)):
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            call()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        opened(postgres.url(port=line.port, schema=schema), deadline=0.4).head()
    line.silent = False
    assert opened(postgres.url(port=line.port, schema=schema)).append([Event("y")])[0].position == 2
    far._connections.deadline = PATIENCE
    assert far.head() == 2


@pytest.mark.parametrize("first", ["refuses", "is silent", "has no address"])
def test_the_next_host_is_tried(
    line: CutLine,
    postgres: PostgresServer,
    schema: str,
    store: PostgresStore,
    opened: Callable[..., PostgresStore],
    first: str,
) -> None:
    """Of several hosts one that refuses, swallows everything or is not found does no harm."""
    store.head()
    line.silent = first == "is silent"
    port = {"refuses": free_port(), "is silent": line.port, "has no address": 1}[first]
    host = "nowhere.invalid" if first == "has no address" else "127.0.0.1"
    # Each has its share of the deadline before the next is tried; of many it is a short one.
    hosts = ",".join([f"{host}:{port}", *[f"127.0.0.1:{postgres.port}"] * 40])
    far = opened(f"postgresql://postgres@{hosts}/postgres?schema={schema}")
    assert far.append([Event("x")])[0].position == 1
    wait_until(lambda: line.connections == (first == "is silent"))


def test_when_no_host_serves_each_is_told(line: CutLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names every host, and why it does not serve."""
    # So that the first attempt is the last, and need not hurry.
    monkeypatch.setattr(connections, "_PAUSES", (PATIENCE,))
    line.refusing = True
    dead = free_port()
    hosts = f"127.0.0.1:{dead},127.0.0.1:{line.port}"
    with (
        PostgresStore.from_url(
            f"postgresql://postgres@{hosts}/postgres", deadline=PATIENCE
        ) as store,
        pytest.raises(StoreUnavailable, match=f"{dead}: .*refused.*; 127.0.0.1:{line.port}: "),
    ):
        store.head()


def test_readers_share_a_few_connections(
    postgres: PostgresServer, schema: str, opened: Callable[..., PostgresStore]
) -> None:
    """More readers than connections take turns; who gets none in time is told."""
    store = opened(pool="2")
    store.append([Event("x")])
    with ThreadPoolExecutor(16) as pool:
        heads = [pool.submit(store.head) for _ in range(64)]
        assert {head.result(PATIENCE) for head in heads} == {1}
    ((sessions,),) = postgres.execute(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE strpos(query, %s) > 0 AND pid <> pg_backend_pid()",
        schema,
    )
    assert sessions <= 3
    hasty = opened(pool="1")
    hurry(hasty)
    with hasty._connections.reading(), pytest.raises(StoreLocked, match="all 1 connections"):
        hasty.head()
    hasty._connections.deadline = PATIENCE
    assert hasty.head() == 1


def test_strangers_in_a_transaction_hold_nobody_up(
    postgres: PostgresServer, store: PostgresStore
) -> None:
    """Transactions that stay open, here or in another database, delay no writer and no reader."""
    store.append([Event("x")])
    elsewhere = postgres.fresh_database()
    with (
        psycopg.connect(postgres.url(elsewhere)) as far,
        psycopg.connect(postgres.url()) as near,
        psycopg.connect(postgres.url(), autocommit=True) as keeper,
    ):
        for stranger in (far, near):
            stranger.execute("CREATE TABLE strange (n int)")
            stranger.execute("INSERT INTO strange VALUES (1)")
        keeper.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        keeper.execute("SELECT count(*) FROM pg_class")
        assert [store.append([Event("y")])[0].position for _ in range(20)] == list(range(2, 22))
        assert store.wait(20, PATIENCE) == 21
        assert len(types_of(store)) == 21
        for stranger in (far, near):
            stranger.rollback()


def test_what_strangers_keep_of_the_head_costs_nothing(
    postgres: PostgresServer, store: PostgresStore, schema: str
) -> None:
    """A transaction that stays open keeps thousands of old versions, and none is looked at."""
    store.append([Event("x")])
    sql = store._connections.sql
    with psycopg.connect(postgres.url()) as stranger:
        stranger.execute("CREATE TABLE strange (n int)")
        postgres.execute(
            "DO $$BEGIN FOR n IN 1..3000 LOOP "  # noqa: S608 - a name of ours
            f"UPDATE {schema}.head SET revision = revision + 1; COMMIT; END LOOP; END$$"
        )
        explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
        with store._connections.transaction() as line:
            plans = [
                postgres.execute(explain + sql["head"]),
                line.execute(explain + sql["head_and_mark"]).fetchall(),
                line.execute(explain + sql["move_head"], (1, 0, 3001, 7)).fetchall(),
            ]
        stranger.rollback()
    looked_at = [plan[0][0][0]["Plan"]["Shared Hit Blocks"] for plan in plans]
    assert max(looked_at) <= 10
    assert store.put("k", 1) == 3002


def test_closing_ends_who_waits_for_a_connection(opened: Callable[..., PostgresStore]) -> None:
    """A reader that waits for its turn is told when the store is closed."""
    store = opened(pool="1")
    store.head()
    with ThreadPoolExecutor(1) as pool, store._connections.reading():
        waiting = pool.submit(store.head)
        store.close()
        with pytest.raises(StoreClosed):
            waiting.result(PATIENCE)


def test_closing_waits_for_no_long_transaction(opened: Callable[..., PostgresStore]) -> None:
    """A store is closed while it prunes, say; that goes on, and its connection is closed then."""
    store = opened()
    with store._connections.transaction() as line:
        hurry(store)
        closing = Thread(target=store.close)
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive()
        assert line.execute("SELECT 1").fetchall() == [(1,)]
    assert line.closed
    with pytest.raises(StoreClosed):
        store.append([Event("x")])


def test_without_threads_it_connects_all_the_same(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started, as at the end of an interpreter, events are kept yet."""

    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", refuse)
    assert store.append([Event("x")])[0].position == 1
    with pytest.raises(RuntimeError):
        store.wait(1, PATIENCE)
    monkeypatch.undo()
    assert store.wait(0, PATIENCE) == 1


def test_a_standby_takes_over(opened: Callable[..., PostgresStore]) -> None:
    """When the primary dies and the standby is promoted, the same URL goes on; nothing is lost."""
    with (
        running_postgres() as primary,
        running_postgres(standby_of=primary) as standby,
        ThreadPoolExecutor(1) as pool,
    ):
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        state = "SELECT sync_state FROM pg_stat_replication"
        wait_until(lambda: primary.execute(state) == [("sync",)])
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        store = opened(f"postgresql://postgres@{hosts}/postgres")
        store.append([Event("x", aggregate_type="a", aggregate_id="1")])

        # What is acknowledged is on the disk of the standby, which shows it a little later.
        ((written,),) = primary.execute("SELECT pg_current_wal_lsn()::text")
        shown = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        wait_until(lambda: standby.execute(shown, written) == [(True,)])
        copy = opened(standby.url())
        assert copy.wait(0, PATIENCE) == 1
        assert types_of(copy) == ["x"]
        with pytest.raises(StoreUnavailable, match="takes no writes"):
            copy.append([Event("not here")])

        waiting = pool.submit(copy.wait, 1, PATIENCE)
        primary.kill()
        standby.execute("SELECT pg_promote()")
        stored = store.append([Event("y", aggregate_type="a", aggregate_id="1")], 1)
        assert [(event.position, event.version) for event in stored] == [(2, 2)]
        assert waiting.result(PATIENCE) == 2
        assert types_of(store) == types_of(copy) == ["x", "y"]
        assert store.check() == []
        for each in (store, copy):
            each.close()
