"""What waits to be forwarded is claimed, put off and given up by the clock."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.delivery.watches.watching import SECOND, HandClock
from tests.forward.receiver import send_waiting
from tidings.event import Event
from tidings.forward import Forwarded, resend_refused, waiting
from tidings.forward.posting import exposes_key
from tidings.forward.waiting import Waiting
from tidings.spool.marks import mark
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.timestamps import now_instant

if TYPE_CHECKING:
    import pytest

    from tests.forward.receiver import Receiver
    from tidings.store.base import Put

DAY = 86_400 * SECOND


def kept(store: MemoryStore, url: str, event_id: str, claim: dict[str, object] | None) -> Put:
    """An event and its mark."""
    event = Event("a", id=event_id)
    put = mark(event, url, claim)
    store.append([event], put=[put])
    return put


def test_two_do_not_send_the_same_at_once(receiver: Receiver, target: tuple[str, str]) -> None:
    """What a living process has claimed is left to it, until its claim ends."""
    store, clock = MemoryStore(), HandClock(now_instant())
    kept(store, receiver.url, "a", Waiting(store, *target, clock).claim())
    assert send_waiting(store, clock=clock, hurry=True) == Forwarded(0, 1, 0)
    clock.instant += 31 * SECOND
    assert send_waiting(store, clock=clock) == Forwarded(1, 0, 0)
    assert receiver.ids() == ["a"]


def test_what_hangs_is_told(receiver: Receiver, target: tuple[str, str]) -> None:
    """A round that time ends does not pass for one in which nothing waited."""
    store = MemoryStore()
    kept(store, receiver.url, "a", None)
    receiver.answer = "hang"
    told = waiting.send_waiting(store, seconds=0.01, target=target)
    assert told == Forwarded(0, 0, 0, "not all was sent within 0.01 seconds")
    store.close()
    assert send_waiting(store, target=target).error


def test_what_a_dead_process_claimed_is_sent_at_once(
    receiver: Receiver, target: tuple[str, str]
) -> None:
    """A claim ends with its process, where that ran on this machine."""
    store, clock = MemoryStore(), HandClock(now_instant())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim = {**Waiting(store, *target, clock).claim(), "pid": dead.pid}
    kept(store, receiver.url, "a", {**claim, "host": "elsewhere"})
    kept(store, receiver.url, "b", claim)
    assert send_waiting(store, clock=clock) == Forwarded(1, 1, 0)
    assert receiver.ids() == ["b"]


def test_of_two_that_claim_one_sends(
    receiver: Receiver, target: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads a record just before another claims it does not send it, too."""
    store = MemoryStore()
    kept(store, receiver.url, "a", None)
    get = store.get

    def get_and_lose(key: str) -> object:
        record = get(key)
        store.put(key, get(key).value)  # type: ignore[union-attr]  # it is there
        return record

    monkeypatch.setattr(store, "get", get_and_lose)
    assert send_waiting(store, target=target).sent == 0
    assert receiver.requests == []


def test_other_addresses_are_left_alone(receiver: Receiver, target: tuple[str, str]) -> None:
    """What is marked for another address is not sent with this one's key."""
    store = MemoryStore()
    kept(store, "https://other.example.org/", "a", None)
    told = send_waiting(store, target=target)
    assert told == Forwarded(0, 1, 0, elsewhere="https://other.example.org/")
    assert receiver.requests == []


def test_what_names_no_address_is_sent_to_this_one(
    receiver: Receiver, target: tuple[str, str]
) -> None:
    """A slip in TIDINGS_API_URL costs no event: they go to the address that is set once it is."""
    store = MemoryStore()
    kept(store, "cloud.example.org/api/events", "a", None)
    key = target[1]
    slip = send_waiting(store, target=("cloud.example.org/api/events", key))
    assert slip == Forwarded(0, 1, 0, "the address must begin with https:// or http://")
    assert send_waiting(store, target=target, hurry=True) == Forwarded(1, 0, 0)
    assert receiver.ids() == ["a"]


