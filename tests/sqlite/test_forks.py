"""A fork in the middle of everything harms neither parent nor child.

Each test runs in a process of its own with a hard time limit: what goes wrong at a fork hangs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tidings.event import Event
from tidings.store.query import Query
from tidings.store.sqlite import SQLiteStore
from tidings.store.sqlite.waking import _Look

PATIENCE = 60


def run(code: str, path: Path) -> str:
    """Run code with `path` as its argument; what it printed."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


BUSY_PARENT = """
import os, sys, threading
from tidings import Bus

CHILDREN, THREADS, EACH = 12, 3, 5
bus = Bus(f"sqlite:///{sys.argv[1]}", context=False, deadline=30)
bus.emit("first")
forked = threading.Event()
written, seen = [0] * THREADS, []

def write(number):
    while not forked.is_set():
        bus.emit("parent", payload={"thread": number})
        written[number] += 1

def read():
    while not forked.is_set():
        assert list(bus.read()) and bus.latest() and bus.list_types()

def follow():
    wanted = bus.follow(limit=1 + CHILDREN * EACH, types=["child", "first"])
    seen.extend(event.position for event in wanted)

threads = [threading.Thread(target=write, args=(n,)) for n in range(THREADS)]
threads += [threading.Thread(target=read), threading.Thread(target=follow)]
for thread in threads:
    thread.start()
children = []
for number in range(CHILDREN):
    child = os.fork()
    if child == 0:
        mine = [bus.emit("child", payload={"child": number}).position for _ in range(EACH)]
        found = [e.position for e in bus.follow(limit=EACH, payload={"child": number})]
        os._exit(0 if found == mine else 1)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
forked.set()
for thread in threads:
    thread.join()
assert codes == [0] * CHILDREN, codes
kept = list(bus.read())
assert [event.position for event in kept] == list(range(1, len(kept) + 1))
assert len({event.id for event in kept}) == len(kept)
counts = {known.type: known.count for known in bus.store.types()}
assert counts == {"first": 1, "parent": sum(written), "child": CHILDREN * EACH}, (counts, written)
assert len(seen) == 1 + CHILDREN * EACH and seen == sorted(set(seen))
assert bus.store.check() == []
bus.close()
print("well")
"""


def test_forks_while_threads_write_read_and_follow(tmp_path: Path) -> None:
    """Parent and children emit; nothing is lost, twice, or stuck, and the follower sees it all."""
    assert run(BUSY_PARENT, tmp_path / "events.db") == "well\n"


POOL = """
import multiprocessing, sys
from tidings import Bus

bus = Bus(f"sqlite:///{sys.argv[1]}", context=False, deadline=30)

def work(number):
    return bus.emit("worked", payload={"n": number}).position

if __name__ == "__main__":
    bus.emit("before")
    with multiprocessing.get_context("fork").Pool(4) as pool:
        positions = pool.map(work, range(100), chunksize=5)
    assert sorted(positions) == list(range(2, 102))
    assert bus.emit("after").position == 102
    print("well")
"""


def test_a_pool_of_forked_workers(tmp_path: Path) -> None:
    """The bus a module made is used by `multiprocessing`'s workers, as it often is."""
    assert run(POOL, tmp_path / "events.db") == "well\n"


QUICK_VERBS = """
import os, sys
os.environ["TIDINGS_URL"] = f"sqlite:///{sys.argv[1]}"
import tidings

tidings.emit("parent", "forks")
child = os.fork()
if child == 0:
    tidings.emit("child", "forks")
    grandchild = os.fork()
    if grandchild == 0:
        tidings.emit("grandchild", "forks")
        os._exit(0)
    os._exit(os.waitpid(grandchild, 0)[1])
assert os.waitpid(child, 0)[1] == 0
print(*(event["type"] for event in reversed(tidings.history())))
"""


def test_the_quick_verbs_after_a_fork(tmp_path: Path) -> None:
    """Children and grandchildren use the default bus as it was left to them."""
    assert run(QUICK_VERBS, tmp_path / "events.db") == "parent child grandchild\n"


CLOSED = """
import os, sys
from tidings.errors import StoreClosed
from tidings.event import Event
from tidings.store import open_store

store = open_store(f"sqlite:///{sys.argv[1]}")
store.append([Event("x")])
store.close()
child = os.fork()
if child == 0:
    try:
        store.head()
    except StoreClosed:
        os._exit(0)
    os._exit(1)
print(os.waitpid(child, 0)[1])
"""


def test_a_closed_store_stays_closed_in_the_child(tmp_path: Path) -> None:
    """A fork does not open what was closed."""
    assert run(CLOSED, tmp_path / "events.db") == "0\n"


def test_what_is_written_around_a_fork_is_noticed(tmp_path: Path) -> None:
    """A fork gives the watching thread a new connection, whose change counter begins anew."""
    path = str(tmp_path / "events.db")
    with SQLiteStore(path) as watched, SQLiteStore(path) as other:
        look = _Look(watched._connections)
        assert (look.changed_head(), look.changed_head()) == (0, None)
        watched._connections.before_fork()
        watched._connections.after_fork_in_parent()
        other.append([Event("x")])
        assert (look.changed_head(), look.changed_head()) == (1, None)
        assert len(list(watched.read(Query()))) == 1
        look.close()
