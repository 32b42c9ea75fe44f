"""When the store cannot take an event, it waits in the spool or the caller is told (promise 4)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidings import Bus, Event
from tidings.errors import NotKept


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    """A bus that waits for nothing, with a spool of its own."""
    url, spool = f"sqlite:///{tmp_path}/events.db", str(tmp_path / "spool")
    with Bus(url, spool=spool, deadline=0.01) as bus:
        bus.emit("first")
        yield bus


@pytest.fixture
def locked(bus: Bus) -> Iterator[sqlite3.Connection]:
    """Another connection that keeps the store's lock until it rolls back."""
    other = sqlite3.connect(bus.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def test_reading_goes_on_while_others_write(bus: Bus, locked: sqlite3.Connection) -> None:
    """A lock that keeps events out keeps no reader out."""
    assert locked.in_transaction
    bus.emit("a")
    assert [event.type for event in bus.history()] == ["first"]


def test_a_batch_waits_whole_or_not_at_all(
    bus: Bus, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the spool fails in the middle of a batch, what came before is taken back."""
    assert locked.in_transaction
    put, puts = bus.spool.put, []

    def put_two(event: Event, forward: str) -> str:
        puts.append(event)
        if len(puts) > 2:
            raise NotKept("the disk is full")
        return put(event, forward)

    monkeypatch.setattr(bus.spool, "put", put_two)
    with pytest.raises(NotKept):
        bus.emit_many([Event("x"), Event("y"), Event("z")])
    assert (len(puts), bus.spool.waiting()) == (3, 0)
