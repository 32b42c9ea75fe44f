"""The webhook engine: real receivers get what is theirs, in order, however others behave."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.delivery.webhooks.delivering import (
    DAY,
    HOUR,
    MINUTE,
    Delivering,
    endpoint_for,
    eventually,
    job,
    numbers,
)
from tests.delivery.webhooks.receivers import (
    GONE,
    HANG,
    OK,
    Receiver,
    answer,
    refused_url,
    retry_later,
)
from tidings.delivery.webhooks import trial
from tidings.delivery.webhooks.asking import Replays
from tidings.delivery.webhooks.attempts import Attempts
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.delivery.webhooks.signing import new_secret
from tidings.event import Event
from tidings.removing import prune, redact
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.subscriptions.dead_letters import DeadLetter, DeadLetters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.delivery.webhooks.receivers import Answer, Exchange
    from tidings.delivery.webhooks.endpoint import Endpoint
    from tidings.store.base import Store

SICK = answer(500, b"it hurts")


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """An empty store; what depends on the backend is tested in `test_engine_processes`."""
    with MemoryStore() as store:
        yield store


def refuses(*numbers: int) -> Answer:
    """Answers that fail for some events, by their number."""

    async def say(exchange: Exchange) -> None:
        number = json.loads(exchange.got.body)["data"]["n"]
        await (SICK if number in numbers else OK)(exchange)

    return say


def test_each_endpoint_gets_what_it_wants_signed(store: Store) -> None:
    """An endpoint gets the events its filters want, from when it was made, each once and signed."""
    store.append([job(0)])
    secret = new_secret()
    wanted = {"types": "job.*", "project": "x", "exclude": {"status": "failure"}}
    with Receiver() as all, Receiver(secrets=[secret]) as some:
        endpoint_for(store, all.url)
        endpoint_for(store, some.url, wanted, secret=secret)
        with Delivering(store):
            store.append([job(1), job(2, project="x"), job(3, project="x", status="failure")])
            store.append([Event("build.done", "x", payload={"n": 4, "about": 0})])
            store.append([job(5, project="x")])
            all.wait(5)
            some.wait(2)
        assert sorted(numbers(all.got)) == [1, 2, 3, 4, 5]
        assert sorted(numbers(some.got)) == [2, 5]
        assert {got.verified for got in some.got} == {True}


def test_order_holds_within_an_aggregate_while_others_run_beside_it(store: Store) -> None:
    """Requests run beside each other, up to the endpoint's bound; of one aggregate never two."""
    most: list[int] = []
    under_way: list[int] = []

    async def say(exchange: Exchange) -> None:
        (number,) = numbers([exchange.got])
        under_way.append(number)
        most.append(len(under_way))
        await asyncio.sleep(0)
        under_way.remove(number)
        await OK(exchange)

    with Receiver(HANG) as receiver:
        endpoint_for(store, receiver.url, concurrency=3, start="beginning")
        store.append([job(n, about=n % 5) for n in range(40)])
        with Delivering(store) as delivering:
            first = receiver.wait(3)
            eventually(lambda: delivering.engine.counts()["under_way"] == 3)
            assert sorted(numbers(first)) == [0, 1, 2]
            receiver.answer = say
            receiver.release()
            receiver.wait(40)
        assert max(most) <= 3
        for about in range(5):
            assert numbers(receiver.got, str(about)) == []
            assert numbers(receiver.got, about) == list(range(about, 40, 5))


def test_what_fails_is_tried_by_the_schedule_and_given_up_after_ten_attempts(store: Store) -> None:
    """After 0 s, 5 s, 5 min, … 24 h an event becomes a dead letter; then its aggregate goes on."""
    pauses = [5, 5 * MINUTE, HOUR / 2, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, DAY]
    with Receiver(refuses(1)) as receiver, Delivering(store) as delivering:
        endpoint = endpoint_for(store, receiver.url)
        store.append([job(1, about="a"), job(2, about="a"), job(3, about="b")])
        receiver.wait(2)
        for made, pause in enumerate(pauses, 1):
            eventually(partial(has_failed, delivering, made))
            delivering.later(pause * 0.99)
            store.append([job(10 + made, about="b")])
            eventually(partial(has_got, receiver, 10 + made))
            assert numbers(receiver.got).count(1) == made
            delivering.later(pause * 0.12)
        eventually(lambda: 2 in numbers(receiver.got))
        assert numbers(receiver.got).count(1) == 10
        eventually(lambda: DeadLetters(store).count(endpoint.subscription))
        (letter,) = DeadLetters(store).of(endpoint.subscription)
        assert len(letter.attempts) == 10
        assert {attempt.status for attempt in letter.attempts} == {500}
        (told,) = store.read(Query(types="tidings.dead_letter"))
        assert (told.aggregate_type, told.aggregate_id) == ("subscription", endpoint.subscription)
        assert (told.payload["position"], told.payload["attempts"]) == (letter.position, 10)
        assert told.payload["error"] == letter.attempts[-1].error
        assert told.causation_id == letter.event_id
        store.append([job(4, about="a")])
        eventually(lambda: 4 in numbers(receiver.got))
        assert numbers(receiver.got, "a")[-2:] == [2, 4]


