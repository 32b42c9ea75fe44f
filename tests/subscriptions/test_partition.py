"""Handlers get each event at least once, in order for each aggregate (promise 3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from tests.subscriptions.by_hand import FaultyStore, Receiver, Time, WorkerByHand, handler_of, tell
from tidings import Bus, Event
from tidings.errors import LeaseLost, OutcomeUnknown, StoreUnavailable
from tidings.store.query import Query
from tidings.subscriptions.calling import Calls
from tidings.subscriptions.dead_letters import DISCARD, REPLAY
from tidings.subscriptions.progress import MOST_LANES


def test_a_failed_event_holds_up_its_own_aggregate_only(bus: Bus, time: Time) -> None:
    """What comes later about the same thing waits; about other things, or none, it goes on."""
    receiver = Receiver(1)
    worker = WorkerByHand(bus, handler_of(receiver), time)
    tell(bus, ("a", 1), ("b", 2), ("a", 3), (None, 4), ("b", 5))
    worker.turn()
    assert receiver.got == [2, 4, 5]
    assert (worker.state.lag, worker.state.waiting, worker.state.failed) == (0, 1, 1)
    receiver.refuses.clear()
    tell(bus, ("a", 6))
    worker.turn(0.5)
    assert receiver.got == [2, 4, 5]
    worker.turn(0.6)
    assert receiver.got == [2, 4, 5, 1, 3, 6]
    assert (worker.state.waiting, worker.state.handled) == (0, 6)


def test_events_about_nothing_hold_up_nobody(bus: Bus, time: Time) -> None:
    """An event without an aggregate is tried again by itself, beside those that follow."""
    receiver = Receiver(1)
    worker = WorkerByHand(bus, handler_of(receiver, on_failure="hold", pauses=[1]), time)
    tell(bus, (None, 1), (None, 2))
    worker.turn()
    tell(bus, (None, 3))
    worker.turn(2)
    assert (receiver.tried, receiver.got) == ([1, 2, 1, 3], [2, 3])
    assert [letter.held for letter in worker.letters.of("notify")] == [False]


def test_what_keeps_failing_is_given_up_with_every_attempt(bus: Bus, time: Time) -> None:
    """After the last attempt there is a dead letter and an event, and the aggregate goes on."""
    receiver = Receiver(1)
    worker = WorkerByHand(bus, handler_of(receiver), time)
    (event, _) = tell(bus, ("a", 1), ("a", 2))
    for _ in range(5):
        worker.turn(1)
    assert (receiver.tried, receiver.got) == ([1, 1, 1, 2], [2])
    (letter,) = worker.letters.of("notify")
    assert (letter.position, letter.event_id, letter.held) == (event.position, event.id, False)
    assert [attempt.error for attempt in letter.attempts] == ["ValueError: 1 is no good"] * 3
    begun = [attempt.at for attempt in letter.attempts]
    assert begun == sorted(set(begun))
    (said,) = bus.read(types="tidings.dead_letter")
    assert (said.causation_id, said.payload["attempts"]) == (event.id, 3)
    assert worker.state.dead_letters == 1


def test_held_waits_for_a_person(bus: Bus, time: Time) -> None:
    """With `hold` the aggregate stays until its letter is replayed; then it goes on in order."""
    receiver = Receiver(1)
    worker = WorkerByHand(bus, handler_of(receiver, on_failure="hold", pauses=[]), time)
    tell(bus, ("a", 1), ("a", 2), ("b", 3))
    for _ in range(3):
        worker.turn(1000)
    assert (receiver.tried, worker.state.held) == ([1, 3], 1)
    receiver.refuses.clear()
    assert worker.ask(1, REPLAY)
    worker.turn()
    assert (receiver.got, worker.state.held, worker.state.dead_letters) == ([3, 1, 2], 0, 0)


def test_what_is_held_can_be_discarded(bus: Bus, time: Time) -> None:
    """The event is dropped, and its aggregate goes on with the next one."""
    receiver = Receiver(1)
    worker = WorkerByHand(bus, handler_of(receiver, on_failure="hold", pauses=[]), time)
    tell(bus, ("a", 1), ("a", 2))
    worker.turn()
    worker.ask(1, DISCARD)
    worker.turn()
    assert (receiver.tried, worker.state.dead_letters) == ([1, 2], 0)


def test_a_letter_that_holds_nothing_is_replayed_by_itself(bus: Bus, time: Time) -> None:
    """It is tried as often as a new event; if it fails again there is one letter again."""
    receiver = Receiver(1)
    worker = WorkerByHand(bus, handler_of(receiver, pauses=[1]), time)
    tell(bus, ("a", 1), ("a", 2))
    for _ in range(3):
        worker.turn(1)
    worker.ask(1, REPLAY)
    for _ in range(3):
        worker.turn(1)
    assert receiver.tried == [1, 1, 2, 1, 1]
    assert [letter.position for letter in worker.letters.of("notify")] == [1]
    receiver.refuses.clear()
    worker.ask(1, REPLAY)
    worker.turn()
    assert (receiver.got, worker.state.dead_letters) == ([2, 1], 0)
    assert bus.store.count(Query(types="tidings.dead_letter")).value == 2


def test_a_discarded_letter_is_gone_at_once(bus: Bus, time: Time) -> None:
    """Where it holds nothing up, nobody needs to run for it."""
    worker = WorkerByHand(bus, handler_of(Receiver(1), pauses=[]), time)
    tell(bus, ("a", 1))
    worker.turn()
    assert worker.ask(1, DISCARD)
    assert not worker.ask(1, DISCARD)
    assert list(worker.letters.of("notify")) == []


def test_a_replay_survives_a_crash_at_any_write(bus: Bus, store: FaultyStore, time: Time) -> None:
    """However far it came, the letter is replayed, and is gone afterwards."""
    writes = 0
    while True:
        receiver = Receiver(1)
        handler = handler_of(receiver, on_failure="hold", pauses=[], name="notify")
        worker = WorkerByHand(bus, handler, time)
        tell(bus, ("a", 1), ("a", 2))
        worker.turn()
        receiver.refuses.clear()
        (letter,) = worker.letters.of("notify")
        worker.ask(letter.position, REPLAY)
        store.fail(StoreUnavailable("away"), after=writes)
        with suppress(StoreUnavailable):
            worker.turn()
        died = store.works_again()
        time.goes_by(60)
        other = WorkerByHand(bus, handler, time)
        other.turn(60)
        other.turn()
        assert (other.state.held, other.state.waiting, other.state.dead_letters) == (0, 0, 0)
        first = list(dict.fromkeys(receiver.got))
        assert first == [1, 2], writes
        assert bus.store.keys("dead-letter") == []
        other.leave()
        if not died:
            break
        writes += 1
    assert writes >= 3


def test_too_many_failures_stop_the_reader(bus: Bus, time: Time) -> None:
    """When a hundred aggregates wait, it reads no further, and goes on when they do."""
    receiver = Receiver(*range(MOST_LANES + 50))
    worker = WorkerByHand(bus, handler_of(receiver, pauses=[10, 10]), time)
    tell(bus, *((f"thing{n}", n) for n in range(MOST_LANES + 50)))
    worker.turn()
    worker.turn()
    assert (len(receiver.tried), worker.state.lag) == (MOST_LANES, 50)
    receiver.refuses.clear()
    worker.turn(20)
    assert (sorted(receiver.got), worker.state.lag) == (list(range(MOST_LANES + 50)), 0)


def test_the_position_passes_what_is_not_wanted(bus: Bus, time: Time) -> None:
    """Events that are filtered out move the checkpoint too, but it is written less often."""
    worker = WorkerByHand(bus, handler_of(Receiver(), "wanted"), time)
    worker.turn()
    for _ in range(10):
        tell(bus, (None, 0))
        worker.turn()
    assert worker.state.position < 10
    worker.turn(2)
    worker.turn(2)
    assert worker.state.position == 10
    tell(bus, (None, 0))
    worker.turn()
    worker.leave()
    assert worker.state.position == 11


def test_checkpoints_are_written_in_batches(bus: Bus, store: FaultyStore, time: Time) -> None:
    """Within a tenth of a second many events share one; when it is idle they are written."""
    worker = WorkerByHand(bus, handler_of(Receiver()), time)
    tell(bus, (None, 0))
    worker.turn()
    revision = store.get("partition/notify/1/0")
    tell(bus, *((None, n) for n in range(1000)))
    worker.turn_of(worker.partitions[0])
    assert store.get("partition/notify/1/0") == revision
    time.goes_by(0.1)
    worker.turn_of(worker.partitions[0])
    assert worker.state.position == 1001


def test_pruned_history_is_skipped_and_said(
    bus: Bus, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on at what is left; an event and the log say which positions it never saw."""
    receiver = Receiver(2, 5)
    worker = WorkerByHand(bus, handler_of(receiver), time)
    tell(bus, ("a", 1), ("a", 2), ("b", 3), ("a", 4), (None, 5))
    worker.turn()
    tell(bus, *(("c", n) for n in range(6, 11)))
    bus.store.prune(7)
    receiver.refuses.clear()
    worker.turn(5)
    worker.turn()
    assert receiver.got == [1, 3, 8, 9, 10]
    said = [
        tuple(event.payload[key] for key in ("from", "to", "about"))
        for event in bus.read(types="tidings.subscription.*")
    ]
    assert sorted(said) == [(2, 5, "thing/a"), (5, 5, ""), (6, 7, "")]
    assert "never handled the events at positions 6 to 7" in caplog.text
    assert "never handled the events about thing/a at positions 2 to 5" in caplog.text
    assert (worker.state.lag, worker.state.waiting) == (0, 0)


