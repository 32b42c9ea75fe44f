"""The runner gives each duty that is held a thread, and calls the next turn when it is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event as Flag
from threading import Thread
from time import monotonic

import pytest

from tidings import Event
from tidings.errors import LeaseLost
from tidings.store.memory import MemoryStore
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.duties import Duty, Runner
from tidings.subscriptions.leases import Lease, Leases, _weight
from tidings.testing.elsewhere import PATIENCE


class Counting(Duty):
    """Counts its turns, rings and leavings, and does what it is told in a turn."""

    def __init__(
        self, store: MemoryStore, act: Callable[[Lease], int | None] | None = None
    ) -> None:
        self.key = "duty/count"
        self.first = {"turns": 0}
        self.turns = self.rings = self.left = 0
        self._store = store
        self._act = act

    def rang(self) -> None:
        """Count."""
        self.rings += 1

    def turn(self, lease: Lease, now: int) -> int | None:
        """Count, and act."""
        assert now > 0
        self.turns += 1
        self.position = self._store.head()
        return None if self._act is None else self._act(lease)

    def leave(self, lease: Lease) -> None:
        """Save the count."""
        self.left += 1
        lease.save({"turns": self.turns})


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


@pytest.fixture
def runner(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """A runner that listens often, and waits for its turns however slow the machine is."""
    monkeypatch.setattr("tidings.subscriptions.duties._GRACE_SECONDS", PATIENCE)
    monkeypatch.setattr("tidings.subscriptions.duties._BELL_SECONDS", 0.05)
    monkeypatch.setattr("tidings.subscriptions.duties._PAUSE_SECONDS", 0.05)
    leases = Leases(store, beat=0.05, patience=PATIENCE)  # on a slow machine it keeps them
    leases.start()
    with Runner(store, leases=leases) as runner:
        yield runner
    leases.close()


def until(condition: Callable[[], object]) -> None:
    """Wait for something to come about."""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "it did not come about"
        Flag().wait(0.005)


def test_a_turn_follows_events_rings_and_what_was_asked(runner: Runner, store: MemoryStore) -> None:
    """And before the lease is given up, the duty may save."""
    at_once: list[int] = []
    duty = Counting(store, lambda _: at_once.pop() if at_once else None)
    runner.add(duty)
    until(lambda: duty.turns)
    store.append([Event("x")])
    until(lambda: duty.position == 1)
    at_once += [1, 1, 1]
    rings = duty.rings
    Bell(store).ring()
    until(lambda: duty.rings > rings and not at_once)
    runner.close()
    record = store.get(duty.key)
    assert record is not None
    assert record.value == {"turns": duty.turns, "owner": None}


def test_a_duty_that_fails_is_taken_up_again(runner: Runner, store: MemoryStore) -> None:
    """An error of its own, or a lost lease, ends the turn and not the duty."""
    errors = iter([ZeroDivisionError(), LeaseLost("duty/count")])

    def fail(_: Lease) -> None:
        for error in errors:
            raise error

    duty = Counting(store, fail)
    runner.add(duty)
    until(lambda: duty.turns >= 3)


def test_a_new_duty_of_the_same_key_takes_the_place_of_the_old(
    runner: Runner, store: MemoryStore
) -> None:
    """Also while the old one is in the middle of a turn, which ends without writing anything."""
    entered, go_on, refused = Flag(), Flag(), Flag()

    def wait(lease: Lease) -> None:
        entered.set()
        go_on.wait(PATIENCE)
        try:
            lease.save({"turns": -1})
        except LeaseLost:
            refused.set()
            raise

    old, new = Counting(store, wait), Counting(store)
    runner.add(old)
    assert entered.wait(PATIENCE)
    runner.remove(old.key)
    runner.add(new)
    go_on.set()
    until(lambda: new.turns >= 1)
    store.append([Event("x")])
    until(lambda: new.turns >= 2)
    assert refused.is_set()
    assert (old.turns, old.left) == (1, 0)


def test_what_is_wanted_elsewhere_is_saved_and_given(
    runner: Runner, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second process that is chosen for it gets it at once, with what the first one saved."""
    monkeypatch.setattr("tidings.subscriptions.duties._BELL_SECONDS", PATIENCE)
    other = Leases(store, patience=PATIENCE)
    duty = Counting(store)
    while _weight(other.worker, duty.key) < _weight(runner.leases.worker, duty.key):
        duty.key += "+"  # the other one is chosen once it comes
    runner.add(duty)
    until(lambda: duty.turns)
    store.append([Event("x")])
    until(lambda: duty.position == 1)  # from now on nothing but the leases wakes it
    other.offer(duty.key, {})
    other.turn()
    until(lambda: duty.left and _owner(store, duty.key) is None)
    other.turn()
    lease = other.held(duty.key)
    assert lease is not None
    assert lease.value == {"turns": duty.turns}
    store.append([Event("x")])  # lets the thread go that watches for events


def test_who_ends_takes_nothing_back(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it gave up is free for others, while another duty of it is still in a turn."""
    monkeypatch.setattr("tidings.subscriptions.duties._GRACE_SECONDS", PATIENCE)
    entered, go_on = Flag(), Flag()

    def hang(_: Lease) -> None:
        entered.set()
        go_on.wait(PATIENCE)

    leases = Leases(store, patience=PATIENCE)
    runner = Runner(store, leases=leases)
    slow, other = Counting(store, hang), Counting(store)
    other.key = "duty/other"
    for duty in (slow, other):
        runner.add(duty)
    leases.turn()
    runner.start()
    assert entered.wait(PATIENCE)
    until(lambda: other.turns)
    ending = Thread(target=runner.close)
    ending.start()
    until(lambda: _owner(store, other.key) is None)
    leases.turn()
    assert _owner(store, other.key) is None
    assert _owner(store, slow.key) == leases.worker
    go_on.set()
    ending.join(PATIENCE)
    assert _owner(store, slow.key) is None
    leases.close()


def test_an_unexpected_error_leaves_no_duty_deaf(
    runner: Runner, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that fails in a way nobody knows is asked again."""
    duty = Counting(store)
    runner.add(duty)
    until(lambda: duty.turns)
    failed = Flag()
    wait = store.wait

    def fail(after: int, timeout: float | None) -> int:
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        return wait(after, timeout)

    monkeypatch.setattr(store, "wait", fail)
    assert failed.wait(PATIENCE)
    store.append([Event("x")])
    until(lambda: duty.position == 1)
    rings = duty.rings
    Bell(store).ring()
    until(lambda: duty.rings > rings)


def _owner(store: MemoryStore, key: str) -> str | None:
    record = store.get(key)
    return None if record is None else record.value["owner"]
