"""Whoever waits is woken: by this process, by another one, by the end, and by what goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tidings.bus import Bus
from tidings.errors import StoreClosed, StoreUnavailable
from tidings.event import Event
from tidings.store.sqlite import SQLiteStore

PATIENCE = 60.0

APPEND = """
import sys
from tidings.event import Event
from tidings.store import open_store

with open_store(f"sqlite:///{sys.argv[1]}", deadline=30) as store:
    store.append([Event("other")])
"""


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    """A store with one event, closed by the test or with the process."""
    store = SQLiteStore(str(tmp_path / "events.db"), deadline=30)
    store.append([Event("x")])
    return store


def append_elsewhere(store: SQLiteStore) -> None:
    """Append an event in another process."""
    subprocess.run([sys.executable, "-c", APPEND, store.path], check=True, timeout=PATIENCE)


def test_another_process_wakes_all_who_wait(store: SQLiteStore) -> None:
    """Ten threads that wait at the head return when another process appends."""
    with store, ThreadPoolExecutor(10) as pool:
        waits = [pool.submit(store.wait, 1, PATIENCE) for _ in range(10)]
        append_elsewhere(store)
        assert [wait.result(PATIENCE) for wait in waits] == [2] * 10


def test_this_process_wakes_those_who_wait(store: SQLiteStore) -> None:
    """Threads that wait for later events sleep on, the others return."""
    with store, ThreadPoolExecutor(2) as pool:
        near, far = pool.submit(store.wait, 1, PATIENCE), pool.submit(store.wait, 2, PATIENCE)
        store.append([Event("y")])
        assert near.result(PATIENCE) == 2
        assert not far.done()
        store.append([Event("z")])
        assert far.result(PATIENCE) == 3


def test_without_time_to_wait_the_head_is_told(store: SQLiteStore) -> None:
    """Also to many threads at once, when nobody has looked before; and right after an append."""
    barrier = Barrier(8)

    def look() -> int:
        barrier.wait(PATIENCE)
        return store.wait(5, 0)

    with store, ThreadPoolExecutor(8) as pool:
        looks = [pool.submit(look) for _ in range(8)]
        assert [each.result(PATIENCE) for each in looks] == [1] * 8
        for head in range(2, 12):
            store.append([Event("y")])
            assert store.wait(head - 1, 0) == head


def test_closing_ends_every_wait(store: SQLiteStore) -> None:
    """Threads that wait for good get `StoreClosed` when another one closes the store."""
    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(store.wait, 1, None) for _ in range(4)]
        store.close()
        for wait in waits:
            with pytest.raises(StoreClosed):
                wait.result(PATIENCE)


@pytest.mark.parametrize("fate", ["deleted", "replaced"])
def test_who_waits_for_a_file_that_goes_is_told(store: SQLiteStore, fate: str) -> None:
    """Nobody waits for good for a file that no path leads to any more."""
    with store, ThreadPoolExecutor(1) as pool:
        wait = pool.submit(store.wait, 1, None)
        store.wait(0, PATIENCE)
        if fate == "deleted":
            os.unlink(store.path)
        else:
            store.backup(f"{store.path}.copy")
            os.replace(f"{store.path}.copy", store.path)
        with pytest.raises(StoreUnavailable, match=r"events\.db was moved, deleted or replaced"):
            wait.result(PATIENCE)


def test_closing_the_bus_ends_its_followers(tmp_path: Path) -> None:
    """A follower in another thread ends as if there were no more events."""
    bus = Bus(f"sqlite:///{tmp_path}/events.db", context=False)
    bus.emit("x")
    caught_up = Barrier(2)

    def follow() -> list[str]:
        types = []
        for event in bus.follow():
            types.append(event.type)
            caught_up.wait(PATIENCE)
        return types

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(follow)
        caught_up.wait(PATIENCE)
        bus.close()
        assert following.result(PATIENCE) == ["x"]


FOLLOW = """
import sys
from tidings import Bus

for event in Bus(f"sqlite:///{sys.argv[1]}").follow():
    print(event.type, flush=True)
"""


def test_ctrl_c_ends_a_follower(store: SQLiteStore) -> None:
    """A process that follows and waits ends with `KeyboardInterrupt` at once."""
    command = [sys.executable, "-c", FOLLOW, store.path]
    with (
        store,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == "x\n"
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=PATIENCE)
        assert said.rstrip().endswith("KeyboardInterrupt")
        assert child.returncode == -signal.SIGINT
