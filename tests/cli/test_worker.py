"""Whether `tidings worker` runs a module's handlers, ends in order, and says what hinders it."""

from __future__ import annotations

import os
import signal
import sys
import time
from threading import Event as Flag
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Any

import pytest

from tidings.bus import Bus
from tidings.cli import main
from tidings.cli.worker import _signals
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.cli.conftest import Shell
    from tidings.event import Event

ENDING = "what is being handled is finished first"

SERVICE = """
import atexit, os, time
from tidings import AsyncBus, Bus
from tidings.subscriptions.leases import Leases

# Else who is stopped for five seconds, on a busy machine, has an event handled again.
Leases.__init__.__kwdefaults__["patience"] = 600.0

bus = Bus()
async_bus = AsyncBus()
away = Bus("postgresql://ann:s3cret@127.0.0.1:9/events")
away.on(name="never")(print)

@bus.on("order.created", name="ship")
def ship(event):
    bus.emit("shipping", payload=event.payload)
    while event.payload.get("until") and not bus.history(types=event.payload["until"]):
        time.sleep(0.01)
    bus.emit("shipped", payload=event.payload)

@bus.on("shipping", name="never")
def never(event):
    bus.emit("never")

@async_bus.on("order.*", name="bill")
async def bill(event):
    await async_bus.emit("billed", payload=event.payload)

@atexit.register
def leave():
    open("left", "w").close()
"""

WRONG = {
    "wares": """
from tidings import Bus
bus, without = Bus(), Bus()
@bus.on(name="ship")
def ship(event): ...
""",
    "needy": "import no_such_thing",
    "wrong": """
from tidings import Bus
Bus().on(name="ship", on_failure="stop")(print)
""",
}


class Place:
    """A directory with a service, and the workers that run there."""

    def __init__(self, shell: Shell, directory: Path) -> None:
        self.shell = shell
        self.directory = directory
        (directory / "service.py").write_text(SERVICE)
        self.said = directory / "stderr"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker; what it says goes to a file."""
        with self.said.open("wb") as said:
            return self.shell.start(
                "worker",
                *arguments,
                cwd=self.directory,
                env=environment,
                stdout=said,
                stderr=said,
            )

    def until_it_says(self, text: str) -> None:
        """Wait until the worker has said something."""
        end = time.monotonic() + PATIENCE
        while text not in self.said.read_text():
            assert time.monotonic() < end, self.said.read_text()
            time.sleep(0.01)

    def until_there_is(self, event_type: str, **payload: Any) -> Event:
        """Wait until there is an event."""
        with Bus(self.shell.url) as bus:
            event = bus.wait_for(after=0, timeout=PATIENCE, types=event_type, payload=payload)
        assert event is not None, self.said.read_text()
        return event


@pytest.fixture
def place(shell: Shell, tmp_path: Path) -> Place:
    """A directory with a service."""
    return Place(shell, tmp_path)


def test_what_is_being_handled_is_finished(place: Place) -> None:
    """After SIGTERM the handler ends, its event is noted and not handled again; the exit is 0."""
    with Bus(place.shell.url, deadline=PATIENCE) as bus:
        first = bus.emit("order.created", payload={"n": 1, "until": "go"})
        worker = place.start("service:bus", "--only", "ship")
        assert place.until_there_is("shipping", n=1).causation_id == first.id
        worker.send_signal(signal.SIGTERM)
        place.until_it_says(ENDING)
        bus.emit("go")
        assert worker.wait(PATIENCE) == 0
        assert [event.payload["n"] for event in bus.read(types="shipped")] == [1]
        assert (place.directory / "left").exists()  # what the module had to do at the end is done

        bus.emit("order.created", payload={"n": 2})
        worker = place.start("service:bus", "--only", "ship", "--no-deliver")
        place.until_there_is("shipped", n=2)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0
        assert [event.payload["n"] for event in bus.read(types="shipping")] == [1, 2]
        assert bus.latest("never") is None  # as --only says
    assert "runs ship of service:bus on sqlite:///" in place.said.read_text()


def test_a_second_signal_ends_at_once(place: Place) -> None:
    """Whoever does not want to wait for a handler sends another signal; its event comes again."""
    with Bus(place.shell.url) as bus:
        bus.emit("order.created", payload={"n": 1, "until": "never comes"})
        worker = place.start("service:bus")
        place.until_there_is("shipping", n=1)
        worker.send_signal(signal.SIGTERM)
        place.until_it_says(ENDING)
        worker.send_signal(signal.SIGINT)
        assert worker.wait(PATIENCE) == 128 + signal.SIGINT
        assert bus.latest("shipped") is None


def test_an_async_bus_is_run_and_the_spool_is_collected(place: Place) -> None:
    """Handlers of an `AsyncBus` are called, also for what waited in the spool of the machine."""
    with Bus("http://127.0.0.1:9", spool=str(place.shell.spool)) as away:
        spooled = away.emit("order.created", payload={"n": 1})
    worker = place.start("service:async_bus")
    assert place.until_there_is("billed", n=1).causation_id == spooled.id
    worker.send_signal(signal.SIGINT)
    assert worker.wait(PATIENCE) == 130


def test_a_store_that_is_away_holds_up_neither_start_nor_end(place: Place) -> None:
    """The worker waits for its store, ends when it is told to, and never shows a password."""
    worker = place.start("service:away", TIDINGS_DEADLINE="1")
    place.until_it_says("runs never of service:away")
    place.until_it_says("the store is away")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    said = place.said.read_text()
    assert "on postgresql://ann" in said
    assert "s3cret" not in said


def test_a_signal_is_heard_whichever_thread_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the wait also where the system interrupts another thread than the one that waits."""
    reads = Flag()
    read = os.read

    def begin_to_read(file: int, count: int) -> bytes:
        reads.set()
        return read(file, count)

    def be_interrupted() -> None:
        assert reads.wait(PATIENCE)
        signal.pthread_kill(get_ident(), signal.SIGTERM)

    monkeypatch.setattr("tidings.cli.worker.os.read", begin_to_read)
    other = Thread(target=be_interrupted)
    with _signals() as wait_for_signal:
        other.start()
        assert wait_for_signal() == signal.SIGTERM
        other.join()


