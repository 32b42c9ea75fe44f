"""Services that refuse, hang or are away: nothing is lost, nothing blocks, no secret gets out."""

from __future__ import annotations

import json
import logging
import random
import socket
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.delivery.notices.telling import Desk, Receiver, task
from tidings.delivery.notices import Notices
from tidings.delivery.notices.notice import FAILED, SENT
from tidings.delivery.notices.sending import Message, Service, _without_secrets
from tidings.errors import LeaseLost
from tidings.event import Event
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.store.base import Store

HOUR = 3600.0
MESSAGE = Message("title", "text", "info")


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where every connection is refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"json://127.0.0.1:{held.getsockname()[1]}/s3cret-path"


def test_what_failed_is_told_later_with_all_that_came_meanwhile(
    store: Store, receiver: Receiver
) -> None:
    """Tried again later and later; when it gets through, one message tells all of it."""
    receiver.status = 500
    with Desk(store, receiver.url) as desk:
        store.append([Event("a")])
        due = desk.turn(0)
        assert due is not None
        assert 10 <= due <= 11  # and jitter
        store.append([Event("b", status="failure"), task(0, "failure", tasks=1)])
        dues = [0.0, due]
        while dues[-1] < 2 * HOUR:
            following = desk.turn(dues[-1])
            assert following is not None
            dues.append(following)
        pauses = [later - earlier for earlier, later in pairwise(dues)]
        assert all(later > earlier for earlier, later in pairwise(pauses))
        assert HOUR <= max(pauses) <= 1.1 * HOUR
        assert receiver.got == []
        receiver.status = 200
        assert desk.turn(dues[-1]) is None
        (failed,) = desk.kept(FAILED)
        told = sum(event.payload["events"] for event in desk.kept(SENT))
    assert receiver.titles == [
        "2 events: 1 ok, 1 failed",
        "job_done: 1 failed (figrecipe, slurm array 4711)",
    ]
    assert told == 3
    assert (failed.status, failed.aggregate_id) == ("failure", "json")


def test_a_thousand_events_while_it_is_away(store: Store, receiver: Receiver) -> None:
    """They wait as counts, and the record stays small."""
    receiver.status = 503
    with Desk(store, receiver.url) as desk:
        for start in range(0, 1000, 100):
            store.append([Event(f"type-{start}-{n}", status="failure") for n in range(100)])
            desk.turn(start / 10_000)
        record = store.get(desk.duty.key)
        assert record is not None
        assert len(json.dumps(record.value)) < 3_000
        receiver.status = 200
        desk.turn(HOUR)
    ((_, title, text),) = receiver.got
    assert title == "1000 events: 1000 failed"
    assert "others: 970 failure" in text
    assert "… and 990 more failed" in text


def test_after_a_failure_the_next_process_goes_on(store: Store, receiver: Receiver) -> None:
    """What waits is in the record, so it is told by whoever takes over."""
    receiver.status = 500
    with Desk(store, receiver.url) as desk:
        store.append([Event("a")])
        desk.turn(0)
        desk.move()
        receiver.status = 200
        assert desk.turn(1) == pytest.approx(10.5, abs=0.5)
        desk.turn(11)
    assert receiver.titles == ["a: success"]


def test_a_new_address_is_tried_at_once(store: Store, nobody: str, receiver: Receiver) -> None:
    """Who mends a notice need not wait until it would have been tried again."""
    with Desk(store, nobody, name="me") as desk:
        store.append([Event("a")])
        desk.turn(0)
        Notices(store).change("me", url=receiver.url)
        desk.duty.rang()
        desk.turn(1)
    assert receiver.titles == ["a: success"]


def test_told_twice_rather_than_not(store: Store, receiver: Receiver) -> None:
    """A process that lost its lease while it sent notes nothing; the next one tells it again."""
    with Desk(store, receiver.url) as desk:
        store.append([Event("a")])
        record = store.get(desk.duty.key)
        assert record is not None
        store.put(desk.duty.key, {**record.value, "owner": "another"})
        with pytest.raises(LeaseLost):
            desk.turn(0)
        assert desk.kept(SENT) == []
        desk.move()
        desk.turn(1)
        assert len(desk.kept(SENT)) == 1
    assert receiver.titles == ["a: success"] * 2


