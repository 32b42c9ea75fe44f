"""The contract of `read`: order, windows, cursors that miss nothing, and the bounded search."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import HistoryPruned
from tidings.event import Event
from tidings.store.base import SCAN_LIMIT
from tidings.store.query import Query
from tidings.testing.contract.opening import Opening, a_few, all_of, positions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Reading, Store


class Reads(Opening):
    """Tests of reading by position."""

    def test_windows_are_open_at_both_ends(self, store: Store) -> None:
        """`after` and `before` leave their own positions out, and `limit` counts from the start."""
        store.append(a_few(9))
        assert positions(store, after=2, before=6) == [3, 4, 5]
        assert positions(store, after=2, before=6, backwards=True) == [5, 4, 3]
        assert positions(store, after=2, limit=2) == [3, 4]
        assert positions(store, limit=2, backwards=True) == [9, 8]
        assert positions(store, before=100, after=8) == [9]
        for nothing in ({"limit": 0}, {"before": 0}, {"before": 1}, {"after": 9}, {"after": 2**62}):
            assert positions(store, **nothing) == []
            assert positions(store, **nothing, backwards=True) == []

    def test_any_window_of_a_long_log(self, store: Store) -> None:
        """Windows of every size, both ways and with a filter, give what plain lists would."""
        store.append([Event("even" if n % 2 else "odd") for n in range(3000)])
        edge = st.sampled_from([0, 1, 2, 999, 1000, 1001, 1500, 2048, 2999, 3000, 3001, 9000])

        @self.search()
        @given(
            edge, st.none() | edge, st.none() | edge, st.booleans(), st.sampled_from(["", "odd"])
        )
        def holds(
            after: int, before: int | None, limit: int | None, backwards: bool, wanted: str
        ) -> None:
            query = Query(
                after=after, before=before, limit=limit, backwards=backwards, types=wanted or None
            )
            end = 3001 if before is None else min(before, 3001)
            expected = [n for n in range(after + 1, end) if not wanted or n % 2]
            expected = (expected[::-1] if backwards else expected)[:limit]
            assert [event.position for event in store.read(query)] == expected

        holds()

    def test_a_reading_says_how_far_it_looked(self, store: Store) -> None:
        """At its end a reading stands at the head, or where its window, limit or history ended."""
        store.append([Event("wanted"), Event("other"), Event("wanted"), *a_few(3)])
        ends = [
            ({}, 6),
            ({"types": "wanted"}, 6),
            ({"types": "never"}, 6),
            ({"types": "wanted", "limit": 2}, 3),
            ({"before": 5}, 4),
            ({"before": 99}, 6),
            ({"after": 4, "before": 2}, 4),
            ({"after": 99}, 99),
            ({"limit": 0, "after": 2}, 2),
            ({"backwards": True}, 0),
            ({"backwards": True, "after": 2}, 2),
            ({"backwards": True, "types": "wanted", "limit": 1}, 3),
            ({"contains": "never"}, 0),
        ]
        for query, position in ends:
            reading = store.read(Query(**query))  # type: ignore[arg-type]  # many kinds of values
            list(reading)
            assert (query, reading.position, reading.complete) == (query, position, True)

    def test_a_reading_stands_at_the_event_it_gave(self, store: Store) -> None:
        """Between two events a reading stands at the last one given, so one may stop there."""
        store.append(a_few(5))
        reading = store.read(Query(after=1))
        assert reading.position == 1
        assert [(event.position, reading.position) for event in reading] == [
            (n, n) for n in range(2, 6)
        ]

    def test_pages_are_the_same_events(self, store: Store) -> None:
        """Taken page by page, a reading gives what it gives event by event."""
        store.append(a_few(2500))
        reading, pages = store.read(Query(after=3)), []
        while (page := reading.next_page()) is not None:
            pages.append(page)
        assert [event for page in pages for event in page.events] == all_of(store, after=3)
        assert pages[-1].position == 2500
        reading.close()

    def test_paging_forwards_by_cursor(self, store: Store) -> None:
        """Going on from where a limited reading ended gives everything once, also when filtered."""
        store.append([Event("even" if n % 2 else "odd") for n in range(1, 100)])
        for types in (None, "even"):
            seen, position = [], 0
            while page := list(reading := store.read(Query(after=position, limit=7, types=types))):
                assert reading.position > position
                seen += page
                position = reading.position
            assert seen == all_of(store, types=types)
            assert position == 99

    def test_paging_backwards_while_writers_go_on(self, store: Store) -> None:
        """Pages towards the past repeat and miss nothing, whatever is appended meanwhile."""
        store.append(a_few(50))
        seen, before = [], None
        while page := positions(store, before=before, limit=7, backwards=True):
            assert before is None or page[0] < before
            seen += page
            before = page[-1]
            store.append(a_few(3))
        assert seen == list(range(50, 0, -1))

    def test_a_reading_reaches_the_head_of_its_end(self, store: Store) -> None:
        """What is appended while a reading is under way is part of it; its end is the head then."""
        store.append(a_few(5000))
        reading = store.read(Query())
        next(reading)
        store.append(a_few(5))
        assert [event.position for event in reading][-1] == 5005
        assert reading.position == 5005

    def test_reading_takes_little_memory(self, store: Store) -> None:
        """Thirty megabytes of payloads are read through within fifteen, decoded ones included."""
        payload = {"text": "x" * 10_000}
        for _ in range(30):
            store.append([Event("large", payload=payload) for _ in range(100)])
        tracemalloc.start()
        count = sum(1 for event in store.read(Query()) if event.payload == payload)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == 3000
        assert peak < 15_000_000

    def test_latest_is_the_newest(self, store: Store) -> None:
        """`latest` gives the newest event, of exactly one type if asked, or nothing."""
        store.append([Event("a"), Event("b"), Event("a*"), Event("a"), Event("c")])
        found = [store.latest(name) for name in (None, "a", "b", "a*", "*", "")]
        assert [event and event.position for event in found] == [5, 4, 2, 3, None, None]

    def test_what_was_pruned_cannot_be_asked_for(self, store: Store) -> None:
        """A cursor below what is left is told so; from 0 a reader starts at what is left."""
        store.append(a_few(9))
        store.prune(5)
        for direction in (False, True):
            with pytest.raises(HistoryPruned) as caught:
                store.read(Query(after=4, backwards=direction))
            assert (caught.value.asked, caught.value.first) == (4, 6)
            assert sorted(positions(store, after=5, backwards=direction)) == [6, 7, 8, 9]
            assert sorted(positions(store, backwards=direction)) == [6, 7, 8, 9]

    def test_pruning_under_a_reader_is_no_silent_gap(self, store: Store) -> None:
        """A reading whose events are pruned before it comes to them is whole, or says so."""
        store.append(a_few(5000))
        reading = store.read(Query())
        seen = [next(reading).position]
        store.prune(4990)
        try:
            for event in reading:
                seen.append(event.position)  # noqa: PERF401 - what came before the error counts
        except HistoryPruned as error:
            assert error.first == 4991  # noqa: PT017 - a backend may also give all of them
        assert seen == list(range(1, len(seen) + 1))
        assert reading.position == len(seen)

    def test_a_search_gives_the_newest_first(self, store: Store) -> None:
        """`contains` finds text in payloads, newest first, and pages on by position."""
        texts = ["Needle", "hay", 'a "needle"', "NEEDLE", "nee dle"]
        store.append([Event("x", payload={"t": text}) for text in texts])
        assert positions(store, contains="needle") == [4, 3, 1]
        assert positions(store, contains='"needle"') == [3]
        first = store.read(Query(contains="needle", limit=1))
        assert ([event.position for event in first], first.position) == ([4], 4)
        assert positions(store, contains="needle", before=first.position) == [3, 1]

    def test_a_search_stops_and_says_where_to_go_on(self, store: Store) -> None:
        """A search looks at no more than its bound, then says so; going on finds the rest."""
        store.append([Event("x", payload={"t": "needle"}), *a_few(2)])
        _fill(store, SCAN_LIMIT)
        query = Query(contains="needle")
        reading = store.read(query)
        assert (list(reading), reading.complete) == ([], False)
        found, rest = _go_on(store, query, reading)
        assert ([event.position for event in found], rest.complete) == ([1], True)


def _fill(store: Store, count: int) -> None:
    for _ in range(count // 10_000):
        store.append([Event("hay") for _ in range(10_000)])


def _go_on(store: Store, query: Query, reading: Reading) -> tuple[list[Event], Reading]:
    """Read on towards the past until a reading looked at everything."""
    found: list[Event] = []
    for _ in range(10):
        before = reading.position
        reading = store.read(query.replace(before=before))
        found += reading
        if reading.complete:
            break
        assert reading.position < before
    return found, reading
