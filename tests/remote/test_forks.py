"""A remote store outlives a fork, also in the middle of an answer that another thread reads."""

from __future__ import annotations

import multiprocessing
import os
import signal
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any

from tidings.event import Event
from tidings.store.query import Query
from tidings.store.remote import RemoteStore

if TYPE_CHECKING:
    from tests.server.conftest import Server

FORKS = 60
PATIENCE = 60


def fork_beside_exchanges(url: str, told: Any) -> None:
    """Fork again and again while three threads ask; tell how the children ended."""
    enough = Flag()

    def ask(store: RemoteStore) -> None:
        while not enough.is_set():
            store.append([Event("parent")])
            store.head()

    with RemoteStore(url, deadline=PATIENCE) as store:
        store.head()
        threads = [Thread(target=ask, args=(store,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        codes = {_code_of_child(store) for _ in range(FORKS)}
        enough.set()
        for thread in threads:
            thread.join()
        told.put((codes, store.count(Query(types="child")).value, store.check()))


def _code_of_child(store: RemoteStore) -> int:
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(PATIENCE)  # one that hangs on a lock of its parent is killed
            (kept,) = store.append([Event("child")])
            os._exit(list(store.read(Query(ids=kept.id))) != [kept])
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_children_forked_beside_answers_go_on(server: Server) -> None:
    """No child hangs on what its parent's threads hold, and none disturbs their exchanges."""
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    process = context.Process(target=fork_beside_exchanges, args=(server.url, told))
    process.start()
    assert told.get(timeout=FORKS * PATIENCE) == ({0}, FORKS, [])
    process.join(PATIENCE)
    assert process.exitcode == 0
