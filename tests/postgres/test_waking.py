"""Who waits is woken by writers anywhere, and by none of what may go wrong in between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.engines.postgres import PostgresServer
from tests.postgres.cut_line import CutLine
from tests.postgres.sessions import hurry, wait_until
from tidings.errors import StoreClosed, StoreUnavailable
from tidings.event import Event
from tidings.store.postgres import PostgresStore
from tidings.store.postgres.schema import channel
from tidings.testing.elsewhere import PATIENCE

APPEND = """
import sys
from tidings.event import Event
from tidings.store import open_store

with open_store(sys.argv[1], deadline=60) as store:
    store.append([Event("other")])
"""


def listeners(postgres: PostgresServer, schema: str) -> list[int]:
    """The sessions that listen for the writers of a store; their last statement tells."""
    found = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'tidings' "
        "AND (strpos(query, %s) > 0 OR strpos(query, %s) > 0)"
    )
    said = channel(schema), f'"{schema}".head'
    return [pid for (pid,) in postgres.execute(found, *said)]


def test_another_process_wakes_all_who_wait(store: PostgresStore) -> None:
    """Ten threads that wait at the head return when another process appends."""
    store.append([Event("x")])
    with ThreadPoolExecutor(10) as pool:
        waits = [pool.submit(store.wait, 1, PATIENCE) for _ in range(10)]
        subprocess.run([sys.executable, "-c", APPEND, store.url], check=True, timeout=PATIENCE)
        assert [wait.result(PATIENCE) for wait in waits] == [2] * 10


def test_one_connection_listens_for_all(
    postgres: PostgresServer, schema: str, store: PostgresStore
) -> None:
    """However many wait, one connection listens; it is not one of those that read."""
    store.append([Event("x")])
    # Those of others may end meanwhile, but none comes beside ours.
    sessions = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tidings'"
    before = postgres.execute(sessions)
    with ThreadPoolExecutor(10) as pool:
        waits = [pool.submit(store.wait, 1, PATIENCE) for _ in range(10)]
        assert store.wait(0, PATIENCE) == 1
        wait_until(lambda: store._waker._waiting == len(waits))
        assert len({*postgres.execute(sessions)} - {*before}) == 1
        store.append([Event("y")])
        assert [wait.result(PATIENCE) for wait in waits] == [2] * 10
    assert len(listeners(postgres, schema)) == 1


def test_a_wait_needs_no_notification(
    store: PostgresStore, opened: Callable[..., PostgresStore]
) -> None:
    """What a pooler swallows is noticed all the same, by looking now and then."""
    writer = opened()
    sql = writer._connections.sql
    silent = sql["move_head_and_notify"].replace("pg_notify(%s, '')", "%s::text")
    writer._connections.sql = {**sql, "move_head_and_notify": silent}
    store.append([Event("x")])
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(store.wait, 1, PATIENCE)
        store.wait(0, PATIENCE)
        writer.append([Event("y")])
        assert wait.result(PATIENCE) == 2


def test_a_wait_outlives_its_connection(
    postgres: PostgresServer,
    schema: str,
    store: PostgresStore,
    opened: Callable[..., PostgresStore],
) -> None:
    """A listener whose session is ended listens again, and misses nothing meanwhile."""
    store.append([Event("x")])
    writer = opened()
    with ThreadPoolExecutor(1) as pool:
        for head in range(2, 5):
            wait = pool.submit(store.wait, head - 1, PATIENCE)
            wait_until(lambda: bool(listeners(postgres, schema)))
            for pid in listeners(postgres, schema):
                postgres.execute(f"SELECT pg_terminate_backend({pid})")
            writer.append([Event("y")])
            assert wait.result(PATIENCE) == head


def test_closing_ends_every_wait(store: PostgresStore) -> None:
    """Threads that wait for good get `StoreClosed` when another one closes the store."""
    store.append([Event("x")])
    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(store.wait, 1, None) for _ in range(4)]
        store.wait(0, PATIENCE)
        store.close()
        for wait in waits:
            with pytest.raises(StoreClosed):
                wait.result(PATIENCE)


def test_a_server_that_was_never_there_is_told(postgres: PostgresServer) -> None:
    """Who waits for a store that cannot be reached is told so, and does not wait for good."""
    line = CutLine(postgres.port)
    line.refusing = True
    with (
        PostgresStore.from_url(postgres.url(port=line.port), deadline=0.3) as store,
        pytest.raises(StoreUnavailable, match="cannot be reached"),
    ):
        store.wait(0)
    line.close()


def test_a_wait_goes_on_while_the_server_is_away(
    postgres: PostgresServer,
    schema: str,
    store: PostgresStore,
    opened: Callable[..., PostgresStore],
) -> None:
    """A wait that has begun ends when the server is back and there is something new."""
    line = CutLine(postgres.port)
    store.append([Event("x")])
    far = opened(postgres.url(port=line.port, schema=schema))
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(far.wait, 1, PATIENCE)
        wait_until(lambda: has_begun(far))
        hurry(far)
        line.refusing = True
        refused = line.connections
        for pid in listeners(postgres, schema):
            postgres.execute(f"SELECT pg_terminate_backend({pid})")
        wait_until(lambda: line.connections >= refused + 2 or wait.done())
        assert not wait.done()
        store.append([Event("y")])
        line.refusing = False
        assert wait.result(PATIENCE) == 2
    far.close()
    line.close()


def has_begun(store: PostgresStore) -> bool:
    """Whether somebody waits who was told where the head is."""
    waker = store._waker
    with waker._moved:
        return waker._waiting == 1 and waker._head >= 0
