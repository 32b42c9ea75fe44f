"""A process that forks workers, so that each starts in milliseconds; they are killed by tests.

Forking the test's own process would bring pytest's threads into it. A worker notes each event that
its plain handler gets with one line in a file, by one write, and follows it up with the other.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tidings import Event
    from tidings.outbox import Outbox

__all__ = ["Nursery"]

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0

BEAT, DEAD = 0.2, 1.5
"""Workers of these tests beat so often and are taken for dead after so long (seconds)."""

_WORK = 0.0005
"""A handler takes about so long (seconds), so that a kill meets it at work."""


class Nursery:
    """Starts workers and ends them; a context in which they live.

    Args:
        url: of the store they work on.
        notes: the file in which they note what they handle.
        partitions: of the plain handler.
    """

    def __init__(self, url: str, notes: Path, partitions: int = 4) -> None:
        self._request = json.dumps([url, str(notes), partitions]).encode()
        self._notes = notes
        self.workers: list[int] = []
        notes.touch()

    def __enter__(self) -> Self:
        self._ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.subscriptions.nursery", str(theirs.fileno())]
        self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()
        self._ours.settimeout(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            os.kill(worker, signal.SIGKILL)
        self._ours.close()
        assert self._process.wait(PATIENCE) == 0

    def start(self) -> int:
        """Start a worker; gives its process id."""
        self._ours.send(self._request)
        worker = int(self._ours.recv(64))
        self.workers.append(worker)
        return worker

    def kill(self, worker: int, with_signal: int = signal.SIGKILL) -> None:
        """End one, or have it end itself."""
        os.kill(worker, with_signal)
        self.workers.remove(worker)

    def has_ended(self, worker: int) -> bool:
        """Whether a worker is gone."""
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return True
        return False

    def noted(self) -> list[tuple[str, int]]:
        """What was handled, in order: the id of the thing, and the event's number."""
        lines = self._notes.read_text().splitlines()
        return [(thing, int(number)) for thing, number in map(str.split, lines)]


def _serve(connection: socket.socket) -> None:
    """Fork a worker for each request, until the test hangs up."""
    from tidings.subscriptions.worker import Worker  # noqa: F401 - loaded once, for all of them

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed are reaped by themselves
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # a worker waits for it
    while request := connection.recv(4096):
        process = os.fork()
        if process == 0:
            connection.close()
            _work(*json.loads(request))
        connection.send(str(process).encode())


def _work(url: str, notes: str, partitions: int) -> None:
    """Be a worker until a SIGTERM comes."""
    from tidings import Bus
    from tidings.schedule import Schedule
    from tidings.subscriptions.leases import Leases
    from tidings.subscriptions.worker import Worker

    code = 1
    try:
        os.setsid()  # a Ctrl-C is the test's
        note = os.open(notes, os.O_WRONLY | os.O_APPEND)
        bus = Bus(url, deadline=PATIENCE)
        schedule = Schedule([0.01] * 9)

        @bus.on("told", name="notify", partitions=partitions, schedule=schedule)
        def notify(event: Event) -> None:
            time.sleep(_WORK)
            if random.random() < 0.01:
                raise ValueError("not this time")
            os.write(note, f"{event.aggregate_id} {event.payload['n']}\n".encode())

        @bus.on("told", name="follow", partitions=2, schedule=schedule, outbox=True)
        def follow(event: Event, outbox: Outbox) -> None:
            outbox.emit("followed", payload=event.payload)
            time.sleep(_WORK)

        leases = Leases(bus.store, beat=BEAT, patience=DEAD)
        worker = Worker(bus, leases=leases)
        leases.start()
        worker.start()
        signal.sigwait([signal.SIGTERM])
        worker.close()
        leases.close()
        bus.close()
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
