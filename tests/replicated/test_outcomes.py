"""Whichever process of a machine applies a command, who asked for it is told what came of it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.replicated.file_log import open_file_store
from tests.replicated.machines import Machines, ids
from tests.replicated.oracle import same_result
from tidings.errors import InvalidQuery, OutcomeUnknown, StoreReadOnly, TidingsError
from tidings.event import Event
from tidings.record import POSITION
from tidings.store import open_store
from tidings.store.base import Batch, Put, Summary
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.store.replicated.command import PRUNE, Command, entries_of
from tidings.testing.elsewhere import (
    PATIENCE,
    count_up,
    in_processes,
    in_threads,
    take_versions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidings.store.base import Store

_AT = "2026-01-01T00:00:00Z"
_ABOUT: dict[str, Any] = {"aggregate_type": "run", "aggregate_id": "one"}


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """Machines on a shelf."""
    with Machines(tmp_path) as machines:
        yield machines


def event(id: str, kind: str = "step", **about: Any) -> Event:
    """An event that says the same each time."""
    return Event(kind, id=id, timestamp=_AT, **about)


def prepare(store: Store) -> None:
    """What the commands find there."""
    store.append([event("old", **_ABOUT), event("older")], put=[Put("k", "v")])


def placed(position: int) -> Event:
    """An event to restore."""
    record = list(event("restored").record)
    record[POSITION] = position
    return Event.from_record(tuple(record))


_WRONG = Summary("run", "x", "p", "", "", 1, 0, 0, 9, 2, 1, 1, "x", "x", None)

_COMMANDS: dict[str, Callable[[Store], Any]] = {
    "kept": lambda store: store.append([event("new", **_ABOUT)], 1),
    "kept before": lambda store: store.append([event("old", **_ABOUT), event("new", **_ABOUT)], 1),
    "version": lambda store: store.append([event("new", **_ABOUT)], 7),
    "id": lambda store: store.append([event("fresh"), event("old")]),
    "revision": lambda store: store.append([event("new")], put=[Put("k", 1, expected=5)]),
    "no aggregate": lambda store: store.append([event("new")], 1),
    "several": lambda store: store.append_all(
        [Batch([event("1")]), Batch([event("old", "other")]), Batch([]), Batch([event("2")])]
    ),
    "put": lambda store: store.put("k", {"a": [1, None]}, expected=1),
    "put refused": lambda store: store.put("k", 1, expected=0),
    "delete": lambda store: store.delete("k"),
    "delete nothing": lambda store: store.delete("nothing"),
    "delete refused": lambda store: store.delete("k", expected=9),
    "prune": lambda store: store.prune(1),
    "redact": lambda store: store.redact(Query(ids="older")),
    "restore": lambda store: store.restore([placed(9)]),
    "restore refused": lambda store: store.restore([placed(1)]),
    "adopt": lambda store: store.adopt(0),
    "adopt refused": lambda store: store.adopt(0, [_WRONG]),
}


def told(ask: Callable[[Store], Any], store: Store) -> list[Any]:
    """What a caller is told: results, or the one error."""
    try:
        result = ask(store)
    except TidingsError as error:
        return [error]
    several = isinstance(result, list) and all(isinstance(e, list | Exception) for e in result)
    return result if several else [result]


@pytest.mark.parametrize("name", _COMMANDS)
def test_the_other_process_applies_it(machines: Machines, name: str) -> None:
    """The result is the one a store gives that is alone, kept or refused, with all it says."""
    ask = _COMMANDS[name]
    prepare(machines.open())
    alone = MemoryStore()
    prepare(alone)
    true = told(ask, alone)
    asker = machines.open()
    asker.head()
    line = machines.logs["a"]
    line.fall_behind()
    applier = machines.open()
    before = machines.shelf.head

    def apply() -> list[Any]:
        with machines.shelf.moved:
            machines.shelf.moved.wait_for(lambda: machines.shelf.head > before, PATIENCE)
        applier.catch_up()
        line.fall_behind(behind=False)
        return []

    found, _ = in_threads(partial(told, ask, asker), apply)
    assert len(found) == len(true)
    for one, other in zip(found, true, strict=True):
        if isinstance(other, list):  # a memory store takes it at another instant
            assert one == other
            assert [e.position for e in one] == [e.position for e in other]
        else:
            assert same_result(one, other), (one, other)


def test_the_replica_is_replaced_before_the_outcome_came(machines: Machines) -> None:
    """A caller whose command is in the new replica already is told as if nothing had happened."""
    machines.open("b").append([event("1"), event("2")])
    asker = machines.open()
    asker.head()
    line = machines.logs["a"]
    line.fall_behind()
    before = machines.shelf.head

    def replace() -> list[Event]:
        with machines.shelf.moved:
            machines.shelf.moved.wait_for(lambda: machines.shelf.head > before, PATIENCE)
        machines.open("b").prune(1)  # the log is trimmed past what was asked
        machines.file().unlink()
        line.fall_behind(behind=False)
        return []

    (kept,), _ = in_threads(lambda: asker.append([event("3")]), replace)
    assert (kept.id, kept.position) == ("3", 3)


def test_pruned_before_it_was_told(machines: Machines) -> None:
    """Events that are gone when their caller is told cannot be given: that is said."""
    asker = machines.open()
    asker.head()
    line = machines.logs["a"]
    line.fall_behind()
    applier = machines.open()
    before = machines.shelf.head

    def apply_and_prune() -> list[Any]:
        with machines.shelf.moved:
            machines.shelf.moved.wait_for(lambda: machines.shelf.head > before, PATIENCE)
        ((_, data),) = entries_of(Command(PRUNE, {"through": 1}), 1 << 20)
        machines.shelf.add(data)  # not by `prune`, which trims the log as well
        applier.append([event("1")])  # the id comes again: that is not the event that was asked
        line.fall_behind(behind=False)
        return []

    (found,), _ = in_threads(
        partial(told, lambda s: s.append([event("1")]), asker), apply_and_prune
    )
    assert isinstance(found, OutcomeUnknown)
    assert "pruned since" in str(found)


def test_processes_race_on_one_replica(tmp_path: Path) -> None:
    """Processes that share a replica count up without losing one, whoever applies."""
    opener = partial(open_file_store, str(tmp_path))
    parts: list[Any] = [(take_versions, opener, 10)] * 4 + [(count_up, opener, 10)] * 4
    in_processes(parts)
    with opener() as store:
        assert [e.version for e in store.read(Query())] == list(range(1, 41))
        found = store.get("counter")
        assert found is not None
        assert found.value == 40


# What no store can do -----------------------------------------------------------------------------

_SENSELESS: dict[str, Callable[[Any], Any]] = {
    "too many ids": lambda store: store.redact(Query(ids=[f"id-{n}" for n in range(3000)])),
    "a summary of nothing": lambda store: store.adopt(0, [Summary(*[None] * 15)]),
    "a summary of lists": lambda store: store.adopt(0, [_WRONG._replace(version=[])]),
    "a position of text": lambda store: store.adopt("many"),
    "prune to text": lambda store: store.prune("all"),
    "prune to nothing": lambda store: store.prune(None),
    "a revision of text": lambda store: store.put("k", 1, expected="1"),
    "delete at text": lambda store: store.delete("k", expected="1"),
    "a version of text": lambda store: store.append([event("n", **_ABOUT)], "1"),
    "no JSON": lambda store: store.put("k", {1, 2}),
    "a surrogate": lambda store: store.put("k", "\ud800"),
    "no key": lambda store: store.put("", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", _SENSELESS)
def test_what_makes_no_sense_is_refused(machines: Machines, name: str) -> None:
    """A request that makes no sense gets an error, and no machine gets stuck at it."""
    store, other = machines.open(), machines.open("b")
    prepare(store)
    with pytest.raises((InvalidQuery, TidingsError)) as refused:
        _SENSELESS[name](store)
    assert not isinstance(refused.value, OutcomeUnknown)
    assert store.append([event("after")])[0].position == 3
    other.catch_up()
    assert ids(other) == ids(store) == ["old", "older", "after"]
    assert store.check() == other.check() == []


def test_a_value_that_changes_after_it_was_given(machines: Machines) -> None:
    """What is written is what was given, and the same on every machine."""
    value: Any = {1: "one", "1": "uno", "2": (1, 2)}
    store, other = machines.open(), machines.open("b")
    store.put("k", value)
    value[3] = "three"
    other.catch_up()
    assert store.get("k") == other.get("k") == ("k", 1, {"1": "uno", "2": [1, 2]})
    kept = []
    for name in ("a", "b"):
        with closing(sqlite3.connect(machines.file(name))) as connection:
            kept += connection.execute("SELECT * FROM ledger").fetchall()
    assert kept[0] == kept[1]


def test_a_secret_leaves_every_machine(machines: Machines) -> None:
    """What was redacted cannot be found in a machine's files, the log, or the snapshot."""
    store, other = machines.open(most_bytes=600), machines.open("b")
    secret = "hunter2-" * 100
    store.append([event("1", payload={"password": secret})])
    store.append([event("2")])
    assert other.catch_up() == 2
    assert store.redact(Query(ids="1")) == 1
    other.catch_up()
    store.append([event("3")])
    other.catch_up()
    held = b"".join(entry.data for entry in machines.shelf.entries)
    assert machines.shelf.snapshot is not None
    held += machines.shelf.snapshot[1]
    for name in ("a", "b"):
        for file in os.listdir(machines.home(name)):
            held += (machines.home(name) / file).read_bytes()
    assert b"hunter2" not in held


def test_a_replica_changes_by_its_log_alone(tmp_path: Path) -> None:
    """Opened as a SQLite file, a replica can be read, and nothing can be written past its log."""
    with open_file_store(tmp_path) as store:
        store.append([Event("x", id="1")])
        path = store.describe()["replica"]
        with open_store(f"sqlite:///{path}") as bare:
            assert [event.id for event in bare.read(Query())] == ["1"]
            for write in (
                lambda: bare.append([Event("x", id="2")]),
                lambda: bare.put("k", 1),
                lambda: bare.prune(1),
            ):
                with pytest.raises(StoreReadOnly, match="changes by that store's log alone"):
                    write()
        assert [event.position for event in store.append([Event("x", id="3")])] == [2]
        store.backup(str(tmp_path / "copy.db"))
    with open_store(f"sqlite:///{tmp_path}/copy.db") as copy:
        assert copy.append([Event("x", id="4")])[0].position == 3
