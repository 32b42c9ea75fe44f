"""A WAL that is torn, cut off or damaged costs at most the newest appends, whole and in order.

The WAL's frames carry running checksums (https://www.sqlite.org/fileformat2.html, section 4.2), so
SQLite stops at the first one that is wrong; the store then stands where an earlier append left it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import pytest

from tests.sqlite.questions import AT_ONCE, batches
from tidings.errors import StoreUnavailable
from tidings.event import Event
from tidings.store.query import Query
from tidings.store.sqlite import SQLiteStore

TIMES = 40
SOAK_TIMES = 800
FRAME = 4096 + 24


def flip(data: bytearray, random: Random) -> None:
    """One bit, often in a header."""
    frame = random.randrange(len(data) // FRAME) * FRAME
    data[frame + random.randrange(random.choice((64, FRAME)))] ^= 1 << random.randrange(8)


def empty(data: bytearray, random: Random) -> None:
    """Zeros for a stretch."""
    start = random.randrange(len(data))
    end = min(len(data), start + random.randrange(1, 3 * FRAME))
    data[start:end] = bytes(end - start)


def truncated(data: bytearray, random: Random) -> None:
    """The end cut off, anywhere."""
    del data[random.randrange(len(data)) :]


def torn(data: bytearray, random: Random) -> None:
    """A frame of which one part is written and the other is not."""
    start = 32 + random.randrange(len(data) // FRAME) * FRAME + 512 * random.randrange(1, 8)
    data[start : start + 512] = bytes(512)


DAMAGES = (flip, empty, truncated, torn)


@pytest.fixture(scope="module", params=["never emptied", "half emptied"])
def left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's file and WAL, as a killed writer leaves them."""
    directory = tmp_path_factory.mktemp("left")
    path = tmp_path_factory.mktemp("live") / "events.db"
    with SQLiteStore(str(path)) as store:
        for number, batch in enumerate(batches()):
            store.append(_events(batch, number))
            if number == 4 and request.param == "half emptied":
                reader = sqlite3.connect(path, isolation_level=None)
                # An old snapshot keeps the part after it in the WAL, beside what was copied.
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM events").fetchone()
            if number == 6 and request.param == "half emptied":
                checkpointer = sqlite3.connect(path)
                checkpointer.execute("PRAGMA wal_checkpoint")
                checkpointer.close()
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", directory / f"events.db{suffix}")
        if request.param == "half emptied":
            reader.close()
    return directory


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_wal_costs_at_most_the_newest(
    tmp_path: Path, left: Path, damage: Callable[[bytearray, Random], None]
) -> None:
    """What is read is what some number of appends left, or the damage is told."""
    for seed in range(TIMES):
        hold(tmp_path, left, damage, seed)


@pytest.mark.soak
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_wal_never_costs_more(
    tmp_path: Path, left: Path, damage: Callable[[bytearray, Random], None]
) -> None:
    """The same in a great many places."""
    for seed in range(TIMES, TIMES + SOAK_TIMES):
        hold(tmp_path, left, damage, seed)


def hold(
    directory: Path, left: Path, damage: Callable[[bytearray, Random], None], seed: int
) -> None:
    """Damage the WAL in one way and read the store."""
    for left_over in directory.iterdir():
        left_over.unlink()
    shutil.copy(left / "events.db", directory)
    data = bytearray((left / "events.db-wal").read_bytes())
    damage(data, Random(seed))
    (directory / "events.db-wal").write_bytes(data)
    with SQLiteStore(str(directory / "events.db"), deadline=0.2) as store:
        try:
            kept = [event.to_dict() for event in store.read(Query())]
        except StoreUnavailable:
            assert store.check() != []
            return
        assert store.check() == []
        assert [event["id"] for event in kept] == _ids()[: len(kept)]
        assert len(kept) % AT_ONCE == 0
        assert store.append([Event("after")])[0].position == len(kept) + 1


@cache
def _ids() -> list[str]:
    """Of all that was appended, in order."""
    return [event.id for number, batch in enumerate(batches()) for event in _events(batch, number)]


def _events(batch: list[Event], number: int) -> list[Event]:
    """The events under ids that are the same each time."""
    return [
        Event(event.type, event.project, payload=event.payload, id=f"{number}-{n}")
        for n, event in enumerate(batch)
    ]