def test_a_service_that_hangs_is_not_waited_for(receiver: Receiver) -> None:
    """It has its time; until that attempt has ended there is no second one."""
    receiver.status = 0
    service = Service(receiver.url, seconds=0.1)
    assert service.send(MESSAGE) == "the service did not answer in 0.1 s"
    assert receiver.holds.wait(PATIENCE)
    receiver.status = 200
    assert service.send(MESSAGE) == "the last attempt still hangs"
    assert receiver.got == []


def test_a_hanging_send_keeps_no_process(receiver: Receiver) -> None:
    """A process ends though a service has not answered."""
    receiver.status = 0
    program = (
        "import sys; from tidings.delivery.notices.sending import Message, Service\n"
        "print(Service(sys.argv[1], 0.1).send(Message('a', 'b', 'info')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, receiver.url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == "the service did not answer in 0.1 s\n"


@pytest.mark.parametrize("status", [500, 0])
def test_no_secret_gets_out(
    store: Store,
    receiver: Receiver,
    nobody: str,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not into events, logs, records that are not private, or what is shown of a notice."""
    caplog.set_level(logging.INFO)
    receiver.status = status
    url = f"{receiver.url}&+X-Token=s3cret-token" if status else nobody
    with Desk(store, url) as desk:
        store.append([Event("a")])
        desk.turn()
        (failed,) = desk.kept(FAILED)
        kept = [json.dumps(event.to_dict()) for event in store.read(Query())]
        keys = [key for key in store.keys("") if not key.startswith("notice/")]
        records = [store.get(key) for key in keys]
        standing = Notices(store).standing(desk.notice)
        shown = f"{desk.notice!r} {desk.notice.shown} {standing} {records} {kept}"
    assert "s3cret" not in shown + caplog.text
    assert "127.0.0.1" in shown
    assert "JSON notification" in failed.payload["error"] or "500" in failed.payload["error"]
    assert standing.failing is not None
    assert standing.waiting == 1


def test_what_a_service_repeats_of_the_address_is_taken_out() -> None:
    """Also where the log of Apprise, or an error, shows a part of it encoded."""
    said = "no user ann at /s3cret-path with s3cret word or s3cret%20word; 127.0.0.1 refuses"
    cleaned = _without_secrets(said, "json://ann:s3cret%20word@127.0.0.1/s3cret-path")
    assert cleaned == "no user ann at /*** with *** or ***; 127.0.0.1 refuses"


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_each_event_is_told(store: Store, receiver: Receiver, seed: int) -> None:
    """Refusals, processes that come and go, leases lost: all is told, and noted once."""
    chance = random.Random(seed)
    told, now = 0, 0.0
    with Desk(store, receiver.url, every=chance.choice([0, 30]), quiet=20) as desk:
        for _ in range(120):
            now += chance.choice([0.0, 1.0, 15.0, 40.0])
            receiver.status = chance.choice([200, 200, 500])
            events = [
                task(chance.randrange(9), chance.choice(["success", "failure"]), array=array)
                if (array := chance.randrange(5))
                else Event("note", status=chance.choice(["", "failure"]))
                for _ in range(chance.randrange(8))
            ]
            told += len(store.append(events)) if events else 0
            if chance.random() < 0.2:
                desk.move()
            record = store.get(desk.duty.key)
            if chance.random() < 0.1 and record is not None:
                store.put(desk.duty.key, {**record.value, "owner": None})
                with suppress(LeaseLost):
                    desk.turn(now)
                desk.move()
            desk.turn(now)
        receiver.status = 200
        desk.turn(now + 2 * HOUR)
        desk.turn(now + 4 * HOUR)
        sent = desk.kept(SENT)
        record = store.get(desk.duty.key)
        assert record is not None
    assert sum(event.payload["events"] for event in sent) == told
    assert record.value["messages"] == len(sent) <= len(receiver.got)
    assert {event.payload["title"] for event in sent} <= {*receiver.titles}
