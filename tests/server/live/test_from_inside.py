"""The live stream seen from inside its event loop: cursors, keys, vanishing and slow clients."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.server.conftest import PATIENCE
from tests.server.live.inside import PATIENT, QUICK, Listener, emit, serving
from tidings.errors import InvalidQuery, StoreUnavailable
from tidings.event import Event
from tidings.server.access import ANYONE, Caller
from tidings.server.live.ring import Ring
from tidings.server.problems import Problem

if TYPE_CHECKING:
    from tidings.server.service import Service
    from tidings.store.base import Store


def test_only_new_events_come_where_no_position_is_named() -> None:
    """The client is told where it stands, so that it misses nothing if it must come back."""

    async def main() -> None:
        async with serving() as service:
            await emit(service, "old", "old")
            listener = Listener(service)
            await listener.heard()
            assert listener.reader.last_id == "2"
            await emit(service, "new")
            assert await listener.numbers(1) == [3]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("query", "headers", "first"),
    [
        ("after=0", {}, 1),
        ("after=2", {}, 3),
        ("last_event_id=1", {}, 2),
        ("last_event_id=2&after=0", {}, 3),
        ("after=0&last_event_id=0", {"last-event-id": "3"}, 4),
        ("after=1", {"last-event-id": ""}, 2),
    ],
)
def test_a_cursor_is_named_in_several_ways(query: str, headers: dict[str, str], first: int) -> None:
    """The header wins over the parameter of its name, and that over `after`."""

    async def main() -> None:
        async with serving() as service:
            await emit(service, *["tick"] * 4)
            assert await Listener(service, query, headers).numbers(1) == [first]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("query", "headers", "named"),
    [
        ("", {"last-event-id": "x"}, "Last-Event-ID 'x'"),
        ("", {"last-event-id": "-1"}, "Last-Event-ID"),
        ("", {"last-event-id": "1" * 30}, "Last-Event-ID"),
        ("last_event_id=", {}, "last_event_id"),
        ("after=1.5", {}, "after"),
        ("event=all", {}, "event 'all'"),
        ("order=desc", {}, "order"),
        ("limit=many", {}, "limit"),
        ("typ=x", {}, "typ"),
        ("until=later", {}, "until"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    query: str, headers: dict[str, str], named: str
) -> None:
    """Before the stream begins, and the slot is free again."""

    async def main() -> None:
        async with serving() as service:
            with pytest.raises(InvalidQuery, match=named):
                await Listener(service, query, headers).end()
            assert service.limits._streams == 0

    asyncio.run(main())


def test_our_own_types_come_only_when_asked_for() -> None:
    """So that nothing that reacts to events feeds on itself."""

    async def main() -> None:
        async with serving() as service:
            await emit(service, "tidings.webhook.disabled", "tick")
            assert await Listener(service, "after=0").numbers(1) == [2]
            assert await Listener(service, "after=0&type=tidings.*").numbers(1) == [1]

    asyncio.run(main())


def test_a_key_bound_to_projects_sees_only_those() -> None:
    """Live as well as from history; another project is refused."""

    async def main() -> None:
        async with serving(PATIENT) as service:
            key = await asyncio.to_thread(service.keys.create, "k", ["read"], ["mine"])
            bound = Caller("k", frozenset({"read"}), frozenset({"mine"}), key[0].id)
            await asyncio.to_thread(service.keys.refresh)
            await emit(service, "a", project="other")
            await emit(service, "b", project="mine")
            listener = Listener(service, "after=0", caller=bound)
            assert await listener.numbers(1) == [2]
            await emit(service, "c", project="other")
            await emit(service, "d", project="mine")
            assert await listener.numbers(1) == [4]
            with pytest.raises(Problem):
                await Listener(service, "project=other", caller=bound).end()

    asyncio.run(main())


def test_a_stream_ends_with_its_key() -> None:
    """Revoking a key ends the streams it opened; making the first ends those without one."""

    async def main() -> None:
        async with serving() as service:
            stranger = Listener(service)
            await stranger.heard()
            key, _ = await asyncio.to_thread(service.keys.create, "k", ["read"])
            await asyncio.to_thread(service.keys.refresh)
            await stranger.end()
            known = Listener(service, caller=Caller("k", frozenset({"read"}), None, key.id))
            while not known.reader.comments:
                await known.heard()  # it has been looked at, and was left alone
            await asyncio.to_thread(service.keys.revoke, key.id)
            await asyncio.to_thread(service.keys.refresh)
            await known.end()
            assert (stranger.ended, known.ended) == (True, True)

    asyncio.run(main())


def test_a_silent_stream_shows_that_it_lives() -> None:
    """A heartbeat where nothing happens; the position where nothing matched."""

    async def main() -> None:
        async with serving() as service:
            quiet, filtered = Listener(service), Listener(service, "type=rare")
            await quiet.heard()
            await filtered.heard()
            while not quiet.reader.comments:
                await quiet.heard()
            assert set(quiet.reader.comments) == {""}
            await emit(service, "common", "common")
            while filtered.reader.last_id != "2":
                await filtered.heard()
            assert filtered._messages.empty()
            # It knows where it stands by the events themselves.
            assert await quiet.numbers(2) == [1, 2]
            heartbeats = len(quiet.reader.comments)
            while len(quiet.reader.comments) == heartbeats:
                await quiet.heard()

    asyncio.run(main())


class CutOff:
    """A store that cannot ask for what it lacks, as a replica that lost the way to its log.

    Attributes:
        restored: set it, and it can.
        asked: how often it was asked to catch up.
    """

    def __init__(self, store: Store) -> None:
        self.restored = threading.Event()
        self.asked = 0
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def catch_up(self) -> int:
        """As the store's, once it is restored."""
        self.asked += 1
        if not self.restored.is_set():
            raise StoreUnavailable("the test cut the line")
        return self._store.catch_up()


