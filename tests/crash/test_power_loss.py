"""When the power fails, nothing that was acknowledged is missing (promise 1).

The writes of a real store are recorded; then the power fails at many moments of the record, with
every fate for what was not synced, and the store opens what is left.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.crash.lost_power import FATES, leave
from tests.crash.recording_disk import Entry, RecordingDisk
from tidings.event import Event
from tidings.store.base import Put
from tidings.store.query import Query
from tidings.store.sqlite import SQLiteStore

SESSIONS = 4
APPENDS = 12
MOMENTS = 30
SOAK_MOMENTS = 1_500


class Recorded(NamedTuple):
    """What happened to a disk, and the ids of each append in order."""

    record: list[Entry]
    appends: list[list[str]]


@pytest.fixture(autouse=True)
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The WAL goes into the file after every few appends, so that the power fails there too."""
    monkeypatch.setattr("tidings.store.sqlite.connections._CHECKPOINT_PAGES", 24)


def record(path: Path, durability: str) -> Recorded:
    """Open a store a few times and append; each acknowledged append is noted in the record."""
    appends: list[list[str]] = []
    random = Random(durability)
    with RecordingDisk(str(path.parent)) as disk:
        for _ in range(SESSIONS):
            with SQLiteStore(str(path), durability=durability) as store:
                for _ in range(APPENDS):
                    events = [_event(random) for _ in range(random.choice((1, 1, 2, 20)))]
                    appends.append([event.id for event in events])
                    store.append(events, put=[Put("appends", len(appends))])
                    disk.note(len(appends))
    return Recorded(disk.record, appends)


def _event(random: Random) -> Event:
    return Event(
        "step",
        payload={"text": "x" * random.choice((1, 100, 6_000))},
        aggregate_type="run",
        aggregate_id=f"r{random.randrange(3)}",
    )


def kept_after(recorded: Recorded, until: int, directory: Path, fate: str, random: Random) -> int:
    """Let the power fail; how many appends the store has then, each whole and in order."""
    directory.mkdir()
    leave(recorded.record, until, str(directory), fate, random)
    with SQLiteStore(str(directory / "events.db")) as store:
        assert store.check() == []
        ids = [event.id for event in store.read(Query())]
        number = store.get("appends")
        kept = 0 if number is None else number.value
        assert ids == [event_id for append in recorded.appends[:kept] for event_id in append]
        assert store.append([Event("after")])[0].position == len(ids) + 1
    return int(kept)


def acknowledged(recorded: Recorded, until: int) -> int:
    """How many appends were acknowledged by then."""
    return max((entry.data for entry in recorded.record[:until] if entry.what == "note"), default=0)


def moments(recorded: Recorded, random: Random, number: int) -> list[int]:
    """When the power fails: at random, at the beginning, and right after acknowledgements."""
    total = len(recorded.record)
    notes = [i + 1 for i, entry in enumerate(recorded.record) if entry.what == "note"]
    return [
        *(random.randrange(total) for _ in range(number)),
        *random.sample(range(80), 8),
        *random.sample(notes, 12),
        total,
    ]


def hold_against(durability: str, directory: Path, fate: str, number: int) -> int:
    """Let the power fail so often; how often something acknowledged was missing."""
    recorded = record(directory / "events.db", durability)
    random = Random(fate)
    lost = 0
    for n, until in enumerate(moments(recorded, random, number)):
        kept = kept_after(recorded, until, directory / str(n), fate, random)
        lost += kept < acknowledged(recorded, until)
    return lost


@pytest.mark.parametrize("fate", FATES)
def test_nothing_acknowledged_is_missing_when_the_power_fails(tmp_path: Path, fate: str) -> None:
    """With `durability=power`, at any moment and whatever the disk had got to."""
    assert hold_against("power", tmp_path, fate, MOMENTS) == 0


@pytest.mark.parametrize("fate", FATES)
def test_only_the_newest_are_missing_where_the_process_is_to_be_survived(
    tmp_path: Path, fate: str
) -> None:
    """With `durability=process` a power loss may take the newest appends, in order and whole."""
    lost = hold_against("process", tmp_path, fate, MOMENTS)
    # If none were ever lost, the power failing here would prove nothing above.
    assert (lost > 0) == (fate != "everything")


def test_the_directories_it_makes_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SQLite does not sync, the entries of new directories, the store does."""
    synced = set()
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    with SQLiteStore(str(tmp_path / "new" / "home" / "events.db")) as store:
        store.append([Event("x")])
    assert {tmp_path.stat().st_ino, (tmp_path / "new").stat().st_ino} <= synced


@pytest.mark.soak
@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("durability", ["power", "process"])
def test_the_power_fails_very_often(tmp_path: Path, durability: str, fate: str) -> None:
    """The same at a great many moments."""
    lost = hold_against(durability, tmp_path, fate, SOAK_MOMENTS)
    assert lost == 0 or durability == "process"
