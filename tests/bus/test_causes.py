"""Whether what is emitted while an event is handled names that event as its cause, by itself."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING

import pytest

import tidings
from tests.bus.loops import run
from tidings import AsyncBus, Bus, Event, context, create_event
from tidings.cause import handling
from tidings.envelope import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDER = Event("order.created", id="o1")
IN_CART = Event("order.created", id="o2", correlation_id="cart-7")


def links(event: Event) -> tuple[str | None, str | None]:
    """What an event belongs to, and what caused it."""
    return event.correlation_id, event.causation_id


@pytest.fixture
def bus() -> Iterator[Bus]:
    """A bus on a store of its own."""
    with Bus("memory:") as opened:
        yield opened


def test_each_verb_names_the_cause(bus: Bus) -> None:
    """Emit, emit_many with dicts and publish with an envelope: all name the handled event."""
    with handling(ORDER):
        events = [
            bus.emit("shipment.created"),
            *bus.emit_many([{"type": "invoice.created"}]),
            bus.publish(create_event(EventKind.CREATED, {})),
        ]
    assert [links(event) for event in events] == [("o1", "o1")] * 3


def test_a_correlation_is_passed_on(bus: Bus) -> None:
    """What belongs to a larger undertaking leads to what belongs to it too."""
    with handling(IN_CART):
        assert links(bus.emit("shipment.created")) == ("cart-7", "o2")


def test_what_is_given_stays(bus: Bus) -> None:
    """Ids that the caller gives are not replaced; each alone is completed."""
    with handling(IN_CART):
        given = bus.emit("a", causation_id="me", correlation_id="mine")
        caused = bus.emit("b", causation_id="me")
        correlated = bus.emit("c", correlation_id="mine")
    assert [links(event) for event in (given, caused, correlated)] == [
        ("mine", "me"),
        ("cart-7", "me"),
        ("mine", "o2"),
    ]


def test_a_ready_event_is_kept_as_it_is(bus: Bus) -> None:
    """An `Event` that was made by hand is published as it was made."""
    with handling(ORDER):
        assert links(bus.publish(Event("shipment.created"))) == (None, None)


def test_outside_of_a_handler_there_is_no_cause(bus: Bus) -> None:
    """Once it was handled, or within another thread's handler, nothing is said."""
    with handling(ORDER):
        bus.emit("shipment.created")
    assert links(bus.emit("job_done")) == (None, None)
    seen: list[Event] = []
    with handling(ORDER):
        other = Thread(target=lambda: seen.append(bus.emit("job_done")))
        other.start()
        other.join()
    assert links(seen[0]) == (None, None)


def test_a_thread_with_a_copied_context_names_the_cause(bus: Bus) -> None:
    """A thread that a handler starts in a copy of its context belongs to it."""
    seen: list[Event] = []
    with handling(ORDER):
        copied = copy_context()
    thread = Thread(target=copied.run, args=(lambda: seen.append(bus.emit("shipment.created")),))
    thread.start()
    thread.join()
    assert links(seen[0]) == ("o1", "o1")


def test_another_bus_and_the_quick_verbs_name_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not matter by which bus a handler emits, nor whether that one adds a context."""
    monkeypatch.setenv("TIDINGS_URL", f"sqlite:///{tmp_path}/events.db")
    with Bus("memory:", context=False) as other, handling(ORDER):
        assert links(other.emit("shipment.created")) == ("o1", "o1")
        assert links(tidings.emit("shipment.created", "shop")) == ("o1", "o1")


def test_async_handlers_at_the_same_time_name_each_their_own() -> None:
    """Tasks that handle different events do not mix them up, across `await` and in child tasks."""

    async def handle(bus: AsyncBus, event: Event) -> list[Event]:
        with handling(event):
            first = await bus.emit("first")
            return [first, await asyncio.create_task(bus.emit("second"))]

    async def main() -> list[list[Event]]:
        async with AsyncBus("memory:") as bus:
            events = [Event("order.created", id=f"o{n}") for n in range(20)]
            return await asyncio.gather(*(handle(bus, event) for event in events))

    made = run(main())
    assert [[links(event) for event in each] for each in made] == [
        [(f"o{n}", f"o{n}")] * 2 for n in range(20)
    ]


def test_the_cause_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a worker that runs as a Slurm job, what a handler emits belongs to what it handles."""
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    context.forget()
    try:
        with Bus("memory:") as bus:
            of_job = bus.emit("job_done")
            with handling(ORDER):
                handled = bus.emit("shipment.created")
    finally:
        monkeypatch.undo()
        context.forget()
    assert of_job.correlation_id is not None
    assert links(handled) == ("o1", "o1")
