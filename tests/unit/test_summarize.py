"""How events that come late, or by a wrong clock, change the state of a summary."""

from __future__ import annotations

from functools import reduce

import pytest

from tidings.event import Event
from tidings.store.base import Summary
from tidings.store.summarize import fold_aggregate, fold_correlation
from tidings.timestamps import format_instant

SECOND = 1_000_000
NOON = 1_772_280_000 * SECOND


def folded(fold: object, *told: tuple[str, float, float]) -> Summary:
    """The summary after events: the type of each, when it happened and when it was kept."""
    events = [
        Event.from_dict(
            {
                "type": event_type,
                "aggregate_type": event_type.partition(".")[0],
                "aggregate_id": "x",
                "correlation_id": "x",
                "timestamp": format_instant(NOON + round(at * SECOND)),
                "recorded_at": format_instant(NOON + round(kept * SECOND)),
                "position": number,
                "version": number,
            }
        )
        for number, (event_type, at, kept) in enumerate(told, 1)
    ]
    summary: Summary = reduce(fold, (event.record for event in events), None)  # type: ignore[call-overload]  # both folds are meant
    return summary


FOLDS = pytest.mark.parametrize("fold", [fold_aggregate, fold_correlation])
ENDS = pytest.mark.parametrize(
    ("end", "state"), [("agent.completed", "done"), ("agent.failed", "failed")]
)


@FOLDS
@ENDS
def test_a_late_start_reopens_nothing(fold: object, end: str, state: str) -> None:
    """What ended at ten stays so, with a start at nine, and with another one at nine and a half."""
    told = [(end, 10, 11), ("agent.started", 9, 11), ("agent.started", 9.5, 12)]
    assert folded(fold, *told).state == state


@FOLDS
@ENDS
def test_a_later_start_is_a_restart(fold: object, end: str, state: str) -> None:
    """What starts after it ended runs again, also in the very microsecond in which it ended."""
    ended = ("agent.started", 9, 9), (end, 10, 10)
    assert folded(fold, *ended).state == state
    for at in (10, 10.000_001, 20):
        assert folded(fold, *ended, ("agent.started", at, 20)).state == "running"


@FOLDS
def test_the_latest_moment_is_kept(fold: object) -> None:
    """What came late, an end included, does not set the last moment back."""
    told = [
        ("agent.completed", 30, 30),
        ("agent.started", 1, 30),
        ("agent.completed", 10, 30),
        ("agent.started", 20, 30),
    ]
    summary = folded(fold, *told)
    assert (summary.state, summary.last_instant) == ("done", NOON + 30 * SECOND)
    assert (summary.last_type, summary.last_position) == ("agent.started", 4)


@FOLDS
def test_what_never_ended_is_not_over(fold: object) -> None:
    """An early start counts where only other things were said, or where it runs already."""
    assert folded(fold, ("agent.waiting", 10, 10), ("agent.started", 9, 11)).state == "running"
    assert folded(fold, ("agent.started", 10, 10), ("agent.started", 9, 11)).state == "running"


@FOLDS
def test_a_late_start_of_a_run_reopens_nothing(fold: object) -> None:
    """A run that ended with a word of its user's own stays over."""
    events = [
        Event("nightly", "", "failure", timestamp=format_instant(NOON + SECOND)),
        Event("run.started", timestamp=format_instant(NOON)),
    ]
    about = {"aggregate_type": "run", "aggregate_id": "x", "correlation_id": "x"}
    records = [
        Event.from_dict({**event.to_dict(), **about, "position": n, "version": n}).record
        for n, event in enumerate(events, 1)
    ]
    summary: Summary = reduce(fold, records, None)  # type: ignore[call-overload]  # as above
    assert summary.state == "failed"


@FOLDS
@pytest.mark.parametrize(("ahead", "state"), [(30, "done"), (3600, "running")])
def test_a_clock_far_ahead_orders_nothing(fold: object, ahead: float, state: str) -> None:
    """What ended in an hour's time starts again now; half a minute is an error that clocks have."""
    told = [("agent.completed", ahead, 0), ("agent.started", -5, 0)]
    assert folded(fold, *told).state == state
