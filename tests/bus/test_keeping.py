"""What is emitted is kept in the store, else in the spool, else the caller is told."""

from __future__ import annotations

import json
import sqlite3
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from tests.bus.loops import kept_lock
from tidings.bus import Bus
from tidings.catalog import SchemaWarning
from tidings.envelope import EventKind, create_event
from tidings.errors import (
    NotAStore,
    NotKept,
    OutcomeUnknown,
    SchemaViolation,
    StoreDamaged,
    StoreLocked,
    StoreUnavailable,
)
from tidings.event import Event
from tidings.spool import Collected
from tidings.store.base import Batch
from tidings.store.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a"}
SCHEMA = {"type": "object", "required": ["loss"]}


class UnsureStore(SQLiteStore):
    """A store whose answer is lost on the way, after it kept the events."""

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """Keep them, and tell nobody."""
        super().append_all(batches)
        raise OutcomeUnknown("the connection broke; send the same events again")


class PartlyClosedStore(SQLiteStore):
    """A store that refuses some of what it is given, as a server does by project."""

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """Keep what is not about the project `closed`."""
        results = iter(super().append_all([each for each in batches if not _is_closed(each)]))
        refused = StoreUnavailable("this project is closed to you")
        return [refused if _is_closed(each) else next(results) for each in batches]


def _is_closed(batch: Batch) -> bool:
    return any(event.project == "closed" for event in batch.events)


def no_store(path: Path) -> str:
    """The URL of a store whose file is something else."""
    path.write_text("This is no database, but a letter to a friend. " * 50)
    return f"sqlite:///{path}"