def test_an_endpoint_that_asks_for_a_pause_gets_it(store: Store) -> None:
    """Retry-After lengthens the pause, for all of the endpoint's events."""
    with Receiver() as receiver, Delivering(store) as delivering:
        receiver.script = [retry_later("3600")]
        endpoint = endpoint_for(store, receiver.url)
        store.append([job(1)])
        eventually(lambda: attempts_at(store, endpoint))
        store.append([job(2)])
        delivering.later(HOUR / 2)
        eventually(lambda: Endpoints(store).state(endpoint.id).position == 1)
        assert numbers(receiver.got) == [1]
        delivering.later(HOUR * 0.6)
        receiver.wait(3)
        assert sorted(numbers(receiver.got)) == [1, 1, 2]


def test_an_endpoint_that_is_gone_is_disabled_at_once_and_an_event_says_so(store: Store) -> None:
    """410 stops an endpoint; a person may enable it again, and it gets what it missed."""
    with Receiver(GONE) as receiver, Delivering(store):
        endpoint = endpoint_for(store, receiver.url)
        store.append([job(1)])
        eventually(lambda: Endpoints(store).get(endpoint.id).disabled == "gone")
        eventually(lambda: store.latest("tidings.webhook.disabled"))
        said = store.latest("tidings.webhook.disabled")
        assert said is not None
        assert said.payload["endpoint"] == endpoint.id
        assert said.payload["reason"] == "gone"
        # Whoever may read events sees it, and a receiver's secret may be its path.
        assert said.payload["url"] == receiver.url.removesuffix("/hook")
        store.append([job(2)])
        receiver.answer = OK
        Endpoints(store).resume(endpoint.id)
        assert sorted(numbers(receiver.wait(3))) == [1, 1, 2]


def test_an_endpoint_that_takes_nothing_for_five_days_is_disabled(store: Store) -> None:
    """Five days without a success disable an endpoint; enabled again it begins afresh."""
    with Receiver(SICK) as receiver, Delivering(store) as delivering:
        endpoint = endpoint_for(store, receiver.url)
        store.append([job(1)])
        eventually(lambda: Endpoints(store).state(endpoint.id).failing_since)
        delivering.later(4.9 * DAY)
        eventually(lambda: len(receiver.got) == 2)
        assert not Endpoints(store).get(endpoint.id).disabled
        delivering.later(0.2 * DAY)
        eventually(lambda: Endpoints(store).get(endpoint.id).disabled == "failing")
        eventually(lambda: store.latest("tidings.webhook.disabled"))
        asked = len(receiver.got)
        delivering.later(DAY)
        Endpoints(store).resume(endpoint.id)
        eventually(lambda: len(receiver.got) == asked + 1)
        eventually(lambda: Endpoints(store).state(endpoint.id).failing_since)
        assert not Endpoints(store).get(endpoint.id).disabled
        receiver.answer = OK
        delivering.later(2 * DAY)
        eventually(lambda: Endpoints(store).state(endpoint.id).failing_since is None)


def test_a_dead_endpoint_is_tried_little_and_gets_everything_when_it_is_back(store: Store) -> None:
    """Of many events few are tried on a dead endpoint; back again it gets all, in order."""
    with Receiver(SICK) as receiver, Receiver() as other, Delivering(store) as delivering:
        endpoint_for(store, receiver.url)
        endpoint_for(store, other.url)
        for start in range(0, 500, 50):
            store.append([job(n, about=n % 7) for n in range(start, start + 50)])
        other.wait(500)
        assert len(receiver.got) < 10
        receiver.answer = OK
        delivering.later(5 * MINUTE)
        eventually(lambda: len(set(numbers(receiver.got))) == 500)
        delivering.later(HOUR)
        refused = len(receiver.got) - 500
        assert refused < 20
        for about in range(7):
            taken = numbers(receiver.got, about)
            assert sorted(set(taken)) == list(range(about, 500, 7))
            assert taken == sorted(taken)


