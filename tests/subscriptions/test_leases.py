"""Of all processes one runs each thing, another one soon after it died, and never both write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.subscriptions.by_hand import FaultyStore, Time
from tidings.errors import LeaseLost, OutcomeUnknown, StoreUnavailable
from tidings.store.memory import MemoryStore
from tidings.subscriptions.leases import BEAT, PATIENCE, Leases

KEYS = [f"duty/{number}" for number in range(60)]


def offering(store: MemoryStore | FaultyStore, time: Time, keys: list[str] = KEYS) -> Leases:
    """A process that offers to run all of them."""
    leases = Leases(store, clock=time)
    for key in keys:
        leases.offer(key, {"position": 0})
    return leases


def settle(time: Time, *processes: Leases, seconds: float = BEAT) -> None:
    """Let time go by, and every process beat, and give up what it was asked for."""
    for _ in range(3):
        time.goes_by(seconds / 3)
        for process in processes:
            process.turn()
            for key in process.all_held():
                lease = process.held(key)
                if lease is not None and lease.wanted:
                    process.release(key)


def test_each_lease_is_held_once_and_all_get_a_share() -> None:
    """A process that comes gets its share of what others run; nothing else moves."""
    store, time = MemoryStore(), Time()
    processes = [offering(store, time) for _ in range(2)]
    settle(time, *processes)
    before = {key: n for n, process in enumerate(processes) for key in process.all_held()}
    assert sorted(before) == sorted(KEYS)
    processes.append(offering(store, time))
    settle(time, *processes)
    after = {key: n for n, process in enumerate(processes) for key in process.all_held()}
    assert sorted(after) == sorted(KEYS)
    assert sum(len(process.all_held()) for process in processes) == len(KEYS)
    moved = {key for key in KEYS if before[key] != after[key]}
    assert moved
    assert {after[key] for key in moved} == {2}
    assert min(len(process.all_held()) for process in processes) >= 5


def test_what_a_dead_process_held_is_taken_over() -> None:
    """Not before it was silent for as long as we are patient, by the watcher's own clock."""
    store, dead_time, time = MemoryStore(), Time(), Time()
    dead_time.goes_by(-1_000_000)  # its clock shows another time altogether
    dead = offering(store, dead_time)
    dead.turn()
    other = offering(store, time)
    other.turn()
    time.goes_by(PATIENCE - 0.1)
    other.turn()
    assert other.all_held() == []
    time.goes_by(0.1)
    other.turn()
    assert sorted(other.all_held()) == sorted(KEYS)
    assert store.keys("worker/") == [f"worker/{other.worker}"]


def test_what_a_process_gives_up_is_taken_at_once() -> None:
    """One that ends as it should makes nobody wait."""
    store, time = MemoryStore(), Time()
    first, second = offering(store, time), offering(store, time)
    first.turn()
    first.close()
    second.turn()
    assert sorted(second.all_held()) == sorted(KEYS)


def test_who_stood_still_too_long_holds_nothing() -> None:
    """It must not act before it has looked, and what it then writes with old leases is refused."""
    store, time = MemoryStore(), Time()
    paused, other = offering(store, time), offering(store, time)
    paused.turn()
    lease = paused.held(KEYS[0])
    assert lease is not None
    time.goes_by(0)
    other.turn()
    time.goes_by(PATIENCE)
    other.turn()
    assert paused.held(KEYS[0]) is None
    assert paused.all_held() == []
    taken = other.held(KEYS[0])
    assert taken is not None
    taken.save({"position": 9})
    with pytest.raises(LeaseLost):
        lease.save({"position": 3})
    assert lease.lost
    with pytest.raises(LeaseLost):
        lease.put({"position": 4})
    paused.turn()
    record = store.get(KEYS[0])
    assert record is not None
    assert (record.value["position"], record.value["owner"]) == (9, other.worker)


def test_what_was_lost_is_not_kept_from_others() -> None:
    """Who lost what another one is to run says so, though it lives on; nothing is orphaned."""
    store, time = MemoryStore(), Time()
    first = offering(store, time)
    settle(time, first)
    second = offering(store, time)
    second.turn()
    time.goes_by(PATIENCE)  # the store was away for both
    settle(time, first, second)
    assert sorted(first.all_held() + second.all_held()) == sorted(KEYS)
    assert second.all_held()