def test_without_a_module_it_delivers(place: Place) -> None:
    """`tidings worker` alone runs deliveries, of the store that --url names."""
    worker = place.start("--url", f"sqlite:///{place.directory}/other.db")
    place.until_it_says("other.db; Ctrl-C ends it")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    assert "delivers webhooks, notices and watches" in place.said.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no_such_module:bus"], "there is no module no_such_module in "),
        (["wares.inner:bus"], "there is no module wares.inner in "),
        (["wares:buss"], "there is no buss in wares, as 'wares:buss' says"),
        (["wares"], "'wares' must be MODULE:BUS, such as service:bus"),
        (["wares.py:bus"], "'wares.py:bus' names a file; name its module: wares:bus"),
        (["./wares.py"], "'./wares.py' names a file; name its module: wares:bus"),
        (["wares:ship"], "is neither a Bus nor an AsyncBus, but of type function"),
        (["wares:without"], "has no handlers; one has a name: @bus.on(TYPE, name=NAME)"),
        (["wares:bus", "--only", "shop"], "no handler is called 'shop'"),
        (["wares:bus", "--url", "memory:"], "--url is for a worker that only delivers"),
        (["--only", "ship"], "--only is for handlers; say where they are: MODULE:BUS"),
        (["--no-deliver"], "there is nothing to run"),
        (["needy:bus"], "module needy cannot be imported: ModuleNotFoundError: No module named"),
        (["wrong:bus"], "module wrong cannot be imported: InvalidSetting: on_failure 'stop'"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_cannot_be_run_is_said(
    tmp_path: Path,
    arguments: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Wrong usage exits with 2 and says what was looked for, and where."""
    for name, source in WRONG.items():
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)  # another test's
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["worker", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    # What a module raised is shown with the line that did it.
    assert ("Traceback" in said) == ("cannot be imported" in says)
    assert "importlib" not in said
