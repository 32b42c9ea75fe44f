"""The contract of ids: an event that is sent again is kept once, and a taken id is told."""

from __future__ import annotations

import pytest

from tidings.errors import IdConflict
from tidings.event import Event
from tidings.store.base import Batch
from tidings.store.query import Query
from tidings.testing.contract.opening import ABOUT, Opening, a_few, all_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store

_UUID = "01890000-0000-7000-8000-00000000000a"


class Idempotence(Opening):
    """Tests of what happens when ids come again."""

    def test_the_same_event_is_kept_once(self, store: Store) -> None:
        """An event sent again gives the stored one, with its place, and keeps no second one."""
        events = [Event("job_done", **ABOUT), *a_few(2)]
        first = store.append(events)
        again = store.append(events)
        assert [event.to_dict() for event in again] == [event.to_dict() for event in first]
        assert store.head() == 3

    @pytest.mark.parametrize("event_id", ["build-42", _UUID, _UUID.upper(), "🎉'%\\"])
    def test_a_time_we_filled_in_does_not_count(self, store: Store, event_id: str) -> None:
        """An event made anew with the same id, whose producer gave no time, is the same event."""
        first = store.append([Event("job_done", id=event_id, payload={"n": 1})])
        again = store.append([Event("job_done", id=event_id, payload={"n": 1})])
        assert (again[0].position, again[0].timestamp) == (1, first[0].timestamp)
        assert all_of(store, ids=event_id) == first

    def test_a_time_that_was_given_does_count(self, store: Store) -> None:
        """The same moment written otherwise is the same event; another moment is another one."""
        store.append([Event("job_done", id="b", timestamp="2026-01-01T00:00:00Z")])
        store.append([Event("job_done", id="b", timestamp="2026-01-01T01:00:00+01:00")])
        with pytest.raises(IdConflict, match="timestamp"):
            store.append([Event("job_done", id="b", timestamp="2026-01-01T00:00:01Z")])
        assert store.head() == 1

    def test_where_an_event_was_made_does_not_count(self, store: Store) -> None:
        """An event sent again from another host, with another context, is the same event."""
        store.append([Event("job_done", id="b", context={"host": "n12"})])
        again = store.append([Event("job_done", id="b", context={"host": "n13"})])
        assert (again[0].position, again[0].context) == (1, {"host": "n12"})

    def test_a_conflict_names_what_differs(self, store: Store) -> None:
        """An id with other content is refused, saying where it is kept and which fields differ."""
        store.append([*a_few(2), Event("job_done", "p", id=_UUID, payload={"n": 1})])
        changed = Event("job_done", "q", id=_UUID, payload={"n": 1.0}, user_id="u", source="ci")
        with pytest.raises(IdConflict) as caught:
            store.append([changed])
        assert (caught.value.event_id, caught.value.position) == (_UUID, 3)
        assert set(caught.value.differs) == {"project", "payload", "user_id", "source"}
        assert store.head() == 3

    def test_ids_are_unique_for_their_source(self, store: Store) -> None:
        """Two sources may use the same foreign id; a UUID belongs to one event everywhere."""
        store.append([Event("job_done", id="42", source=source) for source in ("ci", "hpc")])
        assert [event.source for event in all_of(store, ids="42")] == ["ci", "hpc"]
        store.append([Event("job_done", id=_UUID, source="ci")])
        with pytest.raises(IdConflict, match="source"):
            store.append([Event("job_done", id=_UUID, source="hpc")])

    def test_an_id_twice_in_one_batch_is_one_event(self, store: Store) -> None:
        """Within a batch the second event of an id gives the first one's place."""
        sent = [Event("job_done", id="a"), Event("job_done", id="b"), Event("job_done", id="a")]
        assert [event.position for event in store.append(sent)] == [1, 2, 1]
        assert [event.id for event in all_of(store)] == ["a", "b"]

    def test_an_id_twice_in_one_batch_must_say_the_same(self, store: Store) -> None:
        """Two events of one id that differ within a batch refuse the whole batch."""
        with pytest.raises(IdConflict, match="payload"):
            store.append([Event("x", id="a", payload=1), Event("x", id="a", payload=2)])
        assert store.head() == 0

    def test_new_events_beside_known_ones_are_kept(self, store: Store) -> None:
        """A batch that was kept in part before, by another request, is completed densely."""
        old, new = a_few(2, **ABOUT), a_few(2, **ABOUT)
        store.append(old)
        stored = store.append([new[0], old[1], new[1], old[0]])
        assert [event.position for event in stored] == [3, 2, 4, 1]
        assert [event.version for event in stored] == [3, 2, 4, 1]

    def test_a_retry_is_answered_whatever_version_it_expects(self, store: Store) -> None:
        """A request sent again gives its events, although their aggregate has moved on since."""
        events = a_few(2, **ABOUT)
        first = store.append(events, expected_version=0)
        store.append(a_few(1, **ABOUT))
        assert store.append(events, expected_version=0) == first
        assert store.head() == 3

    def test_duplicates_are_found_across_batches(self, store: Store) -> None:
        """An id of an earlier batch of the same call is known to the later ones."""
        event, other = Event("x", id="a", payload=1), Event("x", id="a", payload=2)
        first, again, refused = store.append_all([Batch([event]), Batch([event]), Batch([other])])
        assert first == again == [event]
        assert isinstance(refused, IdConflict)
        assert refused.position == 1
        assert store.head() == 1

    def test_an_id_of_a_refused_batch_is_free(self, store: Store) -> None:
        """An id that came only in a refused batch may be used by the next one."""
        refused = Batch([Event("x", id="a", payload=1, **ABOUT)], expected_version=5)
        conflict, kept = store.append_all([refused, Batch([Event("x", id="a", payload=2)])])
        assert isinstance(conflict, Exception)
        assert kept == all_of(store)
        assert all_of(store)[0].payload == 2

    def test_a_redacted_event_sent_again_stays_redacted(self, store: Store) -> None:
        """What was redacted does not come back when its producer sends it once more."""
        event = Event("x", id="a", payload={"secret": "s3cret"})
        store.append([event])
        store.redact(Query(ids="a"))
        assert store.append([event])[0].redacted
        assert store.append([Event("x", id="a", payload="other")])[0].redacted
        assert store.count(Query()).value == 1
