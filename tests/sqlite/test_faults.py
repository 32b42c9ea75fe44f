"""Whether each thing that can be wrong with a store's file has its own clear error.

Disks that are full or read-only are real ones, mounted in a mount namespace of the child's own.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tidings import Bus
from tidings.errors import (
    NetworkFileSystem,
    NotAStore,
    StoreDamaged,
    StoreLocked,
    StoreTooNew,
    StoreUnavailable,
)
from tidings.event import Event
from tidings.filesystems import network_file_system
from tidings.store import open_store
from tidings.store.sqlite import connections
from tidings.store.sqlite.schema import SCHEMA_VERSION

PATIENCE = 60

EMIT = """
import json, sys
from tidings import Bus
from tidings.event import Event
from tidings.filesystems import network_file_system

store, spool, payload = sys.argv[1], sys.argv[2], int(sys.argv[3])
bus = Bus(f"sqlite:///{store}", spool=spool, context=False)
said = {"kept": [], "spooled": [], "failure": None, "message": ""}
for number in range(200):
    event = bus.emit("fill", payload={"n": number, "ballast": "x" * payload})
    said["kept" if event.position else "spooled"].append(event.id)
    if bus.last_failure:
        said["failure"] = type(bus.last_failure).__name__
        said["message"] = str(bus.last_failure)
        break
said["found"] = [event.id for event in bus.read()] if said["kept"] else []
print(json.dumps(said))
"""


def in_own_mounts(mount: str, directory: Path, *arguments: str) -> dict[str, Any]:
    """Run `EMIT` in a child that sees `directory` mounted as `mount` says."""
    namespace = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    script = f'{mount} && shift && exec "$@"'
    child = [sys.executable, "-c", EMIT, *arguments]
    ran = subprocess.run(
        [*namespace, "sh", "-c", script, "sh", str(directory), *child],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def url_of(path: Path) -> str:
    """The URL of a store's file."""
    return f"sqlite:///{path}"


def expect(path: Path, error: type[StoreUnavailable], *words: str) -> None:
    """Emitting to this file gives this error, which names it; the event waits in the spool."""
    before = path.read_bytes() if path.is_file() else b""
    store = open_store(url_of(path), deadline=0.05)
    with pytest.raises(error) as raised:
        store.append([Event("job_done")])
    assert type(raised.value) is error
    for word in (str(path), *words):
        assert word in str(raised.value)
    with Bus(store, spool=str(path.parent / "spool")) as bus:
        event = bus.emit("job_done")
        assert event.position is None
        assert type(bus.last_failure) is error
        assert bus.spool.waiting() == 1
    if before:
        assert path.read_bytes() == before


def test_a_full_disk(tmp_path: Path) -> None:
    """A full disk is told as such; all that was acknowledged is there, the rest waits elsewhere."""
    disk, spool = tmp_path / "disk", tmp_path / "spool"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=600k tidings "$1"'
    said = in_own_mounts(mount, disk, str(disk / "events.db"), str(spool), "20000")
    assert said["failure"] in ("StoreFull", "StoreUnavailable")
    assert str(disk) in said["message"]
    assert len(said["kept"]) > 3
    assert said["found"] == said["kept"]
    assert len(said["spooled"]) == 1
    with Bus("memory:", spool=str(spool)) as bus:
        assert bus.collect().kept == 1
        latest = bus.latest()
        assert latest is not None
        assert latest.id == said["spooled"][0]


def test_a_read_only_disk(tmp_path: Path) -> None:
    """A directory that cannot be written is told as such, and the event waits in the spool."""
    disk, spool = tmp_path / "disk", tmp_path / "spool"
    disk.mkdir()
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
    said = in_own_mounts(mount, disk, str(disk / "events.db"), str(spool), "1")
    assert said["failure"] == "StoreReadOnly"
    assert str(disk / "events.db") in said["message"]
    assert len(said["spooled"]) == 1


