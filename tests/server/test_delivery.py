"""A server delivers: what was acknowledged reaches its receivers, killed servers or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from threading import enumerate as all_threads
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from tests.cli.conftest import Shell
from tests.delivery.webhooks.receivers import HANG, PATIENCE, Receiver
from tests.server.conftest import Server
from tests.server.ready import CONSTANTS
from tidings.bus import Bus
from tidings.delivery.running import Delivery
from tidings.server import create_app
from tidings.server.config import APIServerConfig
from tidings.store import open_store

if TYPE_CHECKING:
    from tidings.store.base import Store

OWN = "whsec_" + "QUJD" * 10


def added(server: Server, receiver: Receiver, *options: str) -> str:
    """A webhook that was added in the shell, on the store of a running server; its id."""
    shell = Shell(server.home)
    done = shell.json(
        *("webhooks", "add", receiver.url, "--allow-private", "--secret", OWN, *options)
    )
    return str(done[0]["id"])


def emit(server: Server, *ids: str) -> None:
    """Emit events about two things in turns; they are acknowledged."""
    events = [
        {"id": id, "type": "job_done", "aggregate_type": "run", "aggregate_id": id[-1]}
        for id in ids
    ]
    with server.client() as client:
        client.post("/events/", json=events).raise_for_status()


def ids_of(receiver: Receiver) -> list[str]:
    """What a receiver got, each event once, in the order they came first."""
    return list(dict.fromkeys(json.loads(got.body)["id"] for got in receiver.got))


def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < end, "it did not come to hold"
        sleep(0.01)


def test_a_killed_server_loses_nothing(server: Callable[..., Server]) -> None:
    """What it acknowledged the next one delivers: signed, and in order for each aggregate."""
    served = server()
    with Receiver(secrets=[OWN]) as receiver:
        added(served, receiver, "--type", "job_*")
        first = [f"{n:03}-{n % 2}" for n in range(20)]
        emit(served, *first[:10])
        receiver.wait(3)
        emit(served, *first[10:])
        served.restart()
        second = [f"{n:03}-{n % 2}" for n in range(20, 30)]
        emit(served, *second)
        eventually(lambda: len(ids_of(receiver)) == 30)
        assert all(got.verified for got in receiver.got)
        for thing in ("0", "1"):
            about = [id for id in ids_of(receiver) if id.endswith(thing)]
            assert about == sorted(about)


def test_a_server_ends_while_a_receiver_hangs(server: Callable[..., Server]) -> None:
    """In due form; what was under way is sent again by the next one."""
    # Held up by the machine, it must not give up before it has signed off.
    served = server(env={CONSTANTS: '{"tidings.server.delivering._LAST_SECONDS": 60}'})
    with Receiver(HANG, secrets=[OWN]) as receiver:
        added(served, receiver)
        emit(served, "hung-0")
        receiver.wait(1)
        code, said = served.stop()
        assert code == 0
        assert "Traceback" not in said
        with open_store(served.store_url) as store:
            assert store.keys("worker/") == []
        served.start()
        receiver.wait(2)
        receiver.release()
        assert ids_of(receiver) == ["hung-0"]


def test_the_workers_of_a_server_share_the_work(server: Callable[..., Server]) -> None:
    """Each offers to do all of it, and every event arrives."""
    served = server("--workers", "2")
    with Receiver(secrets=[OWN]) as receiver, open_store(served.store_url) as store:
        for _ in range(4):
            added(served, receiver)
        eventually(lambda: len(offers(store)) == 2)
        assert len(set(map(tuple, offers(store)))) == 1
        ids = [f"{n:03}-{n % 2}" for n in range(10)]
        emit(served, *ids)
        receiver.wait(40)
        assert sorted(ids_of(receiver)) == ids


def offers(store: Store) -> list[list[str]]:
    """What each process offers to do."""
    records = [store.get(key) for key in store.keys("worker/")]
    return [record.value["offers"] for record in records if record is not None]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_server_may_deliver_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, wanted: bool
) -> None:
    """`TIDINGS_DELIVER=off` leaves it to others."""
    monkeypatch.setenv("TIDINGS_DELIVER", "on" if wanted else "off")
    monkeypatch.setenv("TIDINGS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TIDINGS_URL", raising=False)
    before = set(all_threads())
    with TestClient(create_app(APIServerConfig.from_env()), base_url="http://localhost") as client:
        assert client.get("/health/ready").status_code == 200
        started = [each for each in set(all_threads()) - before if each.name == "tidings-delivery"]
    assert len(started) == wanted
    for thread in started:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_no_deliver_leaves_it_to_another_process(server: Callable[..., Server]) -> None:
    """What a server keeps that delivers nothing is sent by one that does."""
    served = server("--no-deliver")
    with Receiver(secrets=[OWN]) as receiver:
        added(served, receiver)
        emit(served, "kept-0")
        with open_store(served.store_url) as store:
            assert store.keys("worker/") == []
            with Delivery(Bus(store)):
                receiver.wait()
        assert ids_of(receiver) == ["kept-0"]
