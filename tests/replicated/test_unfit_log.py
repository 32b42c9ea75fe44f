"""What a store does when its log is out of reach, damaged, trimmed, shorter, newer, or another one.

Nothing may take longer than it was given. A bound here is far above the deadline of the stores, and
far below the patience of a caller.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.replicated.machines import Machines, ids
from tidings.errors import OutcomeUnknown, StoreTooNew, StoreUnavailable
from tidings.event import Event
from tidings.store.base import Batch
from tidings.store.query import Query
from tidings.store.replicated import command, following
from tidings.store.replicated.attaching import ENGINE_PATIENCE, LogContradicts
from tidings.store.replicated.command import APPEND, Command, entries_of
from tidings.store.replicated.log import Entry
from tidings.testing.elsewhere import PATIENCE, in_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidings.store.base import Store

_SHORT = 0.1
_BOUND = 6 * ENGINE_PATIENCE


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """Machines on a shelf."""
    with Machines(tmp_path) as machines:
        yield machines


@contextmanager
def bounded() -> Iterator[None]:
    """Whatever happens inside must not take for ever."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < _BOUND


def recovered(ask: Any) -> Any:
    """What a call gives once the store is well again, asked until it is."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except (StoreUnavailable, OutcomeUnknown):
            if time.monotonic() > until:
                raise


# Out of reach -------------------------------------------------------------------------------------


def test_out_of_reach_at_opening(machines: Machines) -> None:
    """A store that never reached its log says so on every call; `check` and `wait` too."""
    store = machines.open(deadline=_SHORT)
    machines.logs["a"].cut()
    with bounded(), pytest.raises(StoreUnavailable, match="cannot be reached"):
        until_it_says(store, "cannot be reached")
    asked: list[Any] = [
        store.head, store.latest, store.catch_up, store.describe,
        lambda: store.append([Event("x")]), lambda: store.put("k", 1), lambda: ids(store),
        lambda: store.wait(0, _SHORT), lambda: store.prune(1),
    ]  # fmt: skip
    for ask in asked:
        with bounded(), pytest.raises(StoreUnavailable, match="cannot be reached"):
            ask()
    (problem,) = store.check()
    assert "cannot be reached" in problem
    assert machines.shelf.entries == []
    machines.logs["a"].cut(cut=False)
    event = Event("x")
    assert recovered(lambda: store.append([event]))[0].position == 1


def test_out_of_reach_later(machines: Machines) -> None:
    """Once it is open, a store without its log reads on, and refuses writes at once."""
    store, other = machines.open(deadline=_SHORT), machines.open("b")
    other.append([Event("x", id="1")])
    recovered(store.catch_up)
    machines.logs["a"].cut()
    other.append([Event("x", id="2")])
    with bounded():
        assert ids(store) == ["1"]
        assert store.head() == 1
        assert store.wait(1, _SHORT) == 1
        assert store.describe()["head"] == 1
        for ask in (lambda: store.append([Event("x")]), store.catch_up, lambda: store.put("k", 1)):
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                ask()
        assert any("cannot be reached" in problem for problem in awaited_problems(store))
    machines.logs["a"].cut(cut=False)
    assert recovered(store.catch_up) == 2
    assert ids(store) == ["1", "2"]
    assert store.check() == []


def awaited_problems(store: Store) -> list[str]:
    """What `check` says, once it says something."""
    until = time.monotonic() + PATIENCE
    while not (problems := store.check()):
        assert time.monotonic() < until
    return problems


def test_an_outcome_that_does_not_come(machines: Machines) -> None:
    """What was published and not seen again is unknown; sent again, it is kept once."""
    store = machines.open(deadline=_SHORT)
    recovered(store.head)
    machines.logs["a"].fall_behind()
    event = Event("x", id="one")
    for _ in range(2):
        with bounded(), pytest.raises(OutcomeUnknown, match="may be sent again"):
            store.append([event])
        store._follower._absence.end()
    with bounded(), pytest.raises(OutcomeUnknown):
        store.put("k", 1, expected=0)
    assert ids(store) == []
    machines.logs["a"].fall_behind(behind=False)
    assert recovered(store.catch_up) == 1
    (kept,) = recovered(lambda: store.append([event]))
    assert kept.position == 1
    assert ids(store) == ["one"]
    assert store.get("k") == ("k", 1, 1)


def test_far_behind_at_opening(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that has not caught up publishes nothing, and reads when it has."""
    monkeypatch.setattr(following, "ENGINE_PATIENCE", 2 * _SHORT)
    other = machines.open("b")
    wanted = [other.append([Event("x")])[0].id for _ in range(20)]
    store = machines.open(deadline=_SHORT)
    machines.logs["a"].show(1)
    with bounded(), pytest.raises(StoreUnavailable, match="catching up"):
        until_it_says(store, "entry 1 of 20")
    with bounded(), pytest.raises(StoreUnavailable, match="catching up"):
        store.append([Event("x", id="2")])
    assert machines.shelf.head == len(wanted)

    def come_nearer() -> list[str]:
        for sequence in range(1, len(wanted) + 1):
            machines.logs["a"].show(sequence)
        return wanted

    found, _ = in_threads(lambda: recovered(lambda: ids(store)), come_nearer)
    assert found == wanted