def test_redaction_is_harmless(bus: Bus, time: Time) -> None:
    """A redacted event is handled without its payload."""
    seen: list[Any] = []
    worker = WorkerByHand(bus, handler_of(lambda event: seen.append(event.payload)), time)
    tell(bus, ("a", 1), ("a", 2))
    bus.store.redact(Query(before=2))
    worker.turn()
    assert seen[1:] == [{"n": 2}]
    assert worker.state.failed == 0


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("is_async", [False, True])
def test_whatever_a_handler_raises_is_a_failed_attempt(
    bus: Bus, time: Time, error: BaseException, *, is_async: bool
) -> None:
    """Also what would end a thread or a loop; the next event is handled as ever."""
    seen: list[int] = []

    def handle(event: Event) -> None:
        seen.append(event.payload["n"])
        if event.payload["n"] == 1:
            raise error

    async def handle_async(event: Event) -> None:
        handle(event)

    worker = WorkerByHand(bus, handler_of(handle_async if is_async else handle, pauses=[]), time)
    tell(bus, ("a", 1), ("b", 2))
    worker.turn()
    (letter,) = worker.letters.of("notify")
    assert letter.attempts[0].error.startswith(type(error).__name__)
    assert (seen, worker.state.handled) == ([1, 2], 1)
    worker.calls_end()


