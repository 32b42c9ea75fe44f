"""Watches for what must end, or be heard of: runs, workflows, agents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.delivery.watches.watching import HOUR, Watching
from tidings.delivery.watches import lives
from tidings.store.memory import MemoryStore


def about(name: str, kind: str = "agent") -> dict[str, Any]:
    """The fields that say what an event is about."""
    return {"aggregate_type": kind, "aggregate_id": name}


@pytest.fixture
def heard() -> Watching:
    """Agents must be heard of once an hour."""
    return Watching(MemoryStore(), expects="heard", aggregate_type="agent")


@pytest.fixture
def ends() -> Watching:
    """Whatever began must end within an hour."""
    return Watching(MemoryStore(), expects="ends")


def test_a_ghost_is_told_once(heard: Watching) -> None:
    """An agent that is not heard of any more is stuck; others are not."""
    for name in ("ghost", "lively"):
        heard.emit(0.0 + 0.001, "agent.started", **about(name))
    for hours in (0.5, 1.0, 1.5):
        heard.emit(hours, "tool.called", **about("lively"))
        heard.settle(hours)
    heard.settle(1.6)
    (stuck,) = heard.events()
    assert (stuck.type, stuck.status) == ("tidings.watch.stuck", "failure")
    assert stuck.payload["about"] == "agent/ghost"
    assert heard.hours(stuck.payload["deadline"]) == pytest.approx(1.001)
    assert heard.watches.get("w").stuck == (("agent", "ghost"),)
    assert heard.watches.get("w").open == 2


@pytest.mark.parametrize("event_type", ["tool.called", "agent.completed", "agent.failed"])
def test_a_ghost_that_is_heard_of_recovers(heard: Watching, event_type: str) -> None:
    """Any sign of life is one, and so is an end."""
    heard.emit(0.1, "agent.started", **about("a"))
    heard.settle(1.5)
    heard.emit(2.0, event_type, **about("a"))
    heard.settle(2.1)
    recovered = heard.events()[-1]
    ended = event_type != "tool.called"
    assert recovered.type == "tidings.watch.recovered"
    assert (recovered.payload["ended"], recovered.payload["late"]) == (ended, False)
    heard.settle(3.5)
    assert heard.said() == ["stuck", "recovered", *([] if ended else ["stuck"])]


def test_what_ended_is_expected_no_more(heard: Watching) -> None:
    """Nor is what is said of it afterwards the beginning of anything."""
    heard.emit(0.1, "agent.started", **about("a"))
    heard.emit(0.2, "agent.completed", **about("a"))
    heard.emit(0.3, "tool.called", **about("a"))
    heard.settle(9.0)
    assert heard.said() == []


def test_an_end_must_come_whatever_is_heard(ends: Watching) -> None:
    """Where ends are expected, signs of life do not count."""
    ends.emit(0.1, "run.started", **about("r", "run"), status="")
    ends.emit(0.9, "run.signaled", **about("r", "run"), status="")
    ends.settle(1.05)
    assert ends.said() == []
    ends.settle(1.2)
    ends.emit(1.3, "note", **about("r", "run"), status="")
    ends.settle(1.4)
    assert ends.said() == ["stuck"]
    ends.emit(1.5, "nightly", **about("r", "run"), status="failure")  # a run ends with any outcome
    ends.settle(1.6)
    assert ends.said() == ["stuck", "recovered"]


def test_an_end_that_came_late_is_told_so(ends: Watching) -> None:
    """A run whose last event waited in a spool was never stuck, and that is said."""
    ends.emit(0.1, "run.started", **about("r", "run"), status="")
    ends.settle(1.5)
    ends.emit(0.8, "run.completed", **about("r", "run"))
    ends.settle(1.6)
    assert ends.said() == ["stuck", "recovered"]
    assert ends.events()[-1].payload["late"] is True


def test_a_start_that_came_after_its_end_begins_nothing(ends: Watching) -> None:
    """Where the start waited in a spool and the end did not, nothing is left to wait for."""
    ends.emit(0.5, "run.completed", **about("r", "run"))
    ends.settle(0.6)
    ends.emit(0.1, "run.started", **about("r", "run"), status="")
    ends.settle(5.0)
    assert ends.said() == []


def test_of_one_moment_the_later_position_holds(ends: Watching) -> None:
    """A start after an end, both of the same microsecond, begins a new life, as in summaries."""
    for event_type in ("agent.started", "agent.completed", "agent.started"):
        ends.emit(0.1, event_type, **about("a"))
    ends.settle(1.2)
    assert ends.said() == ["stuck"]


def test_what_begins_again_is_expected_again(ends: Watching) -> None:
    """An aggregate that ended and starts once more is a new life."""
    for event_type, hours in (("agent.started", 0.1), ("agent.completed", 0.2)):
        ends.emit(hours, event_type, **about("a"))
    ends.settle(0.3)
    ends.emit(2.0, "agent.started", **about("a"))
    ends.settle(3.1)
    assert ends.said() == ["stuck"]


def test_a_restart_counts_anew(ends: Watching) -> None:
    """One that starts again without an end has so long from there."""
    ends.emit(0.1, "agent.started", **about("a"))
    ends.settle(0.2)
    ends.emit(0.9, "agent.started", **about("a"))
    ends.settle(1.8)
    assert ends.said() == []
    ends.settle(1.95)
    assert ends.said() == ["stuck"]


def test_only_what_is_wanted_is_watched() -> None:
    """The filters say which beginnings count; ends and signs count whatever they are."""
    watching = Watching(MemoryStore(), expects="ends", project="mine")
    watching.emit(0.1, "agent.started", "mine", **about("a"))
    watching.emit(0.1, "agent.started", "other", **about("b"))
    watching.emit(0.2, "agent.completed", "other", **about("a"))
    watching.settle(5.0)
    assert watching.said() == []


def test_a_log_that_was_not_watched_is_judged_as_of_its_own_time(heard: Watching) -> None:
    """A silence that was too long is told though it is over; a normal life is not."""
    for hours in (0.1, 0.9, 1.7):
        heard.emit(hours, "agent.started" if hours < 0.5 else "tool.called", **about("a"))
        heard.emit(hours * 3, "agent.started" if hours < 0.5 else "tool.called", **about("b"))
    heard.emit(2.0, "agent.completed", **about("a"))
    heard.emit(5.5, "agent.completed", **about("b"))
    heard.settle(6.0)
    said = [(event.type.split(".")[-1], event.payload["about"]) for event in heard.events()]
    assert said == [("stuck", "agent/b"), ("recovered", "agent/b")] * 2


def test_whoever_takes_over_says_it_once(heard: Watching) -> None:
    """What was said before a process died is not said again."""
    heard.emit(0.1, "agent.started", **about("a"))
    heard.settle(0.2)
    heard.take_over()
    heard.settle(1.2)
    heard.take_over()
    heard.settle(1.3)
    assert heard.said() == ["stuck"]


def test_many_at_once_are_told_in_parts(heard: Watching) -> None:
    """However many are stuck, each is told once, in writes of bounded size."""
    for number in range(250):
        heard.emit(0.1, "agent.started", **about(f"a{number}"))
    heard.settle(2.0)
    assert len({event.payload["about"] for event in heard.events()}) == 250
    assert heard.said() == ["stuck"] * 250


def test_too_many_are_told(heard: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered is bounded: further ones are not watched, and that is said once."""
    monkeypatch.setattr(lives, "MOST_LIVES", 10)
    for number in range(13):
        heard.emit(0.1, "agent.started", **about(f"a{number}"))
    heard.settle(0.2)
    assert heard.said() == ["full"]
    assert heard.watches.get("w").full
    heard.settle(2.0)
    assert heard.said() == ["full", *["stuck"] * 10]
    heard.emit(2.0, "agent.started", **about("new"))  # takes the place of one that is stuck
    heard.settle(3.1)
    assert heard.events()[-1].payload["about"] == "agent/new"
    for number in range(13):
        heard.emit(3.2, "agent.completed", **about(f"a{number}"))
    heard.settle(3.3)
    assert not heard.watches.get("w").full


def test_it_comes_back_just_past_the_next_deadline(heard: Watching) -> None:
    """Whoever runs it need not ask again before."""
    heard.emit(0.1, "agent.started", **about("a"))
    heard.settle(0.2)
    assert heard.turn(0.3) == heard.start + round(1.1 * HOUR) + 1