def test_far_behind_later(machines: Machines) -> None:
    """A store that cannot apply what has come publishes nothing more until it has."""
    other = machines.open("b")
    other.append([Event("x", id="1")])
    store = machines.open(deadline=_SHORT)
    recovered(store.catch_up)
    with closing(sqlite3.connect(machines.file(), isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        other.append([Event("x", id="2")])
        assert any("was locked by others" in problem for problem in awaited_problems(store))
        published = machines.shelf.head
        with bounded(), pytest.raises(StoreUnavailable):
            store.append([Event("x", id="3")])
        assert ids(store) == ["1"]
        assert machines.shelf.head == published
    assert recovered(lambda: store.append([Event("x", id="3")]))[0].position == 3


# Trimmed ------------------------------------------------------------------------------------------


def test_away_while_the_log_was_trimmed(machines: Machines) -> None:
    """A replica below what was trimmed starts again from the snapshot, open or closed."""
    with machines.open() as away:
        away.append([Event("x", id="1")])
    stopped = machines.open("c")
    assert ids(stopped) == ["1"]
    machines.logs["c"].cut()
    other = machines.open("b")
    other.append([Event("x", id="2"), Event("x", id="3")])
    assert other.prune(1) == 1
    other.append([Event("x", id="4")])
    machines.logs["c"].cut(cut=False)
    for store in (machines.open(), stopped):
        recovered(store.catch_up)
        assert ids(store) == ["2", "3", "4"]
        assert store.first() == 2
        assert store.append([Event("x", id="2")])[0].position == 2


def test_trimmed_without_a_snapshot(machines: Machines) -> None:
    """Where nobody kept what was trimmed, that is said, and the replica stays as it is."""
    with machines.open() as store:
        store.append([Event("x", id="1")])
    machines.open("b").append([Event("x", id="2")])
    machines.logs["b"].trim(2)
    machines.open("b").append([Event("x", id="3")])
    file, before = machines.file(), machines.file().read_bytes()
    for name in ("a", "new"):
        with (
            machines.open(name, deadline=_SHORT) as store,
            bounded(),
            pytest.raises(StoreUnavailable, match="no snapshot is kept with it"),
        ):
            until_it_says(store, "no snapshot")
    assert machines.file() == file
    assert file.read_bytes() == before
    assert not list(machines.home("new").glob("*.db*"))


def until_it_says(store: Store, words: str) -> None:
    """Read until the store has found out what is wrong."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            store.head()
        except StoreUnavailable as error:
            if words in str(error):
                raise
    raise AssertionError(f"it never said {words!r}")


def test_a_snapshot_of_another_log(machines: Machines) -> None:
    """A snapshot that belongs to another log is refused, and no replica is made of it."""
    store = machines.open("b")
    store.append([Event("x"), Event("x")])
    store.prune(1)
    machines.shelf.identity = "memory-2"
    machines.shelf.trimmed = 0
    with (
        machines.open(deadline=_SHORT) as fresh,
        pytest.raises(StoreUnavailable, match="made from another log"),
    ):
        until_it_says(fresh, "another log")
    assert not list(machines.home().glob("*.db*"))


# Another log, or less of it -----------------------------------------------------------------------


def make_anew(machines: Machines) -> None:
    """The log is another one under the same name."""
    machines.shelf.identity = "memory-2"
    machines.shelf.entries.clear()
    machines.shelf.head = 0


def lose_tail(machines: Machines) -> None:
    """The newest entry is gone."""
    machines.shelf.entries.pop()
    machines.shelf.head -= 1


def lose_tail_and_go_on(machines: Machines) -> None:
    """The newest entry is gone, and another has its place."""
    lose_tail(machines)
    lost = Command(APPEND, {"at": 1, "batches": []})
    ((_, data),) = entries_of(lost, 1 << 20)
    machines.shelf.add(data)


_LOSSES = [make_anew, lose_tail, lose_tail_and_go_on]


@pytest.mark.parametrize("lose", _LOSSES)
def test_a_log_that_lost_something_is_refused(machines: Machines, lose: Any) -> None:
    """A replica that knows more than the log is refused and kept: it may be the only copy."""
    with machines.open() as store:
        store.append([Event("x", id="1")])
        store.append([Event("x", id="2")])
    lose(machines)
    file, before = machines.file(), machines.file().read_bytes()
    with machines.open(deadline=_SHORT) as store:
        for ask in (store.head, store.catch_up, lambda: store.append([Event("x", id="3")])):
            with bounded(), pytest.raises(LogContradicts, match="only copy"):
                until_refused(ask)
        assert "only copy" in store.check()[0]
    assert machines.file() == file
    assert file.read_bytes() == before


def until_refused(ask: Any, refusal: type[StoreUnavailable] = LogContradicts) -> None:
    """Ask until the store has found out what is wrong, and says it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            ask()
        except refusal:
            raise
        except (StoreUnavailable, OutcomeUnknown):
            continue
    raise AssertionError("it was never refused")


@pytest.mark.parametrize("lose", [make_anew, lose_tail])
def test_an_open_store_notices_what_its_log_lost(machines: Machines, lose: Any) -> None:
    """A store that is open finds out when it asks for the head, and keeps its replica."""
    for id in ("1", "2"):
        machines.open("b").append([Event("x", id=id)])
    store = machines.open(deadline=_SHORT)
    recovered(store.catch_up)
    lose(machines)
    with bounded(), pytest.raises(LogContradicts, match="only copy"):
        until_refused(store.catch_up)
    with bounded(), pytest.raises(LogContradicts, match="only copy"):
        until_refused(lambda: store.append([Event("x", id="3")]))
    assert machines.file().exists()


def test_a_write_into_another_log_is_noticed(machines: Machines) -> None:
    """An append whose outcome does not come makes the store look whether its log is still its."""
    for id in ("1", "2", "3"):
        machines.open("b").append([Event("x", id=id)])
    store = machines.open(deadline=_SHORT)
    recovered(store.catch_up)
    make_anew(machines)
    with bounded(), pytest.raises(OutcomeUnknown):
        store.append([Event("x", id="new")])
    with bounded(), pytest.raises(LogContradicts):
        until_refused(store.head)


# Entries that are not what they should be ---------------------------------------------------------


def test_an_entry_of_a_newer_tidings(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer form is refused and never skipped; once Tidings is newer, the replica goes on."""
    machines.open("b").append([Event("x", id="1")])
    store = machines.open(deadline=_SHORT)
    recovered(store.catch_up)
    newer = Command(APPEND, {"at": 1, "batches": []})
    ((_, data),) = entries_of(newer, 1 << 20)
    written = data.replace(b"tidings-log 1 ", b"tidings-log 2 ")
    machines.shelf.add(written)
    later = Command(APPEND, {"at": 1, "batches": [Batch([Event("x", id="2")])]})
    machines.shelf.add(entries_of(later, 1 << 20)[0][1])
    with bounded(), pytest.raises(StoreTooNew, match="entry 2 of memory-log: has a form"):
        until_refused(store.catch_up, StoreTooNew)
    with bounded(), pytest.raises(StoreTooNew):
        store.append([Event("x", id="3")])
    assert machines.shelf.head == 3  # and nothing was published
    assert ids(store) == ["1"]
    assert any("newer Tidings" in problem for problem in store.check())
    with machines.open("new", deadline=_SHORT) as fresh, pytest.raises(StoreTooNew):
        until_refused(fresh.head, StoreTooNew)
    monkeypatch.setattr(command, "FORMAT", 2)
    first = machines.shelf.entries[0]
    machines.shelf.entries[2] = machines.shelf.entries[2]._replace(
        data=machines.shelf.entries[2].data.replace(b"tidings-log 1 ", b"tidings-log 2 ")
    )
    recovered(store.catch_up)
    assert ids(store) == ["1", "2"]
    assert first.data.startswith(b"tidings-log 1 ")


def test_a_damaged_entry(machines: Machines) -> None:
    """An entry that differs from its checksum is not applied, nor anything past it."""
    other = machines.open("b")
    other.append([Event("x", id="1")])
    other.append([Event("x", id="2", payload={"text": "secret"})])
    shelf = machines.shelf
    whole = shelf.entries[1]
    shelf.entries[1] = Entry(2, whole.data.replace(b"secret", b"sesret"))
    store = machines.open(deadline=_SHORT)
    with bounded(), pytest.raises(StoreUnavailable, match="entry 2 of memory-log: is damaged"):
        until_it_says(store, "damaged")
    shelf.entries[1] = whole
    assert recovered(lambda: ids(store)) == ["1", "2"]


def test_a_command_that_says_nothing_known(machines: Machines) -> None:
    """A whole entry with a body that is no command is refused in words, not skipped."""
    for kind, body in (("sing", b"{}"), ("append", b'{"batches": 5}'), ("append", b"[")):
        line = b"tidings-log 1 %s c 0 1 %08x\n" % (kind.encode(), crc(body))
        machines.shelf.add(line + body)
        with (
            machines.open(kind + body.decode(), deadline=_SHORT) as store,
            pytest.raises(StoreUnavailable, match="says no command"),
        ):
            until_it_says(store, "says no command")
        machines.shelf.entries.pop()
        machines.shelf.head -= 1


def crc(body: bytes) -> int:
    """The checksum an entry has."""
    from zlib import crc32

    return crc32(body)


def test_strangers_entries_are_passed_over(machines: Machines) -> None:
    """What others wrote into the log is no command, and does no harm."""
    store = machines.open()
    for data in (b"", b"hello", b"\xff\x00", b"tidings-log"):
        machines.shelf.add(data)
        store.append([Event("x")])
    assert store.read(Query()).position == 0
    assert len(ids(store)) == 4
    assert ids(machines.open("late")) == ids(store)
