"""Every look-up of a large log goes by the index it was made for, whatever PostgreSQL believes.

What is held here is how many rows are looked at: a time would tell less on a busy machine.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.postgres import PostgresServer, running_postgres
from tests.postgres.plans import Work, work_of
from tidings.event import Event
from tidings.ids import id_of_key
from tidings.store.base import CORRELATION
from tidings.store.postgres import PostgresStore
from tidings.store.query import Filter, Query
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EVENTS = 20_000
_ANALYZED = 300
_PAGE = 20
_WINDOW = 8192
"""The most events that a statement may look at where an index alone does not do."""


@pytest.fixture(scope="module", params=["never", "early", "now", "early on 16"])
def large(request: pytest.FixtureRequest, postgres: PostgresServer) -> Iterator[PostgresStore]:
    """A log whose older half is of one type only, with no statistics, old ones, or today's.

    PostgreSQL 16 weighs what it is told to avoid in another way than 18.
    """
    analyzed, _, version = request.param.partition(" on ")
    with ExitStack() as opened:
        if version:
            settings = {"autovacuum": "off"}
            postgres = opened.enter_context(
                running_postgres(version=int(version), settings=settings)
            )
        schema = f"planned_{analyzed}"
        url = postgres.url(schema=schema)
        store = opened.enter_context(PostgresStore.from_url(url, deadline=PATIENCE))
        opened.callback(postgres.execute, f"DROP SCHEMA {schema} CASCADE")
        _append(store, 1, _ANALYZED)
        if analyzed == "early":
            postgres.execute(f"ANALYZE {schema}.events, {schema}.summaries")
        for first in range(_ANALYZED + 1, _EVENTS, 2000):
            _append(store, first, min(first + 1999, _EVENTS))
        if analyzed == "now":
            postgres.execute(f"ANALYZE {schema}.events, {schema}.summaries")
        yield store


def test_the_log_is_sound(large: PostgresStore) -> None:
    """What is looked up below is in order, on each version of the server."""
    assert (large.head(), large.check()) == (_EVENTS, [])


def _append(store: PostgresStore, first: int, last: int) -> None:
    store.append([_event(number) for number in range(first, last + 1)])


def _event(number: int) -> Event:
    old = number <= _EVENTS // 2
    return Event(
        "once" if old else "rare" if number % 2500 == 0 else f"job.{number % 3}",
        "past" if old else "p",
        "failure" if number in (5, 6) else "success",
        id=f"build-{number}" if number % 100 == 0 else id_of_key(number.to_bytes(16, "big")),
        payload={"n": number},
        timestamp=f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        aggregate_type="workflow" if old else "agent",
        aggregate_id=f"a{number % 50 if old else number // 100}",
        correlation_id=f"w{number // 400}",
        causation_id="cause" if number == 7 else None,
    )


def _read(**query: Any) -> Callable[[PostgresStore], object]:
    return lambda store: list(store.read(Query(**query)))


def _newest(**query: Any) -> Callable[[PostgresStore], object]:
    return _read(limit=_PAGE, backwards=True, **query)


def _summaries(kind: str, **query: Any) -> Callable[[PostgresStore], object]:
    return lambda store: store.summaries(kind, Query(**{"limit": _PAGE, **query}))


_BY_INDEX: dict[str, tuple[Callable[[PostgresStore], object], str]] = {
    "latest": (lambda store: store.latest(), "events_pkey"),
    "latest of a frequent type": (lambda store: store.latest("job.1"), "events_pkey"),
    "latest of a type long gone": (lambda store: store.latest("once"), "events_pkey"),
    "the types": (lambda store: store.types(), "events_pkey"),
    "the newest": (_newest(), "events_pkey"),
    "the oldest": (_read(limit=_PAGE), "events_pkey"),
    "a page in the middle": (_read(limit=_PAGE, after=_EVENTS // 2), "events_pkey"),
    "a type long gone": (_newest(types="once"), "events_by_type"),
    "a rare type": (_newest(types="rare"), "events_by_type"),
    "a type to come": (_read(types="rare", limit=2), "events_by_type"),
    "several types": (_newest(types=["job.*", "rare"]), "events_by_type"),
    "a project long gone": (_newest(project="past"), "events_by_project"),
    "a project to come": (_read(project="p", limit=_PAGE), "events_by_project"),
    "failures": (_newest(status="failure"), "events_by_failure"),
    "an agent": (_newest(aggregate_type="agent", aggregate_id="a150"), "events_by_aggregate_id"),
    "a kind long gone": (_newest(aggregate_type="workflow"), "events_by_aggregate_type"),
    "a correlation": (_newest(correlation_id="w3"), "events_by_correlation"),
    "what one event caused": (_newest(causation_id="cause"), "events_by_causation"),
    "an id that is a UUID": (_newest(ids=[id_of_key((9).to_bytes(16, "big"))]), "events_by_key"),
    "an id that is none": (_newest(ids="build-300"), "events_by_foreign_id"),
    "aggregates of a kind": (_summaries("agent"), "summaries_by_start"),
    "the newest aggregates": (_summaries("agent", backwards=True), "summaries_by_start"),
    "the newest correlations": (_summaries(CORRELATION, backwards=True), "summaries_by_start"),
    "one aggregate": (_summaries("agent", aggregate_id="a150"), "summaries_pkey"),
    "members of a workflow": (
        _summaries("agent", correlation_id="w30"),
        "summaries_by_correlation",
    ),
    "what is left of what was pruned": (lambda store: store.remains(), "summaries_pkey"),
}


@pytest.mark.parametrize("name", _BY_INDEX)
def test_a_look_up_looks_at_no_more_than_it_gives(
    large: PostgresStore, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page costs as many rows as it has, of one index, and nothing else is read or sorted."""
    call, index = _BY_INDEX[name]
    works = work_of(large, call, monkeypatch)
    merged = 4 if name == "several types" else 1
    bound = len(large.types()) if name == "the types" else merged * _PAGE
    if name == "what is left of what was pruned":
        bound = 1000
    assert any(f" on {index}" in kind for work in works for kind in work.kinds), works
    for work in works:
        assert work.looked_at <= bound, work
        assert work.sorted <= bound, work
        _ensure_by_index(work)


