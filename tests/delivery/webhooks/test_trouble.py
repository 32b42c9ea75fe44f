"""Webhooks where something goes wrong at a bad moment: nothing is lost or stands still."""

from __future__ import annotations

from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.webhooks.delivering import Delivering, endpoint_for, eventually, job, numbers
from tests.delivery.webhooks.receivers import GONE, OK, Receiver, answer
from tidings.delivery.webhooks.asking import Replays
from tidings.delivery.webhooks.attempts import AttemptLog, Attempts
from tidings.delivery.webhooks.channel import Channel
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.delivery.webhooks.engine import Webhooks
from tidings.delivery.webhooks.feed import Ring
from tidings.delivery.webhooks.keys import SHARDS, STANDING, shard_key
from tidings.delivery.webhooks.reading import read_on
from tidings.delivery.webhooks.shard import FIRST, Snapshot, write
from tidings.delivery.webhooks.standing import Standing
from tidings.errors import StoreUnavailable
from tidings.event import Event
from tidings.store.base import Batch
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.subscriptions.dead_letters import DeadLetter
from tidings.subscriptions.leases import Leases
from tidings.subscriptions.progress import Progress
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

SICK = answer(500)
NOW = 1_800_000_000_000_000
FAR_TOO_LONG = 3600.0


class Failing(MemoryStore):
    """A store that refuses writes to some records, after so many more of them."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: tuple[str, ...] = ()
        self.left = 0
        self.refusals = 0

    def append_all(self, batches: Any) -> Any:
        """See `Store.append_all`."""
        batches = list(batches)
        keys = [put.key for batch in batches for put in Batch(*batch).put]
        if self.refused and any(key.startswith(self.refused) for key in keys):
            self.left -= 1
            if self.left < 0:
                self.refusals += 1
                raise StoreUnavailable("it is away")
        return super().append_all(batches)


@pytest.fixture
def store() -> Iterator[Failing]:
    """An empty store."""
    with Failing() as store:
        yield store


def heavy(number: int, characters: int) -> Event:
    """An event with a payload of such a length."""
    return Event("job.done", payload={"n": number, "about": None, "text": "x" * characters})


def channel_for(store: Failing, read: int) -> Channel:
    """An endpoint that was sent everything up to a position, and lags."""
    endpoint = endpoint_for(store, "http://127.0.0.1:9/hook")
    return Channel(endpoint, Standing(Progress(read), lagging=True), 0)


def test_what_was_asked_for_is_done_though_the_lease_was_lost_before_it_was_written(
    store: Failing,
) -> None:
    """A replay that a process began and could not write begins anew once it has the lease again."""
    with Receiver() as receiver, Delivering(store) as delivering:
        endpoint = endpoint_for(store, receiver.url)
        store.append([job(1)])
        receiver.wait()
        eventually(lambda: not Endpoints(store).state(endpoint.id).lag)
        store.refused = ("webhook-shard/",)
        Replays(store).since(endpoint.id, after=0)
        receiver.wait(2)
        eventually(lambda: store.refusals)
        for key in delivering.leases.all_held():
            lease = delivering.leases.held(key)
            assert lease is not None
            lease.forget()
        store.refused = ()
        delivering.leases.hurry()
        assert numbers(receiver.wait(3)) == [1, 1, 1]
        eventually(lambda: not store.keys("webhook-ask/"))


def test_a_shard_that_another_is_to_serve_is_given_up_before_it_was_loaded(store: Failing) -> None:
    """A lease that is wanted elsewhere as soon as it was taken does not stay here unserved."""
    leases = Leases(store, patience=PATIENCE)
    for number in range(SHARDS):
        leases.offer(shard_key(number), dict(FIRST))
    leases.turn()
    held = [lease for key in leases.all_held() if (lease := leases.held(key)) is not None]
    assert len(held) == SHARDS
    for lease in held:
        lease.wanted = True
    with Webhooks(store, leases):
        eventually(lambda: not leases.all_held())
    leases.close()


def test_what_was_written_before_sending_began_is_sent_all_the_same(
    store: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that is known to lag, and rests, is looked at once the store has told all."""
    with Receiver() as receiver:
        endpoint = endpoint_for(store, receiver.url)
        with Delivering(store):
            store.append([job(0)])
            receiver.wait()
        store.append([job(n) for n in range(1, 6)])
        keys, written, standing = store.keys, Flag(), STANDING + endpoint.id

        def slow(prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
            if prefix.startswith("webhook-ask/"):
                written.wait(PATIENCE)
            return keys(prefix, after, limit)

        monkeypatch.setattr(store, "keys", slow)
        with Delivering(store):
            eventually(lambda: (kept := store.get(standing)) and kept.value["lagging"])
            written.set()
            receiver.wait(6)
        assert sorted(numbers(receiver.got)) == list(range(6))


def test_a_lane_ends_when_its_endpoint_no_longer_wants_its_aggregate(store: Failing) -> None:
    """However much of it was passed over: what waited is sent, and nothing more is looked for."""
    with Receiver(SICK) as receiver, Delivering(store) as delivering:
        endpoint = endpoint_for(store, receiver.url, {"aggregate_type": "thing"})
        store.append([job(n, about="a") for n in range(80)])
        receiver.wait()
        eventually(lambda: Endpoints(store).state(endpoint.id).waiting)
        eventually(lambda: not Endpoints(store).state(endpoint.id).lag)
        Endpoints(store).change(endpoint.id, filters={"aggregate_type": "other"})

        def is_heard() -> bool:
            store.append([Event("job.done", payload={}, aggregate_type="other", aggregate_id="b")])
            return len(receiver.got) > 1

        eventually(is_heard)
        # What failed after the clock was moved would be tried again after its next move.
        eventually(lambda: len(Attempts(store).of(endpoint.id)) > 1)
        receiver.answer = OK
        delivering.later(FAR_TOO_LONG)
        eventually(lambda: not Endpoints(store).state(endpoint.id).waiting)


def test_no_dead_letter_is_lost_between_two_writes(store: Failing) -> None:
    """What no longer waits is a dead letter by then, also where they are written one by one."""
    leases = Leases(store, patience=PATIENCE)
    leases.offer("webhook-shard/0", dict(FIRST))
    leases.turn()
    lease = leases.held("webhook-shard/0")
    assert lease is not None
    (event,) = store.append([job(1)])
    letter = DeadLetter.about(event, "webhook:wh_1", "event:1", (), NOW, held=False)
    # Each takes most of what is written at once.
    standings = {f"wh_{n}": {"position": 1, "text": "x" * 200_000} for n in (1, 2)}
    store.refused, store.left = ("webhook-shard/",), 2
    with pytest.raises(StoreUnavailable):
        write(store, Snapshot(lease, 1, standings, {}, [letter], [], {}), AttemptLog(store))
    assert store.keys(f"{STANDING}wh_") == [f"{STANDING}wh_1"]
    assert store.get(letter.key) is not None
    leases.close()


def test_it_ends_though_the_store_is_away(store: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is left to who delivers next; nobody waits for the store for ever."""
    monkeypatch.setattr("tidings.delivery.webhooks.serving._LAST_SECONDS", 0.1)
    with Receiver() as receiver, Delivering(store) as delivering:
        endpoint_for(store, receiver.url)
        store.append([job(1)])
        receiver.wait()
        store.refused = ("webhook",)
        receiver.answer = GONE
        store.append([job(2)])
        receiver.wait(2)
        eventually(lambda: store.refusals)
        ending = Thread(target=delivering.engine.close, daemon=True)
        ending.start()
        ending.join(PATIENCE)
        assert not ending.is_alive()
        store.refused = ()


def test_what_is_left_out_stays_so_whatever_becomes_of_what_is_under_way(store: Failing) -> None:
    """An attempt that ends without an answer does not lead back to what a person left out."""
    channel = channel_for(store, 0)
    channel.take(store.append([job(n) for n in range(5)]), 5)
    job_under_way = channel.next_job(NOW)
    assert job_under_way is not None
    channel.skip_to(5, 5)
    channel.abandon(job_under_way)
    assert (channel.read, channel.settled(5), channel.next_job(NOW)) == (5, 5, None)
    channel.abandon(job_under_way)  # said again, which is harmless
    assert channel.under_way == 0


def test_memory_is_bounded_however_long_events_are(store: Failing) -> None:
    """The ring, a reading for an endpoint, and what is queued for it hold few long events."""
    long = store.append([heavy(n, 500_000) for n in range(40)])
    ring = Ring()
    ring.append(long, 40)
    assert ring.end == 40
    assert len(ring.after(ring.start)) == 40 - ring.start
    assert 20 <= len(ring.after(ring.start)) <= 33
    assert [event.position for event in read_on(store, Query(), 0, 41, 100).events] == [1, 2, 3]
    channel = channel_for(store, 0)
    channel.take([], None)
    assert [channel.offer(event) for event in long[:3]] == [True, False, False]
    assert channel.read == 1
