"""Delivery in a process: it takes up what is added, and costs nothing where there is nothing."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import enumerate as all_threads
from time import monotonic, sleep
from typing import Any

import pytest

from tests.delivery.webhooks.receivers import PATIENCE, Receiver
from tests.forward.receiver import Receiver as Cloud
from tests.forward.receiver import send_waiting
from tidings.bus import Bus
from tidings.delivery import running
from tidings.delivery.running import Delivery
from tidings.delivery.watches import Watches
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.errors import StoreUnavailable
from tidings.store.base import Batch, LedgerRecord
from tidings.store.memory import MemoryStore
from tidings.subscriptions.leases import Leases

DAY = 86_400


class Noting(MemoryStore):
    """A store that notes what it is asked, and that can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.writes: list[str] = []
        self.away = False

    def get(self, key: str) -> LedgerRecord | None:
        """See `Store.get`."""
        if self.away:
            raise StoreUnavailable("it is away")
        self.asked.append(key)
        return super().get(key)

    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        """See `Store.put`."""
        self.writes.append(key)
        return super().put(key, value, expected)

    def append_all(self, batches: Any) -> Any:
        """See `Store.append_all`."""
        self.writes += [put.key for batch in batches for put in Batch(*batch).put]
        return super().append_all(batches)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bell is listened for often, so that no test waits for it."""
    monkeypatch.setattr(running, "_LISTEN_SECONDS", 0.01)


@pytest.fixture
def store() -> Iterator[Noting]:
    """An empty store."""
    with Noting() as opened:
        yield opened


@pytest.fixture
def bus(store: Noting) -> Bus:
    """The bus on it."""
    return Bus(store)


def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < end, "it did not come to hold"
        sleep(0.005)


def owner(store: Noting, prefix: str) -> object:
    """Who holds the lease of the one record whose key starts so."""
    records = [store.get(key) for key in store.keys(prefix)]
    return records[0].value.get("owner") if records and records[0] is not None else None


def lives(store: Noting) -> bool:
    """Whether a process has said that it may deliver."""
    return bool(store.keys("worker/"))


# Nothing to deliver -------------------------------------------------------------------------------


def test_where_there_is_nothing_nothing_is_written(bus: Bus, store: Noting) -> None:
    """It listens in one thread, and holds no lease."""
    before = set(all_threads())
    with Delivery(bus):
        eventually(lambda: store.asked.count("bell") > 20)
        assert {thread.name for thread in set(all_threads()) - before} == {"tidings-delivery"}
    assert store.writes == []
    assert not set(all_threads()) - before


def test_where_there_is_nothing_no_extra_is_imported() -> None:
    """Neither what sends webhooks nor what sends notices."""
    program = (
        "import sys\n"
        "from threading import Event\n"
        "from tidings.bus import Bus\n"
        "from tidings.delivery.running import Delivery\n"
        "from tidings.store.memory import MemoryStore\n"
        "class Store(MemoryStore):\n"
        "    looked = Event()\n"
        "    def keys(self, prefix='', **rest):\n"
        "        if prefix == 'webhook/': self.looked.set()\n"
        "        return super().keys(prefix, **rest)\n"
        "store = Store()\n"
        "with Delivery(Bus(store)):\n"
        f"    assert store.looked.wait({PATIENCE})\n"
        "print(sorted({'aiohttp', 'apprise', 'asyncio'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


# Something to deliver -----------------------------------------------------------------------------


def test_what_is_added_is_taken_up_and_let_go_when_deleted(bus: Bus, store: Noting) -> None:
    """While it runs; when the last is gone, nothing is held and no process says it lives."""
    watches = Watches(store)
    with Delivery(bus):
        watches.add("nightly", DAY)
        eventually(lambda: owner(store, "watch-at/nightly/"))
        watches.add("weekly", 7 * DAY)
        eventually(lambda: owner(store, "watch-at/weekly/"))
        watches.delete("nightly")
        watches.delete("weekly")
        eventually(lambda: not lives(store))
        watches.add("nightly", DAY)
        eventually(lambda: owner(store, "watch-at/nightly/"))
    assert owner(store, "watch-at/nightly/") is None
    assert not lives(store)


def test_a_webhook_is_sent_to_as_soon_as_it_is_there(bus: Bus, store: Noting) -> None:
    """And to it goes what comes from then on, signed, until it is deleted."""
    endpoints = Endpoints(store)
    bus.emit("job_done", id="before")
    with Delivery(bus) as delivery:
        assert delivery.counts() == {}
        secret = "whsec_" + "QUJD" * 10
        with Receiver(secrets=[secret]) as receiver:
            endpoint, _ = endpoints.create(receiver.url, allow_private=True, secret=secret)
            bus.emit("job_done", id="after")
            got = receiver.wait()[0]
            assert got.verified
            assert b'"after"' in got.body
            eventually(lambda: delivery.counts().get("sent"))
            endpoints.delete(endpoint.id)
            eventually(lambda: not lives(store))
        assert delivery.counts() == {}


def test_the_leases_of_others_are_left_to_them(bus: Bus, store: Noting) -> None:
    """A worker that shares its leases goes on with its partitions when delivery ends."""
    leases = Leases(store, patience=PATIENCE)
    leases.offer("partition/notify/1/0", {"position": 0})
    leases.start()
    Watches(store).add("nightly", DAY)
    with Delivery(bus, leases=leases):
        eventually(lambda: owner(store, "watch-at/nightly/"))
        eventually(lambda: leases.held("partition/notify/1/0"))
    assert owner(store, "watch-at/nightly/") is None
    assert leases.held("partition/notify/1/0") is not None
    leases.close()


def test_what_was_left_for_the_cloud_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process could not forward before it ended goes out by itself."""
    url = f"sqlite:///{tmp_path}/events.db"
    cloud = Cloud()
    monkeypatch.setenv("TIDINGS_API_URL", cloud.url)
    monkeypatch.setenv("TIDINGS_API_KEY", "k")
    cloud.answer = "hang"
    with Bus(url, spool=str(tmp_path / "spool")) as ended:
        ended.emit("job_done", id="left")
        cloud.await_requests(1)
    cloud.answer = 200
    with Bus(url) as bus, Delivery(bus):
        eventually(lambda: not bus.store.keys("forward/"))
    assert set(cloud.ids()) == {"left"}
    cloud.close()