_WINDOWED: dict[str, Callable[[PostgresStore], object]] = {
    "a type of a project": _read(types="once", project="p"),
    "many conditions": _read(types="job.*", status="success", source="nowhere"),
    "no type that is there": _read(types="never"),
    "a key of the payload": _newest(payload={"n": 3}),
    "a key of the payload of a type": _newest(types="once", payload={"n": 3}),
    "a search": _newest(contains="nothing like it"),
    "a user's": _newest(user_id="nobody"),
    "successes": _newest(status="success", exclude=Filter(types="job.*")),
    "from a time on": _newest(since="2026-01-01T05:00:00Z"),
    "until a time": _read(until="2026-01-01T00:02:00Z"),
    "a type until a time": _newest(types="once", until="2026-01-01T00:01:00Z"),
    "everything but": _read(exclude=Filter(project="past"), limit=_PAGE),
}


@pytest.mark.parametrize("name", _WINDOWED)
def test_what_no_index_answers_is_looked_at_in_windows(
    large: PostgresStore, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement looks at more than a window of events, however few of them match."""
    for work in work_of(large, _WINDOWED[name], monkeypatch):
        of_time = "instant" in work.statement and "count(*)" in work.statement
        assert work.looked_at <= (_EVENTS if of_time else 2 * _WINDOW), work
        assert work.sorted <= _WINDOW, work
        _ensure_by_index(work)


def test_counts_and_charts_go_by_an_index(
    large: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is counted is looked at once; a count of all, or of types, looks at no event."""
    for query in (Query(), Query(types="job.*")):
        assert all(work.looked_at == 0 for work in work_of(large, _count(query), monkeypatch))
    asked: list[dict[str, Any]] = [
        {"project": "p"},
        {"types": ["once", "rare"], "after": 5},
        {"since": "2026-01-01T05:00:00Z"},
        {"correlation_id": "w3"},
    ]
    for query in (Query(**conditions) for conditions in asked):
        found = large.count(query)
        assert (found.value, found.exact) == (len(list(large.read(query))), True)
        for call in (_count(query), _chart(query)):
            for work in work_of(large, call, monkeypatch):
                assert work.looked_at <= found.value, work
                assert work.sorted == 0, work
                _ensure_by_index(work)


def _count(query: Query) -> Callable[[PostgresStore], object]:
    return lambda store: store.count(query)


def _chart(query: Query) -> Callable[[PostgresStore], object]:
    return lambda store: store.histogram(query, 3_600_000_000)


def _ensure_by_index(work: Work) -> None:
    for kinds in (work.kinds, work.generic):
        assert not [kind for kind in kinds if kind.endswith(" on the table")], work