def test_what_was_not_taken_is_put_off(receiver: Receiver, target: tuple[str, str]) -> None:
    """An address that is away is left alone for a while, as long as it says; all waits."""
    store, clock = MemoryStore(), HandClock(now_instant())
    for event_id in ("a", "b"):
        kept(store, receiver.url, event_id, None)
    receiver.answer = 503
    receiver.headers = {"retry-after": "120"}
    told = send_waiting(store, clock=clock, target=target)
    assert (told.sent, told.waiting, receiver.ids()) == (0, 2, ["a"])
    assert told.error == "it answered 503: so it is"
    receiver.answer = 200
    clock.instant += 119 * SECOND
    assert send_waiting(store, clock=clock, target=target).sent == 1
    clock.instant += 2 * SECOND
    assert send_waiting(store, clock=clock, target=target).sent == 1
    assert receiver.ids() == ["a", "b", "a"]


def test_what_is_refused_ten_times_is_put_aside(
    receiver: Receiver, target: tuple[str, str]
) -> None:
    """A refused event holds up no other; after three days it is put aside, and can be resent."""
    store, clock = MemoryStore(), HandClock(now_instant())
    kept(store, receiver.url, "a", None)
    receiver.answer = 422
    for attempt in range(1, 11):
        refused = int(attempt == 10)
        told = send_waiting(store, clock=clock, target=target)
        assert told == Forwarded(0, 1 - refused, refused, refusal="it answered 422: so it is")
        clock.instant += 2 * DAY
    assert send_waiting(store, clock=clock, target=target) == Forwarded(0, 0, 1)
    assert receiver.ids() == ["a"] * 10
    receiver.answer = 200
    assert resend_refused(store, target) == 1
    assert send_waiting(store, clock=clock, target=target) == Forwarded(1, 0, 0)


def test_a_refused_event_holds_up_no_other(receiver: Receiver, target: tuple[str, str]) -> None:
    """What is refused for what it is waits alone."""
    store = MemoryStore()
    for event_id in ("a", "b"):
        kept(store, receiver.url, event_id, None)
    receiver.answer = 400
    send_waiting(store, target=target)
    assert receiver.ids() == ["a", "b"]


def test_what_was_pruned_or_redacted_is_not_sent(
    receiver: Receiver, target: tuple[str, str]
) -> None:
    """What its owner removed goes nowhere any more."""
    store = MemoryStore()
    kept(store, receiver.url, "pruned", None)
    kept(store, receiver.url, "redacted", None)
    kept(store, receiver.url, "left", None)
    store.prune(1)
    store.redact(Query(ids="redacted"))
    assert send_waiting(store, target=target) == Forwarded(1, 0, 0)
    assert receiver.ids() == ["left"]


def test_strange_records_are_left_alone(receiver: Receiver, target: tuple[str, str]) -> None:
    """Whatever a client wrote under these keys does no harm."""
    store = MemoryStore()
    put = kept(store, receiver.url, "a", None)
    for number, value in enumerate((1, {}, {**put.value, "claim": 1}, {**put.value, "due": "x"})):
        store.put(f"forward/0-{number}", value)
    assert send_waiting(store, target=target) == Forwarded(1, 4, 0)


def test_a_mark_made_anew_meanwhile_stays(
    receiver: Receiver, target: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that is emitted again while it is being sent is sent once more."""
    store = MemoryStore()
    put = kept(store, receiver.url, "a", None)
    delete = store.delete

    def marked_again(key: str, expected: int | None = None) -> bool:
        monkeypatch.setattr(store, "delete", delete)
        store.put(key, put.value)
        return delete(key, expected)

    monkeypatch.setattr(store, "delete", marked_again)
    waiting = Waiting(store, *target)
    assert waiting.round() is None
    assert store.keys("forward/") == [put.key]


def test_a_key_in_clear_is_noticed() -> None:
    """Only https, and addresses of this machine, keep a key secret on the way."""
    assert [exposes_key(f"http://{host}/") for host in ("cloud.org", "10.0.0.1")] == [True, True]
    assert [exposes_key(f"http://{host}:1/") for host in ("[::1]", "localhost")] == [False, False]
    assert not exposes_key("https://cloud.org/")
