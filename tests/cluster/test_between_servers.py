"""What one server was told and another must know: on one file, and on replicas of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx
import pytest

from tests.cluster.engines import Engine, JetStreamEngine, SQLiteEngine
from tests.cluster.servers import Cluster, cluster_on
from tests.engines.nats import NatsServer
from tests.server.conftest import Server
from tests.server.live.wire_events import Reader
from tidings.testing.elsewhere import PATIENCE

_SOON = 45.0
"""Generous, and less than the minute for which events may stay in a server's memory (seconds)."""


@contextmanager
def sqlite(directory: Path) -> Iterator[Engine]:
    """One file."""
    yield SQLiteEngine(directory, 2)


@contextmanager
def jetstream(directory: Path) -> Iterator[Engine]:
    """One stream, and a replica for each server."""
    with (
        NatsServer(directory / "nats") as nats,
        JetStreamEngine(nats, 2, directory / "stream") as engine,
    ):
        yield engine


@pytest.fixture(params=[sqlite, jetstream], ids=lambda make: make.__name__)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """What two servers share."""
    with request.param(tmp_path) as made:
        yield made


@pytest.fixture
def cluster(engine: Engine, tmp_path: Path) -> Iterator[Cluster]:
    """Two servers on it."""
    env = {"TIDINGS_DATABASE_TIMEOUT": f"{PATIENCE:g}"}
    with cluster_on(engine.urls, tmp_path, env=env) as started:
        yield started


def soon(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again until something holds."""
    until = monotonic() + _SOON
    while not condition():
        assert monotonic() < until, f"{what} does not come about"


def tidings(engine: Engine, *arguments: str) -> str:
    """What a command says that is run beside the servers, as on another machine."""
    command = [sys.executable, "-m", "tidings", *arguments, "--url", engine.fresh_url()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    return done.stdout


# What is removed is gone from every server --------------------------------------------------------


def by_a_server(_: Engine, cluster: Cluster) -> None:
    """Redact through the first server."""
    answer = httpx.post(
        f"{cluster.urls[0]}/log/redact", json={"query": {"types": ["secret"]}}, timeout=PATIENCE
    )
    assert answer.json()["redacted"] == 1


def by_the_command(engine: Engine, _: Cluster) -> None:
    """Redact beside all servers."""
    tidings(engine, "redact", "--type", "secret", "--yes")


@contextmanager
def streaming(server: Server) -> Iterator[None]:
    """Follow a server from here on, so that it holds in memory what is new."""
    with server.client() as client, client.stream("GET", "/events/stream") as stream:
        assert b"id: " in next(stream.iter_raw())
        yield


def event_at(url: str, position: int) -> dict[str, object]:
    """An event as a server's live stream gives it, once it has it."""
    query = f"after={position - 1}&limit=1"
    answer = httpx.get(f"{url}/events/stream?{query}", timeout=PATIENCE)
    (message,) = Reader().feed(answer.content)
    event: dict[str, object] = json.loads(message.data)
    return event


def test_what_was_redacted_is_soon_given_by_no_server(engine: Engine, cluster: Cluster) -> None:
    """Whoever redacted: a server that held the payload in memory gives it no more."""
    first, second = cluster.servers
    with streaming(second):
        for redact in (by_a_server, by_the_command):
            kept = httpx.post(
                f"{first.url}/events/",
                json={"type": "secret", "payload": "s3cr3t"},
                timeout=PATIENCE,
            )
            place = kept.json()["position"]
            assert event_at(second.url, place)["payload"] == "s3cr3t"
            redact(engine, cluster)
            soon(lambda place=place: event_at(second.url, place)["payload"] is None, "redaction")  # type: ignore[misc]  # mypy knows no defaults of lambdas


# Who may come in ----------------------------------------------------------------------------------


def test_keys_and_sessions_hold_at_every_server(engine: Engine, cluster: Cluster) -> None:
    """One that was made a moment ago opens any server; one that was revoked soon opens none."""
    first, second = cluster.servers
    token = tidings(engine, "keys", "create", "k", "--scope", "read", "--quiet").strip()
    shown = {"authorization": f"Bearer {token}"}

    def status(server: Server, headers: dict[str, str]) -> int:
        return httpx.get(f"{server.url}/events/", headers=headers, timeout=PATIENCE).status_code

    # Which servers have not heard of any key yet, and let everybody in.
    for server in cluster.servers:
        soon(lambda server=server: status(server, {}) == 401, "the need for a key")  # type: ignore[misc]  # mypy knows no defaults of lambdas
        assert status(server, shown) == 200
    begun = httpx.post(f"{first.url}/session", headers=shown, timeout=PATIENCE)
    cookie = {"cookie": begun.headers["set-cookie"].partition(";")[0]}
    assert status(second, cookie) == 200
    tidings(engine, "keys", "revoke", token)
    for server in cluster.servers:
        soon(lambda server=server: status(server, shown) == 401, "the key's end")  # type: ignore[misc]
        assert status(server, cookie) == 401


# Whether it is well -------------------------------------------------------------------------------


def test_a_server_that_is_cut_off_says_so(tmp_path: Path) -> None:
    """Not ready while it cannot reach the log, though it can read its replica; then ready again."""
    with (
        jetstream(tmp_path) as engine,
        cluster_on(engine.urls, tmp_path, env={"TIDINGS_DATABASE_TIMEOUT": "1"}) as cluster,
    ):
        first, second = cluster.servers

        def status(server: Server, path: str) -> int:
            return httpx.get(f"{server.url}{path}", timeout=PATIENCE).status_code

        soon(lambda: status(first, "/health/ready") == 200, "200 at first")
        engine.lines[0].cut()
        soon(lambda: status(first, "/health/ready") == 503, "503")
        assert status(first, "/health/live") == 200
        assert status(first, "/events/") == 200
        soon(lambda: status(second, "/health/ready") == 200, "200 of the other")
        engine.lines[0].restore()
        soon(lambda: status(first, "/health/ready") == 200, "200")
