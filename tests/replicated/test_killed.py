"""A process that is killed, or a power failure, at any moment leaves a replica that goes on.

It may have got less far than it was; then it applies the same entries again, to the same end.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.crash.lost_power import FATES, leave
from tests.crash.recording_disk import Entry as Recorded
from tests.crash.recording_disk import RecordingDisk
from tests.dying import calls_of, kill
from tests.replicated.file_log import FileLog, open_file_store
from tests.replicated.oracle import content
from tidings.event import Event
from tidings.store.base import Put
from tidings.store.query import Query
from tidings.store.replicated.attaching import Attaching
from tidings.store.replicated.log import Entry
from tidings.store.replicated.replica import Replica
from tidings.testing.elsewhere import PATIENCE

KILLS = 10
MOMENTS = 10

_APPLY = """
import sys
from tests.dying import killed_at
from tests.replicated.test_killed import apply_all
call, directory, replica = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with killed_at(call):
    apply_all(directory, replica)
"""


def apply_all(directory: str, name: str) -> None:
    """Make a machine's replica and get through the log, in this thread."""
    log = FileLog(f"{directory}/log.db", f"{directory}/{name}")
    replica, sequence, _ = Attaching(log, PATIENCE).replica()
    while entries := log.read(sequence)[:7]:
        replica.apply(sequence, entries, {})
        sequence = entries[-1].sequence
    replica.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A log in a directory, with commands of all kinds, and what a store holds after them."""
    directory = tmp_path_factory.mktemp("written")
    with open_file_store(directory, replica="writer") as store:
        write(store)
        return directory, content(store)


def write(store: Any) -> None:
    """Commands of all kinds, small ones and some of many parts."""
    random = Random(11)
    for n in range(12):
        about: dict[str, Any] = {"aggregate_type": "run", "aggregate_id": f"r{n % 3}"}
        text = "x" * random.choice((1, 100, 4_000))
        store.append([Event("step", payload={"text": text}, **about)], put=[Put("n", n)])
    store.prune(3)
    store.redact(Query(after=5, before=8))
    store.append([Event("step") for _ in range(40)])
    store.delete("n")
    store.append([Event("last")])


def test_killed_while_it_applies(written: tuple[Path, dict[str, Any]]) -> None:
    """Wherever the one that makes the replica and applies is killed, the next one goes on."""
    directory, expected = written
    calls = calls_of(_APPLY, directory, "whole")
    random = Random(calls)
    for n in range(KILLS):
        call = 1 + (n * calls + random.randrange(calls)) // KILLS
        name = f"killed-{n}"
        kill(_APPLY, call, directory, name)
        with open_file_store(directory, replica=name) as store:
            assert content(store) == expected, f"killed at call {call} of {calls}"
            assert store.check() == []


class Power:
    """What a disk was told while a replica applied a log, and the log."""

    def __init__(self, directory: Path) -> None:
        with open_file_store(directory, replica="writer") as store:
            write(store)
            self.expected = content(store)
        log = FileLog(f"{directory}/log.db", str(directory))
        replica, first, _ = Attaching(log, PATIENCE).replica()
        replica.close()
        home = Path(replica.path).parent
        assert first > 0, "a prune and a redaction leave a snapshot to begin with"
        self.entries: list[Entry] = log.read(first)
        self.record = self._recorded(Path(replica.path), home, first)

    def _recorded(self, path: Path, home: Path, first: int) -> list[Recorded]:
        made = [
            Recorded("create", str(path)),
            Recorded("write", str(path), 0, path.read_bytes()),
            Recorded("sync", str(path)),
            Recorded("settle", str(home)),
        ]
        with RecordingDisk(str(home)) as disk:
            sequence = first
            for entry in self.entries:
                with Replica(str(path), "log:", PATIENCE) as replica:
                    replica.apply(sequence, [entry], {})
                sequence = entry.sequence
        return made + disk.record

    def after(self, until: int, directory: Path, fate: str, random: Random) -> int:
        """Let the power fail, and go on; how many entries were lost with it."""
        directory.mkdir()
        leave(self.record, until, str(directory), fate, random)
        (path,) = directory.glob("*.db")
        with Replica(str(path), "log:", PATIENCE) as replica:
            reached = replica.state().sequence
            left = [entry for entry in self.entries if entry.sequence > reached]
            replica.apply(reached, left, {})
            assert content(replica) == self.expected
            assert replica.check() == []
        return len(left)


@pytest.fixture(scope="module")
def power(tmp_path_factory: pytest.TempPathFactory) -> Power:
    """A recorded replica."""
    return Power(tmp_path_factory.mktemp("power"))


@pytest.mark.parametrize("fate", FATES)
def test_the_power_fails(power: Power, tmp_path: Path, fate: str) -> None:
    """Whatever the disk had got to, the replica is whole, and the log brings what it lost."""
    random = Random(fate)
    lost = 0
    for n in range(MOMENTS):
        until = random.randrange(len(power.record) // 2, len(power.record))
        lost += power.after(until, tmp_path / str(n), fate, random)
    assert lost > 0, "if nothing were ever lost, this would prove nothing"
