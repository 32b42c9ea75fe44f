"""A replica that is lost or damaged is made anew from snapshot and log, and calls go on."""

from __future__ import annotations

import os
import shutil
import sqlite3
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.replicated.file_log import open_file_store
from tests.replicated.machines import Machines, ids
from tidings.errors import StoreUnavailable
from tidings.event import Event
from tidings.store.query import Query
from tidings.store.replicated.log import Entry
from tidings.store.replicated.replica import FellBehind, Replica
from tidings.testing.elsewhere import PATIENCE, in_processes, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidings.store.replicated.store import ReplicatedStore

_PAGE = 4096


def delete_file(file: Path) -> None:
    """The file goes; what lies beside it stays."""
    file.unlink()


def delete_directory(file: Path) -> None:
    """All of it goes."""
    # Who waits may make files in it meanwhile, which `rmtree` then finds no more or not yet.
    while file.parent.exists():
        shutil.rmtree(file.parent, ignore_errors=True)


def overwrite_page(file: Path) -> None:
    """A bad disk: pages from the second on say something else."""
    _checkpoint(file)
    with file.open("r+b") as damaged:
        for page in range(1, file.stat().st_size // _PAGE):
            damaged.seek(page * _PAGE)
            damaged.write(b"\xa5" * 512)


def overwrite_header(file: Path) -> None:
    """The first page says something else: no SQLite file any more."""
    _checkpoint(file)
    with file.open("r+b") as damaged:
        damaged.write(b"\xa5" * 512)


def truncate(file: Path) -> None:
    """Its end is missing."""
    _checkpoint(file)
    os.truncate(file, 2 * _PAGE)


def empty(file: Path) -> None:
    """Nothing is left in it."""
    _checkpoint(file)
    os.truncate(file, 0)


def replace(file: Path) -> None:
    """Another database stands there, with nothing in it."""
    _checkpoint(file)
    made = file.with_name("made.db")
    sqlite3.connect(made).close()
    made.write_bytes(b"")
    made.rename(file)


def _checkpoint(file: Path) -> None:
    """Put what the WAL has into the file; the damage is then in what is read."""
    connection = sqlite3.connect(file, timeout=PATIENCE)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


_LOSSES = [
    delete_file, delete_directory, overwrite_page, overwrite_header, truncate, empty, replace,
]  # fmt: skip


@pytest.fixture(params=[False, True], ids=["log", "snapshot"])
def machines(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machines]:
    """Machines on a log with events, all of it there, or the beginning in a snapshot."""
    with Machines(tmp_path) as machines:
        store = machines.open("writer")
        store.append([Event("step", id=f"old-{n}", payload={"n": n}) for n in range(200)])
        if request.param:
            store.prune(10)
            assert machines.shelf.snapshot is not None
            assert machines.shelf.entries == []
        store.append([Event("step", id="new")])
        yield machines


@pytest.mark.parametrize("lose", _LOSSES)
def test_lost_while_closed(machines: Machines, lose: Callable[[Path], None]) -> None:
    """What happens to the file while nobody has it open is repaired when it is opened."""
    wanted = ids(machines.open("writer"))
    with machines.open() as store:
        assert ids(store) == wanted
    lose(machines.file())
    store = machines.open()
    check(store, wanted)


@pytest.mark.parametrize("lose", _LOSSES)
def test_lost_while_open(machines: Machines, lose: Callable[[Path], None]) -> None:
    """What happens to the file while it is open is repaired by the first calls that meet it."""
    wanted = ids(machines.open("writer"))
    store = machines.open()
    assert ids(store) == wanted
    lose(machines.file())
    check(store, wanted)


def check(store: ReplicatedStore, wanted: list[str]) -> None:
    """The calls go on; one that met the damage itself may say so, and goes on when asked again."""
    assert store.append([Event("step", id="next")])[0].id == "next"
    try:
        found = ids(store)
    except StoreUnavailable:
        found = ids(store)
    assert found == [*wanted, "next"]
    assert store.check() == []
    assert store.latest() == store.read(Query(backwards=True, limit=1)).__next__()


@pytest.mark.parametrize("lose", _LOSSES)
def test_a_waiting_reader_goes_on(machines: Machines, lose: Callable[[Path], None]) -> None:
    """Who waits while the replica is lost is woken by the next event all the same."""
    other, store = machines.open("writer"), machines.open()
    head = store.head()

    def disturb() -> int:
        lose(machines.file())
        return other.append([Event("step")])[0].position or 0

    woken, position = in_threads(partial(store.wait, head, PATIENCE), disturb)
    assert woken == position == head + 1


def test_two_make_it_at_once(tmp_path: Path) -> None:
    """Processes that find no replica at the same time make one, and all of them use it."""
    with open_file_store(tmp_path, replica="first") as store:
        store.append([Event("step", id=f"e{n}") for n in range(50)])
        wanted = ids(store)
    parts = [(_ids_of, str(tmp_path)) for _ in range(8)]
    assert in_processes(parts) == [wanted] * 8
    assert len(list((tmp_path / "replica").glob("replica-*.db"))) == 1


def _ids_of(directory: str) -> list[str]:
    with open_file_store(directory) as store:
        return ids(store)


def test_another_process_loses_it(tmp_path: Path) -> None:
    """A replica that another process found damaged, and made anew, is found by this one."""
    with open_file_store(tmp_path) as store:
        store.append([Event("step", id=f"e{n}") for n in range(200)])
        (file,) = (tmp_path / "replica").glob("replica-*.db")
        (told,) = in_processes([(_damage_and_append, str(tmp_path), str(file))])
        assert told == ("other", 201)
        assert store.append([Event("step", id="next")])[0].position == 202
        assert ids(store, after=199) == ["e199", "other", "next"]
        assert not file.exists()


def _damage_and_append(directory: str, file: str) -> tuple[str, int | None]:
    os.unlink(file)
    with open_file_store(directory) as store:
        (kept,) = store.append([Event("step", id="other")])
    return kept.id, kept.position


def test_an_older_copy_in_its_place(tmp_path: Path) -> None:
    """Where an old copy of the replica is put in its place, nothing of the log is skipped."""
    with Machines(tmp_path) as machines:
        with machines.open() as store:
            store.append([Event("step", id="1")])
        old = machines.file().read_bytes()
        store = machines.open()
        store.append([Event("step", id="2")])
        _checkpoint(machines.file())
        copy = tmp_path / "copy.db"
        copy.write_bytes(old)
        copy.rename(machines.file())
        store.append([Event("step", id="3")])
        assert ids(store) == ["1", "2", "3"]


def test_entries_are_never_skipped(tmp_path: Path) -> None:
    """A replica that has not got to where entries follow refuses them."""
    path = str(tmp_path / "replica.db")
    Replica.make(path, "log:", "the log", PATIENCE)
    with Replica(path, "log:", PATIENCE) as replica:
        replica.apply(0, [Entry(1, b"a stranger's")], {})
        with pytest.raises(FellBehind):
            replica.apply(2, [Entry(3, b"another's")], {})
        assert replica.state().sequence == 1


def test_what_is_no_replica_is_put_aside(tmp_path: Path) -> None:
    """A store that somebody put where the replica lies is kept, under another name."""
    with Machines(tmp_path) as machines:
        with machines.open() as store:
            store.append([Event("step", id="1")])
            file = machines.file()
            store.backup(str(tmp_path / "backup.db"))
        (tmp_path / "backup.db").rename(file)
        assert ids(machines.open()) == ["1"]
        assert file.with_name(f"{file.name}.aside").exists()
        assert machines.file() != file
