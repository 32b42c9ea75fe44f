"""`tidings tail -f` beside an engine that dies and comes back: it goes on, and says so."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import PATIENCE
from tests.engines.nats import NatsServer, wait_for
from tests.engines.postgres import running_postgres
from tests.server.conftest import Server
from tidings.bus import Bus
from tidings.event import Event
from tidings.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Shell

TAIL = """
import tidings.bus
import sys
from tidings.cli import main

open_store = tidings.bus.open_store

def telling(*given, **named):
    store = open_store(*given, **named)
    wait = store.wait

    def told(*given, **named):
        print("waits", flush=True)
        return wait(*given, **named)

    store.wait = told
    return store

tidings.bus.open_store = telling
sys.exit(main(["tail", "-f"]))
"""
"""A follower that says when it waits, and not before."""


@contextmanager
def tidings_server(directory: Path) -> Iterator[tuple[Any, str]]:
    """`tidings serve`, and the URL of its store."""
    server = Server(directory, (), {})
    try:
        yield server, server.url
    finally:
        server.kill()


@contextmanager
def nats(directory: Path) -> Iterator[tuple[Any, str]]:
    """A NATS server, and the URL of a store on it."""
    with NatsServer(directory) as server:
        yield server, f"{server.url}/lab?replica={directory}/replica"


@contextmanager
def postgres(_: Path) -> Iterator[tuple[Any, str]]:
    """A PostgreSQL server, and the URL of a store on it."""
    with running_postgres() as server:
        yield server, server.url()


@pytest.mark.parametrize("engine", [tidings_server, nats, postgres])
def test_a_store_that_is_away_is_told_once_and_again_when_it_is_back(
    engine: Any, shell: Shell, tmp_path: Path
) -> None:
    """On the standard error; what was spooled meanwhile is shown once it can be kept."""
    said = tmp_path / "said.txt"
    with engine(tmp_path / "engine") as (server, url):
        environment = {"TIDINGS_URL": url, "TIDINGS_DEADLINE": "30", "NO_PROXY": "127.0.0.1"}
        with (
            Bus(url, spool=str(shell.spool), deadline=PATIENCE) as bus,
            said.open("wb") as stderr,
            subprocess.Popen(
                [sys.executable, "-c", TAIL],
                env={**shell.environment, **environment},
                stdout=subprocess.PIPE,
                stderr=stderr,
            ) as tail,
        ):
            try:
                assert tail.stdout is not None
                shown = iter(tail.stdout.readline, b"")
                assert next(shown) == b"waits\n"
                bus.emit("first")
                assert _next_type(shown) == "first"
                assert next(shown) == b"waits\n"
                server.kill()
                wait_for(lambda: b"the store is away" in said.read_bytes(), "word of the outage")
                if engine is tidings_server:  # it takes seconds, so once
                    Spool(str(shell.spool)).put(Event("spooled"))
                    server.start()
                    assert _next_type(shown) == "spooled"
                else:
                    server.start()
                    bus.emit("kept")
                    assert _next_type(shown) == "kept"
                wait_for(lambda: b"the store is back" in said.read_bytes(), "word of its end")
            finally:
                tail.send_signal(signal.SIGINT)
            assert tail.wait(PATIENCE) == 130
    before, _, after = said.read_text().partition("tidings: the store is back; ")
    assert before.count("the store is away") == 1
    assert after.startswith("what was kept meanwhile is shown\n")


def _next_type(shown: Iterator[bytes]) -> str:
    """The type of the next event shown."""
    event = json.loads(next(line for line in shown if line != b"waits\n"))
    return str(event["type"])
