"""How much one caller may take: requests at a rate, live streams at once, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidings.server import limits as module
from tidings.server.access import ANYONE, Caller
from tidings.server.config import APIServerConfig
from tidings.server.limits import Limits
from tidings.server.problems import Problem

AFAR = "192.0.2.1"
HOLDER = Caller("ci", frozenset(["read"]), None, "k1")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock for the test to move."""
    return Clock()


def limits(clock: Clock, **fields: float) -> Limits:
    """Limits of a server so configured."""
    return Limits(APIServerConfig(**fields), clock)  # type: ignore[arg-type]  # numbers all


def passing(take: Callable[[], None]) -> int:
    """How many times it can be taken until it is refused."""
    for times in range(100_000):
        try:
            take()
        except Problem as problem:
            return times if problem.status == 429 else -1
    raise AssertionError("nothing was refused")


def test_ten_seconds_worth_may_come_at_once(clock: Clock) -> None:
    """A quiet caller may ask for ten seconds of the rate at once, and not for one more."""
    limited = limits(clock, rate_limit=7)
    assert passing(lambda: limited.take("", AFAR)) == 70


def test_what_was_taken_comes_back_at_the_rate(clock: Clock) -> None:
    """After some seconds there is as much again as the rate gives in them."""
    limited = limits(clock, rate_limit=7)
    passing(lambda: limited.take("", AFAR))
    clock.now += 3
    assert passing(lambda: limited.take("", AFAR)) == 21
    clock.now += 1000
    assert passing(lambda: limited.take("", AFAR)) == 70


def test_retry_after_is_when_it_works_again(clock: Clock) -> None:
    """The refusal says in whole seconds when to come back, and then it works."""
    limited = limits(clock, rate_limit=0.25)
    passing(lambda: limited.take("", AFAR))
    with pytest.raises(Problem) as refused:
        limited.take("", AFAR)
    wait = dict(refused.value.headers)["retry-after"]
    assert wait == "2"
    assert f"come back in {wait} s" in refused.value.detail
    clock.now += int(wait)
    limited.take("", AFAR)


def test_this_machine_has_twenty_times_that(clock: Clock) -> None:
    """Loopback, a Unix socket included, is given twenty times the rate."""
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""):
        limited = limits(clock, rate_limit=2)
        assert passing(lambda: limited.take("", address)) == 400  # noqa: B023 - called at once


def test_callers_do_not_slow_each_other_down(clock: Clock) -> None:
    """Each key at each address has a bucket of its own."""
    limited = limits(clock, rate_limit=1)
    assert passing(lambda: limited.take("", AFAR)) == 10
    assert passing(lambda: limited.take("k1", AFAR)) == 10
    assert passing(lambda: limited.take("k2", AFAR)) == 10
    assert passing(lambda: limited.take("k1", "192.0.2.2")) == 10


def test_a_network_of_ipv6_is_one_caller(clock: Clock) -> None:
    """Who has a /64 gains nothing by changing addresses within it."""
    limited = limits(clock, rate_limit=1)
    addresses = (f"2001:db8::{number:x}" for number in range(1, 1000))
    assert passing(lambda: limited.take("", next(addresses))) == 10
    limited.take("", "2001:db8:0:1::1")


def test_workers_share_the_limits(clock: Clock) -> None:
    """Each of several processes gives its share of the rate and of the streams."""
    limited = limits(clock, rate_limit=8, max_streams=10, max_streams_per_key=5, workers=4)
    assert passing(lambda: limited.take("", AFAR)) == 20
    limited.stream_slot(HOLDER)
    limited.stream_slot(HOLDER)
    with pytest.raises(Problem):
        limited.stream_slot(HOLDER)
    limited.stream_slot(ANYONE)
    with pytest.raises(Problem):
        limited.stream_slot(ANYONE)


def test_a_rate_of_zero_is_no_limit(clock: Clock) -> None:
    """Who wants no limit says 0."""
    limited = limits(clock, rate_limit=0)
    for _ in range(100_000):
        limited.take("", AFAR)


def test_buckets_take_bounded_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses come, so many buckets are kept, and none of those in use first."""
    monkeypatch.setattr(module, "_MOST_BUCKETS", 100)
    limited = limits(clock, rate_limit=1)
    for number in range(1000):
        limited.take("", f"10.0.{number // 250}.{number % 250}")
        clock.now += 0.5
    assert len(limited._afar._full_at) <= 100
    passing(lambda: limited.take("", AFAR))
    for number in range(99):
        clock.now += 0.01  # all of them full again before the one that is empty
        limited.take("", f"10.1.0.{number}")
    clock.now += 1
    assert passing(lambda: limited.take("", AFAR)) == 1


def test_wrong_keys_are_counted_for_themselves(clock: Clock) -> None:
    """Twenty wrong keys may come at once, then one a second; other requests go on."""
    limited = limits(clock, rate_limit=1000)
    assert passing(lambda: limited.failed(AFAR)) == 20
    with pytest.raises(Problem, match="wrong keys"):
        limited.may_try(AFAR)
    limited.may_try("192.0.2.2")
    limited.take("", AFAR)
    clock.now += 1
    limited.may_try(AFAR)
    assert passing(lambda: limited.failed(AFAR)) == 1


def test_streams_are_bounded_per_key_and_in_all(clock: Clock) -> None:
    """The refusal is a 503 that says when to come back."""
    limited = limits(clock, max_streams=5, max_streams_per_key=2)
    other = HOLDER._replace(key_id="k2")
    slots = [limited.stream_slot(holder) for holder in (HOLDER, HOLDER, other, other)]
    with pytest.raises(Problem, match="this key has 2 live streams") as refused:
        limited.stream_slot(HOLDER)
    assert refused.value.status == 503
    assert int(dict(refused.value.headers)["retry-after"]) > 0
    slots.append(limited.stream_slot(HOLDER._replace(key_id="k3")))
    with pytest.raises(Problem, match="all 5 live streams"):
        limited.stream_slot(HOLDER._replace(key_id="k4"))
    for slot in slots:
        slot.release()
    assert limited._streams_of == {}


def test_without_keys_this_machine_may_have_all_streams(clock: Clock) -> None:
    """On loopback without keys the limit is the total; elsewhere each address has its own."""
    limited = limits(clock, max_streams=5, max_streams_per_key=2)
    stranger = ANYONE._replace(address=AFAR)
    limited.stream_slot(stranger)
    limited.stream_slot(stranger)
    with pytest.raises(Problem, match="this address"):
        limited.stream_slot(stranger)
    for _ in range(3):
        limited.stream_slot(ANYONE)
    with pytest.raises(Problem, match="all 5"):
        limited.stream_slot(ANYONE)


def test_a_slot_is_given_back_once(clock: Clock) -> None:
    """To release a slot again changes nothing, so no stream is counted twice."""
    limited = limits(clock, max_streams=1)
    with limited.stream_slot(ANYONE) as slot:
        slot.release()
        slot.release()
    with limited.stream_slot(ANYONE), pytest.raises(Problem):
        limited.stream_slot(ANYONE)
