"""A worker in its threads: what people change reaches it, and nothing stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import current_thread
from time import monotonic

import pytest

from tests.subscriptions.by_hand import Receiver, handler_of, tell
from tidings import Bus, Event
from tidings.errors import InvalidSetting
from tidings.subscriptions.dead_letters import DeadLetters
from tidings.subscriptions.generations import Generations
from tidings.subscriptions.leases import Leases
from tidings.subscriptions.registry import Subscriptions
from tidings.subscriptions.worker import Worker
from tidings.testing.elsewhere import PATIENCE


@pytest.fixture(autouse=True)
def _attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bell is listened for often, so that tests are short; turns may take their time to end."""
    monkeypatch.setattr("tidings.subscriptions.duties._GRACE_SECONDS", PATIENCE)
    monkeypatch.setattr("tidings.subscriptions.worker._LOOK_SECONDS", 0.1)
    monkeypatch.setattr("tidings.subscriptions.duties._BELL_SECONDS", 0.1)


@contextmanager
def working(bus: Bus, *handlers: object) -> Iterator[Worker]:
    """A worker that beats often, so that tests are short; ended after the block."""
    leases = Leases(bus.store, beat=0.1, patience=PATIENCE)
    worker = Worker(bus, handlers, leases=leases)  # type: ignore[arg-type]  # made by `handler_of`
    leases.start()
    with worker:
        yield worker
    leases.close()


def until(condition: Callable[[], object]) -> None:
    """Wait for something to come about."""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "it did not come about"
        Flag().wait(0.01)


def test_what_people_change_reaches_a_running_worker(bus: Bus) -> None:
    """Pausing, resuming, going back, deciding about a letter, and deleting."""
    receiver = Receiver(2)
    subscriptions = Subscriptions(bus.store)
    with working(bus, handler_of(receiver, pauses=[])) as worker:
        tell(bus, ("a", 1), ("a", 2))
        until(lambda: receiver.tried == [1, 2])
        until(lambda: subscriptions.get("notify").dead_letters == 1)
        receiver.refuses.clear()
        DeadLetters(bus.store).ask("notify", 2, "replay")
        until(lambda: receiver.got == [1, 2])
        subscriptions.reset("notify", "beginning")
        until(lambda: receiver.got == [1, 2, 1, 2])
        until(lambda: subscriptions.get("notify").partitions[0].pid is not None)
        subscriptions.pause("notify")
        until(lambda: not worker._running["notify"][0]._runs)
        tell(bus, ("a", 3))
        assert 3 not in receiver.got
        subscriptions.resume("notify")
        until(lambda: receiver.got[-1] == 3)
        until(lambda: subscriptions.get("notify").lag == 0)
        subscriptions.delete("notify")
        until(lambda: bus.store.keys("partition/") == [])
    assert subscriptions.list() == []
    assert bus.store.keys("worker/") == []


def test_a_hung_handler_holds_up_its_own_partition(bus: Bus) -> None:
    """The others go on; the lag of that one shows it, and closing does not wait for good."""
    entered, go_on, seen = Flag(), Flag(), list[int]()

    def handle(event: Event) -> None:
        if event.payload["n"] == 0:
            entered.set()
            go_on.wait(PATIENCE)
        seen.append(event.payload["n"])

    with working(bus, handler_of(handle, partitions=2)):
        tell(bus, ("a", 0), *((f"thing{n}", n) for n in range(1, 40)))
        assert entered.wait(PATIENCE)
        until(lambda: len(seen) > 5)
        state = Subscriptions(bus.store)
        until(lambda: max(each.handled for each in state.get("notify").partitions) == len(seen))
        assert len(seen) < 39
        assert state.get("notify").position == 0
        go_on.set()
        until(lambda: len(seen) == 40)


def test_async_handlers_share_a_loop(bus: Bus) -> None:
    """They run beside each other, one event at a time in each partition."""
    met = asyncio.Event()
    seen: dict[str, str] = {}

    async def first(_event: Event) -> None:
        await asyncio.wait_for(met.wait(), PATIENCE)
        seen["first"] = current_thread().name

    async def second(_event: Event) -> None:
        met.set()
        seen["second"] = current_thread().name

    with working(bus, handler_of(first, name="first"), handler_of(second, name="second")):
        tell(bus, ("a", 1))
        until(lambda: len(seen) == 2)
    assert set(seen.values()) == {"tidings-handlers"}


def test_a_handler_that_does_not_end_is_cancelled(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing gives an async handler its time and then ends it; its event is handled again."""
    monkeypatch.setattr("tidings.subscriptions.duties._GRACE_SECONDS", 0.1)
    monkeypatch.setattr("tidings.subscriptions.calling._GRACE_SECONDS", PATIENCE)
    entered, ended = Flag(), Flag()

    async def handle(_event: Event) -> None:
        entered.set()
        try:
            await asyncio.sleep(PATIENCE * 10)
        finally:
            ended.set()

    receiver = Receiver()
    with working(bus, handler_of(handle)):
        tell(bus, ("a", 1))
        assert entered.wait(PATIENCE)
    assert ended.is_set()
    with working(bus, handler_of(receiver)):
        until(lambda: receiver.got == [1])
    assert Subscriptions(bus.store).get("notify").failed == 0


def test_a_second_worker_takes_its_share(bus: Bus) -> None:
    """And gives it back at once when it ends."""
    handler = handler_of(Receiver(), partitions=16)
    subscriptions = Subscriptions(bus.store)

    def owners() -> set[str | None]:
        return {each.owner for each in subscriptions.get("notify").partitions}

    with working(bus, handler):
        until(lambda: subscriptions.list() and len(owners()) == 1 and None not in owners())
        (first,) = owners()
        with working(bus, handler):
            until(lambda: len(owners()) == 2 and None not in owners())
        until(lambda: owners() == {first})
    assert owners() == {None}


def test_a_store_that_is_away_at_the_start_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker begins when the store is there; closing the bus ends it."""
    place = tmp_path / "place"
    place.write_text("no directory")
    receiver = Receiver()
    bus = Bus(f"sqlite:///{place}/events.db", spool=str(tmp_path / "spool"))
    worker = Worker(bus, [handler_of(receiver)])
    worker.start()
    until(lambda: "the worker waits for it" in caplog.text)
    place.unlink()
    place.mkdir()
    tell(bus, ("a", 1))
    until(lambda: receiver.got)
    bus.close()
    worker.close()
    assert not [record for record in caplog.records if record.exc_info]


def test_names_must_be_declared(bus: Bus) -> None:
    """A name that no handler has is refused, and so are two handlers of one name."""
    bus.on("told", name="notify")(print)
    assert Worker(bus, names=["notify"]).names == ["notify"]
    with pytest.raises(InvalidSetting, match="those declared are: notify"):
        Worker(bus, names=["other"])
    with pytest.raises(InvalidSetting, match="'notify'"):
        Worker(bus, [handler_of(print), handler_of(print)])


def test_a_change_is_found_though_nobody_rang(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who resumed it may have died before the bell rang."""
    monkeypatch.setattr("tidings.subscriptions.worker._LOOK_ANYWAY_SECONDS", 0.2)
    receiver = Receiver()
    handler = handler_of(receiver)
    Generations(bus.store).declare(handler, 0)
    Subscriptions(bus.store).pause("notify")
    tell(bus, ("a", 1))
    with working(bus, handler):
        until(lambda: Subscriptions(bus.store).get("notify").partitions[0].owner)
        Generations(bus.store).change("notify", paused=False)
        until(lambda: receiver.got == [1])