def test_what_a_handler_emits_names_its_cause(bus: Bus, time: Time) -> None:
    """Causation and correlation set themselves, in plain and async handlers."""

    async def handle(_event: Event) -> None:
        await asyncio.sleep(0)
        bus.emit("followed")

    worker = WorkerByHand(bus, handler_of(handle, "told"), time)
    (event,) = tell(bus, ("a", 1))
    worker.turn()
    (followed,) = bus.read(types="followed")
    assert (followed.causation_id, followed.correlation_id) == (event.id, event.id)
    worker.calls_end()


def test_async_handlers_keep_the_order_of_each_aggregate(bus: Bus, time: Time) -> None:
    """They are given many events at once; what follows a failed one of its aggregate waits."""
    receiver = Receiver(3)

    async def handle(event: Event) -> None:
        await asyncio.sleep(0)
        receiver(event)

    worker = WorkerByHand(bus, handler_of(handle), time)
    tell(bus, *(("ab"[n % 2], n) for n in range(300)))
    worker.turn()
    assert receiver.got == [0, 1, 2, *range(4, 300, 2)]
    receiver.refuses.clear()
    worker.turn(1.2)
    assert receiver.got[151:] == list(range(3, 300, 2))
    assert (worker.state.lag, worker.state.waiting, worker.state.handled) == (0, 0, 300)
    worker.calls_end()


