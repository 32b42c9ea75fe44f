"""The ring and what is joined from it: bounded, in order, complete, and made once."""

from __future__ import annotations

import json
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.live.wire_events import messages_in
from tidings.event import Event
from tidings.record import POSITION, RECORDED
from tidings.server.live import selection as joining
from tidings.server.live.ring import Ring
from tidings.server.live.selection import CHUNK_EVENTS, Selection
from tidings.store.query import Query


def event_at(position: int, type_: str = "tick", text: str = "") -> Event:
    """An event as a store gives it."""
    record = list(Event(type_, payload={"text": text}).record)
    record[POSITION], record[RECORDED] = position, 0
    return Event.from_record(tuple(record))


def filled(ring: Ring, *positions: int, now: float = 0.0, text: str = "") -> Ring:
    """The ring with events at these positions."""
    ring.append([event_at(n, text=text) for n in positions], positions[-1], now)
    return ring


def positions_from(ring: Ring, cursor: int, selection: Selection | None = None) -> list[int]:
    """What a stream gets from a cursor on until nothing is due."""
    selection = selection or Selection(Query(), "event")
    seen: list[int] = []
    while cursor < ring.end:
        assert ring.covers(cursor)
        due = selection.due(ring, cursor, CHUNK_EVENTS, None)
        seen += [int(message.last_id) for message in messages_in(b"".join(due.parts))]
        assert due.position > cursor
        cursor = due.position
    return seen


def test_it_covers_nothing_before_it_begins() -> None:
    """A ring that was not begun, or was stopped, sends streams to the store."""
    ring = Ring()
    assert not ring.covers(0)
    ring.begin(5)
    assert ring.covers(5)
    ring.stop()
    assert not ring.covers(5)


@pytest.mark.parametrize(
    ("bounds", "text"),
    [({"most_events": 10}, ""), ({"most_bytes": 30_000}, "x" * 1000)],
    ids=["count", "bytes"],
)
def test_it_is_bounded(bounds: dict[str, int], text: str) -> None:
    """The oldest events leave when there are too many or they take too much."""
    ring = Ring(**bounds)
    ring.begin(0)
    for n in range(1, 101):
        filled(ring, n, text=text)
        assert len(ring) <= 10
        assert ring.bytes <= 40_000
    assert (ring.start, ring.end) == (100 - len(ring), 100)
    assert not ring.covers(ring.start - 1)
    assert positions_from(ring, ring.start) == list(range(ring.start + 1, 101))


def test_one_event_larger_than_the_ring_is_read_from_the_store() -> None:
    """It does not stay, so whoever has not had it is sent to the store."""
    ring = Ring(most_bytes=10_000)
    ring.begin(0)
    filled(ring, 1, text="x" * 20_000)
    assert (len(ring), ring.start, ring.bytes) == (0, 1, 0)
    assert not ring.covers(0)


def test_old_events_leave() -> None:
    """What was redacted in the store must not come from memory for ever."""
    ring = Ring(most_seconds=60)
    ring.begin(0)
    filled(ring, 1, 2, now=0)
    filled(ring, 3, now=50)
    ring.trim(61)
    assert (ring.start, ring.end, len(ring)) == (2, 3, 1)
    ring.trim(200)
    assert (ring.start, ring.end, len(ring), ring.bytes) == (3, 3, 0, 0)
    assert ring.covers(3)


def test_positions_need_not_be_dense() -> None:
    """A cursor between two positions gets what comes after it, and the end may lie past both."""
    ring = Ring()
    ring.begin(10)
    ring.append([event_at(12), event_at(19)], 25, 0)
    assert positions_from(ring, 15) == [19]
    assert ring.end == 25


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(1, 30), st.integers(0, 40))
def test_a_cursor_in_the_ring_misses_and_repeats_nothing(
    pages: list[int], most: int, cursor: int
) -> None:
    """Whatever comes in which pages: past a cursor come all positions once, in order."""
    ring = Ring(most_events=most)
    ring.begin(0)
    numbers = count(1)
    for size in pages:
        filled(ring, *(next(numbers) for _ in range(size)))
    if ring.covers(cursor) and cursor <= ring.end:
        assert positions_from(ring, cursor) == list(range(cursor + 1, ring.end + 1))


def test_streams_that_ask_for_the_same_share_one_chunk() -> None:
    """The chunk is joined once, and an event is encoded once for all selections."""
    ring = Ring()
    ring.begin(0)
    filled(ring, 1, 2, 3)
    everything, by_type = Selection(Query(), "event"), Selection(Query(types="tick"), "event")
    first = everything.due(ring, 1, 500, None)
    assert everything.due(ring, 1, 500, None).parts is first.parts
    by_type.due(ring, 1, 500, None)
    encoded = [entry.frame for entry in ring.after(0)]
    assert all(a is b.frame for a, b in zip(encoded, ring.after(0), strict=True))
    filled(ring, 4)
    assert everything.due(ring, 1, 500, None).events == 3


def test_what_nobody_wants_is_not_encoded() -> None:
    """An event that no stream selects costs no encoding."""
    ring = Ring()
    ring.begin(0)
    filled(ring, 1, 2)
    due = Selection(Query(types="other"), "event").due(ring, 0, 500, None)
    assert due == ((), 2, 0, 0)
    assert [entry._frame for entry in ring.after(0)] == [None, None]


def test_a_chunk_ends_where_it_shall(monkeypatch: pytest.MonkeyPatch) -> None:
    """By count, by bytes, and at the last position wanted; sent in parts of bounded size."""
    ring = Ring()
    ring.begin(0)
    filled(ring, *range(1, 21))
    everything = Selection(Query(), "event")
    assert everything.due(ring, 0, 3, None)[1:] == (3, 3, 3)
    assert everything.due(ring, 0, 500, 5)[1:] == (20, 5, 5)
    monkeypatch.setattr(joining, "CHUNK_BYTES", 1)
    assert everything.due(ring, 4, 500, None)[1:] == (5, 1, 5)
    filled(ring, 21, text="y" * 600_000)
    due = everything.due(ring, 20, 500, None)
    assert max(map(len, due.parts)) == 256 * 1024
    (message,) = messages_in(b"".join(due.parts))
    assert len(json.loads(message.data)["payload"]["text"]) == 600_000


def test_a_long_search_lets_others_have_their_turn() -> None:
    """A filter that matches nothing looks at a part of the ring at a time."""
    ring = Ring()
    ring.begin(0)
    filled(ring, *range(1, 2502))
    nothing = Selection(Query(types="other"), "event")
    assert nothing.due(ring, 0, 500, None).position == 1000
    assert nothing.due(ring, 2000, 500, None).position == 2501
