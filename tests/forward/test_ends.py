"""How processes end that forward: in time, killed, forked, and over a server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import Shell
from tests.forward.receiver import Receiver, send_waiting, settled
from tests.server.conftest import Server
from tidings.bus import Bus
from tidings.errors import NotAllowed
from tidings.event import Event
from tidings.forward import Forwarded
from tidings.server.keys import KeyRing
from tidings.spool.marks import mark
from tidings.store import open_store
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = """
import tidings
tidings.emit("a", "figrecipe")
"""  # the default bus is closed at the end of the process

FORKS = """
import os, tidings
bus = tidings.Bus(context=False)
bus.emit("parent", id="parent")
child = os.fork()
if child == 0:
    bus.emit("child", id="child")
    forwarded = bus._keeping._forwarding.wait(60)
    bus.close()
    os._exit(not forwarded)
status = os.waitpid(child, 0)[1]
bus.emit("parent", id="after")
assert bus._keeping._forwarding.wait(60) and not status
"""  # it never closes its bus

KILLED = """
import sys, tidings
bus = tidings.Bus(context=False)
bus.emit_many([{"type": "a", "id": f"e{number}"} for number in range(3)])
print("kept", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def shell(own_home: Path, target: tuple[str, str]) -> Iterator[Shell]:
    """A shell whose store is empty, and whose settings name the address."""
    assert target
    opened = Shell(own_home / "tidings")
    yield opened
    opened.close()


def test_a_shell_emit_ends_while_the_address_hangs(shell: Shell, receiver: Receiver) -> None:
    """It prints its event and exits with 0; `tidings collect` sends it once somebody answers."""
    receiver.answer = "hang"
    done = shell("emit", "a", "--id", "a", "--strict")
    assert (done.returncode, json.loads(done.stdout)["id"]) == (0, "a")
    receiver.answer = 201
    (told,) = shell.json("collect")
    assert told["forwarded"] == Forwarded(1, 0, 0)._asdict()
    assert set(receiver.ids()) == {"a"}


def test_a_script_ends_while_the_address_hangs(shell: Shell, receiver: Receiver) -> None:
    """So does a process that used the quick verbs and closes nothing; its event waits."""
    receiver.answer = "hang"
    subprocess.run(
        [sys.executable, "-c", QUICK], env=shell.environment, check=True, timeout=PATIENCE
    )
    receiver.answer = 200
    with open_store(shell.url) as store:
        assert send_waiting(store) == Forwarded(1, 0, 0)


def test_what_was_left_goes_with_the_next_emit(shell: Shell, receiver: Receiver) -> None:
    """The next process that emits sends what the one before could not, beside its own."""
    with open_store(shell.url) as store:
        # As an emit leaves it whose process ended before anybody answered.
        old = Event("old", id="old")
        store.append([old], put=[mark(old, receiver.url)])
    assert receiver.requests == []
    with Bus(shell.url, context=False) as bus:
        bus.emit("new", id="new")
        settled(bus)
    assert receiver.ids() == ["new", "old"]


def test_collect_says_why_nothing_is_taken(shell: Shell, receiver: Receiver) -> None:
    """It exits with 0: the events are kept, and wait."""
    receiver.answer = 500
    shell("emit", "a")
    done = shell("collect", "--resend")
    assert done.returncode == 0
    assert b"it answered 500" in done.stderr
    assert json.loads(done.stdout)["forwarded"]["waiting"] == 1


def test_resend_needs_an_address(shell: Shell) -> None:
    """Without one there is nowhere to send anything again."""
    done = shell("collect", "--resend", TIDINGS_API_URL="")
    assert (done.returncode, b"TIDINGS_API_URL" in done.stderr) == (2, True)


def test_a_killed_process_loses_nothing(shell: Shell, receiver: Receiver) -> None:
    """What it had kept and not sent, or not heard of, is sent by another at once."""
    receiver.answer = "hang"
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        env=shell.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"kept\n"
        receiver.await_requests(1)
        killed.send_signal(signal.SIGKILL)
    receiver.answer = 200
    with open_store(shell.url) as store:
        assert send_waiting(store) == Forwarded(3, 0, 0)
    assert sorted(receiver.ids()) == ["e0", "e0", "e1", "e2"]


def test_a_forked_child_forwards_its_own(shell: Shell, receiver: Receiver) -> None:
    """Parent and child each send what they emitted, also where nobody closes the bus."""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS],
        env=shell.environment,
        check=True,
        timeout=PATIENCE,
    )
    assert sorted(set(receiver.ids())) == ["after", "child", "parent"]
    with open_store(shell.url) as store:
        assert store.keys("forward/") == []


def test_a_node_without_python_forwards_through_the_spool(shell: Shell, receiver: Receiver) -> None:
    """`emit.sh` marks what it spools, and whoever collects it sends it."""
    script = str(files("tidings") / "emit.sh")
    subprocess.run(["sh", script, "a"], env=shell.environment, check=True, timeout=PATIENCE)
    (told,) = shell.json("collect")
    assert (told["kept"], told["forwarded"]["sent"]) == (1, 1)
    assert [body["type"] for _, body in receiver.requests] == ["a"]
    assert list((shell.spool / "new").iterdir()) == []


def test_a_key_that_may_only_emit_forwards_too(
    own_home: Path, receiver: Receiver, target: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a server a client marks and sends what it emits; what fails, the server's side sends."""
    home = own_home / "server"
    with open_store(f"sqlite:///{home}/events.db") as store:
        _, token = KeyRing(store).create("job", ["emit"])
    monkeypatch.setenv("TIDINGS_KEY", token)
    monkeypatch.delenv("TIDINGS_API_URL")  # the server has none
    server = Server(home, (), {})
    try:
        monkeypatch.setenv("TIDINGS_API_URL", receiver.url)
        with Bus(server.url, context=False) as bus:
            assert bus.emit("a", id="a").position == 1
            settled(bus)
        receiver.answer = 503
        with Bus(server.url, context=False) as bus:
            assert bus.emit("b", id="b").position == 2
            for refused in (
                lambda: bus.store.put("cursor/b", 1),
                lambda: bus.store.delete("cursor/b"),
                lambda: bus.store.keys("forward/"),
            ):
                with pytest.raises(NotAllowed):
                    refused()
            settled(bus)
    finally:
        server.stop()
    receiver.answer = 200
    with open_store(server.store_url) as store:
        assert send_waiting(store, target=target, hurry=True) == Forwarded(1, 0, 0)
    assert receiver.ids() == ["a", "b", "b"]
