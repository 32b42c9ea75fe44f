"""`tidings tail` and `wait`: what is kept from now on."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tidings.bus import Bus
from tidings.event import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Shell


@pytest.fixture
def bus(shell: Shell) -> Iterator[Bus]:
    """The bus on the shell's store, to emit beside it."""
    with Bus(shell.url, deadline=60) as opened:
        yield opened


TOLD_WHEN_WAITING = """
from tidings.cli import main
from tidings.store.sqlite import SQLiteStore

wait = SQLiteStore.wait

def told(*given, **named):
    print("begun", flush=True)
    return wait(*given, **named)

SQLiteStore.wait = told
main()
"""
"""A command that says when it waits, and not before."""


def types_of(output: bytes) -> list[str]:
    """The types of the events printed."""
    return [json.loads(line)["type"] for line in output.splitlines()]


def test_tail_shows_the_last_events_in_order(shell: Shell, bus: Bus) -> None:
    """The last 20, or as many as asked for, oldest first; our own types are left out."""
    bus.emit_many([Event(f"e{number}") for number in range(30)] + [Event("tidings.notice")])
    assert types_of(shell("tail").stdout) == [f"e{number}" for number in range(10, 30)]
    assert types_of(shell("tail", "-n", "2").stdout) == ["e28", "e29"]
    assert types_of(shell("tail", "-n2", "--type", "e1*").stdout) == ["e18", "e19"]
    assert types_of(shell("tail", "--type", "tidings.*").stdout) == ["tidings.notice"]
    assert len(types_of(shell("tail", "--since", "1h").stdout)) == 30
    assert types_of(shell("tail", "--after", "28").stdout) == ["e28", "e29"]
    assert types_of(shell("tail", "--after", "20", "-n", "1").stdout) == ["e29"]


def test_follow_shows_past_and_future_without_gap(shell: Shell, bus: Bus) -> None:
    """With -f each event is printed as soon as it is kept, none is missed or repeated."""
    bus.emit_many([Event("past", payload={"n": number}) for number in range(5)])
    process = shell.start("tail", "-f", "-n", "3", "--type", "past", "--type", "new")
    assert process.stdout is not None
    assert [json.loads(process.stdout.readline())["payload"]["n"] for _ in range(3)] == [2, 3, 4]
    for number in range(20):
        bus.emit("new", payload={"n": number})
        bus.emit("other")
        assert json.loads(process.stdout.readline())["payload"]["n"] == number
    process.send_signal(signal.SIGINT)
    rest, stderr = process.communicate(timeout=60)
    assert (process.returncode, rest, stderr) == (130, b"", b"")


def test_follow_ends_when_its_reader_does(shell: Shell, bus: Bus) -> None:
    """`tail -f | head` does not wait for one more event."""
    bus.emit("x")
    process = shell.start("tail", "-f")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""


def test_follow_ends_with_ctrl_c_at_a_terminal(bus: Bus, seat: Any) -> None:
    """Ctrl-C ends it with 130 and no traceback."""
    bus.emit("first")
    terminal = seat(sys.executable, "-m", "tidings", "tail", "-f")
    terminal.until(b"first")
    terminal.type(b"\x03")
    assert terminal.ended() == 130
    assert b"Traceback" not in os.read(terminal.descriptor, 65536)


def test_follow_from_before_what_was_pruned_says_where_to_go_on(shell: Shell, bus: Bus) -> None:
    """A position that was pruned away exits with 1 and names the first one left."""
    bus.emit_many([Event("x") for _ in range(5)])
    bus.store.prune(3)
    done = shell("tail", "--after", "1")
    assert done.returncode == 1
    assert b"go on with after=3" in done.stderr


def test_wait_ends_with_the_event(shell: Shell, bus: Bus) -> None:
    """Only an event that is kept after the wait began and fits ends it, and is printed."""
    bus.emit("job_done", payload={"job": 1})
    process = shell.start("wait", "job_done", "--where", "job:=1", "--timeout", "60s")
    head = bus.store.head()
    while process.poll() is None:
        bus.emit("job_done", payload={"job": 2})
        bus.emit("job_done", payload={"job": 1})
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, b"")
    event = json.loads(stdout)
    assert event["payload"] == {"job": 1}
    assert event["position"] > head


def test_wait_gives_up(shell: Shell, bus: Bus) -> None:
    """No such event in time exits with 124; one from before counts with --since or --after."""
    bus.emit("job_done")
    done = shell("wait", "--type", "job_done", "--timeout", "0.1")
    assert (done.returncode, done.stdout) == (124, b"")
    assert b"no such event came in time" in done.stderr
    for earlier in (("--since", "1h"), ("--after", "0")):
        assert shell.json("wait", "job_done", "--timeout", "9s", *earlier)[0]["position"] == 1


def test_wait_wants_to_know_for_what(shell: Shell) -> None:
    """Without any filter it would end with whatever comes next, so that is refused."""
    done = shell("wait", "--timeout", "1s")
    assert done.returncode == 2
    assert b"say what to wait for" in done.stderr


def test_wait_ends_with_ctrl_c(seat: Any) -> None:
    """Ctrl-C ends a wait with 130."""
    terminal = seat(sys.executable, "-c", TOLD_WHEN_WAITING, "wait", "never")
    terminal.until(b"begun")
    terminal.type(b"\x03")
    assert terminal.ended() == 130
