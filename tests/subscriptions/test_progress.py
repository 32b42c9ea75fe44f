"""The bookkeeping of a reader: lanes and partitions."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tidings import Event
from tidings.subscriptions.progress import (
    MOST_LANES,
    Attempt,
    Progress,
    Settled,
    aggregate_of,
    lane_of,
    partition_of,
)

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=9)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_each_aggregate_has_a_lane_of_its_own(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Whatever their names hold; and the lane says whose it is."""
    lanes = [
        lane_of(Event("x", aggregate_type=kind, aggregate_id=name)) for kind, name in (one, other)
    ]
    assert (lanes[0] == lanes[1]) == (one == other)
    assert [aggregate_of(lane) for lane in lanes] == [one, other]


def test_slashes_do_not_mix_two_aggregates_up() -> None:
    """A type may hold a slash, and so may an id."""
    lanes = {
        lane_of(Event("x", aggregate_type=kind, aggregate_id=name))
        for kind, name in (("a/b", "c"), ("a", "b/c"))
    }
    assert len(lanes) == 2


def test_partitions_are_the_same_for_good() -> None:
    """Records outlive processes and releases, so these numbers must never change."""
    lanes = ["of:agent/a1", "of:run/4711", "of:größe/ä"]
    assert [partition_of(lane, "x", 8) for lane in lanes] == [0, 4, 6]
    assert [partition_of("event:7", project, 8) for project in ("", "figrecipe")] == [0, 7]
    assert Settled((5, 9)).up_to("event:3", "") == 5


def test_progress_outlives_its_process() -> None:
    """What it says as JSON is read back, attempts cut to a bounded length."""
    progress = Progress(9)
    progress.failed("of:a/1", 3, "e3", Attempt(1, 0.5, "x" * 9_000), due=5)
    progress.failed("of:a/1", 3, "e3", Attempt(2, 0.5, "y"), due=7)
    progress.replay(4, "e4", now=6)
    read = Progress.of(progress.to_value())
    assert read.to_value() == progress.to_value()
    assert len(str(read.to_value())) < 1_500
    assert (read.due(7), read.next_due()) == (["replay:4", "of:a/1"], 6)


def test_whatever_waits_fits_one_message() -> None:
    """A hundred lanes with ten attempts each, in any script, take less than a log's megabyte."""
    progress = Progress(9)
    for number in range(MOST_LANES):
        for attempt in range(9):
            failed = Attempt(10**16, 0.123456789012345, "失" * 9_000, 503, "敗" * 9_000)
            lane = f"of:{'t' * 20}/{'i' * 40}{number}"
            progress.failed(lane, number, "e" * 40, failed, due=10**16 + attempt)
    assert progress.full
    assert len(json.dumps(progress.to_value(), ensure_ascii=False).encode()) < 1 << 20