def test_who_cannot_beat_stops_acting_in_time(tmp_path: Path) -> None:
    """Before others may take it for dead, it holds nothing by its own account."""
    store, time = FaultyStore(str(tmp_path / "events.db")), Time()
    leases = offering(store, time, KEYS[:1])
    leases.turn()
    time.goes_by(PATIENCE - 1.1)
    store.fail(StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        leases.turn()
    assert leases.all_held() == KEYS[:1]
    time.goes_by(0.1)
    assert (leases.all_held(), leases.held(KEYS[0])) == ([], None)
    leases.turn()
    assert leases.all_held() == KEYS[:1]
    store.close()


@pytest.mark.parametrize("done", [True, False])
def test_a_write_without_an_answer_is_looked_up(tmp_path: Path, *, done: bool) -> None:
    """Saved if it arrived, else lost; in doubt nobody goes on from a wrong position."""
    store, time = FaultyStore(str(tmp_path / "events.db")), Time()
    leases = offering(store, time, KEYS[:1])
    leases.turn()
    lease = leases.held(KEYS[0])
    assert lease is not None
    store.fail(OutcomeUnknown("the line broke"), done=done)
    if done:
        lease.save({"position": 7})
        lease.save({"position": 8})
    else:
        with pytest.raises(LeaseLost):
            lease.save({"position": 7})
        leases.turn()
    again = leases.held(KEYS[0])
    assert again is not None
    assert again.value["position"] == (8 if done else 0)
    store.close()


def test_what_only_some_offer_is_run_by_those() -> None:
    """Processes that run other things are not chosen for it."""
    store, time = MemoryStore(), Time()
    one, other = offering(store, time, KEYS[:30]), offering(store, time, KEYS[30:])
    settle(time, one, other)
    assert (set(one.all_held()), set(other.all_held())) == (set(KEYS[:30]), set(KEYS[30:]))
    other.withdraw(KEYS[-1])
    record = store.get(KEYS[-1])
    assert record is not None
    assert record.value["owner"] is None


@pytest.mark.parametrize("there", [True, False])
def test_what_is_withdrawn_while_it_is_claimed_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """It is neither held by who lives and does not run it, nor there anew where it was removed."""
    store, time = MemoryStore(), Time()
    if there:
        store.put(KEYS[0], {"position": 5, "owner": None})
    leases = offering(store, time, KEYS[:1])
    put = store.put

    def withdrawn(key: str, value: Any, expected: int | None = None) -> int:
        if key == KEYS[0]:
            monkeypatch.undo()
            leases.withdraw(key)
        return put(key, value, expected)

    monkeypatch.setattr(store, "put", withdrawn)
    leases.turn()
    record = store.get(KEYS[0])
    assert leases.all_held() == []
    assert (record and record.value) == ({"position": 5, "owner": None} if there else None)


def test_what_was_claimed_before_the_store_went_away_is_told(tmp_path: Path) -> None:
    """Else nothing would run it, though its owner lives."""
    store, time = FaultyStore(str(tmp_path / "events.db")), Time()
    leases = offering(store, time, KEYS[:2])
    told: list[list[str]] = []
    leases.on_change.append(lambda: told.append(leases.all_held()))
    store.fail(StoreUnavailable("away"), after=2)
    with pytest.raises(StoreUnavailable):
        leases.turn()
    assert told == [KEYS[:1]]
    store.close()


def test_who_claims_much_beats_meanwhile() -> None:
    """However long it takes, nobody takes it for dead, and it may act on what it has."""
    time = Time()
    store = SlowStore(time)
    leases = offering(store, time)
    told: list[int] = []
    leases.on_change.append(lambda: told.append(len(leases.all_held())))
    leases.turn()
    assert told == [len(KEYS)]
    assert time.elapsed() > Time().elapsed() + PATIENCE
    lease = leases.held(KEYS[0])
    leases.turn()
    assert leases.held(KEYS[0]) is lease
    assert store.longest_silence < PATIENCE / 2


@pytest.mark.parametrize("lost", [True, False])
def test_what_could_not_be_given_up_is_given_up_later(tmp_path: Path, *, lost: bool) -> None:
    """Its owner lives, so nobody else would ever take it."""
    store, time = FaultyStore(str(tmp_path / "events.db")), Time()
    first = offering(store, time, KEYS[:1])
    first.turn()
    lease = first.held(KEYS[0])
    assert lease is not None
    if lost:
        lease.forget()  # it could not be looked up what became of a write
    else:
        store.fail(StoreUnavailable("away"))
    first.withdraw(KEYS[0])
    second = offering(store, time, KEYS[:1])
    first.turn()
    second.turn()
    assert second.all_held() == KEYS[:1]
    store.close()


class SlowStore(MemoryStore):
    """A store that takes a while to write."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self.longest_silence = 0.0
        self._time = time
        self._beaten = time.elapsed()

    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        """As a store's."""
        self._time.goes_by(0.2)
        if key.startswith("worker/"):
            silence = self._time.elapsed() - self._beaten
            self.longest_silence = max(self.longest_silence, silence)
            self._beaten = self._time.elapsed()
        return super().put(key, value, expected)
