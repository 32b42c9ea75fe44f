"""What NFS may do to those who share a directory: nothing is lost, nothing twice, all agree.

Several machines emit, follow, merge, trim and start from snapshots on a simulated server, each with
what it remembers wrongly, while calls fail, answers are lost, and processes die or are stopped for
minutes and go on. Every run comes from a seed; a failure is one again.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shared.forgetful import MINUTE, Client, Server
from tests.shared.turns import Killed, Turns
from tidings.errors import OutcomeUnknown, TidingsError
from tidings.store.replicated.log import Entry, LogTrimmed
from tidings.store.shared import SharedLog, log, ordering, segments, upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

EACH = 10
LOST = 20 * MINUTE
"""So long after it was acknowledged an entry that nobody sees counts as lost."""


class Machine:
    """One machine: what its replica has applied, and what its emitters were told.

    Args:
        name: tells its entries from those of others.
        client: how it sees the directory.
        chance: what it does next.
        scratch: a local directory.
    """

    def __init__(self, name: str, client: Client, chance: random.Random, scratch: Path) -> None:
        self.name, self.client, self.chance, self.scratch = name, client, chance, scratch
        self.applied: list[Entry] = []
        self.acknowledged: list[str] = []
        self.seen = 0

    @property
    def names(self) -> list[str]:
        """The entries as a replica counts them: the first of each name."""
        return list(dict.fromkeys(entry.data.decode() for entry in self.applied))

    def emit(self, trims: bool) -> None:
        """Emit one after the other, and see each come back; trim now and then."""
        for number in range(EACH):
            shared = self.opened()
            try:
                self._emit(shared, f"{self.name}-{number}")
                if trims and self.chance.random() < 0.3:
                    self.trim(shared)
            except Killed:
                if not self.client.dead or self.client.turns.failures:
                    raise
                self.client = self.reborn()

    def opened(self) -> SharedLog:
        """The log as this machine sees it."""
        return SharedLog("/home/log", "/none", self.client)

    def reborn(self) -> Client:
        """The next process: it remembers nothing."""
        old = self.client
        new = Client(
            old.server,
            old.turns,
            old.chance,
            faults=old.faults,
            coherent=old.coherent,
            skew=old.skew,
        )
        new.thread = old.thread
        return new

    def _emit(self, shared: SharedLog, name: str) -> None:
        try:
            shared.publish([(name, name.encode())], 1.0)
        except OutcomeUnknown:
            return
        except TidingsError:
            return
        self.acknowledged.append(name)
        until = self.client.server.time + LOST
        while name not in self.names:
            assert self.client.server.time < until, f"{name} was acknowledged and does not come"
            self.follow(shared)

    def follow(self, shared: SharedLog) -> None:
        """Apply what has come, if something has."""
        try:
            shared.wait(self.seen, 1.0)
            entries = shared.read(self.seen)
        except LogTrimmed:
            self.start_again(shared)
        except TidingsError:
            self.client.pause(shared._never, 0.1)
        else:
            self.applied += entries
            self.seen = entries[-1].sequence if entries else self.seen

    def start_again(self, shared: SharedLog) -> None:
        """Take the snapshot, as a replica does that is below what was trimmed."""
        path = self.scratch / self.name
        try:
            sequence = shared.fetch_snapshot(str(path))
        except TidingsError:
            self.client.pause(shared._never, 1.0)
            return
        assert sequence is not None, "the log was trimmed, and there is no snapshot"
        assert sequence >= self.seen
        self.applied = [
            Entry(number, data.encode()) for number, data in json.loads(path.read_text())
        ]
        self.seen = sequence

    def trim(self, shared: SharedLog) -> None:
        """Put a snapshot of the replica, and trim what it holds."""
        path = self.scratch / f"{self.name}.put"
        path.write_text(
            json.dumps([(entry.sequence, entry.data.decode()) for entry in self.applied])
        )
        try:
            shared.put_snapshot(self.seen, str(path))
            shared.trim(self.seen)
        except TidingsError:
            return


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of six segments, merged by three, so that few entries fill several."""
    for module in (segments, upkeep):
        monkeypatch.setattr(module, "BLOCK", 6)
    for module in (segments, upkeep, ordering, log):
        monkeypatch.setattr(module, "GROUP", 3)


def play(
    seed: int, scratch: Path, machines: list[Machine], turns: Turns, part: Callable[[Machine], None]
) -> None:
    """Let all machines do a part, in turns."""
    for machine in machines:

        def body(machine: Machine = machine) -> None:
            from threading import current_thread

            machine.client.thread = current_thread()
            part(machine)

        turns.add(body)
    turns.run()
    if turns.failures:
        raise AssertionError(f"seed {seed} in {scratch}") from turns.failures[0]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1 << 32),
    count=st.integers(2, 4),
    faults=st.sampled_from([0.0, 0.02, 0.1]),
    coherent=st.booleans(),
    skewed=st.booleans(),
    trims=st.booleans(),
    deaths=st.booleans(),
    stops=st.booleans(),
)
def test_nothing_is_lost_and_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    count: int,
    faults: float,
    coherent: bool,
    skewed: bool,
    trims: bool,
    deaths: bool,
    stops: bool,
) -> None:
    """Whatever the file system forgets, whoever dies or is stopped: all replicas are the same."""
    chance = random.Random(seed)
    scratch = tmp_path_factory.mktemp("machines")
    server = Server()
    turns = Turns(server, chance)
    machines = []
    for number in range(count):
        skew = chance.uniform(-3600, 3600) if skewed else None
        client = Client(server, turns, chance, faults=faults, coherent=coherent, skew=skew)
        if deaths and number:
            client.kill_after = chance.randrange(20, 800)
        if stops and not number:
            client.freeze_after = chance.randrange(20, 800)
            client.frozen_for = chance.choice([5.0, 40.0, 5 * MINUTE])
        machines.append(Machine(f"m{number}", client, chance, scratch))
    play(seed, scratch, machines, turns, lambda machine: machine.emit(trims))
    judge(seed, scratch, server, chance, machines)
    if not faults:
        # Without lost answers nothing even stands twice in the log; else replicas tell by the name.
        for machine in machines:
            assert len(machine.applied) == len(machine.names)


def judge(
    seed: int, scratch: Path, server: Server, chance: random.Random, machines: list[Machine]
) -> None:
    """Let all catch up on a day without trouble, with one who is new, and compare."""
    turns = Turns(server, chance)
    server.time += 2 * MINUTE
    new = Machine("new", machines[0].client, chance, scratch)
    for machine in (*machines, new):
        machine.client = Client(server, turns, chance)
    acknowledged = [name for machine in machines for name in machine.acknowledged]

    def catch_up(machine: Machine) -> None:
        shared = machine.opened()
        while machine.seen < shared.head(1.0) or shared._room.names():
            machine.follow(shared)

    play(seed, scratch, [*machines, new], turns, catch_up)
    for machine in machines:
        assert machine.names == new.names, f"{machine.name} differs"
        assert [entry.sequence for entry in machine.applied] == sorted(
            {entry.sequence for entry in machine.applied}
        )
    assert set(acknowledged) <= set(new.names)
