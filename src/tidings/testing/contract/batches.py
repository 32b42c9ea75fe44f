"""The contract of `append_all`: many requests in one call, each with its own fate."""

from __future__ import annotations

import pytest

from tidings.errors import (
    IdConflict,
    InvalidEvent,
    InvalidQuery,
    RevisionConflict,
    VersionConflict,
)
from tidings.event import Event
from tidings.store.base import Batch, Put
from tidings.testing.contract.opening import ABOUT, Opening, a_few, all_of, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store


class Batches(Opening):
    """Tests of independent batches, and of ledger writes that go with events."""

    def test_each_batch_has_its_own_result(self, store: Store) -> None:
        """Results come in order; what was refused is an error in its place, the rest is kept."""
        store.append([Event("x", id="taken")])
        batches = [
            Batch(a_few(2)),
            Batch([Event("other", id="taken")]),
            Batch([]),
            Batch([Event("x")], expected_version=0),
            Batch(a_few(1, **ABOUT), expected_version=9),
            Batch(a_few(2, **ABOUT), expected_version=0),
        ]
        kinds = [type(result) for result in store.append_all(batches)]
        assert kinds == [list, IdConflict, list, InvalidEvent, VersionConflict, list]
        assert [event.position for event in all_of(store)] == [1, 2, 3, 4, 5]

    def test_no_batches_give_no_results(self, store: Store) -> None:
        """A call without batches does nothing."""
        assert store.append_all([]) == []

    def test_a_batch_that_fails_does_not_disturb_the_rest(self, store: Store) -> None:
        """Versions and ids that only a refused batch used are as if it had never been there."""
        taken = Event("x", id="taken", payload=1)
        refused = Batch([*a_few(3, **ABOUT), Event("y", id="free"), Event("x", id="taken")])
        good = Batch([*a_few(1, **ABOUT), Event("z", id="free")])
        _, failed, stored = store.append_all([Batch([taken]), refused, good])
        assert isinstance(failed, IdConflict)
        assert [(event.position, event.version) for event in kept(stored)] == [(2, 1), (3, None)]

    def test_many_batches_are_kept_in_order(self, store: Store) -> None:
        """Hundreds of batches of one call stand one after the other, each contiguous."""
        batches = [Batch(a_few(1 + n % 3, f"batch_{n}")) for n in range(300)]
        flat = [event for result in store.append_all(batches) for event in kept(result)]
        assert [event.position for event in flat] == list(range(1, len(flat) + 1))
        assert flat == all_of(store)

    def test_a_ledger_write_goes_with_its_events(self, store: Store) -> None:
        """Events and ledger writes of a batch are done together; the next batch sees both."""
        first = Batch(a_few(1), put=[Put("cursor", 1, expected=0), Put("other", [1])])
        late = Batch(a_few(1), put=[Put("cursor", 2, expected=0)])
        done, refused = store.append_all([first, late])
        assert len(kept(done)) == 1
        assert isinstance(refused, RevisionConflict)
        assert store.keys() == ["cursor", "other"]
        assert store.head() == 1
        assert _value(store, "cursor") == 1

    def test_a_ledger_write_follows_its_revision(self, store: Store) -> None:
        """A write that expects the record's revision is done, and gives it a new one."""
        revision = store.put("cursor", 1)
        store.append(a_few(1), put=[Put("cursor", 2, expected=revision)])
        assert _value(store, "cursor") == 2
        with pytest.raises(RevisionConflict) as caught:
            store.append(a_few(1), put=[Put("cursor", 3, expected=revision)])
        assert (caught.value.key, caught.value.expected) == ("cursor", revision)
        assert caught.value.actual > revision
        assert store.head() == 1

    def test_a_refused_batch_writes_no_record(self, store: Store) -> None:
        """Ledger writes of a refused batch are not done, and those of the others are."""
        refused = Batch(a_few(1, **ABOUT), expected_version=3, put=[Put("a", 1)])
        store.append_all([refused, Batch([], put=[Put("b", 1)])])
        assert store.keys() == ["b"]

    def test_a_retry_repeats_its_ledger_write(self, store: Store) -> None:
        """Known events do not excuse a ledger write: sent again, it is decided anew."""
        events = a_few(1)
        store.append(events, put=[Put("cursor", 1, expected=0)])
        with pytest.raises(RevisionConflict):
            store.append(events, put=[Put("cursor", 1, expected=0)])
        assert store.append(events, put=[Put("cursor", 2)])[0].position == 1
        assert _value(store, "cursor") == 2

    @pytest.mark.parametrize(
        "puts",
        [
            [Put("", 1)],
            [Put("a\nb", 1)],
            [Put("k" * 256, 1)],
            [Put("good", 1), Put("a", {1, 2})],
            [Put("a", float("nan"))],
            [Put("twice", 1), Put("twice", 2)],
        ],
    )
    def test_a_wrong_ledger_write_refuses_its_batch(self, store: Store, puts: list[Put]) -> None:
        """A key or value that cannot be kept is named, and the events are not kept either."""
        with pytest.raises(InvalidQuery, match="ledger"):
            store.append(a_few(1), put=puts)
        assert (store.head(), store.keys()) == (0, [])


def _value(store: Store, key: str) -> object:
    found = store.get(key)
    return None if found is None else found.value
