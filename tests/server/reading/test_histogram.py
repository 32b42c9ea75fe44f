"""Counts per interval and outcome, as charts show them."""

from __future__ import annotations

import httpx
import pytest

from tidings.bus import Bus
from tidings.timestamps import parse_instant


def test_a_histogram_counts_by_interval_and_outcome(client: httpx.Client, bus: Bus) -> None:
    """Each event counts where it happened; empty intervals are there too."""
    for minute, status in ((0, "success"), (0, "failure"), (4, ""), (5, "success"), (14, "ok")):
        bus.emit("counted", "bins", status, timestamp=f"2026-03-02T10:{minute:02}:30Z")
    bus.emit("counted", "bins", timestamp="2026-03-02T10:15:00Z")
    told = client.get(
        "/events/histogram?project=bins&interval=5m"
        "&since=2026-03-02T10:00:00Z&until=2026-03-02T10:15:00Z"
    ).json()
    none = {"success": 0, "failure": 0, "": 0}
    assert told == {
        "since": "2026-03-02T10:00:00.000000Z", "until": "2026-03-02T10:15:00.000000Z",
        "interval": 300,
        "bins": [
            {"start": "2026-03-02T10:00:00.000000Z", "total": 3,
             "counts": {"success": 1, "failure": 1, "": 1}},
            {"start": "2026-03-02T10:05:00.000000Z", "total": 1, "counts": {**none, "success": 1}},
            {"start": "2026-03-02T10:10:00.000000Z", "total": 1, "counts": {**none, "ok": 1}},
        ],
    }  # fmt: skip


def test_intervals_are_said_in_seconds_or_with_a_unit(client: httpx.Client) -> None:
    """60, 60s and 1m are the same."""
    window = "since=2026-03-02T10:00:00Z&until=2026-03-02T11:00:00Z"
    for interval in ("60", "60s", "1m"):
        told = client.get(f"/events/histogram?{window}&interval={interval}").json()
        assert (told["interval"], len(told["bins"])) == (60, 60)


def test_without_a_word_it_shows_the_last_day(client: httpx.Client, bus: Bus) -> None:
    """24 hours up to now, in about sixty bins or fewer, the newest event in the last."""
    bus.emit("now", "day")
    told = client.get("/events/histogram?project=day").json()
    length = parse_instant(told["until"]) - parse_instant(told["since"])
    assert length == 86_400 * 1_000_000
    assert 24 <= len(told["bins"]) <= 61
    assert sum(each["total"] for each in told["bins"]) == 1


def test_our_own_events_are_left_out_unless_asked_for(client: httpx.Client, bus: Bus) -> None:
    """What Tidings says of itself is in no chart; `type` shows it."""
    bus.emit("tidings.note", "own")
    bus.emit("mine", "own")
    for query, wanted in (("", 1), ("&type=tidings.*", 1), ("&type=*", 2)):
        told = client.get(f"/events/histogram?project=own{query}").json()
        assert sum(each["total"] for each in told["bins"]) == wanted


@pytest.mark.parametrize(
    "query",
    ["interval=1s", "interval=0", "interval=60%0A", "interval=9999999w", "interval=x",
     "interval=1y", "contains=x", "payload.a=1",
     "limit=5", "after=1", "before=1", "order=desc", "interval=60&interval=61", "bins=7"],
)  # fmt: skip
def test_what_would_not_end_is_refused(client: httpx.Client, query: str) -> None:
    """Too many bins, what needs each event to be read, and what a chart has not."""
    response = client.get(f"/events/histogram?{query}")
    assert response.status_code == 422
    assert response.json()["type"] == "urn:tidings:problem:invalid-query"


def test_no_time_is_no_bins(client: httpx.Client) -> None:
    """A window that ends before it begins is empty, and the longest one ends."""
    window = "since=2026-03-02T10:00:00Z&until=2026-03-02T09:00:00Z"
    assert client.get(f"/events/histogram?{window}").json()["bins"] == []
    widest = "interval=999999w"
    assert len(client.get(f"/events/histogram?{widest}").json()["bins"]) == 1
    longest = "since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z"
    assert len(client.get(f"/events/histogram?{longest}").json()["bins"]) <= 62