class TestSpool:
    """What the store cannot take waits, and comes home once."""

    def test_what_is_refused_alone_waits_alone(self, tmp_path: Path) -> None:
        """Of batches kept at once, those the store could not take go to the spool."""
        with Bus(PartlyClosedStore(str(tmp_path / "events.db"))) as bus:
            outcomes = bus.keep_all([Batch([Event("x", "open")]), Batch([Event("x", "closed")])])
            kept, waiting = (event for each in outcomes if isinstance(each, list) for event in each)
            assert (kept.position, waiting.position) == (1, None)
            assert bus.spool.waiting() == 1

    def test_it_waits_and_comes_home(self, tmp_path: Path) -> None:
        """The event has no position at first; collected, it is kept once, as it was said."""
        path = tmp_path / "events.db"
        with Bus(no_store(path)) as bus:
            events = [
                bus.emit("a", payload={"n": 1}),
                *bus.emit_many([Event("b"), Event("c")]),
                bus.publish(create_event(EventKind.CREATED, 1), subject="agent/a"),
            ]
            assert [event.position for event in events] == [None] * 4
            assert isinstance(bus.last_failure, NotAStore)
            assert bus.spool.waiting() == 4
            with pytest.raises(StoreUnavailable):
                bus.collect()
            path.unlink()
            assert bus.collect() == Collected(kept=4, rejected=0, waiting=0)
            assert bus.collect() == Collected(kept=0, rejected=0, waiting=0)
            assert list(bus.read()) == events

    def test_a_lock_past_the_deadline(self, tmp_path: Path) -> None:
        """An emit waits no longer than the deadline; then the next one is kept as usual."""
        path = tmp_path / "events.db"
        with Bus(f"sqlite:///{path}", deadline=0) as bus:
            bus.emit("before")
            with kept_lock(path):
                assert bus.emit("locked").position is None
            assert isinstance(bus.last_failure, StoreLocked)
            assert bus.emit("after").position == 2
            assert bus.collect().kept == 1
            assert [event.type for event in bus.read()] == ["before", "after", "locked"]

    def test_the_directory_is_an_argument_or_a_setting(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The argument counts first."""
        monkeypatch.setenv("TIDINGS_SPOOL", str(tmp_path / "set"))
        url = no_store(tmp_path / "events.db")
        with Bus(url) as bus, Bus(url, spool=str(tmp_path / "given")) as other:
            bus.emit("x")
            other.emit("x")
            other.emit("x")
        for name, waiting in (("set", 1), ("given", 2)):
            assert len(list((tmp_path / name / "new").iterdir())) == waiting

    def test_an_expected_version_never_waits(self, tmp_path: Path) -> None:
        """Nobody could say later whether it held, so the caller is told what is wrong."""
        with Bus(no_store(tmp_path / "events.db")) as bus:
            with pytest.raises(NotAStore):
                bus.emit("x", **ABOUT, expected_version=0)
            with pytest.raises(NotAStore):
                bus.publish(Event("x", **ABOUT), expected_version=0)
            assert (bus.spool.waiting(), bus.last_failure) == (0, None)

    def test_no_room_anywhere_is_told(self, tmp_path: Path) -> None:
        """With why the spool could not, and why the store could not."""
        in_the_way = tmp_path / "spool"
        in_the_way.write_text("a file where a directory should be")
        with Bus(no_store(tmp_path / "events.db"), spool=str(in_the_way)) as bus:
            with pytest.raises(NotKept, match=r"spool.*move it away") as told:
                bus.emit("x")
            (note,) = told.value.__notes__
            assert note.startswith("the store could not take it either: ")
            assert str(bus.last_failure) in note

    def test_an_unknown_outcome_is_settled_by_collecting(self, tmp_path: Path) -> None:
        """The event was kept after all, and is there once afterwards."""
        path = tmp_path / "events.db"
        with Bus(UnsureStore(str(path))) as bus:
            event = bus.emit("x")
            assert (event.position, bus.spool.waiting()) == (None, 1)
            assert isinstance(bus.last_failure, OutcomeUnknown)
            with pytest.raises(OutcomeUnknown):
                bus.emit("x", **ABOUT, expected_version=0)
        with Bus(f"sqlite:///{path}") as bus:
            assert bus.collect() == Collected(kept=1, rejected=0, waiting=0)
            assert [kept.id for kept in bus.read()].count(event.id) == 1

    def test_what_meets_damage_waits(self, tmp_path: Path) -> None:
        """Where only one aggregate is damaged, its events wait and others are kept."""
        path = tmp_path / "events.db"
        with Bus(f"sqlite:///{path}") as bus:
            bus.emit("x", **ABOUT)
            with sqlite3.connect(path) as connection:
                changed = connection.execute("UPDATE summaries SET last_type = 'y'").rowcount
            connection.close()
            assert changed == 1
            assert bus.emit("x", **ABOUT).position is None
            assert isinstance(bus.last_failure, StoreDamaged)
            assert (bus.emit("x").position, bus.spool.waiting()) == (2, 1)


class TestStateFiles:
    """On request each emit also writes state files."""

    def test_nowhere_by_default(self, own_home: Path) -> None:
        """Only the store is written."""
        with Bus() as bus:
            bus.emit("x")
        assert not list(own_home.rglob("*_latest.json"))

    @pytest.mark.parametrize("by", ["argument", "setting"])
    def test_the_newest_of_each_type_and_all_lines(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
    ) -> None:
        """What every verb keeps stands there, with its position."""
        state = tmp_path / "state"
        if by == "setting":
            monkeypatch.setenv("TIDINGS_STATE_DIR", str(state))
        with Bus("memory:", state_dir=str(state) if by == "argument" else None) as bus:
            bus.emit("x")
            bus.emit_many([Event("x"), Event("y")])
            bus.publish(Event("z"))
            told = [event.to_dict() for event in bus.read()]
        assert [
            json.loads(line) for line in (state / "history.jsonl").read_text().splitlines()
        ] == told
        for name, event in zip("xyz", told[1:], strict=True):
            assert json.loads((state / f"{name}_latest.json").read_text()) == event

    def test_what_waits_is_shown_and_what_is_refused_is_not(self, tmp_path: Path) -> None:
        """A spooled event happened; one that was not kept is none."""
        state = tmp_path / "state"
        with Bus(no_store(tmp_path / "events.db"), state_dir=str(state)) as bus:
            bus.emit("x")
            with pytest.raises(NotAStore):
                bus.emit("y", **ABOUT, expected_version=0)
        assert sorted(path.name for path in state.iterdir()) == ["history.jsonl", "x_latest.json"]


class TestSchemas:
    """Payloads are held against the schema of their type, as the setting says."""

    def test_strict_refuses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What does not fit is not kept, and does not keep others out."""
        monkeypatch.setenv("TIDINGS_SCHEMA_CHECK", "strict")
        with Bus("memory:") as bus:
            bus.register_type("fit", schema=SCHEMA)
            assert bus.emit("fit", payload={"loss": 1}).position == 1
            with pytest.raises(SchemaViolation, match="loss"):
                bus.emit("fit")
            with pytest.raises(SchemaViolation, match="loss"):
                bus.emit_many([Event("other"), Event("fit")])
            first, second, third = bus.keep_all(
                [Batch([Event("one")]), Batch([Event("fit")]), Batch([Event("two")])]
            )
            assert isinstance(first, list)
            assert isinstance(second, SchemaViolation)
            assert isinstance(third, list)
            assert [event.type for event in bus.read()] == ["fit", "one", "two"]
            assert bus.spool.waiting() == 0

    def test_warn_keeps_and_says_so_once(self) -> None:
        """The default: one warning for a broken rule, and every event is kept."""
        with Bus("memory:") as bus:
            bus.register_type("fit", schema=SCHEMA)
            with pytest.warns(SchemaWarning, match="loss") as told:
                assert [bus.emit("fit").position for _ in range(3)] == [1, 2, 3]
            assert len(told) == 1

    def test_off_looks_at_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No warning, and every event is kept."""
        monkeypatch.setenv("TIDINGS_SCHEMA_CHECK", "off")
        with Bus("memory:") as bus, warnings.catch_warnings():
            warnings.simplefilter("error")
            bus.register_type("fit", schema=SCHEMA)
            assert bus.emit("fit").position == 1

    def test_a_store_that_is_away_cannot_be_asked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The event is spooled unchecked; its producer is not held up by a ledger."""
        monkeypatch.setenv("TIDINGS_SCHEMA_CHECK", "strict")
        with Bus(no_store(tmp_path / "events.db")) as bus:
            assert bus.emit("fit").position is None
            assert bus.spool.waiting() == 1