def test_that_a_cloud_takes_nothing_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads the log of a worker learns why events wait, and when they no longer do."""
    monkeypatch.setattr(running, "_FORWARD_SECONDS", 1.0)
    # A round that does not end in time says nothing of the cloud, and this machine may be slow.
    monkeypatch.setattr("tidings.forward.send_waiting", lambda store, **_: send_waiting(store))
    url = f"sqlite:///{tmp_path}/events.db"
    cloud = Cloud()
    monkeypatch.setenv("TIDINGS_API_URL", cloud.url)
    monkeypatch.setenv("TIDINGS_API_KEY", "k")
    cloud.answer, cloud.headers = 503, {"retry-after": "0"}
    with Bus(url, spool=str(tmp_path / "spool")) as ended:
        ended.emit("job_done", id="left")
        cloud.await_requests(1)
    before = len(cloud.requests)
    with caplog.at_level(logging.INFO, "tidings.delivery"), Bus(url) as bus, Delivery(bus):
        cloud.await_requests(before + 2)  # one may still have been on its way
        cloud.answer = 200
        eventually(lambda: not bus.store.keys("forward/"))
        eventually(lambda: len(caplog.messages) == 2)
    assert caplog.messages == [
        "events wait to be forwarded: it answered 503: so it is",
        "events are forwarded again",
    ]
    cloud.close()


# Trouble ------------------------------------------------------------------------------------------


def test_without_an_extra_the_rest_runs(
    bus: Bus, store: Noting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once which line installs what is missing."""
    for name in ("engine", "sending"):
        monkeypatch.delitem(sys.modules, f"tidings.delivery.webhooks.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    watches = Watches(store)
    Endpoints(store).create("http://10.0.0.1/hook", allow_private=True)
    with caplog.at_level(logging.INFO, "tidings.delivery"), Delivery(bus):
        watches.add("nightly", DAY)
        eventually(lambda: owner(store, "watch-at/nightly/"))
        watches.add("weekly", DAY)
        eventually(lambda: owner(store, "watch-at/weekly/"))
    assert caplog.messages == [
        "sending webhooks needs an optional dependency: pip install 'tidings[webhooks]'"
    ]


def test_a_setting_that_makes_no_sense_leaves_the_others(
    bus: Bus, store: Noting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once what is wrong with it."""
    Endpoints(store).create("http://10.0.0.1/hook", allow_private=True)
    monkeypatch.setenv("TIDINGS_WEBHOOK_NETWORKS", "10.0.0.300/8")
    watches = Watches(store)
    with caplog.at_level(logging.INFO, "tidings.delivery"), Delivery(bus):
        for name in ("nightly", "weekly"):
            watches.add(name, DAY)
            eventually(lambda: owner(store, f"watch-at/{name}/"))  # noqa: B023 - called at once
    (message,) = caplog.messages
    assert message.startswith("webhooks are not delivered: TIDINGS_WEBHOOK_NETWORKS '10.0.0.300/8'")


def test_a_bug_in_one_part_leaves_the_others(
    bus: Bus, store: Noting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, with its trace."""

    def broken(_: object) -> list[Any]:
        raise RuntimeError("notices are broken")

    monkeypatch.setitem(running._DUTIES, "notices", broken)
    watches = Watches(store)
    with caplog.at_level(logging.INFO, "tidings.delivery"), Delivery(bus):
        for name in ("nightly", "weekly"):
            watches.add(name, DAY)
            eventually(lambda: owner(store, f"watch-at/{name}/"))  # noqa: B023 - called at once
    (record,) = caplog.records
    assert "please report it" in record.message
    assert "notices are broken" in str(record.exc_info)


def test_a_store_that_is_away_is_waited_for(
    bus: Bus, store: Noting, caplog: pytest.LogCaptureFixture
) -> None:
    """That is logged when it begins and when it ends, and then everything is taken up."""
    store.away = True
    with caplog.at_level(logging.INFO, "tidings.delivery"), Delivery(bus):
        eventually(lambda: caplog.messages)
        store.away = False
        Watches(store).add("nightly", DAY)
        eventually(lambda: owner(store, "watch-at/nightly/"))
        eventually(lambda: len(caplog.messages) > 1)
    assert caplog.messages == [
        "what is to be delivered cannot be read: it is away",
        "what is to be delivered can be read again",
    ]


def test_a_store_behind_a_server_is_left_to_it() -> None:
    """Its server delivers; here nothing is asked."""
    before = set(all_threads())
    with Bus("http://127.0.0.1:9") as bus, Delivery(bus):
        assert not set(all_threads()) - before
