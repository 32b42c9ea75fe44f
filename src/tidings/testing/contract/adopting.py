"""The contract of `remains` and `adopt`: what pruned events leave behind moves to another store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import HistoryPruned, InvalidEvent
from tidings.event import Event
from tidings.store.base import CORRELATION, REMAINS_PAGE
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.testing.contract.opening import ABOUT, Opening, a_few, all_of, positions
from tidings.testing.model import facts
from tidings.testing.strategies import KINDS, events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.base import Store, Summary

_made = st.lists(events().map(lambda fields: Event(**fields)), max_size=6)
_histories = st.lists(st.tuples(_made, st.floats(0, 1.1)), min_size=1, max_size=4)
_ABOUT_CORRELATION: dict[str, Any] = {"aggregate_type": CORRELATION, "aggregate_id": "w"}


class Adopting(Opening):
    """Tests of a store that goes on where another one, with a pruned beginning, ended."""

    def test_an_empty_store_adopts_a_pruned_beginning(self, store: Store) -> None:
        """Positions up to there are gone: cursors hear it, and none of them is given out."""
        store.adopt(7)
        assert (store.first(), store.head(), store.latest(), all_of(store)) == (8, 7, None, [])
        assert store.wait(6, timeout=0) == 7
        with pytest.raises(HistoryPruned) as caught:
            store.read(Query(after=3))
        assert (caught.value.asked, caught.value.first) == (3, 8)
        store.adopt(7)
        store.adopt(0)
        assert [event.position for event in store.append(a_few(2))] == [8, 9]
        assert (positions(store), store.count(Query()), store.check()) == ([8, 9], (2, True), [])

    def test_positions_are_not_pruned_where_events_are(self, store: Store) -> None:
        """A store that has events keeps them, whatever was pruned elsewhere."""
        store.append(a_few(2))
        with pytest.raises(InvalidEvent) as caught:
            store.adopt(1)
        assert caught.value.field == "pruned"
        assert (store.first(), positions(store), store.check()) == (1, [1, 2], [])
        store.prune(2)
        store.adopt(5)
        assert (store.first(), store.head()) == (6, 5)
        assert store.append(a_few(1))[0].position == 6

    def test_what_remains_is_what_began_before(self, store: Store) -> None:
        """Aggregates remain, also those without events; correlations as long as one is left."""
        gone: dict[str, Any] = {"aggregate_type": "run", "aggregate_id": "gone"}
        store.append([Event("x", correlation_id="gone", **gone), Event("x", correlation_id="w")])
        store.append([Event("x", **_ABOUT_CORRELATION), Event("x", correlation_id="w", **ABOUT)])
        assert store.remains() == []
        store.prune(3)
        remaining = {(kept.kind, kept.id): kept for kept in store.remains()}
        assert remaining.keys() == {("", "w"), (CORRELATION, "w"), ("run", "gone")}
        assert remaining["", "w"].version == 2
        assert (remaining["run", "gone"].version, store.summaries("run", Query())) == (1, [])

    def test_remains_come_in_pages(self, store: Store) -> None:
        """Who goes on from the last one of each page gets every summary once."""
        names = [f"a{n}" for n in range(REMAINS_PAGE + 5)]
        store.append([Event("x", aggregate_type="agent", aggregate_id=name) for name in names])
        store.prune(REMAINS_PAGE + 4)
        first = store.remains()
        rest = store.remains((first[-1].kind, first[-1].id))
        assert len(first) == REMAINS_PAGE
        assert sorted(kept.id for kept in first + rest) == sorted(names[:-1])
        assert store.remains((rest[-1].kind, rest[-1].id)) == []

    def test_versions_go_on_in_an_aggregate_without_events(self, store: Store) -> None:
        """Its next event has the next version; the old ones are not expected again."""
        source = MemoryStore()
        source.append(a_few(3, **ABOUT))
        source.prune(3)
        store.adopt(3, source.remains())
        assert store.summaries("agent", Query()) == []
        with pytest.raises(InvalidEvent, match="version 3"):
            store.adopt(3, [kept._replace(version=2) for kept in source.remains()])
        with pytest.raises(InvalidEvent):
            store.restore([Event.from_dict({**_place(4, 3), "type": "x", **ABOUT})])
        stored = store.append([Event("x", **ABOUT)], expected_version=3)
        assert (stored[0].position, stored[0].version, store.check()) == (4, 4, [])
        assert store.summaries("agent", Query())[0].first_position == 1

    @pytest.mark.parametrize(
        "wrong",
        [
            {"last_position": 4},
            {"last_position": 9},
            {"version": 1},
            {"id": "other"},
            {"kind": "", "id": "other"},
            {"kind": "", "id": "gone", "last_position": 2},
            {"first_position": 7},
        ],
    )
    def test_a_summary_that_contradicts_is_refused(
        self, store: Store, wrong: dict[str, Any]
    ) -> None:
        """It must speak of the newest event kept; with it nothing else is taken over."""
        source = MemoryStore()
        source.append([*a_few(2, correlation_id="gone"), *a_few(2), *a_few(2, **ABOUT)])
        source.prune(5)
        (kept,) = source.remains()
        store.adopt(5)
        store.restore(source.read(Query()))
        with pytest.raises(InvalidEvent) as caught:
            store.adopt(5, [kept, kept._replace(**wrong)])
        assert caught.value.field == "summary"
        (as_it_was,) = store.summaries("agent", Query())
        assert as_it_was.first_position == 6
        assert store.remains() == []
        store.adopt(5, [kept])
        assert store.summaries("agent", Query()) == source.summaries("agent", Query())
        assert store.check() == []

    def test_a_store_moves_with_what_remains(self) -> None:
        """Whatever was appended and pruned, the copy answers alike, and goes on alike."""

        @self.search()
        @given(history=_histories, later=_made)
        def holds(history: list[tuple[list[Event], float]], later: list[Event]) -> None:
            source = MemoryStore()
            for made, share in history:
                source.append(made)
                source.prune(int(source.head() * share))
            with self.fresh_store() as store:
                store.adopt(source.first() - 1)
                store.restore(source.read(Query()))
                store.adopt(source.first() - 1, source.remains())
                assert _answers(store) == _answers(source)
                again = [Event.from_dict({**event.to_dict(), "id": None}) for event in later]
                told = [list(map(facts, each.append(again))) for each in (store, source)]
                assert told[0] == told[1]
                assert _answers(store) == _answers(source)
                assert store.check() == []

        holds()


def _answers(store: Store) -> dict[str, Any]:
    """What a store says of where it stands, and of what it holds."""
    summaries: dict[str, list[Summary]] = {
        kind: store.summaries(kind, Query()) for kind in (*KINDS, CORRELATION)
    }
    return {
        "place": (store.first(), store.head()),
        "events": [facts(event) for event in store.read(Query())],
        "types": store.types(),
        "summaries": summaries,
        "remains": {(kept.kind, kept.id): kept for kept in store.remains()},
    }


def _place(position: int, version: int) -> dict[str, Any]:
    return {"position": position, "version": version, "recorded_at": "2026-01-01T00:00:00Z"}
