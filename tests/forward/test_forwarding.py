"""What is emitted is forwarded in the background, and never at the expense of who emits."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import pytest

from tests.forward.receiver import Receiver, send_waiting, settled
from tidings.aio import AsyncBus
from tidings.bus import Bus
from tidings.durable_files import names_in
from tidings.errors import VersionConflict
from tidings.event import Event
from tidings.forward import Forwarded, forwarding
from tidings.spool.marks import key_of, mark

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a"}


def marks(bus: Bus) -> list[str]:
    """The ids of the events that wait to be forwarded, in order."""
    records = [bus.store.get(key) for key in bus.store.keys("forward/")]
    return [record.value["id"] for record in records if record is not None]


def test_an_event_arrives_as_the_seeds_sent_it(bus: Bus, receiver: Receiver) -> None:
    """Its six fields are the body, the key goes as a bearer, and its id tells repetitions."""
    event = bus.emit("job_done", "figrecipe", payload={"job_id": 4711}, id="Grüße/1")
    receiver.await_requests(1)
    ((headers, body),) = receiver.requests
    fields = ("type", "project", "status", "payload", "source", "timestamp")
    assert body == {name: event.to_dict()[name] for name in fields}
    assert headers["authorization"] == "Bearer sk-s3cret"
    assert headers["content-type"] == "application/json"
    assert headers["idempotency-key"] == headers["webhook-id"] == "Gr%C3%BC%C3%9Fe/1"


def test_what_was_taken_is_not_sent_again(opened: Callable[..., Bus], receiver: Receiver) -> None:
    """Once the address took an event, its mark is gone, and the next bus sends only its own."""
    first, second = opened(), opened()
    for bus, event_id in ((first, "a"), (second, "b")):
        bus.emit("a", id=event_id)
        settled(bus)
        bus.close()
    assert receiver.ids() == ["a", "b"]
    assert marks(opened()) == []


def test_all_ways_to_emit_are_forwarded(
    opened: Callable[..., Bus], receiver: Receiver, tmp_path: Path
) -> None:
    """So are many events at once, envelopes' kin, expected versions and asyncio's."""
    bus = opened()
    bus.emit_many([Event("a", id="a"), Event("b", id="b"), Event("b", id="b")])
    bus.emit("c", id="c", expected_version=0, **ABOUT)
    with pytest.raises(VersionConflict):
        bus.emit("refused", id="refused", expected_version=0, **ABOUT)

    async def main() -> None:
        async with AsyncBus(f"sqlite:///{tmp_path}/events.db", context=False) as async_bus:
            await async_bus.emit("d", id="d")
            await asyncio.to_thread(settled, async_bus.bus)

    settled(bus)
    asyncio.run(main())
    assert sorted(receiver.ids()) == ["a", "b", "c", "d"]
    assert marks(opened()) == []


def test_what_is_emitted_during_a_round_is_sent_once(
    opened: Callable[..., Bus], receiver: Receiver
) -> None:
    """While what others left is being sent, new events are not taken for such."""
    bus = opened()
    old = bus.store.append([Event("old", id="old")])[0]
    bus.store.put(key_of(old, receiver.url), mark(old, receiver.url).value)
    bus.emit("a", id="a")
    receiver.await_requests(1)
    receiver.held = Flag()
    receiver.await_requests(2)
    for event_id in ("b", "c"):
        bus.emit("b", id=event_id)
    receiver.held.set()
    settled(bus)
    assert receiver.ids() == ["a", "old", "b", "c"]


def test_an_event_that_is_emitted_again_is_sent_again(bus: Bus, receiver: Receiver) -> None:
    """Under its id, as it was kept first: nobody knows whether the first one arrived."""
    first = bus.emit("a", id="a")
    settled(bus)
    bus.emit("a", id="a")
    settled(bus)
    assert receiver.ids() == ["a", "a"]
    assert [body["timestamp"] for _, body in receiver.requests] == [first.timestamp] * 2
    assert marks(bus) == []


def test_more_than_it_holds_is_read_back(
    opened: Callable[..., Bus], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are emitted at once, all arrive, from bounded memory."""
    monkeypatch.setattr(forwarding, "_MOST_QUEUED", 3)
    bus = opened()
    bus.emit_many([Event("a", id=f"e{number}") for number in range(8)])
    settled(bus)
    assert sorted(receiver.ids()) == [f"e{number}" for number in range(8)]
    assert marks(bus) == []


def test_our_own_events_stay_here(bus: Bus, receiver: Receiver) -> None:
    """What Tidings says of itself says nothing to a cloud."""
    bus.emit_many([Event("tidings.test", id="own"), Event("a", id="a")])
    settled(bus)
    assert receiver.ids() == ["a"]