def test_who_lost_the_lease_writes_nothing(bus: Bus, time: Time) -> None:
    """A process that was taken for dead finds the record changed, and what it did is not noted."""
    receiver, other_receiver = Receiver(), Receiver()
    slow = WorkerByHand(bus, handler_of(receiver), time)
    slow.turn()
    tell(bus, *(("a", n) for n in range(5)))
    lease = slow.leases.held("partition/notify/1/0")
    assert lease is not None
    other = WorkerByHand(bus, handler_of(other_receiver), time)
    time.goes_by(6)
    other.turn()
    time.goes_by(0.1)
    tell(bus, ("a", 5))
    with pytest.raises(LeaseLost):
        slow.partitions[0].turn(lease, time.now())
    other.turn()
    assert other_receiver.got == [0, 1, 2, 3, 4, 5]
    assert other.state.handled == 6


@pytest.mark.parametrize("done", [True, False])
def test_an_answer_that_was_lost_loses_nothing(
    bus: Bus, store: FaultyStore, time: Time, *, done: bool
) -> None:
    """Whether a checkpoint arrived is looked up; either way each event is handled, none lost."""
    receiver = Receiver()
    worker = WorkerByHand(bus, handler_of(receiver), time)
    tell(bus, ("a", 1))
    worker.turn_of(worker.partitions[0])
    time.goes_by(1)
    store.fail(OutcomeUnknown("the line broke"), done=done)
    if done:
        worker.turn_of(worker.partitions[0])
    else:
        with pytest.raises(LeaseLost):
            worker.turn_of(worker.partitions[0])
    assert store.failed
    worker.turn()
    tell(bus, ("a", 2))
    worker.turn()
    assert receiver.got == ([1, 2] if done else [1, 1, 2])


