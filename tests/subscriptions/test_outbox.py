"""With an outbox, what a handler emits and that its event was handled are kept together."""

from __future__ import annotations

import pytest

from tests.subscriptions.by_hand import FaultyStore, Time, WorkerByHand, handler_of, tell
from tidings import Bus, Event
from tidings.errors import LeaseLost, OutcomeUnknown, StoreUnavailable
from tidings.outbox import Outbox
from tidings.store.query import Query


def follow_up(event: Event, outbox: Outbox) -> None:
    """Emit one event for each one handled."""
    outbox.emit("followed", payload={"of": event.payload["n"]})


def followed(bus: Bus) -> list[int]:
    """What was followed up, in order."""
    return [event.payload["of"] for event in bus.read(types="followed")]


def test_follow_ups_share_one_append_with_the_checkpoint(
    bus: Bus, store: FaultyStore, time: Time
) -> None:
    """A batch of events is one write; each follow-up names its cause."""
    worker = WorkerByHand(bus, handler_of(follow_up, "told", outbox=True), time)
    events = tell(bus, *(("a", n) for n in range(100)))
    store.fail(StoreUnavailable("away"), after=1)
    worker.turn_of(worker.partitions[0])
    assert (followed(bus), worker.state.handled) == (list(range(100)), 100)
    assert not store.works_again(), "the second write would have failed"
    causes = [event.causation_id for event in bus.read(types="followed")]
    assert causes == [event.id for event in events]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("error", [StoreUnavailable("away"), OutcomeUnknown("the line broke")])
def test_no_failure_doubles_or_loses_a_follow_up(
    bus: Bus, store: FaultyStore, time: Time, error: Exception, *, done: bool
) -> None:
    """Whichever write fails, and whether it was done all the same, each follow-up is there once."""
    if isinstance(error, StoreUnavailable) and done:
        error = OutcomeUnknown("the process died")
    worker = WorkerByHand(bus, handler_of(follow_up, "told", outbox=True), time)
    for number in range(4):
        tell(bus, ("a", number))
        store.fail(error, done=done)
        lease = worker.leases.held(worker.partitions[0].key)
        assert lease is not None
        try:
            worker.partitions[0].turn(lease, time.now())
        except (StoreUnavailable, OutcomeUnknown):
            if number % 2:  # a new process, which knows the record only
                worker.leases.close()
                worker = WorkerByHand(bus, handler_of(follow_up, "told", outbox=True), time)
        except LeaseLost:
            pass  # it is taken anew
        assert store.works_again()
        worker.turn()
    worker.turn()
    assert followed(bus) == [0, 1, 2, 3]


def test_what_a_failed_attempt_emitted_is_not_kept(bus: Bus, time: Time) -> None:
    """Only the attempt that worked counts."""
    attempts: list[int] = []

    def handle(_event: Event, outbox: Outbox) -> None:
        attempts.append(1)
        outbox.emit("followed", payload={"of": len(attempts)})
        if len(attempts) < 3:
            raise ValueError("not yet")

    worker = WorkerByHand(bus, handler_of(handle, "told", outbox=True), time)
    tell(bus, ("a", 1))
    for _ in range(3):
        worker.turn(1)
    assert followed(bus) == [3]


def test_a_follow_up_that_is_refused_fails_its_own_event(bus: Bus, time: Time) -> None:
    """An id that is taken makes a dead letter of that event; the others of the batch are kept."""
    bus.emit("taken", id="taken")

    def handle(event: Event, outbox: Outbox) -> None:
        if event.payload["n"] == 2:
            outbox.emit("followed", payload={"of": 2}, id="taken")
        else:
            follow_up(event, outbox)

    worker = WorkerByHand(bus, handler_of(handle, "told", outbox=True, pauses=[1]), time)
    tell(bus, ("a", 1), ("b", 2), ("c", 3), ("b", 4))
    for _ in range(4):
        worker.turn(1)
    assert followed(bus) == [1, 3, 4]
    (letter,) = worker.letters.of("notify")
    assert letter.attempts[-1].error.startswith("IdConflict")
    assert worker.state.waiting == 0


def test_follow_ups_are_bounded_in_a_batch(bus: Bus, store: FaultyStore, time: Time) -> None:
    """However many events wait, one append holds some hundreds: a log's messages are bounded."""
    sizes: list[int] = []

    def handle(event: Event, outbox: Outbox) -> None:
        follow_up(event, outbox)
        sizes.append(store.count(Query(types="followed")).value)

    worker = WorkerByHand(bus, handler_of(handle, "told", outbox=True), time)
    tell(bus, *((None, n) for n in range(1200)))
    worker.turn()
    assert sorted(set(sizes)) == [0, 500, 1000]
    assert followed(bus) == list(range(1200))
