"""The contract of versions: each aggregate counts its events, and writers may expect a number."""

from __future__ import annotations

import pytest

from tidings.errors import IdConflict, VersionConflict
from tidings.event import Event
from tidings.store.base import Batch
from tidings.store.query import Query
from tidings.testing.contract.opening import ABOUT, Opening, a_few, all_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.base import Store


class Versions(Opening):
    """Tests of versions and of what `expected_version` promises."""

    def test_each_aggregate_counts_its_own_events(self, store: Store) -> None:
        """Versions are 1, 2, 3 … for each type and id together, and none without an aggregate."""
        about = [("agent", "a"), ("agent", "b"), ("run", "a"), ("agent", "a"), ("a/b", "a")]
        events = [Event("x", aggregate_type=kind, aggregate_id=name) for kind, name in about]
        stored = store.append([*events, Event("x")])
        assert [event.version for event in stored] == [1, 1, 1, 2, 1, None]
        assert store.append([Event("x", **ABOUT)])[0].version == 1

    def test_an_aggregate_may_be_called_correlation(self, store: Store) -> None:
        """An aggregate type named like the summaries of correlations disturbs neither."""
        about: dict[str, Any] = {"aggregate_type": "correlation", "aggregate_id": "c"}
        store.append([Event("x", **about), Event("y", correlation_id="c"), Event("x", **about)])
        assert [event.version for event in all_of(store, aggregate_id="c")] == [1, 2]
        (summary,) = store.summaries("correlation", Query())
        assert (summary.version, summary.first_type) == (1, "y")

    def test_the_expected_version_lets_the_writer_through(self, store: Store) -> None:
        """Zero means a new aggregate, n one that stands at n; new events then count on."""
        store.append(a_few(2, **ABOUT), expected_version=0)
        stored = store.append(a_few(3, **ABOUT), expected_version=2)
        assert [event.version for event in stored] == [3, 4, 5]

    @pytest.mark.parametrize("expected", [0, 1, 3, 2**40])
    def test_another_version_is_a_conflict(self, store: Store, expected: int) -> None:
        """The conflict tells the aggregate and both numbers, and nothing is kept."""
        store.append(a_few(2, **ABOUT))
        with pytest.raises(VersionConflict) as caught:
            store.append(a_few(2, **ABOUT), expected_version=expected)
        assert caught.value.aggregate == "agent/a1"
        assert (caught.value.expected, caught.value.actual) == (expected, 2)
        assert store.head() == 2

    def test_a_new_aggregate_stands_at_0(self, store: Store) -> None:
        """Whoever expects a version of an aggregate without events is told that it stands at 0."""
        with pytest.raises(VersionConflict) as caught:
            store.append([Event("x", **ABOUT)], expected_version=1)
        assert caught.value.actual == 0

    def test_duplicates_are_decided_before_versions(self, store: Store) -> None:
        """A taken id is an `IdConflict` also where the version is wrong too."""
        store.append([Event("x", id="a", payload=1, **ABOUT)])
        with pytest.raises(IdConflict):
            store.append([Event("x", id="a", payload=2, **ABOUT)], expected_version=7)

    def test_known_events_beside_new_ones_need_the_current_version(self, store: Store) -> None:
        """A batch with something new is held to the version its aggregate stands at now."""
        known, new = a_few(1, **ABOUT), a_few(1, **ABOUT)
        store.append(known, expected_version=0)
        with pytest.raises(VersionConflict):
            store.append([*known, *new], expected_version=0)
        assert store.append([*known, *new], expected_version=1)[1].version == 2

    def test_versions_go_on_after_pruning(self, store: Store) -> None:
        """An aggregate whose events were all pruned still stands where it stood."""
        store.append(a_few(3, **ABOUT))
        store.prune(3)
        with pytest.raises(VersionConflict) as caught:
            store.append(a_few(1, **ABOUT), expected_version=0)
        assert caught.value.actual == 3
        assert store.append(a_few(1, **ABOUT), expected_version=3)[0].version == 4

    def test_expectations_of_one_call_are_decided_in_order(self, store: Store) -> None:
        """Of two batches that expect the same version the first wins; the next may build on it."""
        batches = [
            Batch(a_few(1, "first", **ABOUT), expected_version=0),
            Batch(a_few(1, "second", **ABOUT), expected_version=0),
            Batch(a_few(1, "third", **ABOUT), expected_version=1),
        ]
        first, second, third = store.append_all(batches)
        assert isinstance(second, VersionConflict)
        assert second.actual == 1
        assert [first, third] == [all_of(store, types="first"), all_of(store, types="third")]
        assert [event.version for event in all_of(store)] == [1, 2]