def test_a_store_that_is_away_is_waited_for(bus: Bus, store: FaultyStore, time: Time) -> None:
    """What was handled is noted when the store is back, and not handled again."""
    receiver = Receiver(2)
    worker = WorkerByHand(bus, handler_of(receiver, pauses=[]), time)
    tell(bus, ("a", 1), ("b", 2))
    store.fail(StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        worker.turn_of(worker.partitions[0])
    assert store.failed
    worker.turn()
    assert (receiver.tried, worker.state.handled, worker.state.dead_letters) == ([1, 2], 1, 1)


def test_a_paused_subscription_handles_nothing(bus: Bus, time: Time) -> None:
    """It goes on from where it was when it is resumed."""
    receiver = Receiver()
    worker = WorkerByHand(bus, handler_of(receiver), time)
    worker.records.change("notify", paused=True)
    tell(bus, ("a", 1))
    worker.turn()
    assert receiver.got == []
    worker.records.change("notify", paused=False)
    worker.turn()
    assert receiver.got == [1]


def test_text_is_looked_for(bus: Bus, time: Time) -> None:
    """A handler may ask for text in the payload; older events come first all the same."""
    receiver = Receiver()
    worker = WorkerByHand(bus, handler_of(receiver, contains="1"), time)
    tell(bus, *(("a", n) for n in range(20)))
    worker.turn()
    assert receiver.got == [1, *range(10, 20)]


@pytest.mark.parametrize("about", ["a", None])
def test_an_event_that_kills_processes_is_given_up(
    bus: Bus, time: Time, monkeypatch: pytest.MonkeyPatch, about: str | None
) -> None:
    """Each death costs a process; after some the event is a dead letter, and the rest goes on."""

    class Killed(BaseException):
        """Ends a turn as a kill would, with nothing saved that was not."""

    deaths = 0
    call = Calls.call

    def deadly(self: Calls, events: Sequence[Event]) -> Any:
        nonlocal deaths
        if events[0].payload["n"] == 7:
            deaths += 1
            raise Killed
        return call(self, events)

    monkeypatch.setattr(Calls, "call", deadly)
    receiver = Receiver()
    handler = handler_of(receiver)
    tell(bus, *((about, n) for n in range(20)))
    for _ in range(6):
        worker = WorkerByHand(bus, handler, time)
        with suppress(Killed):
            worker.turn(6)
            worker.turn()
    assert (deaths, worker.state.dead_letters, worker.state.lag) == (4, 1, 0)
    assert sorted(set(receiver.got)) == [n for n in range(20) if n != 7]
    (letter,) = worker.letters.of("notify")
    assert letter.attempts[-1].error.endswith("3 processes died while they handled this event")


def test_leaving_in_the_middle_is_no_death(bus: Bus, time: Time) -> None:
    """A process that was told to end left its lease; the next one counts nothing against it."""
    receiver = Receiver()
    dead = WorkerByHand(bus, handler_of(receiver), time)
    tell(bus, ("a", 1))
    time.goes_by(6)
    for _ in range(5):
        worker = WorkerByHand(bus, handler_of(receiver), time)
        worker.turn(6)
        lease = worker.leases.held(worker.partitions[0].key)
        assert lease is not None
        assert lease.inherited == (dead is not None)
        lease.save({**lease.value, "trying": [2, 3]})
        worker.leave()
        dead = None  # type: ignore[assignment]  # only the first one had died
    tell(bus, ("a", 2))
    worker = WorkerByHand(bus, handler_of(receiver), time)
    worker.turn()
    assert (receiver.got, worker.state.dead_letters) == ([1, 2], 0)


def test_an_error_that_utf8_cannot_say_is_kept_all_the_same(
    bus: Bus, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """The name of a file may hold half a character; the event is given up as any other."""
    # What is logged holds it too, and pytest's workers cannot say it to each other.
    caplog.set_level(logging.CRITICAL, "tidings.subscriptions")

    def fails(_: Event) -> None:
        raise FileNotFoundError("\udcff.txt")

    worker = WorkerByHand(bus, handler_of(fails, pauses=[1]), time)
    tell(bus, ("a", 1))
    worker.turn()
    worker.turn(2)
    (letter,) = worker.letters
    assert [each.error for each in letter.attempts] == [r"FileNotFoundError: \udcff.txt"] * 2
    assert worker.state.waiting == 0


def test_handlers_of_dead_letters_that_fail_do_not_answer_each_other(bus: Bus, time: Time) -> None:
    """One hears that the other failed, and then there is an end of it, with all letters kept."""

    def fails(_: Event) -> None:
        raise ValueError("no")

    workers = [
        WorkerByHand(bus, handler_of(fails, types, name=name, pauses=[]), time)
        for name, types in [("job", "told"), ("mail", "tidings.*"), ("page", "tidings.*")]
    ]
    tell(bus, ("a", 1))
    for _ in range(5):
        for worker in workers:
            worker.turn()
    about = [event.payload["subscription"] for event in bus.read(types="tidings.dead_letter")]
    assert sorted(about) == ["job", "mail", "page"]
    assert len(list(workers[0].letters)) == 1 + 3 + 3


def test_what_waited_behind_a_discarded_letter_and_was_pruned_is_said(bus: Bus, time: Time) -> None:
    """What is discarded was decided; what waited behind it was not."""
    receiver = Receiver(1)
    worker = WorkerByHand(bus, handler_of(receiver, on_failure="hold", pauses=[]), time)
    tell(bus, ("a", 1), ("a", 2), ("b", 3), ("a", 4))
    worker.turn()
    bus.store.prune(3)
    assert worker.ask(1, DISCARD)
    worker.turn()
    worker.turn()
    assert (receiver.got, worker.state.held) == ([3, 4], 0)
    (said,) = bus.read(types="tidings.subscription.skipped")
    assert [said.payload[key] for key in ("from", "to", "about")] == [2, 3, "thing/a"]


def test_nothing_behind_what_was_given_up_is_handled_before_that_is_kept(
    bus: Bus, store: FaultyStore, time: Time
) -> None:
    """Else another process could handle it after what comes behind it."""
    receiver = Receiver(1)
    worker = WorkerByHand(bus, handler_of(receiver, pauses=[]), time)
    tell(bus, ("a", 1), ("a", 2))
    (partition,) = worker.partitions
    store.fail(StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        worker.turn_of(partition)
    assert (receiver.tried, store.failed) == ([1], True)
    worker.turn()
    assert (receiver.got, len(list(worker.letters))) == ([2], 1)
