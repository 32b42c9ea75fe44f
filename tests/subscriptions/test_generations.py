"""How a subscription begins, and how its partitions change, safely whatever dies meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.subscriptions.by_hand import FaultyStore, Receiver, Time, WorkerByHand, handler_of, tell
from tidings import Bus
from tidings.errors import InvalidSetting, LeaseLost, NotFound, StoreUnavailable
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.dead_letters import DISCARD, REPLAY
from tidings.subscriptions.generations import Generations
from tidings.subscriptions.registry import Subscriptions


@pytest.mark.parametrize(
    ("start", "expected"), [("beginning", [1, 2, 3]), ("now", [3]), (1, [2, 3])]
)
def test_where_it_begins_is_decided_once(
    bus: Bus, time: Time, start: str | int, expected: list[int]
) -> None:
    """A new subscription begins where its first declaration says; later ones change nothing."""
    receiver = Receiver()
    tell(bus, ("a", 1), ("a", 2))
    first = WorkerByHand(bus, handler_of(receiver, start=start), time)
    first.leave()
    tell(bus, ("a", 3))
    WorkerByHand(bus, handler_of(receiver, start="beginning"), time).turn()
    assert receiver.got == expected


def test_filters_may_change(bus: Bus, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    """Positions stay; the log says what is wanted now, and the record as well."""
    receiver = Receiver()
    WorkerByHand(bus, handler_of(receiver, "other"), time).leave()
    worker = WorkerByHand(bus, handler_of(receiver, "told"), time)
    tell(bus, ("a", 1))
    worker.turn()
    assert (receiver.got, worker.state.filter) == ([1], "types=told")
    assert "types=told instead of types=other" in caplog.text


def test_partitions_share_aggregates(bus: Bus, time: Time) -> None:
    """Each aggregate is in one partition, in order; all events are handled once."""
    receiver = Receiver()
    worker = WorkerByHand(bus, handler_of(receiver, partitions=4), time)
    tell(bus, *((f"thing{n % 10}", n) for n in range(100)))
    worker.turn()
    assert sorted(receiver.got) == list(range(100))
    for thing in range(10):
        own = [n for n in receiver.got if n % 10 == thing]
        assert own == sorted(own)
    assert min(each.handled for each in worker.state.partitions) > 0


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (3, 2)])
def test_another_number_of_partitions_handles_nothing_twice(
    bus: Bus, time: Time, before: int, after: int
) -> None:
    """However far each partition was; what waited goes on waiting, and its aggregate in order."""
    receiver = Receiver(3)
    old = WorkerByHand(bus, handler_of(receiver, partitions=before, pauses=[10] * 9), time)
    tell(bus, *((f"thing{n % 10}" if n % 10 < 8 else None, n) for n in range(100)))
    slowest = old.partitions.pop()  # one stays behind
    old.turn()
    old.partitions.append(slowest)
    old.leave()
    new = WorkerByHand(bus, handler_of(receiver, partitions=after, pauses=[10] * 9), time)
    new.turn()
    tell(bus, *((f"thing{n % 10}", n) for n in range(100, 120)))
    new.turn()
    waiting = [n for n in range(120) if n % 10 == 3 and n >= 3]
    assert sorted(receiver.got) == [n for n in range(120) if n not in waiting]
    assert new.state.waiting == 1
    receiver.refuses.clear()
    new.turn(20)
    assert receiver.got[-len(waiting) :] == waiting
    assert (len(new.state.partitions), new.state.handled) == (after, 120)


def test_an_old_process_writes_nothing_after_a_change(bus: Bus, time: Time) -> None:
    """Its records are closed, so its late checkpoint is refused, and it finds nothing to do."""
    receiver, late = Receiver(), Receiver()
    old = WorkerByHand(bus, handler_of(late), time)
    old.turn()
    new = WorkerByHand(bus, handler_of(receiver, partitions=2), time)
    tell(bus, ("a", 1))
    lease = old.leases.held(old.partitions[0].key)
    assert lease is not None
    time.goes_by(1)
    with pytest.raises(LeaseLost):
        old.turn_of(old.partitions[0])
    tell(bus, ("a", 2))
    old.turn()
    new.turn()
    assert (receiver.got, late.got) == ([1, 2], [1])


@pytest.mark.parametrize("to", ["partitions", "beginning"])
def test_a_change_survives_a_crash_at_any_write(
    bus: Bus, store: FaultyStore, time: Time, to: str
) -> None:
    """Whoever comes next ends what was begun, and every event is handled."""
    writes = 0
    handler = handler_of(Receiver(), partitions=2)
    WorkerByHand(bus, handler, time).leave()
    while True:
        receiver = Receiver()
        partitions = 3 - writes % 2 if to == "partitions" else 2
        old = WorkerByHand(bus, handler_of(receiver, partitions=2), time)
        old.leave()
        tell(bus, ("a", 1), ("b", 2))
        head = store.head()
        store.fail(StoreUnavailable("away"), after=writes)
        try:
            if to == "partitions":
                WorkerByHand(bus, handler_of(receiver, partitions=5), time).leave()
            else:
                Subscriptions(store).reset("notify", "beginning")
        except StoreUnavailable:
            pass
        died = store.works_again()
        time.goes_by(60)
        new = WorkerByHand(bus, handler_of(receiver, partitions=partitions), time)
        new.turn(60)
        for _ in range(3):
            new.turn(2)
        got = receiver.got[-2:] if to == "partitions" else receiver.got
        assert got, writes
        assert sorted(got) == sorted([1, 2] * (len(got) // 2)), writes
        assert (new.state.position, len(new.state.partitions)) == (head, partitions)
        keys = store.keys("partition/")
        assert {key.split("/")[2] for key in keys} == {str(new.state.generation)}, writes
        new.leave()
        if not died:
            break
        writes += 1
    assert writes >= 4


def test_a_reset_goes_back_or_ahead(bus: Bus, time: Time) -> None:
    """What waited is forgotten; a running worker goes on from there as soon as it looks."""
    receiver = Receiver(1)
    subscriptions = Subscriptions(bus.store)
    worker = WorkerByHand(bus, handler_of(receiver, on_failure="hold", pauses=[]), time)
    tell(bus, ("a", 1), ("a", 2), ("b", 3))
    worker.turn()
    assert subscriptions.reset("notify", 1).position == 1
    worker.look()
    worker.turn()
    assert receiver.got == [3, 2, 3]
    assert subscriptions.reset("notify", "now").lag == 0
    worker.look()
    receiver.refuses.clear()
    worker.ask(1, REPLAY)
    worker.turn()
    assert (receiver.got, worker.state.dead_letters) == ([3, 2, 3, 1], 0)


def test_a_letter_of_before_a_reset_holds_nothing(bus: Bus, time: Time) -> None:
    """It can be discarded all the same."""
    worker = WorkerByHand(bus, handler_of(Receiver(1), on_failure="hold", pauses=[]), time)
    tell(bus, ("a", 1))
    worker.turn()
    Subscriptions(bus.store).reset("notify", "now")
    worker.look()
    worker.ask(1, DISCARD)
    worker.turn()
    assert (worker.state.dead_letters, worker.state.held) == (0, 0)


@pytest.mark.parametrize("to", ["sometime", -1, 2, True, None])
def test_a_reset_to_nowhere_changes_nothing(bus: Bus, time: Time, to: object) -> None:
    """Neither past the newest event nor to what is no position."""
    worker = WorkerByHand(bus, handler_of(Receiver()), time)
    tell(bus, ("a", 1))
    before = bus.store.get("subscription/notify")
    with pytest.raises(InvalidSetting, match="from 0 to 1"):
        Subscriptions(bus.store).reset("notify", to)  # type: ignore[arg-type]  # on purpose
    assert bus.store.get("subscription/notify") == before
    worker.leave()


def test_what_is_deleted_is_gone_and_can_be_made_anew(bus: Bus, time: Time) -> None:
    """A process that ran it does nothing more; a new declaration begins anew."""
    receiver = Receiver(2)
    subscriptions = Subscriptions(bus.store)
    old = WorkerByHand(bus, handler_of(receiver, pauses=[]), time)
    tell(bus, ("a", 1), ("b", 2))
    old.turn()
    subscriptions.delete("notify")
    assert subscriptions.list() == []
    assert bus.store.keys("dead-letter") == bus.store.keys("partition/") == []
    tell(bus, ("a", 3))
    lease = old.leases.held(old.partitions[0].key)
    assert lease is not None
    with pytest.raises(LeaseLost):
        old.turn()
    old.turn()
    new = WorkerByHand(bus, handler_of(receiver, start="now"), time)
    old.turn()
    tell(bus, ("a", 4))
    new.turn()
    assert receiver.got == [1, 4]
    assert (new.state.generation, new.state.failed) == (2, 0)


@pytest.mark.parametrize("verb", ["get", "pause", "resume", "delete"])
def test_what_is_not_there_is_not_found(bus: Bus, verb: str) -> None:
    """The message says where to look."""
    with pytest.raises(NotFound, match="tidings subscriptions list"):
        getattr(Subscriptions(bus.store), verb)("nobody")
    with pytest.raises(NotFound):
        Subscriptions(bus.store).reset("nobody", "now")


def test_tidying_up_spares_what_was_made_meanwhile(
    bus: Bus, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change in the middle of it, at any call, does not cost the new partitions their records."""
    receiver = Receiver()
    WorkerByHand(bus, handler_of(receiver), time).leave()
    subscriptions, records = Subscriptions(bus.store), Generations(bus.store)
    for name in ("keys", "get", "delete"):
        usual = getattr(bus.store, name)

        def changing(*args: object, usual: Any = usual, **more: object) -> Any:
            monkeypatch.undo()
            subscriptions.reset("notify", "beginning")
            return usual(*args, **more)

        bus.store.put("partition/notify/0/0", {"closed": True})
        monkeypatch.setattr(bus.store, name, changing)
        records.sweep("notify")
        generation = subscriptions.get("notify").generation
        assert bus.store.keys("partition/notify/") == [f"partition/notify/{generation}/0"], name


