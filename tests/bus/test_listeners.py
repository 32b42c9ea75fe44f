"""Whether listeners hear of what their bus keeps, and never hurt who emits."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from threading import Event as Flag
from threading import Thread, current_thread, get_ident
from typing import TYPE_CHECKING, Any

import pytest

from tests.bus.loops import run
from tidings import AsyncBus, Bus, Event, create_event
from tidings.envelope import EventKind
from tidings.errors import IdConflict, InvalidEvent
from tidings.listeners import Listeners
from tidings.store.base import Batch
from tidings.store.remote import RemoteStore
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _patient_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners have their time to end, however slow the machine is."""
    monkeypatch.setattr("tidings.listeners._LAST_WORDS", PATIENCE)
    for end in (Listeners.close, Listeners.finish):
        monkeypatch.setattr(end, "__defaults__", (PATIENCE,))


@pytest.fixture
def bus() -> Iterator[Bus]:
    """A bus on a store of its own."""
    with Bus("memory:") as opened:
        yield opened


# Plain ones ---------------------------------------------------------------------------------------


def test_every_verb_is_heard(bus: Bus) -> None:
    """Emit, emit_many, publish and keep_all tell listeners of each event, once it is kept."""
    heard: list[Event] = []
    bus.on()(heard.append)
    kept = [
        bus.emit("a"),
        *bus.emit_many([{"type": "b"}, {"type": "c"}]),
        bus.publish(create_event(EventKind.CREATED, {})),
    ]
    bus.keep_all([Batch([Event("d")]), Batch([Event("e")])])
    assert [event.type for event in heard] == ["a", "b", "c", "created", "d", "e"]
    assert heard[:4] == kept
    assert [event.position for event in heard] == [1, 2, 3, 4, 5, 6]


def test_listeners_are_called_in_order_in_the_emitting_thread(bus: Bus) -> None:
    """Each is done before the next one is called, and all before `emit` returns."""
    calls: list[tuple[str, int]] = []
    for name in ("first", "second", "third"):
        bus.on()(lambda _, name=name: calls.append((name, get_ident())))
    bus.emit("job_done")
    assert calls == [(name, get_ident()) for name in ("first", "second", "third")]


def test_listeners_hear_what_they_asked_for(bus: Bus) -> None:
    """Types and filters are those of a query; own types come only by name."""
    heard: dict[str, list[str]] = {"failed": [], "own": [], "all": []}
    bus.on("job.*", status="failure")(lambda event: heard["failed"].append(event.type))
    bus.on("tidings.*")(lambda event: heard["own"].append(event.type))
    bus.on()(lambda event: heard["all"].append(event.type))
    bus.emit("job.done")
    bus.emit("job.failed", status="failure")
    bus.emit("tidings.test")
    assert heard == {
        "failed": ["job.failed"],
        "own": ["tidings.test"],
        "all": ["job.done", "job.failed"],
    }


def test_what_is_refused_is_not_heard(bus: Bus) -> None:
    """Nothing is told of events that were not kept; the caller has the error."""
    heard: list[Event] = []
    bus.emit("job_done", id="j1")
    bus.on()(heard.append)
    with pytest.raises(IdConflict):
        bus.emit("job_failed", id="j1")
    with pytest.raises(InvalidEvent):
        bus.emit("")
    assert heard == []


def test_what_waits_in_the_spool_is_heard(tmp_path: Path) -> None:
    """An event whose store is away is kept too: it is heard, without a position."""
    heard: list[Event] = []
    store = RemoteStore("http://127.0.0.1:9")
    with Bus(store, spool=str(tmp_path / "spool")) as bus:
        bus.on()(heard.append)
        bus.emit("job_done")
    assert [(event.type, event.position) for event in heard] == [("job_done", None)]


