"""`tidings subscriptions`: how far handlers have come, and what a person changes of that."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.conftest import Server
from tidings.bus import Bus
from tidings.cli import main
from tidings.event import Event
from tidings.handlers import Handler
from tidings.store.query import Query
from tidings.subscriptions.dead_letters import DeadLetter, DeadLetters
from tidings.subscriptions.generations import Generations
from tidings.subscriptions.registry import Subscriptions
from tidings.subscriptions.worker import Worker
from tidings.timestamps import now_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Shell

TIDINGS = (sys.executable, "-m", "tidings")


@pytest.fixture
def bus(shell: Shell) -> Iterator[Bus]:
    """A bus with five events and the subscription `notify`, which gave one up; nobody runs it."""
    with Bus(shell.url) as opened:
        events = opened.store.append([Event("job.done") for _ in range(5)])
        handler = Handler(print, name="notify", query=Query(types=["job.*"]), partitions=2)
        Generations(opened.store).declare(handler, now_instant())
        letter = DeadLetter.about(events[0], "notify", "x", (), 0, held=False)
        DeadLetters(opened.store).add(letter)
        yield opened


@pytest.mark.usefixtures("bus")
def test_each_is_told(shell: Shell) -> None:
    """The list says of each how far it is behind and who runs it; show says the same of one."""
    (told,) = shell.json("subscriptions", "list")
    assert (told["name"], told["lag"], told["dead_letters"]) == ("notify", 5, 1)
    assert [each["host"] for each in told["partitions"]] == [None, None]
    assert shell.json("subscriptions", "show", "notify") == [told]
    done = shell("subscriptions", "show", "other")
    assert (done.returncode, b"tidings subscriptions list" in done.stderr) == (1, True)


def test_one_is_paused_reset_and_resumed(shell: Shell, bus: Bus) -> None:
    """Each takes effect in the store, and the answer says how it stands then."""
    (paused,) = shell.json("subscriptions", "pause", "notify")
    (reset,) = shell.json("subscriptions", "reset", "notify", "--to", "3")
    (resumed,) = shell.json("subscriptions", "resume", "notify")
    assert (paused["paused"], resumed["paused"]) == (True, False)
    assert (reset["position"], resumed["lag"]) == (3, 2)
    assert Subscriptions(bus.store).get("notify").position == 3


def test_deleting_wants_a_yes(shell: Shell, bus: Bus) -> None:
    """What would be lost is said first; with a yes it is gone, dead letters included."""
    refused = shell("subscriptions", "delete", "notify")
    assert (refused.returncode, b"1 dead letter" in refused.stderr) == (2, True)
    dry = shell.json("subscriptions", "delete", "notify", "--dry-run")
    assert dry == [{"would_delete": "notify", "dead_letters": 1}]
    assert len(Subscriptions(bus.store).list()) == 1
    assert shell.json("subscriptions", "delete", "notify", "-y") == [{"deleted": "notify"}]
    assert (Subscriptions(bus.store).list(), list(DeadLetters(bus.store))) == ([], [])


def test_a_terminal_shows_a_table(seat: Any, bus: Bus) -> None:
    """A line each under headings; a process that runs one is named by machine and number."""
    bus.on("job.*", name="worked")(lambda _: None)
    with Worker(bus):
        store = Subscriptions(bus.store)
        while not any(state.partitions[0].pid for state in store.list()):
            bus.store.wait(bus.store.head(), 0.05)
        lines = seat(*TIDINGS, "subscriptions", "list").until(str(os.getpid()).encode())
    heading, row, _ = lines.decode().splitlines()
    assert heading.split()[-4:-2] == ["handled", "failed"], heading
    assert row.split() == ["notify", "5", "0", "0", "1", "0", "0", "nobody"]
    shown = seat(*TIDINGS, "subscriptions", "show", "notify").until(b"partition 1")
    assert b"run by nobody" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause",),
        ("list", "notify"),
        ("reset", "notify"),
        ("reset", "notify", "--to", "soon"),
        ("reset", "notify", "--to", "99"),
        ("pause", "notify", "--to", "now"),
        ("stop", "notify"),
    ],
)
def test_wrong_usage_changes_nothing(
    shell: Shell,
    bus: Bus,
    arguments: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is missing or makes no sense is said."""
    monkeypatch.setenv("TIDINGS_HOME", str(shell.home))
    before = Subscriptions(bus.store).list()
    assert main(["subscriptions", *arguments]) == 2
    assert capsys.readouterr().err.startswith("tidings: subscriptions: ")
    assert Subscriptions(bus.store).list() == before


def test_a_store_behind_a_server(shell: Shell, bus: Bus) -> None:
    """The same over HTTP: shown, paused and reset where the store is behind a server."""
    server = Server(shell.home, ("--no-deliver",), {})
    try:
        at = ("--url", server.url)
        assert [each["name"] for each in shell.json("subscriptions", "list", *at)] == ["notify"]
        shell.json("subscriptions", "pause", "notify", *at)
        (told,) = shell.json("subscriptions", "reset", "notify", "--to", "now", *at)
        assert (told["paused"], told["lag"]) == (True, 0)
        assert Subscriptions(bus.store).get("notify").paused
    finally:
        server.kill()