def test_endpoints_that_hang_or_refuse_hold_up_nobody(store: Store) -> None:
    """With more hanging endpoints than requests may be under way, the others get theirs at once."""
    with Receiver(HANG) as hanging, Receiver() as living:
        for n in range(30):
            endpoint_for(store, hanging.at(f"/{n}"), {"types": "job.*"}, start="beginning")
        endpoint_for(store, refused_url(), start="beginning")
        endpoint_for(store, living.url, start="beginning")
        store.append([job(0)])
        with Delivering(store, limit=24) as delivering:
            for n in range(1, 6):
                living.wait(n)
                store.append([job(n)])
            living.wait(6)
            delivering.engine.close(grace=0)
        assert sorted(numbers(living.got)) == list(range(6))


def test_a_paused_endpoint_gets_nothing_and_then_goes_on(store: Store) -> None:
    """Paused, it is sent nothing; resumed it gets what it missed, or skips it if told so."""
    with Receiver() as one, Receiver() as two, Receiver() as other, Delivering(store):
        first = endpoint_for(store, one.url)
        second = endpoint_for(store, two.url)
        endpoint_for(store, other.url)
        store.append([job(1)])
        one.wait()
        two.wait()
        Endpoints(store).pause(first.id)
        Endpoints(store).pause(second.id)
        heard(store, other)
        store.append([job(2), job(3)])
        eventually(lambda: 3 in numbers(other.got))
        assert (numbers(one.got), numbers(two.got)) == ([1], [1])
        Endpoints(store).resume(first.id)
        Endpoints(store).resume(second.id, skip=True)
        one.wait(3)
        store.append([job(4)])
        eventually(lambda: 4 in numbers(two.got) and 4 in numbers(one.got))
        assert sorted(numbers(one.got)) == [1, 2, 3, 4]
        assert sorted(numbers(two.got)) == [1, 4]


def test_changes_take_effect_while_it_runs(store: Store) -> None:
    """Another URL, other filters and a rotated secret hold from the next request on."""
    old, new = new_secret(), new_secret()
    one, two, other = Receiver(secrets=[old]), Receiver(secrets=[new]), Receiver()
    with one, two, other, Delivering(store):
        endpoint = endpoint_for(store, one.url, {"project": "a"}, secret=old)
        store.append([job(1, project="a"), job(2, project="b")])
        one.wait()
        Endpoints(store).rotate(endpoint.id, secret=new)
        Endpoints(store).change(endpoint.id, url=two.url, filters={"project": "b"})
        heard(store, other)
        store.append([job(4, project="a"), job(5, project="b")])
        assert numbers(two.wait()) == [5]
        assert numbers(one.got) == [1]
        assert {got.verified for got in (*one.got, *two.got)} == {True}


def test_a_deleted_endpoint_leaves_nothing(store: Store) -> None:
    """After it was deleted it is sent nothing, and no record tells of it."""
    with Receiver(SICK) as receiver, Receiver() as other, Delivering(store) as delivering:
        endpoint = endpoint_for(store, receiver.url)
        store.append([job(1)])
        eventually(lambda: attempts_at(store, endpoint))
        endpoint_for(store, other.url)
        Endpoints(store).delete(endpoint.id)
        heard(store, other)
        delivering.later(DAY)
        store.append([job(2)])
        other.wait(2)
        assert numbers(receiver.got) == [1]
    assert [key for key in store.keys("") if endpoint.id in key] == []


def test_one_event_is_sent_again(store: Store) -> None:
    """A replay of one event, by position or id, sends it and no other."""
    with Receiver() as receiver, Delivering(store):
        endpoint = endpoint_for(store, receiver.url)
        events = store.append([job(1, about="a"), job(2, about="a")])
        receiver.wait(2)
        assert Replays(store).event(endpoint.id, events[0].id) == 1
        receiver.wait(3)
        assert Replays(store).event(endpoint.id, 2) == 2
        receiver.wait(4)
        store.append([job(3)])
        receiver.wait(5)
        assert numbers(receiver.got) == [1, 2, 1, 2, 3]
        eventually(lambda: attempts_at(store, endpoint) == 5)
        triggers = [listed.trigger for listed in Attempts(store).of(endpoint.id)]
        assert triggers == ["delivery", "replay", "replay", "delivery", "delivery"]


def test_everything_since_a_position_is_sent_again_in_order(store: Store) -> None:
    """A replay since a position sends all past it once more, and what comes then after it."""
    store.append([job(n, about="a") for n in range(1, 6)])
    with Receiver() as receiver:
        endpoint = endpoint_for(store, receiver.url, start="beginning")
        with Delivering(store):
            receiver.wait(5)
        assert Replays(store).since(endpoint.id, after=2) == 3
        assert Replays(store).count_since(endpoint.id, 0) == 5
        with Delivering(store):  # asked for while none ran
            store.append([job(6, about="a")])
            receiver.wait(9)
    assert numbers(receiver.got) == [1, 2, 3, 4, 5, 3, 4, 5, 6]