def cut_off(service: Service) -> CutOff:
    """Put a store that is cut off before the service's own."""
    cut = CutOff(service.store)
    service.bus.bus.store = cast("Store", cut)
    return cut


def test_a_cursor_ahead_waits_for_a_head_that_lags() -> None:
    """However long a replica is cut off: no gap, signs of life, and then what comes past it."""

    async def main() -> None:
        async with serving() as service:
            store = cut_off(service)
            listener = Listener(service, "after=2")
            while store.asked < 3 or not listener.reader.comments:
                await listener.heard()
            await emit(service, "a", "b", "c")
            assert await listener.numbers(1) == [3]

    asyncio.run(main())


def test_a_cursor_ahead_is_told_of_a_gap_once_that_is_certain() -> None:
    """A position that is not there when the replica has caught up was of another store."""

    async def main() -> None:
        async with serving() as service:
            store = cut_off(service)
            await emit(service, "a")
            listener = Listener(service, "after=17")
            while not listener.reader.comments:
                await listener.heard()
            store.restored.set()
            assert json.loads((await listener.message()).data)["asked"] == 17

    asyncio.run(main())


@pytest.mark.parametrize(("after", "status"), [("1", 200), ("3", 204)])
def test_who_comes_back_for_what_is_there_gets_what_a_replica_lacked(
    after: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a store that has caught up says that nothing is left."""

    async def main() -> None:
        async with serving() as service:
            store = cut_off(service)
            lacked = [Event("b"), Event("c")]
            monkeypatch.setattr(
                store, "catch_up", lambda: service.store.append(lacked)[-1].position
            )
            await emit(service, "a")
            listener = Listener(service, "until=head", {"last-event-id": after})
            await listener.end()
            assert listener.status == status
            assert listener.reader.last_id == ("3" if status == 200 else "")

    asyncio.run(main())


def test_a_cursor_that_stays_ahead_is_told() -> None:
    """Another store, perhaps: the client hears of the gap and goes on from the head."""

    async def main() -> None:
        async with serving() as service:
            await emit(service, "a")
            listener = Listener(service, "after=17")
            gap = await listener.message()
            assert (gap.event, gap.last_id) == ("gap", "1")
            assert json.loads(gap.data) == {"reason": "ahead", "asked": 17, "first": 2}
            await emit(service, "b")
            assert await listener.numbers(1) == [2]

    asyncio.run(main())


def test_a_client_behind_what_was_pruned_is_told() -> None:
    """It hears what it asked for and what is left, and goes on with that."""

    async def main() -> None:
        async with serving() as service:
            await emit(service, *["tick"] * 9)
            await asyncio.to_thread(service.store.prune, 6)
            listener = Listener(service, "after=2")
            gap = await listener.message()
            assert json.loads(gap.data) == {"reason": "pruned", "asked": 2, "first": 7}
            assert await listener.numbers(3) == [7, 8, 9]
            # From 0 means all that is left, so nothing is missing.
            assert await Listener(service, "after=0").numbers(3) == [7, 8, 9]

    asyncio.run(main())


def test_a_vanished_client_is_noticed_at_once() -> None:
    """Its stream ends and its slot is free, whatever it was doing."""

    async def main() -> None:
        async with serving(PATIENT) as service:
            listener = Listener(service)
            await listener.heard()
            listener.leave()
            await listener.end()
            before_the_first_byte = Listener(service)
            before_the_first_byte.reading.clear()
            before_the_first_byte.leave()
            await before_the_first_byte.end()
            assert service.limits._streams == 0
            assert not service.live._streams

    asyncio.run(main())


@pytest.mark.parametrize("can_be_aborted", [True, False])
def test_a_client_that_takes_nothing_is_let_go(*, can_be_aborted: bool) -> None:
    """It is counted, its slot is free, and with its last id it gets the rest."""

    async def main() -> None:
        async with serving() as service:
            listener = Listener(service, "after=0", can_be_aborted=can_be_aborted)
            await emit(service, "a")
            assert await listener.numbers(1) == [1]
            listener.reading.clear()
            await emit(service, "b", "c")
            service.live.timing = QUICK._replace(slow=0.3)
            await listener.end()
            service.live.timing = QUICK
            assert listener.aborted.is_set() is can_be_aborted
            assert b"tidings_slow_clients_total 1.0" in service.metrics.text()
            assert service.limits._streams == 0
            again = Listener(service, "", {"last-event-id": listener.reader.last_id})
            assert await again.numbers(2) == [2, 3]

    asyncio.run(main())


def test_a_client_that_falls_out_of_the_ring_reads_on_from_the_store() -> None:
    """Nothing is skipped or repeated when it comes back to the ring, or while it changes."""

    async def main() -> None:
        async with serving(PATIENT) as service:
            service.live.ring = Ring(most_events=5)
            slow, quick = Listener(service, "after=0"), Listener(service, "after=0")
            await emit(service, "first")
            assert await slow.numbers(1) == await quick.numbers(1) == [1]
            slow.reading.clear()
            for _ in range(30):
                await emit(service, *["tick"] * 40)
            assert await quick.numbers(1200) == list(range(2, 1202))
            slow.reading.set()
            seen = await slow.numbers(1200)
            await emit(service, "last")
            assert [*seen, *await slow.numbers(1)] == list(range(2, 1203))

    asyncio.run(main())


def test_draining_ends_every_stream_and_refuses_new_ones() -> None:
    """Each is told when to come back."""

    async def main() -> None:
        async with serving() as service:
            listeners = [Listener(service, "type=none") for _ in range(20)]
            for listener in listeners:
                await listener.heard()
            service.drain()
            for listener in listeners:
                await listener.end()
            assert all(listener.ended for listener in listeners)
            waits = {listener.reader.retry for listener in listeners}
            assert len(waits) > 1
            assert all(500 <= (wait or 0) <= 5000 for wait in waits)
            with pytest.raises(Problem) as refused:
                await Listener(service, caller=ANYONE).end()
            assert refused.value.status == 503
            assert dict(refused.value.headers)["retry-after"] == "1"

    asyncio.run(main())


def test_who_takes_nothing_does_not_hold_up_the_end() -> None:
    """A while after it was told to end, its stream is let go."""

    async def main() -> None:
        async with serving(QUICK._replace(farewell=0.1)) as service:
            stuck = Listener(service, "after=0")
            await stuck.heard()
            stuck.reading.clear()
            await emit(service, "tick")
            service.drain()
            await stuck.end()
            assert stuck.aborted.is_set()
            assert not stuck.ended

    asyncio.run(main())


def test_who_comes_just_before_the_end_does_not_hold_it_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also a stream whose head was still being read is told to end, and let go."""

    async def main() -> None:
        async with serving(QUICK._replace(farewell=0.1)) as service:
            loop, asked, may_go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
            head = service.store.head

            def late() -> int:
                loop.call_soon_threadsafe(asked.set)
                assert may_go_on.wait(PATIENCE)
                return head()

            monkeypatch.setattr(service.store, "head", late)
            stuck = Listener(service, "after=0")
            stuck.reading.clear()
            await asked.wait()
            service.drain()
            may_go_on.set()
            await stuck.end()
            assert stuck.aborted.is_set()

    asyncio.run(main())


def test_the_store_is_not_followed_for_nobody() -> None:
    """A while after the last stream has ended the thread ends, and the ring is empty."""

    async def main() -> None:
        async with serving() as service:
            listener = Listener(service)
            await listener.heard()
            follower = service.live._follower
            assert follower is not None
            listener.leave()
            await listener.end()
            await asyncio.to_thread(follower._thread.join, PATIENCE)
            assert not follower._thread.is_alive()
            assert not service.live.ring.begun
            await emit(service, "while nobody looked")
            again = Listener(service)
            await again.heard()
            await emit(service, "seen")
            assert await again.numbers(1) == [2]

    asyncio.run(main())
