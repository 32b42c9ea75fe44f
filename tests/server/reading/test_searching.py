"""A search that is out of time: it says where it stopped, and nothing is missed by going on."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from tidings.event import Event
from tidings.searching import search
from tidings.server.routes.listing import _merged
from tidings.store import open_store
from tidings.store.base import Store
from tidings.store.query import Query

OUT_OF_TIME = 0.0
"""A moment that has passed."""


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with 3,000 events, every hundredth of which has a project."""
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('store')}/events.db") as opened:
        kinds = ("agent", "workflow")
        opened.append(
            [
                Event("x", source="" if n % 100 else "rare", aggregate_type=kinds[n % 2],
                      aggregate_id="a")
                for n in range(3000)
            ]
        )  # fmt: skip
        yield opened


@pytest.mark.parametrize("backwards", [True, False])
@pytest.mark.parametrize("queries", [[{}], [{"aggregate_type": "agent"}, {"status": "success",
                                     "aggregate_type": "workflow"}]])  # fmt: skip
def test_going_on_finds_each_once(
    store: Store, queries: list[dict[str, Any]], *, backwards: bool
) -> None:
    """However often a search is cut short, the cuts together give what one search gives."""
    found: list[Event] = []
    asked = [Query(source="rare", backwards=backwards, **each) for each in queries]
    searches = 0
    while True:
        searched = [search(store, query, 5, OUT_OF_TIME) for query in asked]
        events, stopped = _merged(searched, backwards=backwards)
        searches += 1
        found += events[:4]
        if len(events) > 4:
            stopped = events[3].position
        if stopped is None:
            break
        bound = {"before": stopped} if backwards else {"after": stopped}
        asked = [query.replace(**bound) for query in asked]
    wanted = list(store.read(Query(source="rare", backwards=backwards)))
    assert [event.position for event in found] == [event.position for event in wanted]
    assert searches > 8


def test_a_search_with_time_looks_at_all(store: Store) -> None:
    """Where there is time, nothing is left to look at."""
    events, stopped = search(store, Query(source="nobody"), 5, monotonic() + 60)
    assert (events, stopped) == ([], None)


def test_large_events_end_a_page_early(store: Store) -> None:
    """A page holds about 16 MiB, however many were asked for; going on gives the rest."""
    store.append([Event("large", payload="x" * 1_000_000) for _ in range(40)])
    query = Query(types="large", backwards=True)
    found, stopped = search(store, query, 1000, monotonic() + 60)
    assert len(found) == 17
    assert stopped == found[-1].position
    rest, _ = search(store, query.replace(before=stopped), 1000, monotonic() + 60)
    assert rest[0].position == (stopped or 0) - 1
