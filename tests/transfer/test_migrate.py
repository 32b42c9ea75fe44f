"""Migrating: a copy that answers as its source does, whatever backends and whoever writes."""

from __future__ import annotations

import tracemalloc
from contextlib import closing
from sqlite3 import connect
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transfer.events import fill
from tests.transfer.migration import answers, ensure_same, hostile
from tidings.errors import StoreDamaged, TransferError
from tidings.event import Event
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.store.sqlite import reading
from tidings.testing.elsewhere import in_threads
from tidings.testing.strategies import events
from tidings.transfer import Migrated, migrate, migrating

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.store.base import Store

    Fresh = Callable[[str], Store]

KINDS = ("memory", "sqlite", "http", "postgresql", "nats", "shared")
ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a1"}


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("origin", KINDS)
def test_a_store_moves_whole(fresh: Fresh, origin: str, to: str) -> None:
    """From any backend to any: events, versions, what was pruned and redacted, and records."""
    source, target = fresh(origin), fresh(to)
    hostile(source)
    done = migrate(source, target)
    assert done == Migrated(10, 20, 20, 10, 2, 0, 0, ())
    assert done.complete
    assert migrate(source, target) == done._replace(copied=0)
    ensure_same(source, target)


@pytest.mark.parametrize("kind", KINDS)
def test_another_run_brings_what_came_since(fresh: Fresh, kind: str) -> None:
    """New events, what was redacted and pruned since, and records written, changed and removed."""
    source, target = fresh("sqlite"), fresh(kind)
    hostile(source)
    source.put("revoked", 1)
    migrate(source, target)
    source.append([Event("new", **ABOUT), Event("x", correlation_id="w", id="foreign/1")])
    assert source.redact(Query(contains="s3cret")) == 1
    source.prune(6)
    source.delete("revoked")
    source.put("cursor/mail", {"position": 20})
    done = migrate(source, target)
    assert (done.copied, done.compared, done.complete) == (2, 11, True)
    assert answers(target) == answers(source)
    assert "s3cret" not in repr(answers(target))
    assert target.check() == []


