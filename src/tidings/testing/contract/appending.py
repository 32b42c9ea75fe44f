"""The contract of `append`: order, density, all or none, and every event kept as it was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import IdConflict, InvalidEvent
from tidings.event import Event
from tidings.store.base import Batch, Put
from tidings.store.query import Query
from tidings.testing.contract.opening import (
    ABOUT,
    Opening,
    a_few,
    all_of,
    kept,
    positions,
)
from tidings.testing.model import facts
from tidings.testing.strategies import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.base import Store


class Appending(Opening):
    """Tests of what `append` keeps and where."""

    def test_an_empty_store_is_at_position_0(self, store: Store) -> None:
        """A new store has no events, no types and nothing wrong with it."""
        assert (store.head(), store.first(), store.latest()) == (0, 1, None)
        assert (all_of(store), store.types(), store.check()) == ([], [], [])
        assert store.count(Query()) == (0, True)

    def test_positions_are_dense_and_rise(self, store: Store) -> None:
        """Appends of one, some and many events get the positions 1, 2, 3 … without a gap."""
        given_out = [
            event.position for size in (1, 3, 1, 700, 2) for event in store.append(a_few(size))
        ]
        assert given_out == list(range(1, 708))
        assert positions(store) == given_out
        assert store.head() == 707

    def test_append_returns_what_is_stored(self, store: Store) -> None:
        """The events returned are those read, and say what was sent, in the order sent."""
        sent = [*a_few(3), *a_few(2, **ABOUT)]
        returned = store.append(sent)
        assert returned == sent
        assert [event.to_dict() for event in returned] == [e.to_dict() for e in all_of(store)]

    def test_an_event_given_stays_as_it_was(self, store: Store) -> None:
        """The event that was handed in gets no position; the one returned does."""
        event = Event("job_done", **ABOUT)
        store.append([event])
        assert (event.position, event.version, event.recorded_at) == (None, None, None)

    def test_everything_an_event_says_is_kept(self) -> None:
        """Any event, hostile strings and odd payloads included, reads back as it was sent."""

        @self.search()
        @given(st.lists(events(), min_size=1, max_size=5))
        def holds(fields: list[dict[str, Any]]) -> None:
            sent = [Event(**each) for each in fields]
            with self.fresh_store() as store:
                stored = store.append(sent)
                read = all_of(store)
            assert read == stored == sent
            assert [facts(event) for event in read] == [facts(event) for event in stored]
            assert [_said(event) for event in read] == [_said(event) for event in sent]

        holds()

    def test_large_payloads_are_kept(self, store: Store) -> None:
        """A payload of the largest size reads back whole, also among small ones."""
        text = "é" * ((1024 * 1024 - 8) // 2)
        store.append([*a_few(2), Event("large", payload={"t": text}), *a_few(2)])
        assert [event.payload.get("t") for event in store.read(Query())].count(text) == 1
        assert all_of(store, types="large")[0].payload == {"t": text}

    def test_recorded_at_is_one_instant_a_call(self, store: Store) -> None:
        """All events of one call carry the same moment, also across batches, and time goes on."""
        first = store.append_all([Batch(a_few(2)), Batch(a_few(2))])
        later = store.append(a_few(1))
        moments = [event.recorded_at for result in first for event in kept(result)]
        assert len(set(moments)) == 1
        assert str(later[0].recorded_at) >= str(moments[0])

    def test_appending_nothing_changes_nothing(self, store: Store) -> None:
        """No events give no events, and a ledger write that came along is done all the same."""
        assert store.append([]) == []
        assert store.append([], put=[Put("cursor", 5)]) == []
        assert store.head() == 0
        assert (store.get("cursor") or Put("", None)).value == 5

    def test_a_refused_batch_leaves_no_trace(self, store: Store) -> None:
        """When the last event of a batch is refused, none of it is kept and no position is lost."""
        store.append([Event("job_done", id="taken", payload=1), Event("job_done", **ABOUT)])
        before = (store.types(), store.summaries("agent", Query()), store.keys())
        refused = [*a_few(2, "new", **ABOUT), Event("job_done", id="taken", payload=2)]
        with pytest.raises(IdConflict):
            store.append(refused, put=[Put("cursor", 1)])
        assert (store.types(), store.summaries("agent", Query()), store.keys()) == before
        assert store.head() == 2
        assert store.append([Event("next", **ABOUT)])[0].to_dict()["position"] == 3
        assert store.latest() == all_of(store)[-1]
        assert [event.version for event in all_of(store, aggregate_id="a1")] == [1, 2]

    def test_what_is_handed_out_cannot_change_the_store(self, store: Store) -> None:
        """A payload changed by whoever read it is still whole for the next reader."""
        store.append([Event("job_done", payload={"n": [1]})])[0].payload["n"].append("changed")
        all_of(store)[0].payload["n"].append("changed")
        assert all_of(store)[0].payload == {"n": [1]}

    def test_an_event_of_another_store_gets_a_place_of_its_own(self, store: Store) -> None:
        """Position, version and time that an event brings along do not count for `append`."""
        place = {"position": 77, "version": 9, "recorded_at": "2020-01-01T00:00:00Z"}
        stored = store.append([Event.from_dict({"type": "job_done", **ABOUT, **place})])[0]
        assert (stored.position, stored.version) == (1, 1)
        assert str(stored.recorded_at) > "2026"

    def test_a_wrong_request_is_refused_before_anything_is_kept(self, store: Store) -> None:
        """A version expected of events about no aggregate, or of several, names the mistake."""
        other = {**ABOUT, "aggregate_id": "a2"}
        for wrong in ([Event("x")], [Event("x", **ABOUT), Event("x", **other)], []):
            with pytest.raises(InvalidEvent, match="expected_version"):
                store.append(wrong, expected_version=0)
        assert store.head() == 0


def _said(event: Event) -> dict[str, Any]:
    data = facts(event)
    for place in ("position", "version"):
        data.pop(place, None)
    return data
