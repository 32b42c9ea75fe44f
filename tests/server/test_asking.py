"""Query parameters: what they ask for, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidQuery
from tidings.server.asking import FILTERS, query_of
from tidings.store.query import Filter, Query


@pytest.mark.parametrize(
    ("params", "arguments"),
    [
        ([("type", "job.*"), ("type", "x")], {"types": ["job.*", "x"]}),
        ([("event_type", "job_done")], {"types": "job_done"}),
        ([("event_type", "AgentEvent")], {"aggregate_type": "agent"}),
        ([("aggregate_type", "workflow_aggregate")], {"aggregate_type": "workflow"}),
        ([("aggregate_type", "order")], {"aggregate_type": "order"}),
        ([("aggregate_type", "event_aggregate")], {"aggregate_type": ""}),
        ([("workflow", "w1")], {"correlation_id": "w1"}),
        ([("payload.a", "1"), ("payload.b:", "1")], {"payload": {"a": "1", "b": 1}}),
        ([("not.type", "a"), ("not.project", "p")], {"exclude": Filter(types="a", project="p")}),
        ([("since", "2026-01-01T00:00:00")], {"since": "2026-01-01T00:00:00Z"}),
        ([("since", "2026-01-01T00:00:00 02:00")], {"since": "2026-01-01T00:00:00+02:00"}),
        ([("order", "desc"), ("after", "3"), ("limit", "0")],
         {"backwards": True, "after": 3, "limit": 0}),
        ([("project", "")], {"project": [""]}),
    ],
)  # fmt: skip
def test_parameters_make_a_query(
    params: list[tuple[str, str]], arguments: dict[str, object]
) -> None:
    """Ours and the seed's names mean what they say."""
    assert query_of(params) == Query(**arguments)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("projct", "x"), ("after", "-1"), ("after", "1e3"), ("limit", "٣"), ("order", "up"),
        ("since", "soon"), ("payload.", "x"), ("payload.a:", "{"), ("after", "9" * 40),
        ("type", "a*b"), ("", ""),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(name: str, value: str) -> None:
    """A mistyped filter gives an error, not everything."""
    with pytest.raises(InvalidQuery):
        query_of([(name, value)])


def test_contradictions_are_refused() -> None:
    """One event is about one agent; asking for two would find nothing."""
    with pytest.raises(InvalidQuery, match="contradicts"):
        query_of([("event_type", "AgentEvent"), ("aggregate_type", "workflow_aggregate")])
    with pytest.raises(InvalidQuery, match="contradicts"):
        query_of([("limit", "1"), ("limit", "2")])


def test_parameters_of_the_route_itself_are_left_alone() -> None:
    """A route may have parameters beside the filters."""
    assert query_of([("until", "head"), ("limit", "2")], beside=("until",)) == Query(limit=2)


@given(st.lists(st.tuples(st.sampled_from(FILTERS) | st.text(), st.text()), max_size=5))
def test_no_text_breaks_it(params: list[tuple[str, str]]) -> None:
    """Any parameters give a query or the one error."""
    try:
        assert isinstance(query_of(params), Query)
    except InvalidQuery as error:
        assert str(error)  # noqa: PT017 - either outcome is right
