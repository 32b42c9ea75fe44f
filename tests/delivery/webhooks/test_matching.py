"""Finding who wants an event agrees with asking each of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidings.delivery.webhooks.matching import Matching
from tidings.event import Event
from tidings.store.query import Filter, Query

_TYPES = ["job", "job.done", "job.failed", "run", ""]
_PATTERNS = [*_TYPES[:4], "job.*", "j*", "*"]
_PROJECTS = ["", "a", "b"]

_some = st.fixed_dictionaries(
    {},
    optional={
        "types": st.lists(st.sampled_from(_PATTERNS), min_size=1, max_size=3),
        "project": st.lists(st.sampled_from(_PROJECTS), min_size=1, max_size=2),
        "status": st.sampled_from(["success", "failure"]),
        "exclude": st.builds(Filter, types=st.sampled_from(_PATTERNS)),
    },
)


@given(
    wanted=st.lists(st.tuples(st.integers(0, 5), st.none() | _some), max_size=12),
    events=st.lists(
        st.builds(
            Event,
            st.sampled_from(_TYPES[:4]),
            st.sampled_from(_PROJECTS),
            st.sampled_from(["success", "failure"]),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_matching_agrees_with_the_queries(
    wanted: list[tuple[int, dict[str, Any] | None]], events: list[Event]
) -> None:
    """After endpoints came, changed and went, an event finds just those whose query matches it."""
    matching = Matching()
    queries: dict[str, Query] = {}
    for number, filters in wanted:
        id = f"wh_{number}"
        if filters is None:
            matching.remove(id)
            queries.pop(id, None)
        else:
            queries[id] = Query(**filters)
            matching.add(id, queries[id])
    for event in events:
        found = list(matching.wanting(event))
        assert sorted(found) == sorted(id for id, query in queries.items() if query.matches(event))
    for id in list(queries):
        matching.remove(id)
    assert not list(matching.wanting(events[0]))
