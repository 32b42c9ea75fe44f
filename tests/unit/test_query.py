"""Queries: what they accept, how they are shown, and which events they mean.

That backends agree with `matches` is the contract suite's work.
"""

from __future__ import annotations

import string
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidQuery
from tidings.event import Event
from tidings.store.query import Filter, Query, fold, matches_type

EVENT = Event(
    "job.done",
    "figrecipe",
    "success",
    {"n": 1, "s": "Über 'x'", "deep": {"a": [1, None]}, "yes": True},
    "hpc",
    "2026-01-01T00:00:00Z",
    id="e1",
    aggregate_type="run",
    aggregate_id="r1",
    correlation_id="w1",
    causation_id="c1",
    user_id="ada",
)
NEW_YEAR = 1_767_225_600_000_000


class TestAccepts:
    """What makes sense as a query."""

    def test_nothing(self) -> None:
        """A query without arguments wants everything from the start."""
        query = Query()
        assert query.conditions() == []
        assert (query.after, query.before, query.limit) == (0, None, None)
        assert (query.backwards, query.exclude) == (False, None)

    @pytest.mark.parametrize("field", ["ids", "types", "project", "status", "source"])
    @pytest.mark.parametrize(
        ("given", "kept"),
        [("a", ("a",)), (["a", "b", "a"], ("a", "b")), (dict.fromkeys("ab"), ("a", "b")), ([], ())],
    )
    def test_one_word_or_several(self, field: str, given: Any, kept: tuple[str, ...]) -> None:
        """Fields of which any value may hold take one, or several, each once."""
        arguments: dict[str, Any] = {field: given}
        assert getattr(Query(**arguments), field) == kept

    @pytest.mark.parametrize(
        "moment",
        [
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00+01:00",
            datetime(2026, 1, 1, tzinfo=UTC),
            NEW_YEAR,
        ],
    )
    def test_moments(self, moment: Any) -> None:
        """A moment may be text, a datetime or an instant."""
        query = Query(since=moment, until=moment)
        assert (query.since, query.until) == (NEW_YEAR, NEW_YEAR)

    def test_the_start_of_time_is_a_condition(self) -> None:
        """A bound of 1970, which is 0, is no missing bound."""
        assert Query(since=0, until=0).conditions() == [("since", 0), ("until", 0)]

    def test_an_empty_project_is_a_condition(self) -> None:
        """Events without a project can be asked for."""
        assert Query(project="").conditions() == [("project", ("",))]

    def test_the_payload_is_a_snapshot(self) -> None:
        """What the caller does to its dictionary afterwards changes nothing."""
        wanted = {"n": 1}
        query = Query(payload=wanted)
        wanted["m"] = 2
        assert query.payload == {"n": 1}

    def test_an_exclusion_of_nothing_is_none(self) -> None:
        """A filter without conditions excludes nothing."""
        assert Query(exclude=Filter()).exclude is None