@given(
    rounds=st.lists(
        st.tuples(
            st.lists(events().map(lambda fields: Event(**fields)), max_size=6),
            st.floats(0, 1.1),
            st.integers(0, 40),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_history_moves_in_rounds(
    rounds: list[tuple[list[Event], float, int]],
) -> None:
    """Whatever is appended, pruned and redacted between two runs, the copy is whole after each."""
    source, target = MemoryStore(), MemoryStore()
    source.put("record", 0)
    for number, (made, share, redacted) in enumerate(rounds):
        source.append(made)
        source.prune(int(source.head() * share))
        source.redact(Query(before=redacted + 1))
        source.put("record", number)
        assert migrate(source, target).complete
        assert answers(target) == answers(source)
        assert target.check() == []


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_source_that_is_all_pruned_moves(share: float) -> None:
    """Also where it is pruned past what was copied: the head and the versions stay."""
    source, target = MemoryStore(), MemoryStore()
    source.append([Event("x", **ABOUT) for _ in range(10)])
    source.prune(int(10 * share))
    migrate(source, target)
    source.append([Event("x", **ABOUT) for _ in range(10)])
    source.prune(20)
    assert migrate(source, target).complete
    assert (target.first(), target.head()) == (21, 20)
    assert target.append([Event("x", **ABOUT)], expected_version=20)[0].position == 21


def test_a_name_that_came_back_moves() -> None:
    """A correlation that was pruned away and began anew, and an id that is new again, are new."""
    source, target = MemoryStore(), MemoryStore()
    source.append([Event("x", correlation_id="w", id="again"), Event("y"), Event("z")])
    migrate(source, target)
    source.prune(2)
    source.append([Event("x", correlation_id="w", id="again")])
    source.append([Event("x", correlation_id="v"), Event("y")])
    assert migrate(source, target).complete
    assert answers(target) == answers(source)


# A source in use ----------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["sqlite", "postgresql", "nats", "shared"])
def test_what_writers_add_meanwhile_comes_over(fresh: Fresh, origin: str) -> None:
    """A run beside a writer ends and says where it stands; the next one, alone, ends whole."""
    source, target = fresh(origin), fresh("sqlite")
    fill(source, 3_000)
    done = Flag()

    def write() -> None:
        while not done.is_set():
            source.append([Event("busy", correlation_id="w", **ABOUT) for _ in range(5)])
            source.put("cursor", {"position": source.head()})

    def copy() -> Migrated:
        try:
            return migrate(source, target)
        finally:
            done.set()

    (found,) = (each for each in in_threads(write, copy) if each is not None)
    assert found.differences == ()
    assert 3_000 <= found.position == found.compared <= found.head
    last = migrate(source, target)
    assert (last.complete, last.copied) == (True, source.head() - found.position)
    assert answers(target) == answers(source)


def test_a_source_that_grows_as_fast_as_it_is_copied_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run does not race writers for ever; it says that it is behind."""
    monkeypatch.setattr(migrating, "_PART_EVENTS", 100)
    monkeypatch.setattr(migrating, "_CLOSE", 50)
    source, target = MemoryStore(), MemoryStore()
    fill(source, 1_000)

    def grow(what: str, _: int, __: int) -> None:
        if what == "copied":
            fill(source, 100)

    found = migrate(source, target, progress=grow)
    assert (found.position, found.head, found.complete) == (2_000, 3_000, False)
    assert found.differences == ()


def test_a_source_pruned_meanwhile_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prune and redact at the source, past what is copied too, are done to the copy."""
    monkeypatch.setattr(migrating, "_PART_EVENTS", 50)
    source, target = MemoryStore(), MemoryStore()
    source.append([Event("x", payload=n, correlation_id=f"w{n % 3}", **ABOUT) for n in range(800)])

    def cut(what: str, done: int, _: int) -> None:
        if (what, done) == ("copied", 100):
            source.prune(80)
        if (what, done) == ("copied", 150):
            source.prune(600)
            source.redact(Query(before=650))

    done = migrate(source, target, progress=cut)
    assert (done.complete, done.copied) == (True, 350)
    assert answers(target) == answers(source)


def test_pruned_while_it_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is pruned under the comparison is compared once more."""
    monkeypatch.setattr("tidings.transfer.comparing._TOLD_EVERY", 10)
    source, target = MemoryStore(), MemoryStore()
    source.append([Event("x", correlation_id=f"w{n % 7}", **ABOUT) for n in range(1_000)])
    cuts = iter([300, 600])

    def cut(what: str, done: int, _: int) -> None:
        if what == "compared" and done == 250:
            source.prune(next(cuts, 0))

    found = migrate(source, target, progress=cut)
    assert (found.compared, found.complete) == (400, True)
    assert answers(target) == answers(source)


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much is copied, of what is left to copy, and then how much is compared."""
    monkeypatch.setattr(migrating, "_PART_EVENTS", 500)
    source, target = MemoryStore(), MemoryStore()
    fill(source, 1_000)
    source.prune(200)
    told: list[tuple[str, int, int]] = []
    migrate(source, target, progress=lambda *each: told.append(each))
    assert told == [("copied", 500, 800), ("copied", 800, 800)]
    fill(source, 1_000)
    told.clear()
    migrate(source, target, progress=lambda *each: told.append(each))
    assert told == [("copied", 500, 1_000), ("copied", 1_000, 1_000), ("compared", 1_000, 1_800)]


# What is compared ---------------------------------------------------------------------------------


def test_a_quick_run_compares_what_is_new() -> None:
    """What an earlier run compared is not read again, so what was redacted there since stays."""
    source, target = MemoryStore(), MemoryStore()
    source.append([Event("x", payload=n, correlation_id="w", **ABOUT) for n in range(10)])
    source.prune(2)
    assert migrate(source, target, quick=True).compared == 8
    source.append(
        [Event("y", correlation_id="w", **ABOUT), Event("gone.again", correlation_id="v")]
    )
    source.redact(Query(before=6))
    found = migrate(source, target, quick=True)
    assert (found.copied, found.compared, found.complete) == (2, 2, True)
    assert target.summaries("agent", Query()) == source.summaries("agent", Query())
    assert answers(target) != answers(source)
    assert migrate(source, target).compared == 10
    assert answers(target) == answers(source)


class Careless(MemoryStore):
    """A store that keeps something else than it is given, in one way."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    def restore(self, events: Any) -> int:
        """Change one event, leave one out, or forget what lies beside the log."""
        given = list(events)
        if self._how == "payload":
            given[3] = Event.from_dict({**given[3].to_dict(), "payload": "other"})
        if self._how == "event":
            del given[3]
        if self._how == "last":
            given = given[:-1]
        kept = super().restore(given)
        if self._how == "types":
            self._log.types["x"] = self._log.types["x"]._replace(count=1)
        if self._how == "version":
            summary = self._log.aggregates["agent", "a1"]
            self._log.aggregates["agent", "a1"] = summary._replace(version=99)
        if self._how == "extra":
            self._log.correlations["v"] = self._log.correlations["w"]._replace(id="v")
        if self._how == "missing":
            del self._log.correlations["w"]
        return kept

    def adopt(self, pruned: int, summaries: Any = ()) -> None:
        """Forget what remains."""
        super().adopt(pruned, () if self._how == "remains" else summaries)

    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        """Keep another value."""
        careless = self._how == "record" and key == "record"
        return super().put(key, "other" if careless else value, expected)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("payload", "position 6: payload differs"),
        ("event", "position 6: the source has an event there, and the target only at 7"),
        ("types", "type 'x' is counted 1 times, last at 12, and should be 10 times, last at 12"),
        ("version", "the summary of agent/a1 differs in version"),
        ("missing", "the summary of correlation/w is missing"),
        ("extra", "the summary of correlation/v is in the target only"),
        ("remains", "what pruned events left behind differs"),
    ],
)
def test_what_differs_is_told(how: str, said: str) -> None:
    """A target that does not keep what it is given is found out, and the words say where."""
    source, target = MemoryStore(), Careless(how)
    source.append([Event("x", aggregate_type="agent", aggregate_id="gone"), Event("x")])
    source.append([Event("x", payload=n, correlation_id="w", **ABOUT) for n in range(10)])
    source.prune(2)
    found = migrate(source, target)
    assert found.differences[0] == said
    assert not found.complete


def test_an_end_that_is_missing_is_told() -> None:
    """A target that stands elsewhere than it was copied to is not called whole."""
    source, target = MemoryStore(), Careless("last")
    fill(source, 3)
    with pytest.raises(TransferError, match="stands at position 2 and not at 3"):
        migrate(source, target)


def test_a_record_that_will_not_stay_is_told() -> None:
    """A target whose ledger does not keep what it is given is not called whole."""
    source, target = MemoryStore(), Careless("record")
    source.put("record", 1)
    found = migrate(source, target)
    assert (found.behind, found.differences, found.complete) == (1, (), False)


def test_damage_is_not_carried_over(fresh: Fresh) -> None:
    """An event that is not what the source kept stops it all, before it gets a new checksum."""
    source, target = fresh("sqlite"), fresh("sqlite")
    fill(source, 3)
    with closing(connect(str(source.describe()["url"]).removeprefix("sqlite:///"))) as file:
        file.execute("UPDATE events SET payload = '{}' WHERE position = 2")
        file.commit()
    with pytest.raises(StoreDamaged, match="position 2"):
        migrate(source, target)
    assert target.head() == 0


def test_constant_memory(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many events, where parts and pages are full, need no more memory at once."""
    monkeypatch.setattr(migrating, "_PART_EVENTS", 100)
    monkeypatch.setattr(reading, "_LARGEST_PAGE", 64)

    def peak(count: int) -> int:
        source, target = fresh("sqlite"), fresh("sqlite")
        fill(source, count, size=1_000)
        tracemalloc.start()
        try:
            assert migrate(source, target).complete
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is imported when it is first needed counts for neither
    assert peak(2_000) < 1.2 * peak(1_000)
