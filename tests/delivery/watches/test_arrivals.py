"""A watch for events that must come at least so often: what it says, and when."""

from __future__ import annotations

from typing import Any

import pytest

from tests.delivery.watches.watching import HOUR, Watching
from tidings.errors import LeaseLost, OutcomeUnknown
from tidings.store.base import Batch
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.timestamps import now_instant


@pytest.fixture
def watching() -> Watching:
    """A watch for a `beat` an hour, added ten hours ago."""
    return Watching(MemoryStore(), types="beat")


def test_what_never_comes_is_missed_once(watching: Watching) -> None:
    """A deadline counts from when the watch was added; it is told once it is over, and once."""
    watching.settle(1.0)
    assert watching.said() == []
    for hours in (1.01, 1.02, 5.0):
        watching.settle(hours)
    (missed,) = watching.events()
    assert (missed.type, missed.status) == ("tidings.watch.missed", "failure")
    assert (missed.aggregate_type, missed.aggregate_id) == ("watch", "w")
    assert missed.payload["last"] is None
    assert watching.hours(missed.payload["deadline"]) == pytest.approx(1.0)


def test_each_event_moves_the_deadline(watching: Watching) -> None:
    """An event counts from when it happened; the duty comes back just past the deadline."""
    for hours in (0.9, 1.8, 2.7):
        watching.emit(hours)
        watching.settle(hours)
    due = watching.turn(3.6)
    assert due == watching.start + round(3.7 * HOUR) + 1
    assert watching.said() == []
    watching.settle(3.71)
    (missed,) = watching.events()
    assert watching.hours(missed.payload["last"]["timestamp"]) == pytest.approx(2.7)


def test_other_events_do_not_count(watching: Watching) -> None:
    """Only what matches the filters keeps a watch quiet; its own events never do."""
    watching.emit(0.5, "other")
    watching.emit(0.5, "beat.not")
    watching.settle(1.1)
    assert watching.said() == ["missed"]


def test_it_says_when_events_come_again(watching: Watching) -> None:
    """The recovery names the event, and the deadline that was missed."""
    watching.settle(1.5)
    event = watching.emit(2.0, correlation_id="c", project="p")
    watching.settle(2.1)
    recovered = watching.events()[-1]
    assert (recovered.type, recovered.status) == ("tidings.watch.recovered", "success")
    assert (recovered.causation_id, recovered.correlation_id) == (event.id, "c")
    assert (recovered.payload["late"], recovered.project) == (False, "p")
    watching.settle(2.9)
    watching.settle(3.1)
    assert watching.said() == ["missed", "recovered", "missed"]


def test_what_happened_in_time_and_came_late_is_told_so(watching: Watching) -> None:
    """An event that waited in a spool recovers a watch, and says that it was in time."""
    watching.settle(1.1)
    watching.emit(0.9)
    watching.settle(1.2)
    assert watching.said() == ["missed", "recovered"]
    assert watching.events()[-1].payload["late"] is True
    assert watching.watches.get("w").deadline == watching.start + round(1.9 * HOUR)


def test_what_came_late_may_itself_be_too_old(watching: Watching) -> None:
    """The deadline after it may be over, too: then that is missed."""
    watching.settle(5.0)
    watching.emit(0.9)
    watching.settle(5.0)
    assert watching.said() == ["missed", "recovered", "missed"]
    assert watching.hours(watching.events()[-1].payload["deadline"]) == pytest.approx(1.9)


def test_history_that_is_brought_in_recovers_nothing(watching: Watching) -> None:
    """What happened before the watch was added was not expected."""
    watching.settle(1.1)
    watching.emit(-3.0)
    watching.settle(1.2)
    assert watching.said() == ["missed"]


def test_a_clock_that_runs_ahead_postpones_nothing() -> None:
    """An event cannot have happened after it was kept, whatever its producer's clock says."""
    watching = Watching(MemoryStore(), types="beat", ago=0.5 * 3600)
    watching.emit(1000.0)
    watching.settle(0.6)
    state = watching.watches.get("w")
    assert state.deadline is not None
    assert state.deadline <= now_instant() + HOUR


def test_a_log_that_was_not_watched_is_judged_as_of_its_own_time(watching: Watching) -> None:
    """After a night without a process no gap is told that events fill, and each real one is."""
    for hours in (0.5, 1.4, 2.3, 5.0, 5.5, 6.4):
        watching.emit(hours)
    watching.settle(7.0)
    assert watching.said() == ["missed", "recovered"]
    missed, recovered = watching.events()
    assert watching.hours(missed.payload["deadline"]) == pytest.approx(3.3)
    assert watching.hours(recovered.payload["happened"]) == pytest.approx(5.0)


def test_events_kept_out_of_order_are_judged_in_order(watching: Watching) -> None:
    """What came late from a spool, and was read at once, leaves no gap that there was not."""
    for hours in (1.8, 0.9, 2.7):
        watching.emit(hours)
    watching.settle(3.0)
    assert watching.said() == []


