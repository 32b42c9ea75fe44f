"""What a store remembers of the head between two appends never outlives a change of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tidings.errors import IdConflict
from tidings.event import Event
from tidings.store.base import Put
from tidings.store.sqlite import SQLiteStore


class Stores(NamedTuple):
    """Two stores on the same file."""

    own: SQLiteStore
    other: SQLiteStore


def refuse(stores: Stores) -> None:
    """An append that is decided twice and refused."""
    stores.own.append([Event("kept", id="same")])
    with pytest.raises(IdConflict):
        stores.own.append([Event("new"), Event("different", id="same")])


def restore(store: SQLiteStore) -> None:
    """An event that keeps the position it has, past some that are left out."""
    store.restore([Event.from_dict({"type": "old", "position": store.head() + 7})])


CHANGES: dict[str, Callable[[Stores], object]] = {
    "another store appends": lambda stores: stores.other.append([Event("theirs")]),
    "another store prunes": lambda stores: stores.other.prune(2),
    "it prunes everything": lambda stores: stores.own.prune(100),
    "it writes a record": lambda stores: stores.own.put("key", 1),
    "it appends with a record": lambda stores: stores.own.append([Event("a")], put=[Put("k", 1)]),
    "it refuses": refuse,
    "it restores": lambda stores: restore(stores.own),
    "another store restores": lambda stores: restore(stores.other),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_next_position_follows_the_head(
    tmp_path: Path, change: Callable[[Stores], object]
) -> None:
    """Whatever happens between two appends, again and again."""
    path = str(tmp_path / "events.db")
    with SQLiteStore(path) as own, SQLiteStore(path) as other:
        own.append([Event("first"), Event("second")])
        for _ in range(3):
            change(Stores(own, other))
            head = other.head()
            kept = own.append([Event("next"), Event("last")])
            assert [event.position for event in kept] == [head + 1, head + 2]
            assert other.head() == head + 2
        assert own.check() == []


def move_and_fail(store: SQLiteStore) -> None:
    """A transaction that believes to have moved the head, and is taken back."""
    with store._connections.transaction() as connection:
        store._connections.head.move(connection, 50)
        raise RuntimeError


def test_a_transaction_that_is_taken_back_leaves_no_head_behind(tmp_path: Path) -> None:
    """After an error inside of a transaction the head is looked up again."""
    with SQLiteStore(str(tmp_path / "events.db")) as store:
        store.append([Event("first")])
        with pytest.raises(RuntimeError):
            move_and_fail(store)
        assert store.append([Event("second")])[0].position == 2
