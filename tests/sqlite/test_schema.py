"""Whether a store's file is made and migrated once, whoever opens it, and never half."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import monotonic

import pytest

from tidings.errors import NotAStore
from tidings.event import Event
from tidings.store import open_store
from tidings.store.sqlite import schema
from tidings.store.sqlite.statements import MIGRATIONS, migration

PROCESSES = 10


def append_one(path: str) -> int | None:
    """Open the store and append an event; its position."""
    with open_store(f"sqlite:///{path}", deadline=30) as store:
        return store.append([Event("opened")])[0].position


def shape(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """What the schema consists of."""
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_each_migration_leads_to_the_newest(tmp_path: Path, version: int) -> None:
    """A store of any older version becomes what a new one is."""
    old = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    for step in range(version):
        old.executescript(migration(step))
        old.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
        old.execute(f"PRAGMA user_version={step + 1}")
    schema.prepare(old, "old.db", monotonic() + 5)
    new = sqlite3.connect(tmp_path / "new.db", isolation_level=None)
    schema.prepare(new, "new.db", monotonic() + 5)
    assert shape(old) == shape(new)
    assert old.execute("PRAGMA user_version").fetchone() == (schema.SCHEMA_VERSION,)
    old.close()
    new.close()


def test_a_failed_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that breaks off leaves the file as it was."""
    monkeypatch.setattr(schema, "migration", lambda step: migration(step) + "SELECT broken;\n")
    connection = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="broken"):
        schema.prepare(connection, "events.db", monotonic() + 5)
    assert shape(connection) == []
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    monkeypatch.undo()
    schema.prepare(connection, "events.db", monotonic() + 5)
    assert shape(connection) != []
    connection.close()


def test_many_processes_open_the_same_new_file(tmp_path: Path) -> None:
    """Ten processes that make the same store at once all find it whole."""
    path = str(tmp_path / "events.db")
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        positions = list(processes.map(append_one, [path] * PROCESSES))
    assert sorted(map(int, filter(None, positions))) == list(range(1, PROCESSES + 1))
    with open_store(f"sqlite:///{path}") as store:
        assert store.check() == []


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    """An empty file, as `touch` or mktemp leaves it, may be used."""
    path = tmp_path / "events.db"
    path.write_bytes(b"")
    assert append_one(str(path)) == 1


def test_a_database_with_another_application_id(tmp_path: Path) -> None:
    """A database that says whose it is stays theirs."""
    path = tmp_path / "events.db"
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id = 7")
    other.close()
    with pytest.raises(NotAStore):
        append_one(str(path))
