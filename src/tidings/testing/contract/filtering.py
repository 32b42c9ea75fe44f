"""The contract of filters: every condition means on a backend what it means in plain Python."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.event import Event
from tidings.store.query import Filter, Query
from tidings.testing.contract.opening import EXAMPLES, Opening, all_of, positions
from tidings.testing.oracle import answer, query_of
from tidings.testing.strategies import events, queries, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.base import Store

_HOSTILE = (
    "'",
    '"',
    "''",
    "%",
    "_",
    "\\",
    "\\'",
    "*",
    "?",
    ":a",
    "; --",
    "🎉",
    "\u202e",
    " ",
    "a b",
)

_LARGER = settings(EXAMPLES, max_examples=8)


class Filters(Opening):
    """Tests of all filters against an oracle."""

    def test_any_query_against_an_oracle(self) -> None:
        """Any filter on any events gives those, in that order, that plain Python finds."""

        @self.search()
        @given(
            st.lists(events(), min_size=1, max_size=12), st.lists(queries(), min_size=1, max_size=6)
        )
        def holds(fields: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
            with self.fresh_store() as store:
                store.append([Event(**each) for each in fields])
                self.check_queries(store, asked)

        holds()

    def test_any_query_on_a_larger_store(self) -> None:
        """The same holds where pages, windows and indexes have something to do."""

        @self.search(_LARGER)
        @given(
            st.lists(events(), min_size=5, max_size=10),
            st.lists(queries(), min_size=5, max_size=10),
        )
        def holds(fields: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
            with self.fresh_store() as store:
                store.append([Event(**each) for _ in range(100) for each in fields])
                self.check_queries(store, asked)

        holds()

    def check_queries(self, store: Store, asked: list[dict[str, Any]]) -> None:
        """Compare what a store gives for some queries with the oracle's answers."""
        everything = all_of(store)
        for arguments in asked:
            query = Query(**query_of(arguments))
            expected = answer(everything, arguments)
            assert list(store.read(query)) == expected, query
            count = store.count(query)
            assert count.value == len(expected) if count.exact else count.value <= len(expected)

    @pytest.mark.parametrize("text", _HOSTILE)
    def test_hostile_strings_are_only_strings(self, store: Store, text: str) -> None:
        """A string with a meaning in SQL, patterns or JSON finds just the events that have it."""
        fields = ("project", "status", "source", "correlation_id", "causation_id", "user_id")
        hit: dict[str, Any] = {
            **dict.fromkeys(fields, text),
            "type": f"t{text}",
            "aggregate_type": text,
            "aggregate_id": text,
            "id": text,
            "payload": {text: text},
        }
        miss: dict[str, Any] = {
            **dict.fromkeys(fields, "other"),
            "type": "t",
            "aggregate_type": "other",
            "aggregate_id": "other",
            "id": "other",
            "payload": {"other": "text"},
        }
        store.append([Event(**miss), Event(**hit)])
        conditions: dict[str, Any] = {
            **{name: hit[name] for name in (*fields, "aggregate_type", "aggregate_id", "payload")},
            "ids": text,
            "contains": text,
            "types": f"t{text}",
        }
        if text == "*":
            # Such a type can be asked for only with all others that start like it.
            del conditions["types"]
        if text == '"':
            # It stands in the JSON of the other payload too.
            del conditions["contains"]
        for name, value in conditions.items():
            assert [e.id for e in all_of(store, **{name: value})] == [text], name
            excluded = all_of(store, exclude=Filter(**{name: value}))
            assert [event.id for event in excluded] == ["other"], name

    def test_a_search_takes_only_a_to_z_alike(self, store: Store) -> None:
        """Capitals beyond A–Z are other letters, also those that Unicode lowers to a–z."""
        store.append([Event("x", payload=text) for text in ("É", "\u212a", "İ", "Ss")])
        found = {text: positions(store, contains=text) for text in ("é", "k", "i", "ss", "SS", "ß")}
        assert found == {"é": [], "k": [], "i": [], "ss": [4], "SS": [4], "ß": []}
        assert positions(store, contains="É") == [1]

    def test_several_values_of_one_condition(self, store: Store) -> None:
        """Of several types, projects, outcomes or ids any one is enough; many are allowed."""
        store.append([Event(f"t{n}", f"p{n}", id=f"id-{n}") for n in range(100)])
        for query in (
            {"types": [f"t{n}" for n in range(0, 100, 2)]},
            {"project": [f"p{n}" for n in range(0, 100, 2)]},
            {"ids": [f"id-{n}" for n in range(0, 100, 2)]},
        ):
            assert [event.position for event in all_of(store, **query)] == list(range(1, 101, 2))
        assert len(all_of(store, types=[f"never{n}" for n in range(2000)])) == 0

    def test_times_are_compared_as_moments(self, store: Store) -> None:
        """`since` is part of the range and `until` is not, whatever offset a time has."""
        times = ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2025-12-31T23:59:59.999999Z"]
        store.append([Event("x", timestamp=time) for time in times])
        moment = "2026-01-01T00:00:00Z"
        assert [event.position for event in all_of(store, since=moment)] == [1, 2]
        assert [event.position for event in all_of(store, until=moment)] == [3]

    def test_redacted_payloads_match_nothing(self, store: Store) -> None:
        """An emptied payload has no keys and holds no text, not even that of `null`."""
        store.append([Event("x", payload={"a": "null"})])
        store.redact(Query())
        for query in ({"payload": {"a": "null"}}, {"contains": "null"}, {"contains": "a"}):
            assert all_of(store, **query) == []
            assert len(all_of(store, exclude=Filter(**query))) == 1

    def test_the_empty_project_is_a_project(self, store: Store) -> None:
        """Events without a project can be asked for, and left out."""
        store.append([Event("x"), Event("x", "p")])
        assert [event.position for event in all_of(store, project="")] == [1]
        assert [event.position for event in all_of(store, exclude=Filter(project=""))] == [2]

    def test_any_text_is_found_in_payloads(self, store: Store) -> None:
        """Whatever a payload says in a string is found by `contains`, as it is and in its JSON."""

        @self.search()
        @given(words)
        def holds(text: str) -> None:
            (stored,) = store.append([Event("x", payload=[text])])
            found = store.read(Query(contains=text, after=(stored.position or 0) - 1))
            assert list(found) == [stored]

        holds()