def test_all_that_was_given_up_is_sent_again(store: Store) -> None:
    """A replay of all dead letters sends each again; those that are taken are dead no longer."""
    with Receiver() as receiver, Delivering(store):
        endpoint = endpoint_for(store, receiver.url)
        events = store.append([job(n, about="a") for n in range(150)])
        receiver.wait(150)
        letters = DeadLetters(store)
        for event in events:
            letters.add(DeadLetter.about(event, endpoint.subscription, "x", (), 0, held=False))
        assert Replays(store).failed(endpoint.id) == 150
        eventually(lambda: letters.count(endpoint.subscription) == 0)
        assert sorted(numbers(receiver.got)) == sorted([*range(150)] * 2)


def test_a_test_message_is_sent_signed_and_listed(store: Store) -> None:
    """A test is sent at once from here, without an engine, and is among the attempts."""
    secret = new_secret()
    with Receiver(answer(418, b"teapot"), secrets=[secret]) as receiver:
        endpoint = endpoint_for(store, receiver.url, secret=secret)
        attempt = trial.test(store, endpoint.id)
        (got,) = receiver.got
    assert attempt.status == 418
    assert got.verified
    (listed,) = Attempts(store).of(endpoint.id, failed=True)
    assert (listed.trigger, listed.attempt.answer) == ("test", "teapot")


def test_every_attempt_is_listed(store: Store) -> None:
    """Attempts are listed with their answer, also those of the last moment, the newest first."""
    with Receiver(refuses(2)) as receiver:
        endpoint = endpoint_for(store, receiver.url)
        with Delivering(store):
            (first, second) = store.append([job(1), job(2)])
            receiver.wait(2)
        listed = Attempts(store).of(endpoint.id)
        assert {each.event_id for each in listed} == {first.id, second.id}
        (failed,) = Attempts(store).of(endpoint.id, failed=True)
        assert failed.event_id == second.id
        assert (failed.attempt.status, failed.attempt.answer) == (500, "it hurts")
        assert failed.attempt.seconds > 0


def test_events_that_were_pruned_unsent_are_told_of(store: Store) -> None:
    """An endpoint whose events were pruned goes on with what is left, and an event says so."""
    with Receiver() as receiver, Receiver() as other:
        paused = endpoint_for(store, receiver.url)
        endpoint_for(store, other.url)
        with Delivering(store):
            store.append([job(0)])
            receiver.wait()
            other.wait()
            Endpoints(store).pause(paused.id)
        store.append([job(n) for n in range(1, 11)])
        prune(store, 6)
        Endpoints(store).resume(paused.id)
        with Delivering(store):
            receiver.wait(6)
            other.wait(6)
            eventually(lambda: store.count(Query(types="tidings.webhook.skipped")).value)
        assert sorted(numbers(receiver.got)) == [0, 6, 7, 8, 9, 10]
        assert sorted(numbers(other.got)) == [0, 6, 7, 8, 9, 10]


def test_what_was_redacted_is_sent_without_its_payload(store: Store) -> None:
    """An event that is redacted while it waits to be sent again is sent as it is kept now."""
    with Receiver() as receiver, Delivering(store) as delivering:
        receiver.script = [SICK]
        endpoint = endpoint_for(store, receiver.url)
        (event,) = store.append([job(1)])
        eventually(lambda: attempts_at(store, endpoint))
        redact(store, Query(ids=event.id))
        delivering.later(10)
        (_, again) = receiver.wait(2)
        assert b"about" not in again.body
        assert json.loads(again.body)["id"] == event.id


def heard(store: Store, receiver: Receiver) -> None:
    """Wait until a change that was made is known to whoever delivers: later ones are."""
    url = receiver.at("/heard")
    endpoint_for(store, url, {"types": "tidings.heard"})
    store.append([Event("tidings.heard", payload={"n": -1, "about": None})])
    eventually(lambda: [got for got in receiver.got if got.path == "/heard"])


def has_failed(delivering: Delivering, times: int) -> bool:
    """Whether so many attempts have failed, all together."""
    return delivering.engine.counts()["failed"] == times


def has_got(receiver: Receiver, *wanted: int) -> bool:
    """Whether events of these numbers were received."""
    return set(wanted) <= set(numbers(receiver.got))


def attempts_at(store: Store, endpoint: Endpoint, *, failed: bool = False) -> int:
    """How many attempts at an endpoint are listed."""
    return len(Attempts(store).of(endpoint.id, failed=failed))
