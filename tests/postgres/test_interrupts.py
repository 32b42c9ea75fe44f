"""Ctrl-C at any moment: it is heard, and leaves no lock, no session and half of nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from tests.engines.postgres import PostgresServer
from tests.postgres.sessions import OPEN, gate, wait_until, waiting_for_locks
from tidings.event import Event
from tidings.store.base import Put
from tidings.store.postgres import PostgresStore
from tidings.store.postgres.dialing import Line
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE

_SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE application_name = 'tidings' AND strpos(query, %s) > 0"
)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C means to Python what it usually means, also where pytest's workers ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("moment", ["insert", "commit"])
@pytest.mark.usefixtures("interruptible")
def test_a_writer_that_waits_is_interrupted(
    postgres: PostgresServer, schema: str, store: PostgresStore, moment: str
) -> None:
    """Ctrl-C ends a wait in the middle of a transaction, and the store goes on."""
    store.append([Event("first")])
    event = Event("slow")
    with gate(postgres, schema, moment) as keeper, ThreadPoolExecutor(1) as pool:

        def press() -> None:
            wait_until(lambda: waiting_for_locks(postgres) == 1)
            os.kill(os.getpid(), signal.SIGINT)

        pressed = pool.submit(press)
        with pytest.raises(KeyboardInterrupt):
            store.append([event])
        pressed.result(PATIENCE)
        assert store.append([Event("next")])[0].position == 2
        keeper.execute(OPEN)
    assert store.append([event])[0].position == 3
    assert store.check() == []


@pytest.mark.parametrize("before", [True, False])
def test_an_append_is_interrupted_at_every_step(
    postgres: PostgresServer,
    schema: str,
    opened: Callable[..., PostgresStore],
    monkeypatch: pytest.MonkeyPatch,
    before: bool,
) -> None:
    """Wherever it strikes, before an answer or after it, the next calls work; all is kept once."""
    store = opened(pool="1")
    store.append([Event("first")])
    original = Line.wait
    left = 0

    def wait(line: Line, *given: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and before:
            raise KeyboardInterrupt
        answer = original(line, *given, **options)
        if left == 0:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(Line, "wait", wait)
    calls: list[Callable[[Event], object]] = [
        lambda event: store.append([event], put=[Put("k", event.id)]),
        lambda _: store.put("k", 1),
        lambda _: store.put("k", 1, expected=None),
        lambda _: list(store.read(Query(types="first"))),
        lambda _: store.head(),
        lambda _: store.prune(0),
    ]
    for call in calls:
        for step in count(1):
            event = Event("x")
            left = step
            try:
                call(event)
            except KeyboardInterrupt:
                left = 0
                (stored,) = store.append([event])
                assert store.head() == stored.position
            else:
                break
    left = 0
    assert store.check() == []
    ids = [event.id for event in store.read(Query())]
    assert len(ids) == len(set(ids)) == store.head()
    # What was let go of ends a moment later.
    wait_until(lambda: postgres.execute(_SESSIONS, schema)[0][0] <= 2)
