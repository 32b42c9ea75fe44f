"""The contract of the ledger: named records, written by compare-and-set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidQuery, RevisionConflict
from tidings.store.base import LedgerRecord
from tidings.testing.contract.opening import Opening
from tidings.testing.strategies import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


class Records(Opening):
    """Tests of the ledger."""

    def test_a_record_is_written_read_and_removed(self, store: Store) -> None:
        """A record has a key, a revision and a value; a missing one is nothing."""
        assert (store.get("cursor"), store.keys(), store.delete("cursor")) == (None, [], False)
        revision = store.put("cursor", {"position": 7})
        assert store.get("cursor") == LedgerRecord("cursor", revision, {"position": 7})
        assert (store.delete("cursor"), store.get("cursor"), store.keys()) == (True, None, [])

    def test_compare_and_set(self, store: Store) -> None:
        """A write that expects another revision is refused with both numbers, and not done."""
        first = store.put("k", "a", expected=0)
        for wrong in (0, first + 1):
            with pytest.raises(RevisionConflict) as caught:
                store.put("k", "b", expected=wrong)
            assert (caught.value.key, caught.value.expected, caught.value.actual) == (
                "k",
                wrong,
                first,
            )
        second = store.put("k", "b", expected=first)
        assert store.get("k") == LedgerRecord("k", second, "b")
        assert store.put("k", "c") > second > first

    def test_removal_compares_too(self, store: Store) -> None:
        """A record is removed only at the revision expected; one that is not there is at 0."""
        revision = store.put("k", 1)
        with pytest.raises(RevisionConflict):
            store.delete("k", expected=revision + 1)
        with pytest.raises(RevisionConflict):
            store.delete("k", expected=0)
        assert store.delete("k", expected=revision)
        assert not store.delete("k", expected=0)
        with pytest.raises(RevisionConflict) as caught:
            store.delete("k", expected=revision)
        assert caught.value.actual == 0

    def test_a_record_made_again_has_no_old_revision(self, store: Store) -> None:
        """Revisions of a store only grow, so that an old one never fits a new record."""
        seen = []
        for n in range(3):
            seen += [store.put("k", n), store.put("other", n)]
            store.delete("k")
        assert seen == sorted(set(seen))
        with pytest.raises(RevisionConflict):
            store.put("k", 1, expected=seen[0])

    def test_keys_are_found_by_prefix(self, store: Store) -> None:
        """Keys come in order of their characters, by a prefix in which nothing has a meaning."""
        keys = ["a%b", "a_b", "aXb", "A", "a", "b/1", "b/2", "é", "🎉", "a\\", "a'"]
        for key in keys:
            store.put(key, 1)
        assert store.keys() == sorted(keys)
        for prefix in ("a", "a%", "a_", "b/", "é", "🎉", "a\\", "a'", "A", "x", "b/2 "):
            assert store.keys(prefix) == sorted(key for key in keys if key.startswith(prefix))

    def test_keys_come_in_pages(self, store: Store) -> None:
        """Page by page all keys with a prefix come, each once, and none beside them."""
        keys = [
            "a",
            "a/1",
            "a/2",
            "a/\ud7ff",
            "a/\ue000",
            "a/\U0010ffff",
            "a/\U0010ffff1",
            "a0",
            "b",
        ]
        for key in keys:
            store.put(key, 1)
        for prefix in ("", "a/", "a/\ud7ff", "a/\U0010ffff", "b"):
            wanted = [key for key in sorted(keys) if key.startswith(prefix)]
            found: list[str] = []
            while page := store.keys(prefix, found[-1] if found else "", 2):
                assert len(page) <= 2
                found += page
            assert found == wanted
        assert (store.keys("a/", "a"), store.keys("a/", "b")) == (store.keys("a/"), [])
        assert (store.keys("a/", limit=0), store.keys(limit=1)) == ([], ["a"])
        with pytest.raises(InvalidQuery, match="limit"):
            store.keys(limit=-1)

    def test_any_key_and_value(self, store: Store) -> None:
        """Any JSON value is kept under any key and handed out as its reader's own."""

        @self.search()
        @given(words, _json)
        def holds(key: str, value: object) -> None:
            revision = store.put(key, value)
            found = store.get(key)
            assert found == LedgerRecord(key, revision, value)
            assert key in store.keys(key)

        holds()

    def test_what_is_handed_out_cannot_change_the_ledger(self, store: Store) -> None:
        """A value changed by its writer or reader afterwards is kept as it was written."""
        value = {"n": [1]}
        store.put("k", value)
        value["n"].append(2)
        found = store.get("k")
        assert found is not None
        found.value["n"].append(3)
        again = store.get("k")
        assert again is not None
        assert again.value == {"n": [1]}

    @pytest.mark.parametrize("key", ["", "k" * 256, "a\nb", "a\x00", "\ud800", 7, None])
    def test_a_wrong_key_is_refused(self, store: Store, key: str) -> None:
        """A key that cannot be kept is named, whatever is done with it."""
        for call in (store.get, store.delete, lambda wrong: store.put(wrong, 1)):
            with pytest.raises(InvalidQuery, match="key"):
                call(key)

    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), {1, 2}, b"x", object(), "\ud800"]
    )
    def test_a_wrong_value_is_refused(self, store: Store, value: object) -> None:
        """A value that is no JSON is named, and the record stays as it was."""
        store.put("k", 1)
        with pytest.raises(InvalidQuery, match="value"):
            store.put("k", value)
        found = store.get("k")
        assert found is not None
        assert found.value == 1

    def test_the_ledger_is_no_part_of_the_log(self, store: Store) -> None:
        """Writing records moves no position and wakes no reader."""
        store.put("k", 1)
        assert (store.head(), store.wait(0, timeout=0)) == (0, 0)
        assert store.check() == []
