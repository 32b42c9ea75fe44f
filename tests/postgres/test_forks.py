"""A store outlives a fork: a child never uses, nor ends, a session of its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.engines.postgres import PostgresServer
from tests.postgres.sessions import wait_until
from tidings.event import Event
from tidings.store.postgres import PostgresStore
from tidings.testing.elsewhere import PATIENCE

PARENT = """
import os, signal, sys
from concurrent.futures import ThreadPoolExecutor
from tidings.event import Event
from tidings.store import open_store

store = open_store(sys.argv[1], deadline=60)
store.append([Event("parent")])
session = "SELECT pg_backend_pid()"

def pid():
    with store._connections.transaction() as line:
        return line.execute(session).fetchone()[0]

with ThreadPoolExecutor(1) as pool:
    waiting = pool.submit(store.wait, 2, 60)
    store.wait(0, 60)
    mine = pid()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        stored = store.append([Event("child")])[0]
        theirs = pid()
        assert theirs != mine, "the child used its parent's session"
        assert store.wait(1, 60) == 2
        store.close()
        # To its end as Python programs come to theirs, with all that is let go of then.
        sys.stdout.flush()
        os._exit(0) if sys.argv[2] == "at once" else sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pid() == mine, "the parent's session was ended"
    store.append([Event("parent")])
    assert waiting.result(60) == 3
print([event.type for event in store.read(__import__("tidings.store.query").store.query.Query())])
store.close()
"""


@pytest.mark.parametrize("how", ["at once", "as usual"])
def test_a_child_has_sessions_of_its_own(store: PostgresStore, how: str) -> None:
    """A child appends and waits on its own connections, and its end does not touch its parent's."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PARENT, store.url, how],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['parent', 'child', 'parent']\n"


BROKEN = """
import os, sys
import psycopg
from tidings.event import Event
from tidings.store import open_store

store = open_store(sys.argv[1], deadline=60)
with store._connections.reading() as line:
    try:
        line.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    except psycopg.OperationalError:
        pass
    child = os.fork()
    if child == 0:
        store.append([Event("child")])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
store.append([Event("parent")])
store.close()
"""


def test_a_session_that_just_broke_does_no_harm(store: PostgresStore) -> None:
    """A child lets go of its parent's connections, also of one that is none any more."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BROKEN, store.url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert store.head() == 2


HOLD = """
import os, sys, time
from tidings.store import open_store

store = open_store(sys.argv[1], deadline=60)
with store._connections.transaction():
    child = os.fork()
    if child == 0:
        time.sleep(120)
    print(child, flush=True)
    time.sleep(120)
"""


def test_a_killed_parent_leaves_no_lock(
    postgres: PostgresServer, store: PostgresStore, opened: Callable[..., PostgresStore]
) -> None:
    """A writer that is killed in a transaction frees the store, though its child lives on."""
    store.append([Event("x")])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, store.url], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            parent.kill()
            parent.wait(PATIENCE)
            assert opened().append([Event("y")])[0].position == 2
        finally:
            os.kill(child, signal.SIGKILL)
    # Those of sessions that are about to end are let go of a moment later.
    found = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    wait_until(lambda: postgres.execute(found) == [(0,)])
