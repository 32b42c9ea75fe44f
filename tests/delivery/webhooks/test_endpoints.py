"""Endpoints in the ledger: what may be one, and what becomes of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.webhooks.delivering import DAY, MovableClock
from tidings.delivery.webhooks.attempts import KEPT, AttemptLog, Attempts, Listed, list_test
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.delivery.webhooks.shard import FIRST, load, write
from tidings.errors import InvalidQuery, InvalidSetting, LeaseLost, NotFound
from tidings.event import Event
from tidings.store.memory import MemoryStore
from tidings.store.query import Filter, Query
from tidings.subscriptions.leases import Leases
from tidings.subscriptions.progress import Attempt
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "https://example.org/hook"


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """An empty store."""
    with MemoryStore() as store:
        yield store


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"url": "ftp://203.0.113.7/"}, InvalidSetting),
        ({"url": "http://127.0.0.1/"}, InvalidSetting),
        ({"filters": {"type": "job"}}, InvalidQuery),
        ({"filters": {"limit": 3}}, InvalidQuery),
        ({"filters": {"types": 7}}, InvalidQuery),
        ({"filters": {"exclude": {"before": 3}}}, InvalidQuery),
        ({"filters": {"payload": {"x": object()}}}, InvalidQuery),
        ({"body": "xml"}, InvalidSetting),
        ({"headers": {"host": "x"}}, InvalidSetting),
        ({"concurrency": 0}, InvalidSetting),
        ({"concurrency": True}, InvalidSetting),
        ({"description": "x" * 1001}, InvalidSetting),
        ({"allow_private": "yes"}, InvalidSetting),
        ({"secret": "whsec_short"}, InvalidSetting),
        ({"start": "yesterday"}, InvalidSetting),
        ({"start": -1}, InvalidSetting),
    ],
)
def test_what_makes_no_sense_is_refused(
    store: MemoryStore, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """A bad argument gets its error and leaves no record."""
    with pytest.raises(error):
        Endpoints(store).create(**{"url": URL, **arguments})
    assert store.keys("") == []


def test_an_endpoint_asks_for_what_it_was_given(store: MemoryStore) -> None:
    """Filters come back as the query that was meant, without our own types."""
    filters = {"types": ["job.*"], "payload": {"n": 1}, "exclude": {"status": "failure"}}
    endpoint, _ = Endpoints(store).create(URL, filters)
    kept = Endpoints(store).get(endpoint.id)
    assert kept == endpoint
    assert kept.query() == Query(
        types="job.*", payload={"n": 1}, exclude=Filter(status="failure", types="tidings.*")
    )


def test_a_rotated_secret_signs_on_for_a_while(store: MemoryStore) -> None:
    """The old secret is kept until its time is over; a longer wait does not lengthen an older."""
    clock = MovableClock()
    endpoints = Endpoints(store, clock)
    endpoint, first = endpoints.create(URL)
    _, second = endpoints.rotate(endpoint.id)
    kept, third = endpoints.rotate(endpoint.id, keep=7 * DAY)
    assert [secret.text for secret in kept.secrets] == [third, second, first]
    until = [secret.until for secret in kept.secrets]
    assert until[0] is None
    assert [round((each - clock.now()) / 1e6 / DAY) for each in until[1:] if each] == [7, 1]
    clock.move(2 * DAY)
    kept, fourth = endpoints.rotate(endpoint.id, keep=0)
    assert [secret.text for secret in kept.secrets] == [fourth, third, second]


def test_no_endpoint_of_that_name(store: MemoryStore) -> None:
    """Whatever is asked of an endpoint that is not there, the error says so."""
    endpoints = Endpoints(store)
    for call in (
        endpoints.get, endpoints.state, endpoints.change, endpoints.rotate, endpoints.pause,
        endpoints.resume, endpoints.delete,
    ):  # fmt: skip
        with pytest.raises(NotFound, match="wh_none"):
            call("wh_none")


def test_a_change_leaves_the_rest_as_it_is(store: MemoryStore) -> None:
    """A change is checked like a new endpoint, and touches nothing else."""
    endpoints = Endpoints(store)
    endpoint, _ = endpoints.create(URL, headers={"X-Key": "k"})
    changed = endpoints.change(endpoint.id, concurrency=9, filters={"project": "x"})
    assert changed == endpoint._replace(concurrency=9, filters={"project": "x"})
    for bad in ({"url": "http://localhost/"}, {"id": "x"}, {"secrets": ()}, {"concurrency": 0}):
        with pytest.raises(InvalidSetting):
            endpoints.change(endpoint.id, **bad)
    assert endpoints.get(endpoint.id) == changed


def test_attempts_are_kept_up_to_a_thousand(store: MemoryStore) -> None:
    """The newest thousand attempts of an endpoint are listed, across processes that wrote them."""
    for start in range(0, KEPT + 500, 150):
        log = AttemptLog(store)
        log.learn(["wh_1"])
        listed = [
            Listed(Attempt(n, 0.1, "", 200), f"e{n}", n, "job", "delivery")
            for n in range(start, start + 150)
        ]
        puts = log.puts("wh_1", listed)
        store.append([], put=puts)
        log.written(puts)
    for n in range(30):
        list_test(store, "wh_1", Listed(Attempt(n, 0.1, "no", None), "t", 0, "x", "test"))
    found = [each.position for each in Attempts(store).of("wh_1", limit=5000) if each.position]
    assert found == list(range(KEPT + 499, KEPT + 499 - len(found), -1))
    assert KEPT - 50 < len(found) <= KEPT
    assert len(Attempts(store).of("wh_1", failed=True)) == 20
    assert [each.position for each in Attempts(store).of("wh_1", limit=1, before=1400)] == [1399]


async def _snapshot(store: MemoryStore, leases: Leases) -> None:
    """Write what one process holds of a shard, after another one took it over."""
    lease = leases.held("webhook-shard/0")
    assert lease is not None
    shard = load(store, 0, lease)
    other = Leases(store, patience=PATIENCE)
    other.offer("webhook-shard/0", FIRST)
    record = store.get("webhook-shard/0")
    assert record is not None
    store.put("webhook-shard/0", {**record.value, "owner": other.worker})
    before = {key: store.get(key) for key in store.keys("webhook")}
    for channel in shard.channels.values():
        listed = Listed(Attempt(1, 0.1, "", 200), "e", 1, "job", "delivery")
        channel.attempts.append(listed)
        channel.read = 7
        channel.dirty = True
    snapshot = shard.snapshot(9, 9, all=True)
    assert snapshot is not None
    with pytest.raises(LeaseLost):
        write(store, snapshot, AttemptLog(store))
    assert {key: store.get(key) for key in store.keys("webhook")} == before


def test_a_process_that_lost_a_shard_writes_nothing(store: MemoryStore) -> None:
    """What a paused process still wants to write about endpoints is refused, all of it."""
    import asyncio

    from tidings.delivery.webhooks.keys import shard_of

    store.append([Event("job")])
    while not any(shard_of(each.id) == 0 for each in Endpoints(store).list()):
        Endpoints(store).create(URL, start=0)
    leases = Leases(store, patience=PATIENCE)
    leases.offer("webhook-shard/0", FIRST)
    leases.turn()
    asyncio.run(_snapshot(store, leases))
    leases.close()