def test_a_servers_bus_forwards_nothing(opened: Callable[..., Bus], receiver: Receiver) -> None:
    """A bus that never spools keeps what is its clients', and they forward it."""
    bus = opened(spooling=False)
    bus.emit("a")
    assert marks(bus) == []
    bus.close()
    assert receiver.requests == []


def test_without_an_address_nothing_is_marked(
    opened: Callable[..., Bus], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is forwarded unless both address and key are set."""
    for missing in ("TIDINGS_API_KEY", "TIDINGS_API_URL"):
        with monkeypatch.context() as settings:
            settings.delenv(missing)
            bus = opened()
            bus.emit("a")
            assert marks(bus) == []
            assert send_waiting(bus.store) == Forwarded(0, 0, 0)


def test_an_end_does_not_wait_for_an_address_that_hangs(bus: Bus, receiver: Receiver) -> None:
    """Emit and close return while the address still hangs; what is marked stays, in order."""
    receiver.answer = "hang"
    bus.emit("a", id="a")
    receiver.await_requests(1)
    bus.emit_many([Event("b", id="b"), Event("c", id="c")])
    waiting = marks(bus)
    bus.close()  # the address answers only when the test ends
    assert waiting == ["a", "b", "c"]
    assert receiver.ids() == ["a"]


@pytest.mark.parametrize("answer", [500, 503, 302, 401, 404, "close"])
def test_what_was_not_taken_is_sent_by_the_next_process(
    opened: Callable[..., Bus], receiver: Receiver, answer: int | str
) -> None:
    """An address that fails in whatever way hurts nobody and loses nothing."""
    elsewhere = Receiver()
    receiver.headers = {"location": elsewhere.url}
    receiver.answer = answer
    bus = opened()
    bus.emit("a", id="a")
    receiver.await_requests(1)
    bus.emit("b", id="b")
    settled(bus)
    bus.close()
    failed = len(receiver.requests)
    receiver.answer = 204
    store = opened().store
    assert send_waiting(store, hurry=True) == Forwarded(2, 0, 0)
    assert receiver.ids()[failed:] == ["a", "b"]
    assert elsewhere.requests == []  # the key is not shown where a redirect leads
    elsewhere.close()


def test_nobody_listening_hurts_nobody(bus: Bus, receiver: Receiver) -> None:
    """Where nobody listens, events are kept and marked."""
    receiver.close()
    bus.emit("a", id="a")
    bus.emit("b", id="b")
    assert marks(bus) == ["a", "b"]


def test_a_key_that_cannot_be_sent_hurts_nobody_and_is_not_shown(
    opened: Callable[..., Bus], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken key is told without being shown, and what it was for waits."""
    monkeypatch.setenv("TIDINGS_API_KEY", "sk\nbroken")
    bus = opened()
    bus.emit("a", id="a")
    bus.close()
    told = send_waiting(opened().store, hurry=True)
    assert told == Forwarded(0, 1, 0, told.error)
    assert "API key" in told.error
    assert "broken" not in told.error
    assert receiver.requests == []


@pytest.mark.parametrize("url", ["cloud.example.org", "file:///etc/passwd", "http://[", ""])
def test_an_address_that_is_none_hurts_nobody(
    opened: Callable[..., Bus], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Whatever the address says, an event is kept."""
    monkeypatch.setenv("TIDINGS_API_URL", url)
    bus = opened()
    bus.emit("a")
    assert bus.latest("a") is not None
    bus.close()
    assert send_waiting(opened().store, hurry=True).sent == 0


def test_what_was_spooled_is_forwarded_once_it_is_collected(
    opened: Callable[..., Bus], receiver: Receiver
) -> None:
    """The spool remembers where to, beside the event and hidden from readers of events."""
    bus = opened(deadline=0.01)
    bus.emit("first", id="first")
    settled(bus)
    lock = sqlite3.connect(bus.url.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    assert bus.emit("spooled", id="spooled").position is None
    lock.execute("ROLLBACK")
    lock.close()
    new = bus.spool.path("new")
    (name,) = names_in(new)
    assert sorted(os.listdir(new)) == [f".{name}.forward", name]
    bus.close()
    after = opened()
    after.collect()
    assert (os.listdir(new), marks(after)) == ([], ["spooled"])
    assert send_waiting(after.store).sent == 1
    assert receiver.ids() == ["first", "spooled"]


def test_an_event_that_finds_no_room_leaves_no_mark(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept nowhere leaves nothing in the spool."""
    event = Event("a")

    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr("tidings.spool.rename", full)
    with pytest.raises(Exception, match="no space left"):
        bus.spool.put(event, "http://127.0.0.1/")
    assert os.listdir(tmp_path / "spool" / "new") == []