def test_a_filter_for_other_aggregates_concerns_what_waits_too(bus: Bus, time: Time) -> None:
    """What waits and is not wanted any more is let go."""
    receiver = Receiver(1)
    before = WorkerByHand(bus, handler_of(receiver), time)
    tell(bus, ("a", 1), ("a", 2), ("b", 3))
    before.turn()
    before.leave()
    after = WorkerByHand(bus, handler_of(receiver, aggregate_type="other"), time)
    after.turn(5)
    assert (receiver.tried, after.state.waiting, after.state.lag) == ([1, 3], 0, 0)


def test_a_record_left_behind_does_not_stop_a_change(bus: Bus, time: Time) -> None:
    """A process may make that of a deleted generation anew; its number is not used again."""
    receiver = Receiver()
    worker = WorkerByHand(bus, handler_of(receiver), time)
    bus.store.put("partition/notify/2/0", {"closed": True})
    tell(bus, ("a", 1))
    Subscriptions(bus.store).reset("notify", "beginning")
    worker.look()
    worker.turn()
    assert (receiver.got, worker.state.generation) == ([1], 3)
    assert bus.store.keys("partition/") == ["partition/notify/3/0"]


def test_who_changed_partitions_rings(bus: Bus, time: Time) -> None:
    """So that the others run the new ones too."""
    WorkerByHand(bus, handler_of(Receiver()), time)
    bell = Bell(bus.store)
    bell.rang()
    WorkerByHand(bus, handler_of(Receiver(), partitions=2), time)
    assert bell.rang()


def test_what_waited_and_was_pruned_is_said_after_partitions_changed(bus: Bus, time: Time) -> None:
    """Nobody knows to which partition it belonged, yet it is not dropped in silence."""
    before = WorkerByHand(bus, handler_of(Receiver(1), partitions=3), time)
    tell(bus, (None, 1), ("a", 2))
    before.turn()
    before.leave()
    bus.store.prune(1)
    after = WorkerByHand(bus, handler_of(Receiver(), partitions=2), time)
    after.turn(5)
    assert after.state.waiting == 0
    (said,) = bus.read(types="tidings.subscription.skipped")
    assert (said.payload["from"], said.payload["to"]) == (1, 1)