def test_an_error_is_logged_and_hurts_nobody(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """Who emits has the event, the next listener is called, and the log says what went wrong."""
    heard: list[Event] = []

    @bus.on("job_done")
    def fail(event: Event) -> None:
        raise ValueError(f"cannot bear {event.type}")

    bus.on()(heard.append)
    event = bus.emit("job_done")
    assert heard == [event]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("tidings.listeners", logging.ERROR)
    assert "fail" in record.getMessage()
    assert event.id in record.getMessage()
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "cannot bear job_done"


def test_what_a_listener_emits_names_its_cause_and_is_heard_by_others(bus: Bus) -> None:
    """A listener may emit: others hear of it, and it names the event that was heard."""
    heard: list[Event] = []
    bus.on("order.created")(lambda event: bus.emit("shipment.created", project=event.project))
    bus.on("shipment.*")(heard.append)
    order = bus.emit("order.created", "shop")
    assert [(event.project, event.causation_id) for event in heard] == [("shop", order.id)]


def test_a_listener_does_not_hear_itself(bus: Bus) -> None:
    """One that emits what it listens to is called once, and so are two that answer each other."""
    calls: list[str] = []

    @bus.on()
    def echo(event: Event) -> None:
        calls.append(f"echo {event.type}")
        bus.emit("echo")

    @bus.on()
    def answer(event: Event) -> None:
        calls.append(f"answer {event.type}")
        bus.emit("answer")

    bus.emit("call")
    assert calls == [
        "echo call",
        "answer echo",
        "answer call",
        "echo answer",
    ]
    assert [event.type for event in bus.read()] == ["call", "echo", "answer", "answer", "echo"]


# Async ones ---------------------------------------------------------------------------------------


def test_closing_waits_for_async_listeners(bus: Bus) -> None:
    """On a `Bus` they run in one thread of their own, may emit, and are done once it is closed."""
    heard: list[tuple[str, str, str | None]] = []

    @bus.on("job.*")
    async def hear(event: Event) -> None:
        await asyncio.sleep(0)
        bus.emit("heard", payload={"type": event.type})

    @bus.on("heard")
    async def note(event: Event) -> None:
        await asyncio.sleep(0)
        heard.append((current_thread().name, event.payload["type"], event.causation_id))

    emitted = [bus.emit(f"job.{n}") for n in range(3)]
    bus.close()
    assert sorted(heard) == [("tidings-listeners", event.type, event.id) for event in emitted]


def test_an_async_listener_that_hangs_is_cancelled(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    """Closing waits no longer than it says; what hangs may clean up, and the log says so."""
    started, cleaned = Flag(), Flag()

    @bus.on()
    async def hang(_: Event) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    bus.emit("job_done")
    assert started.wait(PATIENCE)
    assert bus.listeners is not None
    bus.listeners.close(0.01)
    assert cleaned.wait(PATIENCE)
    assert "did not end in time" in caplog.text


def test_an_error_of_an_async_listener_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What it raises is logged, on either bus."""

    async def fail(_: Event) -> None:
        raise ValueError("cannot bear it")

    async def main() -> None:
        async with AsyncBus("memory:") as bus:
            bus.on()(fail)
            await bus.emit("job_done")

    with Bus("memory:") as plain:
        plain.on()(fail)
        plain.emit("job_done")
    run(main())
    assert [record.name for record in caplog.records] == ["tidings.listeners"] * 2


def test_on_an_async_bus_listeners_are_called_in_its_loop() -> None:
    """Plain ones before `emit` returns, async ones as tasks; both in the loop's own thread."""
    calls: list[tuple[str, str, int]] = []

    async def main() -> None:
        async with AsyncBus("memory:") as bus:

            @bus.on()
            def plain(event: Event) -> None:
                calls.append(("plain", event.type, get_ident()))

            @bus.on()
            async def later(event: Event) -> None:
                calls.append(("async", event.type, get_ident()))

            await bus.emit("a")
            assert calls == [("plain", "a", get_ident())]
            await bus.emit_many([{"type": "b"}])
            await bus.publish(Event("c"))
            await bus.keep_all([Batch([Event("d")])])

    run(main())
    assert {thread for *_, thread in calls} == {get_ident()}
    for kind in ("plain", "async"):
        assert [type for of, type, _ in calls if of == kind] == ["a", "b", "c", "d"]


def test_closing_an_async_bus_waits_for_its_listeners() -> None:
    """They may emit until they are done, and what they emit is heard as well."""
    heard: list[str] = []

    async def main() -> None:
        async with AsyncBus("memory:") as bus:

            @bus.on("job.*")
            async def hear(event: Event) -> None:
                for _ in range(3):
                    await asyncio.sleep(0)
                await bus.emit("heard", causation_id=event.id)

            @bus.on("heard")
            async def note(event: Event) -> None:
                heard.append(event.causation_id or "")

            await bus.emit("job.done", id="j1")

    run(main())
    assert heard == ["j1"]


def test_an_emit_that_is_cancelled_while_it_is_written_is_heard() -> None:
    """What was kept is told, also where its emitter does not live to see it."""
    writing, go_on = Flag(), Flag()
    heard: list[str] = []

    async def main() -> None:
        async with AsyncBus("memory:") as bus:
            bus.on()(lambda event: heard.append(event.type))
            append_all = bus.store.append_all

            def slow(batches: Any) -> Any:
                writing.set()
                assert go_on.wait(PATIENCE)
                return append_all(batches)

            bus.store.append_all = slow  # type: ignore[method-assign]  # a store that takes its time
            emitting = asyncio.create_task(bus.emit("job_done"))
            await asyncio.to_thread(writing.wait, PATIENCE)
            emitting.cancel()
            go_on.set()
            with pytest.raises(asyncio.CancelledError, match="kept at position 1"):
                await emitting

    run(main())
    assert heard == ["job_done"]


# Many threads and processes -----------------------------------------------------------------------


def test_threads_that_emit_at_once_are_all_heard(bus: Bus) -> None:
    """Each event is heard exactly once, whichever thread emits it."""
    heard: list[int] = []
    bus.on()(lambda event: heard.append(event.payload["n"]))

    def emit(start: int) -> None:
        for n in range(start, start + 50):
            bus.emit("job_done", payload={"n": n})

    threads = [Thread(target=emit, args=(start,)) for start in range(0, 200, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == list(range(200))


def test_a_forked_child_has_a_loop_of_its_own(tmp_path: Path) -> None:
    """Async listeners work on both sides of a fork, and the child's close waits for its own."""
    with Bus(f"sqlite:///{tmp_path}/events.db") as bus:

        @bus.on("job.*")
        async def hear(event: Event) -> None:
            await asyncio.sleep(0)
            bus.emit(f"heard.{event.type}")

        bus.emit("job.before")
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(int(PATIENCE))  # one that hangs is killed, and the test fails
                bus.emit("job.child")
                bus.close()
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        bus.emit("job.parent")
        bus.close()
    with Bus(f"sqlite:///{tmp_path}/events.db") as again:
        assert sorted(event.type for event in again.read(types="heard.*")) == [
            "heard.job.before",
            "heard.job.child",
            "heard.job.parent",
        ]
