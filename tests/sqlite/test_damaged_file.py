"""A damaged file is told and not believed; `check` names what reads cannot notice.

What is asked of the log itself (all of it, a part, the newest, counts) is answered rightly or with
an error. A question that an index or a condition decides may miss an event where just that index or
field is damaged, and never gets one that was not kept; `check` then names the damage.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.sqlite.questions import Answers, answers, fill
from tidings.errors import StoreDamaged, StoreUnavailable
from tidings.event import Event
from tidings.store.query import Query
from tidings.store.sqlite import SQLiteStore

PAGE = 4096
SECTOR = 512
TIMES = 40
SOAK_TIMES = 800


def flip(data: bytearray, random: Random) -> None:
    """One bit, half of the time where a page says what is in it."""
    page = random.randrange(len(data) // PAGE) * PAGE
    data[page + random.randrange(random.choice((120, PAGE)))] ^= 1 << random.randrange(8)


def flip_small_table(data: bytearray, random: Random) -> None:
    """One bit that is part of a row in a page with little in it, such as the ledger's."""
    pages = range(0, len(data), PAGE)
    filled = {page: [page + n for n in range(PAGE) if data[page + n]] for page in pages}
    small = [offsets for offsets in filled.values() if len(offsets) < PAGE // 2]
    data[random.choice(random.choice(small))] ^= 1 << random.randrange(8)


def empty_sector(data: bytearray, random: Random) -> None:
    """A sector of zeros, as a disk gives that lost one."""
    start = random.randrange(len(data) // SECTOR) * SECTOR
    data[start : start + SECTOR] = bytes(SECTOR)


def empty_page(data: bytearray, random: Random) -> None:
    """A page of zeros."""
    start = random.randrange(len(data) // PAGE) * PAGE
    data[start : start + PAGE] = bytes(PAGE)


def misplaced_page(data: bytearray, random: Random) -> None:
    """A page in another one's place, as a misdirected write leaves it."""
    target, source = (random.randrange(len(data) // PAGE) * PAGE for _ in range(2))
    data[target : target + PAGE] = data[source : source + PAGE]


def truncated(data: bytearray, random: Random) -> None:
    """The end cut off; nothing at all would be a new store."""
    del data[random.randrange(1, len(data)) :]


DAMAGES = (flip, flip_small_table, empty_sector, empty_page, misplaced_page, truncated)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a sound store."""
    path = tmp_path_factory.mktemp("sound") / "events.db"
    with SQLiteStore(str(path)) as store:
        fill(store)
    return path.read_bytes()


@pytest.fixture(scope="module")
def truth(sound: bytes, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the sound store answers."""
    path = tmp_path_factory.mktemp("truth") / "events.db"
    path.write_bytes(sound)
    truth = answers(str(path))
    given = [*truth.whole.values(), *truth.chosen.values()]
    assert not any(isinstance(answer, Exception) for answer in given)
    assert truth.problems == []
    return truth


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_gives_no_wrong_answer(
    tmp_path: Path, sound: bytes, truth: Answers, damage: Callable[[bytearray, Random], None]
) -> None:
    """Bytes changed, lost or misplaced, wherever they are."""
    for seed in range(TIMES):
        hold(tmp_path, sound, truth, damage, seed)


@pytest.mark.soak
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_never_gives_a_wrong_answer(
    tmp_path: Path, sound: bytes, truth: Answers, damage: Callable[[bytearray, Random], None]
) -> None:
    """The same in a great many places."""
    for seed in range(TIMES, TIMES + SOAK_TIMES):
        hold(tmp_path, sound, truth, damage, seed)


def hold(
    directory: Path,
    sound: bytes,
    truth: Answers,
    damage: Callable[[bytearray, Random], None],
    seed: int,
) -> None:
    """Damage the store in one way, ask everything, and write to it."""
    data = bytearray(sound)
    damage(data, Random(seed))
    path = directory / "events.db"
    for left_over in directory.iterdir():
        left_over.unlink()
    path.write_bytes(data)
    judge(answers(str(path)), truth, f"{damage.__name__}, seed {seed}")
    write_on(str(path))


def judge(found: Answers, truth: Answers, how: str) -> None:
    """Compare what a damaged store says with what is true."""
    for name, answer in found.whole.items():
        assert answer == truth.whole[name] or isinstance(answer, StoreUnavailable), (how, name)
    kept = {event["id"]: event for event in truth.whole["all"]}
    for name, answer in found.chosen.items():
        if isinstance(answer, StoreUnavailable) or answer == truth.chosen[name]:
            continue
        assert found.problems != [], (how, name)
        if is_events(truth.chosen[name]):
            assert all(kept.get(event["id"]) == event for event in answer), (how, name)
            assert {event["id"] for event in answer} < {e["id"] for e in truth.chosen[name]}


def is_events(answer: Any) -> bool:
    """Whether the answer is a list of events."""
    return isinstance(answer, list) and all(isinstance(event, dict) for event in answer)


def write_on(path: str) -> None:
    """An emit to a damaged store is kept and found, or the damage is told, as what spools."""
    event = Event("after")
    with SQLiteStore(path, deadline=0.2) as store:
        try:
            kept = store.append([event])[0]
            found = list(store.read(Query(ids=[event.id])))
        except StoreUnavailable:
            return
        assert [(e.id, e.position) for e in found] == [(event.id, kept.position)]


def test_a_damaged_event_is_named(tmp_path: Path, sound: bytes) -> None:
    """The position of an event that is not what was kept, in the error and in `check`."""
    path = tmp_path / "events.db"
    path.write_bytes(sound.replace(b'{"n":77,', b'{"n":78,', 1))
    with SQLiteStore(str(path)) as store:
        event = next(store.read(Query(after=77)))
        with pytest.raises(StoreDamaged, match=r"position 78 .*tidings check.*backup"):
            assert event.payload
        assert store.check() == ["the event at position 78 differs from its checksum"]


def test_a_damaged_event_is_not_sealed_by_redacting_it(tmp_path: Path, sound: bytes) -> None:
    """Redacting gives a new checksum, and so looks at the old one first."""
    path = tmp_path / "events.db"
    path.write_bytes(sound.replace(b'{"n":77,', b'{"n":78,', 1))
    with SQLiteStore(str(path)) as store:
        with pytest.raises(StoreDamaged, match="position 78"):
            store.redact(Query())
        assert store.check() != []


def test_no_position_is_given_twice_when_the_end_is_missing(tmp_path: Path) -> None:
    """A store whose newest events are gone refuses to go on from before them."""
    import sqlite3

    path = str(tmp_path / "events.db")
    with SQLiteStore(path) as store:
        store.append([Event("x") for _ in range(5)])
    damaged = sqlite3.connect(path)
    damaged.execute("DELETE FROM events WHERE position > 3")
    damaged.commit()
    damaged.close()
    with SQLiteStore(path) as store:
        with pytest.raises(StoreDamaged, match=os.path.basename(path)):
            store.append([Event("x")])
        with pytest.raises(StoreDamaged):
            store.head()
        assert store.check() != []
