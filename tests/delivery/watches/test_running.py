"""Watches as processes run them: real threads, real stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.delivery.watches.watching import HandClock
from tests.engines.nats import NatsServer
from tests.engines.postgres import shared_postgres
from tidings.delivery.watches import Watches, duties
from tidings.errors import InvalidSetting, NotFound
from tidings.event import Event
from tidings.store import open_store
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.subscriptions.duties import Runner
from tidings.testing.elsewhere import PATIENCE, await_type
from tidings.timestamps import now_instant

if TYPE_CHECKING:
    from pathlib import Path

    from tidings.store.base import Store

HOUR = 3_600_000_000


def run_one(store: Store) -> list[str]:
    """Let two processes' runners have one watch; what is said of a deadline and a recovery."""
    clock = HandClock(now_instant() - 2 * HOUR)
    Watches(store, clock=clock).add("nightly", 3600, Query(types="built"))
    runners = [Runner(store, clock=clock) for _ in range(2)]
    for runner in runners:
        (duty,) = duties(store)
        runner.add(duty)
    with runners[0], runners[1]:
        clock.instant = now_instant()
        for runner in runners:
            runner.wake()
        await_type(store, 0, "tidings.watch.missed")
        store.append([Event("built")])
        await_type(store, 0, "tidings.watch.recovered")
    return [event.type for event in store.read(Query(types="tidings.*"))]


def test_one_of_two_processes_tells(tmp_path: Path) -> None:
    """However many run it, what is missed is said once, and soon."""
    with open_store(f"sqlite:///{tmp_path}/events.db", deadline=PATIENCE) as store:
        assert run_one(store) == ["tidings.watch.missed", "tidings.watch.recovered"]


def test_on_postgres(pytestconfig: pytest.Config) -> None:
    """So on PostgreSQL."""
    server = shared_postgres(pytestconfig)
    with open_store(server.url(schema="of_watches"), deadline=PATIENCE) as store:
        assert run_one(store) == ["tidings.watch.missed", "tidings.watch.recovered"]
    server.execute("DROP SCHEMA of_watches CASCADE")


def test_on_jetstream(tmp_path: Path) -> None:
    """So on NATS JetStream."""
    with (
        NatsServer(tmp_path / "nats") as server,
        open_store(f"{server.url}/WATCHES?replica={tmp_path}/replica", deadline=PATIENCE) as store,
    ):
        assert run_one(store) == ["tidings.watch.missed", "tidings.watch.recovered"]


def test_names_and_times_must_make_sense() -> None:
    """What cannot be a watch is refused, and what is not there is not found."""
    watches = Watches(MemoryStore())
    for name, within in (("", 1), ("a b", 1), ("a", 0), ("a", -1), ("a", 1e12), ("a", 1e-9)):
        with pytest.raises(InvalidSetting):
            watches.add(name, within)
    with pytest.raises(InvalidSetting, match="expects"):
        watches.add("a", 1, expects="rain")
    watches.add("a", 1)
    with pytest.raises(InvalidSetting, match="already"):
        watches.add("a", 2)
    for call in (watches.get, watches.pause, watches.resume, watches.delete):
        with pytest.raises(NotFound, match="watch list"):
            call("b")
        with pytest.raises(InvalidSetting):
            call("no/name")
    assert [state.watch.name for state in watches.list()] == ["a"]


def test_a_paused_watch_is_nobodys_duty() -> None:
    """Nor is one that was deleted."""
    store = MemoryStore()
    watches = Watches(store)
    watches.add("a", 1)
    watches.add("b", 1)
    watches.pause("a")
    (duty,) = duties(store)
    assert duty.key.startswith("watch-at/b/")
    watches.delete("b")
    assert duties(store) == []
    watches.resume("a")
    assert [state.status for state in watches.list()] == ["new"]
    assert len(duties(store)) == 1
