"""Whether `/health` tells the truth, also while the store is away or hangs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from threading import Event as Flag
from typing import Any

import httpx

from tests.server.conftest import PATIENCE, Server
from tidings.errors import StoreUnavailable
from tidings.server import create_app
from tidings.server.config import APIServerConfig
from tidings.server.probe import Probe
from tidings.store.memory import MemoryStore


def test_a_well_server_says_so(client: httpx.Client) -> None:
    """Each of the routes answers 200, in the documented shape."""
    health = client.get("/health/").json()
    assert health.pop("timestamp").endswith("Z")
    assert health == {"status": "healthy", "api_connected": True, "database_connected": True}
    assert client.get("/health").json()["status"] == "healthy"
    database = client.get("/health/database").json()
    assert (database["status"], database["connected"]) == ("healthy", True)
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_a_store_that_was_replaced_is_told(server: Callable[..., Server]) -> None:
    """Once the store's file is another one, all but `live` answer 503."""
    started = server()
    (started.home / "garbage").write_bytes(b"garbage" * 2000)
    os.replace(started.home / "garbage", started.home / "events.db")
    with started.client() as client:
        health = client.get("/health/")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert health.json()["database_connected"] is False
        database = client.get("/health/database")
        assert (database.status_code, database.json()["connected"]) == (503, False)
        ready = client.get("/health/ready")
        assert ready.status_code == 503
        assert ready.headers["content-type"] == "application/problem+json"
        assert ready.json()["type"] == "urn:tidings:problem:store-unavailable"
        assert client.get("/health/live").status_code == 200


def test_a_server_that_is_about_to_end_is_not_ready() -> None:
    """Once it drains, `ready` says so, while the process is still live and well."""

    async def check() -> None:
        app = create_app(APIServerConfig(url="memory:"))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get("/health/ready")).status_code == 200
            app.service.drain()
            ready = await client.get("/health/ready")
            assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
            assert ready.json()["type"] == "urn:tidings:problem:stopping"
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/health/")).status_code == 200
        await app.stop()

    asyncio.run(check())


class Watched(MemoryStore):
    """A store that counts how often its head is asked for, and hangs or fails as told."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.was_asked = Flag()
        self.failing = False
        self.may_answer = Flag()
        self.may_answer.set()

    def head(self) -> int:
        """The head, once it may answer."""
        self.asked += 1
        self.was_asked.set()
        self.may_answer.wait()
        if self.failing:
            raise StoreUnavailable("away")
        return super().head()


def test_the_store_is_asked_once_a_second(monkeypatch: Any) -> None:
    """Any number of checks within a second ask the store once; the next second asks again."""
    monkeypatch.setattr("tidings.server.probe._PATIENCE", PATIENCE)
    store, now = Watched(), [100.0]
    probe = Probe(store, lambda: now[0])

    async def check() -> list[bool]:
        answers = list(await asyncio.gather(*(probe.store_answers() for _ in range(50))))
        answers.append(await probe.store_answers())
        assert store.asked == 1
        store.failing = True
        now[0] += 1.5
        answers.append(await probe.store_answers())
        return answers

    assert asyncio.run(check()) == [True] * 51 + [False]
    assert store.asked == 2


def test_a_store_that_hangs_is_not_waited_for(monkeypatch: Any) -> None:
    """A check gives up on a store that hangs, asks it no second time, and recovers with it."""
    monkeypatch.setattr("tidings.server.probe._PATIENCE", 0.05)
    store = Watched()
    store.may_answer.clear()
    probe = Probe(store)

    async def check() -> list[bool]:
        answers = [await probe.store_answers() for _ in range(3)]
        assert await asyncio.to_thread(store.was_asked.wait, PATIENCE)
        assert store.asked == 1
        store.may_answer.set()
        while not await probe.store_answers():
            pass
        return answers

    assert asyncio.run(check()) == [False] * 3