def test_whoever_takes_over_says_it_once(watching: Watching) -> None:
    """What was said before a process died is not said again, and what was due is."""
    watching.emit(0.5)
    watching.settle(0.6)
    watching.take_over()
    watching.settle(1.6)
    watching.take_over()
    watching.settle(1.7)
    assert watching.said() == ["missed"]
    watching.emit(2.0)
    watching.take_over()
    watching.settle(2.1)
    assert watching.said() == ["missed", "recovered"]


def test_an_answer_that_was_lost_repeats_nothing(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody knows whether it was kept, the record says it; both are one write."""
    append_all = watching.store.append_all

    def unsure(batches: list[Batch]) -> Any:
        monkeypatch.setattr(watching.store, "append_all", append_all)
        append_all(batches)
        raise OutcomeUnknown("the connection broke")

    monkeypatch.setattr(watching.store, "append_all", unsure)
    watching.settle(1.1)
    watching.take_over()
    watching.settle(1.2)
    assert watching.said() == ["missed"]


def test_a_paused_process_says_nothing(watching: Watching) -> None:
    """Who sleeps through the end of a lease cannot say what another has said already."""
    watching.settle(0.5)
    slept_duty, slept_lease = watching.duty, watching.leases.held(watching.duty.key)
    assert slept_lease is not None
    watching.take_over()
    watching.settle(1.1)
    with pytest.raises(LeaseLost, match="another process now"):
        slept_duty.turn(slept_lease, watching.start + 2 * HOUR)
    assert watching.said() == ["missed"]


def test_events_by_the_thousand_are_taken_in(watching: Watching) -> None:
    """A long log is read in parts; each part is judged with what came before it."""
    for number in range(1100):
        watching.emit(0.5 + number / 1000)
    watching.emit(4.0)
    watching.settle(4.5)
    assert watching.said() == ["missed", "recovered"]


def test_pruned_events_are_passed_over(watching: Watching) -> None:
    """Where the log was pruned past what was read, the watch goes on with what is left."""
    watching.settle(0.1)
    watching.emit(0.2)
    watching.settle(0.2)
    for hours in (0.3, 0.4, 0.5):
        watching.emit(hours)
    watching.store.prune(3)
    watching.settle(0.6)
    watching.settle(0.61)  # what is remembered is written within a second
    assert watching.watches.get("w").deadline == watching.start + round(1.5 * HOUR)


def test_a_pause_expects_nothing(watching: Watching) -> None:
    """While it is paused nothing is missed; resumed, it counts from then on."""
    watching.settle(0.5)
    watching.watches.pause("w")
    watching.duty.rang()
    watching.settle(5.0)
    watching.emit(3.0)
    watching.clock.instant = watching.start + 6 * HOUR
    watching.watches.resume("w")
    watching.take_over()
    watching.settle(6.9)
    assert watching.said() == []
    watching.settle(7.1)
    assert watching.said() == ["missed"]


def test_what_is_missed_stays_so_through_a_pause(watching: Watching) -> None:
    """It is told when it recovers, though the event came while it was paused."""
    watching.settle(1.1)
    watching.watches.pause("w")
    watching.emit(2.0)
    watching.clock.instant = watching.start + 3 * HOUR
    watching.watches.resume("w")
    watching.take_over()
    watching.settle(3.1)
    assert watching.said() == ["missed", "recovered"]


def test_a_watch_that_was_added_anew_remembers_nothing(watching: Watching) -> None:
    """A later one of the same name counts from when it was added; the old duty does nothing."""
    watching.settle(0.5)
    old = watching.duty
    watching.watches.delete("w")
    watching.clock.instant = watching.start + 2 * HOUR
    watching.watches.add("w", 3600, Query(types="beat"))
    old.rang()
    lease = watching.leases.held(old.key)
    assert lease is not None
    assert old.turn(lease, watching.start + 5 * HOUR) is None
    watching.take_over()
    watching.settle(2.9)
    assert watching.said() == []


def test_text_is_looked_for_too() -> None:
    """A filter for text, which stores search backwards, watches like any other."""
    watching = Watching(MemoryStore(), types="beat", contains="main")
    watching.emit(0.5, payload={"branch": "main"})
    watching.emit(0.9, payload={"branch": "next"})
    watching.settle(1.4)
    assert watching.said() == []
    watching.settle(1.6)
    assert watching.said() == ["missed"]


def test_little_is_written_while_nothing_is_said(watching: Watching) -> None:
    """Events that do not match cost no write each: what is remembered is written now and then."""
    watching.settle(0.1)
    record = watching.store.get(watching.duty.key)
    assert record is not None
    for number in range(5):
        watching.emit(0.1, "other")
        watching.turn(0.1 + number / 3600)
    after = watching.store.get(watching.duty.key)
    assert after is not None
    assert after.revision == record.revision
    lease = watching.leases.held(watching.duty.key)
    assert lease is not None
    watching.duty.leave(lease)
    assert lease.value["position"] == watching.store.head() == watching.duty.position