class TestRefuses:
    """What makes no sense is told, with the argument at fault."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"types": 5}, "types 5 must be a string, or several"),
            ({"types": [5]}, "types 5 must be a string"),
            ({"types": b"job"}, "types 106 must be a string"),
            ({"types": "a*b"}, "types 'a*b': a * may stand at the end only"),
            ({"types": ["ok.*", "**"]}, "types '**': a * may stand at the end only"),
            ({"ids": [None]}, "ids None must be a string"),
            ({"project": {"a": 1}.items()}, "project ('a', 1) must be a string"),
            ({"status": "\ud800"}, r"status '\ud800' must not contain lone surrogates"),
            ({"aggregate_id": 5}, "aggregate_id 5 must be a string"),
            ({"aggregate_type": ["a"]}, "aggregate_type ['a'] must be a string"),
            ({"correlation_id": b"w"}, "correlation_id b'w' must be a string"),
            ({"causation_id": "\udcff"}, r"causation_id '\udcff' must not contain lone surrogates"),
            ({"user_id": 0}, "user_id 0 must be a string"),
            ({"contains": 5}, "contains 5 must be a string"),
            ({"contains": "\ud800"}, r"contains '\ud800' must not contain lone surrogates"),
            ({"since": "yesterday"}, "since 'yesterday' must be a moment such as 2026-01-01T12"),
            ({"since": ""}, "since '' must be a moment"),
            ({"until": 1.5}, "until 1.5 must be a moment"),
            ({"until": True}, "until True must be a moment"),
            ({"until": date(2026, 1, 1)}, "until datetime.date(2026, 1, 1) must be a moment"),
            ({"since": 2**63}, "since 9223372036854775808 must be a moment"),
            ({"until": -(2**63) - 1}, "until -9223372036854775809 must be a moment"),
            ({"since": "0001-01-01T00:00:00"}, "since '0001-01-01T00:00:00' must be a moment"),
            ({"payload": 5}, "payload 5 must be an object"),
            ({"payload": ["a"]}, "payload ['a'] must be an object"),
            ({"payload": {1: 2}}, "payload 1 must be a string"),
            ({"payload": {"a": {1}}}, "payload {'a': {1}} must hold JSON values: JSON has no set"),
            ({"payload": {"a": float("nan")}}, "payload {'a': nan} must hold JSON values"),
            ({"payload": {"a": "\ud800"}}, "must not contain lone surrogates"),
            ({"after": -1}, "after -1 must be a whole number from 0 on"),
            ({"after": None}, "after None must be a whole number"),
            ({"before": 2**63}, "before 9223372036854775808 must be a whole number"),
            ({"limit": "5"}, "limit '5' must be a whole number"),
            ({"limit": 2.0}, "limit 2.0 must be a whole number"),
            ({"limit": True}, "limit True must be a whole number"),
            ({"exclude": "x"}, "exclude 'x' must be a Filter"),
            ({"kind": "agent"}, "got an unexpected keyword argument 'kind'"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        """A bad argument is refused by name."""
        with pytest.raises(InvalidQuery) as refused:
            Query(**arguments)
        assert message in str(refused.value)

    @pytest.mark.parametrize(
        "arguments", [{"types": 5}, {"payload": "ab"}, {"since": []}, {"ids": [[]]}]
    )
    def test_filters_alike(self, arguments: dict[str, Any]) -> None:
        """A filter by itself refuses what a query refuses, with the same error."""
        with pytest.raises(InvalidQuery):
            Filter(**arguments)


class TestShown:
    """Queries are compared and logged by what they say."""

    def test_only_what_is_given(self) -> None:
        """The repr is the call that makes the query."""
        query = Query(
            types="job.*",
            project="",
            payload={"n": 1},
            contains="x",
            after=3,
            before=9,
            limit=0,
            backwards=True,
            exclude=Filter(status="failure"),
        )
        assert eval(repr(query)) == query  # noqa: S307 - our own repr
        assert repr(Query()) == "Query()"
        assert "Filter(status=('failure',))" in repr(query)

    def test_equality(self) -> None:
        """Queries that mean the same are equal; a filter is no query."""
        assert Query(types="a", limit=3) == Query(types=["a", "a"], limit=3)
        assert hash(Query(types="a")) == hash(Query(types=["a"]))
        assert Query(types="a") != Query(types="b")
        assert Query(after=1) != Query(after=2)
        assert Query(payload={"a": 1}) != Query(payload={"a": True})
        assert Query() != Filter()
        assert Query() != "Query()"

    def test_replaced(self) -> None:
        """A changed copy keeps the rest, and can take conditions back."""
        excluded = Filter(types="tidings.*")
        query = Query(types="job.*", since=0, after=3, limit=5, backwards=True, exclude=excluded)
        assert query.replace() == query
        assert query.replace(after=9, types=None) == Query(
            since=0, after=9, limit=5, backwards=True, exclude=excluded
        )
        assert query.replace(exclude=None, backwards=False).exclude is None
        assert query.after == 3
        with pytest.raises(InvalidQuery):
            query.replace(afer=9)


class TestMatches:
    """Which events a query means."""

    @pytest.mark.parametrize(
        ("conditions", "holds"),
        [
            ({}, True),
            ({"ids": ["e0", "e1"]}, True),
            ({"ids": "e0"}, False),
            ({"types": "job.done"}, True),
            ({"types": "job.*"}, True),
            ({"types": ["x", "*"]}, True),
            ({"types": "job.d"}, False),
            ({"types": "JOB.*"}, False),
            ({"project": ["a", "figrecipe"]}, True),
            ({"project": "fig"}, False),
            ({"status": ""}, False),
            ({"source": "hpc"}, True),
            ({"aggregate_type": "run", "aggregate_id": "r1"}, True),
            ({"aggregate_id": "r2"}, False),
            ({"aggregate_id": ""}, False),
            ({"correlation_id": "w1"}, True),
            ({"causation_id": "w1"}, False),
            ({"user_id": "ada"}, True),
            ({"since": NEW_YEAR}, True),
            ({"since": NEW_YEAR + 1}, False),
            ({"until": NEW_YEAR}, False),
            ({"until": NEW_YEAR + 1}, True),
            ({"payload": {"n": 1}}, True),
            ({"payload": {"n": 1, "yes": True}}, True),
            ({"payload": {"n": 1, "yes": False}}, False),
            ({"payload": {"n": 1.0}}, False),
            ({"payload": {"n": True}}, False),
            ({"payload": {"n": "1"}}, False),
            ({"payload": {"m": None}}, False),
            ({"payload": {"a": [1, None]}}, False),  # a key further down is no key of the payload
            ({"payload": {"deep": {"a": [1, None]}}}, True),
            ({"contains": "über"}, False),  # only A–Z and a–z are alike
            ({"contains": "Über"}, True),
            ({"contains": "'X'"}, True),
            ({"contains": '"n":1'}, False),  # the quotes of JSON are not the text's
            ({"contains": "deep"}, True),
            ({"types": "job.*", "project": "other"}, False),
        ],
    )
    def test_conditions(self, conditions: dict[str, Any], holds: bool) -> None:
        """All conditions together decide."""
        assert Filter(**conditions).matches(EVENT) is holds
        assert Query(**conditions).matches(EVENT) is holds

    def test_the_window_is_no_condition(self) -> None:
        """Positions and limits say where to look, not what is wanted."""
        assert Query(after=99, before=1, limit=0).matches(EVENT)

    @pytest.mark.parametrize(
        ("excluded", "wanted"),
        [
            (Filter(types="tidings.*"), True),
            (Filter(types="job.*"), False),
            (Filter(types="tidings.*", project="figrecipe"), False),  # any one is enough
            (Filter(payload={"n": 2, "yes": False}), True),
        ],
    )
    def test_exclusion(self, excluded: Filter, wanted: bool) -> None:
        """One condition of the exclusion that holds drops the event."""
        assert Query(types="job.*", exclude=excluded).matches(EVENT) is wanted

    @pytest.mark.parametrize("payload", [None, 5, "n", ["n"], {}])
    def test_payloads_that_are_no_objects(self, payload: Any) -> None:
        """A key is found in objects only, and text in any payload."""
        event = Event("x", payload=payload)
        assert not Filter(payload={"n": 1}).matches(event)
        assert Filter(contains="n").matches(event) is (payload in (None, "n", ["n"]))

    def test_a_redacted_payload_holds_nothing(self) -> None:
        """What was redacted is not found any more."""
        event = Event.from_dict({**EVENT.to_dict(), "redacted": True})
        assert not Filter(payload={"n": 1}).matches(event)
        assert not Filter(contains="Über").matches(event)

    @given(text=st.text(st.characters(codec="utf-8"), min_size=1))
    def test_any_text_is_found_in_itself(self, text: str) -> None:
        """Text with quotes, controls or any script is found as it was said."""
        assert Filter(contains=text).matches(Event("x", payload={"a": ["before" + text + "after"]}))


@pytest.mark.parametrize(
    ("pattern", "event_type", "fits"),
    [
        ("job.*", "job.", True),
        ("job.*", "job.a.b", True),
        ("job.*", "job", False),
        ("job*", "job", True),
        ("*", "", True),
        ("job", "job.x", False),
        ("j?b", "job", False),
        ("j_b*", "job", False),
        ("[a-z]*", "job", False),
    ],
)
def test_patterns(pattern: str, event_type: str, fits: bool) -> None:
    """A star at the end stands for anything, and no other character is special."""
    assert matches_type(pattern, event_type) is fits


@given(text=st.text())
def test_folding_changes_a_to_z_only(text: str) -> None:
    """Letters of other alphabets stay as they are, and the length with them."""
    table = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
    assert fold(text) == text.translate(table)
