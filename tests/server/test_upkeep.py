"""Whether a server moves what waits in the spool, and how it tells of trouble."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from tests.server.conftest import PATIENCE, Server
from tidings.aio import AsyncBus
from tidings.errors import StoreUnavailable
from tidings.event import Event
from tidings.server.config import APIServerConfig
from tidings.server.upkeep import Upkeep
from tidings.spool import Spool


def test_what_waits_is_collected(server: Callable[..., Server]) -> None:
    """An event that was spooled while the server runs reaches those who follow, without a call."""
    started = server(env={"TIDINGS_COLLECT_EVERY": "0.05"})
    spool = Spool(str(started.home / "spool"))
    with started.client() as client:
        spool.put(Event("job_done", "figrecipe"))
        with client.stream("GET", "/events/stream", params={"after": 0, "limit": 1}) as stream:
            followed = "".join(stream.iter_text())
    assert '"job_done"' in followed
    # Its file goes away only after the event was kept.
    until = monotonic() + PATIENCE
    while spool.waiting():
        assert monotonic() < until


def test_what_waits_for_another_store_is_left_alone(server: Callable[..., Server]) -> None:
    """A server on a store that is not its user's default one takes nothing from their spool."""
    started = server("--data-dir", "scratch", env={"TIDINGS_COLLECT_EVERY": "0.001"})
    spool = Spool(str(started.home / "spool"))
    spool.put(Event("job_done", "figrecipe"))
    with started.client() as client:
        for _ in range(20):
            assert client.get("/events/").json()["total"] == 0
    assert spool.waiting() == 1


async def looked_after(bus: AsyncBus, until: Callable[[], bool]) -> None:
    """Run the upkeep of a bus until something holds."""
    config = APIServerConfig(collect_every=0.001)
    service: Any = SimpleNamespace(bus=bus, store=bus.store, config=config)
    upkeep = Upkeep(service)
    upkeep.start()
    async with asyncio.timeout(PATIENCE):
        while not until():  # noqa: ASYNC110 - a log line and a store have no event to wait for
            await asyncio.sleep(0.001)
    await upkeep.close()


def test_trouble_is_logged_once(
    own_home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it fails, trouble is logged when it begins and when it ends."""
    caplog.set_level(logging.INFO, "tidings.server.upkeep")
    Spool(str(own_home / "spool")).put(Event("job_done", "figrecipe"))
    monkeypatch.setenv("TIDINGS_SPOOL", str(own_home / "spool"))
    tries = []

    async def run() -> None:
        async with AsyncBus("memory:") as bus:
            collect = bus.bus.collect

            def failing() -> Any:
                tries.append(1)
                if len(tries) < 5:
                    raise StoreUnavailable("the disk is away")
                return collect()

            monkeypatch.setattr(bus.bus, "collect", failing)
            await looked_after(bus, lambda: bus.store.head() == 1 and len(caplog.messages) == 3)

    asyncio.run(run())
    assert caplog.messages == [
        "what waits in the spool cannot be collected: the disk is away",
        "collected 1 events from the spool",
        "the spool can be collected again",
    ]


def test_a_bug_does_not_end_the_timer(
    own_home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error nobody foresaw is logged once with its traceback, and the next round comes."""
    tries = []

    async def run() -> None:
        async with AsyncBus("memory:") as bus:

            def broken() -> int:
                tries.append(1)
                raise RuntimeError("a bug")

            monkeypatch.setattr(bus.bus.spool, "waiting", broken)
            await looked_after(bus, lambda: len(tries) > 3)

    monkeypatch.setenv("TIDINGS_SPOOL", str(own_home / "spool"))
    asyncio.run(run())
    (logged,) = caplog.records
    assert logged.exc_info is not None
