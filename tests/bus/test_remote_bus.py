"""A bus on a server: it spools while the server is away, and nothing is lost or kept twice."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.conftest import PATIENCE, Server
from tidings.aio import AsyncBus
from tidings.bus import Bus
from tidings.errors import InvalidEvent, StoreUnavailable, VersionConflict
from tidings.event import Event
from tidings.store.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EACH = 100


@pytest.fixture
def served(own_home: Path) -> Iterator[Server]:
    """A server with an empty store."""
    server = Server(own_home / "served", (), {})
    yield server
    server.kill()


def emit_some(url: str, spool: str, writer: int, turn: Any, told: Any) -> None:
    """Emit events, and wait for a sign after each ten; runs in a process of its own."""
    with Bus(url, spool=spool, deadline=5.0, context=False) as bus:
        for n in range(EACH):
            if n % 10 == 0:
                told.put((writer, n))
                turn.acquire()
            event = bus.emit("job_done", payload={"writer": writer, "n": n}, id=f"{writer}/{n}")
            told.put((writer, event.position is None))


def test_two_emitters_beside_a_server_that_is_killed_lose_nothing(
    served: Server, tmp_path: Path
) -> None:
    """200 events of two processes, the server killed and started anew meanwhile: each kept once."""
    spool = str(tmp_path / "spool")
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    turns = [context.Semaphore(0) for _ in range(2)]
    writers = [
        context.Process(target=emit_some, args=(served.url, spool, writer, turn, told))
        for writer, turn in enumerate(turns)
    ]
    for process in writers:
        process.start()
    spooled = steps = 0
    for _ in range(2 * (EACH + EACH // 10)):
        writer, what = told.get(timeout=PATIENCE)
        if isinstance(what, bool):
            spooled += what
            continue
        steps += 1
        turns[writer].release()
        # In the middle of what was just begun; and back again when both have gone on without it.
        if steps in (5, 13):
            served.kill()
        elif steps in (9, 17):
            served.start()
    for process in writers:
        process.join(PATIENCE)
        assert process.exitcode == 0
    with Bus(served.url, spool=spool, deadline=PATIENCE) as bus:
        bus.collect()
        assert bus.spool.waiting() == 0
        kept = [event.id for event in bus.read()]
        assert bus.store.check() == []
    assert sorted(kept) == sorted(f"{writer}/{n}" for writer in range(2) for n in range(EACH))
    assert spooled > 0


def test_what_the_server_refuses_is_not_spooled(served: Server, tmp_path: Path) -> None:
    """A conflict or an event that breaks a rule there is told, as with any store."""
    about: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a"}
    with Bus(served.url, spool=str(tmp_path / "spool"), deadline=PATIENCE) as bus:
        assert bus.emit("agent.started", expected_version=0, **about).version == 1
        with pytest.raises(VersionConflict):
            bus.emit("agent.started", expected_version=0, **about)
        served.kill()
        # By one that has no connection: the end of one may come late, and leaves a doubt.
        with Bus(served.url, deadline=PATIENCE) as other, pytest.raises(StoreUnavailable):
            other.emit("agent.failed", expected_version=1, **about)
        assert bus.emit("agent.failed", **about).position is None
        served.start()
        with pytest.raises(InvalidEvent):
            bus.emit("")
        assert bus.collect().kept == 1
        assert [event.type for event in bus.read()] == ["agent.started", "agent.failed"]


def test_a_key_that_is_refused_spools(served: Server, tmp_path: Path) -> None:
    """A job whose key is wrong loses nothing: it spools, and a bus with a good key collects."""
    created = subprocess.run(
        [sys.executable, "-m", "tidings", "keys", "create", "job", "--scope", "emit", "--scope",
         "read", "-q", "--url", served.store_url],
        env=served.environment, capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    served.restart()
    spool = str(tmp_path / "spool")
    with Bus(served.url, spool=spool, deadline=PATIENCE) as bus:
        assert bus.emit("job_done").position is None
        assert "TIDINGS_KEY" in str(bus.last_failure)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TIDINGS_KEY", created.stdout.strip())
        with Bus(served.url, spool=spool, deadline=PATIENCE) as bus:
            assert bus.collect().kept == 1
            assert bus.emit("job_done").position == 2


def test_types_are_known_to_every_client(served: Server) -> None:
    """What one bus registers the next one knows."""
    with Bus(served.url, deadline=PATIENCE) as one, Bus(served.url, deadline=PATIENCE) as other:
        one.register_type("fig_drawn", "a figure was drawn", ["path"])
        assert "fig_drawn" in other.list_types()
        assert other.get_type_info("fig_drawn")["payload_keys"] == ["path"]


def test_an_async_bus_on_a_server(served: Server) -> None:
    """Many emitters and a follower share one server; the follower sees each event once."""

    async def go() -> list[int]:
        async with AsyncBus(served.url, deadline=PATIENCE) as bus:
            following = asyncio.create_task(seen_by(bus))
            await asyncio.gather(*(bus.emit("job_done", payload={"n": n}) for n in range(100)))
            return await following

    async def seen_by(bus: AsyncBus) -> list[int]:
        return [event.payload["n"] async for event in bus.follow(limit=100, timeout=PATIENCE)]

    assert sorted(asyncio.run(go())) == list(range(100))


def test_a_follower_goes_on_when_the_server_comes_back(served: Server, tmp_path: Path) -> None:
    """It sees what came before the server was killed and what comes after, each once."""
    with (
        Bus(served.url, spool=str(tmp_path), deadline=PATIENCE) as bus,
        Bus(served.url, deadline=PATIENCE) as reader,
    ):
        seen = reader.follow(timeout=PATIENCE)
        for n in range(3):
            bus.emit("x", payload={"n": n})
            assert next(seen).payload == {"n": n}
            served.restart()


@pytest.mark.parametrize("how", ["url", "environment"])
def test_the_shell_on_a_server(served: Server, own_home: Path, how: str) -> None:
    """`tidings emit`, `tail -f`, `history`, `collect` and `doctor` work on a server."""
    environment = {**os.environ, "TIDINGS_HOME": str(own_home / "client")}
    url = ["--url", served.url] if how == "url" else []
    if how == "environment":
        environment["TIDINGS_URL"] = served.url
    environment["TIDINGS_DEADLINE"] = "30"

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "tidings", *arguments, *url]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        return done.stdout

    assert json.loads(run("emit", "job_done", "n:=1", "--strict"))["position"] == 1
    command = [sys.executable, "-m", "tidings", "tail", "-f", *url]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        assert json.loads(tail.stdout.readline())["payload"] == {"n": 1}
        run("emit", "job_done", "n:=2", "--strict")
        assert json.loads(tail.stdout.readline())["payload"] == {"n": 2}
        tail.send_signal(signal.SIGINT)
        assert tail.wait(PATIENCE) == 130
    served.kill()
    run("emit", "job_done", "n:=3")
    served.start()
    assert json.loads(run("collect"))["kept"] == 1
    assert len(run("history").splitlines()) == 3
    assert served.url in run("doctor")
    with Bus(served.url, deadline=PATIENCE) as bus:
        assert [event.payload["n"] for event in bus.read(Query())] == [1, 2, 3]
        assert bus.emit_many([Event("x")])[0].position == 4