def test_a_store_on_a_read_only_disk(tmp_path: Path) -> None:
    """A store that is there but cannot be written keeps what it has."""
    disk, spool = tmp_path / "disk", tmp_path / "spool"
    with open_store(url_of(disk / "events.db")) as store:
        store.append([Event("job_done")])
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
    said = in_own_mounts(mount, disk, str(disk / "events.db"), str(spool), "1")
    assert said["failure"] == "StoreReadOnly"
    with open_store(url_of(disk / "events.db")) as store:
        assert store.head() == 1


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Any other file is left as it is."""
    path = tmp_path / "events.db"
    path.write_bytes(b"My thesis.\n" * 1000)
    expect(path, NotAStore, "no SQLite database", "TIDINGS_URL")


def test_the_database_of_somebody_else(tmp_path: Path) -> None:
    """A database that Tidings did not make is left as it is."""
    path = tmp_path / "events.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE events (id)")
    other.commit()
    other.close()
    expect(path, NotAStore, "not one of Tidings", "TIDINGS_URL")


def test_a_directory_at_the_path(tmp_path: Path) -> None:
    """A directory cannot be opened, and is told so."""
    path = tmp_path / "events.db"
    path.mkdir()
    expect(path, NotAStore, "is a directory", "TIDINGS_URL")


def test_a_file_where_a_directory_should_be(tmp_path: Path) -> None:
    """A path through a file cannot be made."""
    (tmp_path / "file").write_text("")
    store = open_store(url_of(tmp_path / "file" / "events.db"))
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        store.append([Event("job_done")])


def test_a_newer_schema(tmp_path: Path) -> None:
    """A store that a newer Tidings made is refused with both numbers, and left as it is."""
    path = tmp_path / "events.db"
    with open_store(url_of(path)) as store:
        store.append([Event("job_done")])
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    expect(path, StoreTooNew, f"schema {SCHEMA_VERSION + 1}", f"up to {SCHEMA_VERSION}")


def test_a_truncated_file(tmp_path: Path) -> None:
    """A file that lost its end is told to be damaged, and `check` names it."""
    path = tmp_path / "events.db"
    with open_store(url_of(path)) as store:
        store.append([Event("job_done", payload={"n": n, "b": "x" * 500}) for n in range(200)])
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    expect(path, StoreDamaged, "tidings check", "backup")
    with open_store(url_of(path)) as store:
        assert store.check()


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_lock_past_the_deadline(tmp_path: Path, lock: str) -> None:
    """A database that others keep locked is given up at the deadline; readers go on."""
    path = tmp_path / "events.db"
    with open_store(url_of(path), deadline=0.05) as store:
        store.append([Event("job_done")])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute(f"BEGIN {lock}")
        with pytest.raises(StoreLocked, match=r"0\.05 s.*TIDINGS_DEADLINE"):
            store.append([Event("late")])
        assert store.head() == 1
        with Bus(store, spool=str(tmp_path / "spool")) as bus:
            assert bus.emit("late").position is None
            other.execute("ROLLBACK")
            other.close()
            assert bus.collect().kept == 1
            assert [event.type for event in bus.read()] == ["job_done", "late"]


@pytest.mark.parametrize("fate", ["moved", "deleted", "replaced"])
def test_a_file_that_goes_while_it_is_open(tmp_path: Path, fate: str) -> None:
    """Nothing is written to a file that no path leads to any more."""
    path = tmp_path / "events.db"
    with Bus(url_of(path), spool=str(tmp_path / "spool")) as bus:
        bus.emit("job_done")
        if fate == "moved":
            path.rename(tmp_path / "elsewhere.db")
        else:
            path.unlink()
        if fate == "replaced":
            path.write_bytes(b"")
        assert bus.emit("late").position is None
        assert "moved, deleted or replaced" in str(bus.last_failure)
        assert bus.spool.waiting() == 1


def test_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On NFS nothing is opened with SQLite; the event waits in the spool, which works there."""
    table = tmp_path / "mounts"
    table.write_text(f"server:/home {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(
        connections,
        "network_file_system",
        lambda path: network_file_system(path, mounts=str(table)),
    )
    path = tmp_path / "home" / "events.db"
    expect(path, NetworkFileSystem, "nfs4", "TIDINGS_URL", "TIDINGS_HOME")
    assert not path.exists()
