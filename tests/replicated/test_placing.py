"""Where the replica of a store lies: on a local disk, in a directory of its own user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tidings.errors import InvalidSetting, NetworkFileSystem, StoreUnavailable
from tidings.filesystems import network_file_system
from tidings.store.replicated import placing
from tidings.store.replicated.generations import Generations
from tidings.store.replicated.placing import replica_path

if TYPE_CHECKING:
    from pathlib import Path

_URL = "shared:///lab/events"


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose home is on NFS, and whose /var/tmp is elsewhere; gives the home."""
    home, local = tmp_path / "home", tmp_path / "local"
    home.mkdir()
    local.mkdir()
    table = tmp_path / "mounts"
    table.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {home} nfs4 rw 0 0\n")
    monkeypatch.setattr(
        placing, "network_file_system", lambda path: network_file_system(path, mounts=str(table))
    )
    monkeypatch.setattr(placing, "_LOCAL", str(local))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("TIDINGS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return home


def test_the_cache_directory(mounts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`TIDINGS_CACHE` counts before XDG's directory, and that before the one in the home."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert replica_path(_URL, "events", None).startswith(f"{tmp_path}/xdg/tidings/events-")
    monkeypatch.setenv("TIDINGS_CACHE", str(tmp_path / "cache"))
    assert replica_path(_URL, "events", None).startswith(f"{tmp_path}/cache/events-")
    assert not str(mounts).startswith(str(tmp_path / "cache"))


def test_one_directory_a_store(mounts: Path) -> None:
    """Stores that differ in their URLs alone lie apart, and their names are safe as file names."""
    paths = {replica_path(f"{_URL}{n}", "../Wörk events/" * 9, None) for n in range(20)}
    assert len(paths) == 20
    for path in paths:
        assert os.path.basename(path).startswith("W-rk-events-W-rk")
        assert len(os.path.basename(path)) < 60
        assert not path.startswith(str(mounts))
    assert os.path.basename(replica_path(_URL, "///", None)).startswith("store-")


def test_a_home_on_a_network_file_system(mounts: Path) -> None:
    """Then the replica lies below /var/tmp, where nobody else may look, each time the same."""
    path = replica_path(_URL, "events", None)
    directory = os.path.dirname(path)
    assert directory == str(mounts.parent / "local" / f"tidings-{os.getuid()}")
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert replica_path(_URL, "events", None) == path


def test_a_directory_of_somebody_else(mounts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory below /var/tmp that others made, or may use, is refused."""
    directory = mounts.parent / "local" / f"tidings-{os.getuid()}"
    directory.mkdir(mode=0o700)
    directory.chmod(0o770)
    with pytest.raises(StoreUnavailable, match="belongs to somebody else, or others may use it"):
        replica_path(_URL, "events", None)
    directory.rmdir()
    directory.symlink_to(mounts.parent, target_is_directory=True)
    with pytest.raises(StoreUnavailable, match="TIDINGS_CACHE"):
        replica_path(_URL, "events", None)
    directory.unlink()
    directory.mkdir(mode=0o700)
    found = os.lstat(directory)
    stranger = os.stat_result((*found[:4], found.st_uid + 1, *found[5:]))
    monkeypatch.setattr(os, "lstat", lambda _: stranger)
    with pytest.raises(StoreUnavailable, match="belongs to somebody else"):
        replica_path(_URL, "events", None)


def test_no_directory_can_be_made(mounts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even /var/tmp is of no use, that is said."""
    monkeypatch.setattr(placing, "_LOCAL", str(mounts / "missing"))
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        replica_path(_URL, "events", None)


def test_a_directory_that_was_named(mounts: Path, tmp_path: Path) -> None:
    """`?replica=` is taken as it is, but refused where it is empty or on a network file system."""
    named = str(tmp_path / "mine")
    assert replica_path(_URL, "events", named) == named
    with pytest.raises(InvalidSetting, match="replica="):
        replica_path(_URL, "events", "")
    for path in (str(mounts / "replica"), "~/replica"):
        with pytest.raises(NetworkFileSystem, match=r"network file system \(nfs4\)"):
            replica_path(_URL, "events", path)


def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    """A replica's directory that cannot be used is named, with what to do."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    generations = Generations(str(blocked))
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        generations.newest()
    with pytest.raises(StoreUnavailable, match=r"\?replica="), generations.making():
        pass


def test_generations(tmp_path: Path) -> None:
    """A new file takes the place of older ones, under a name that never comes again."""
    generations = Generations(str(tmp_path / "replica"))
    assert generations.newest() is None
    names = set()
    for content in ("1", "2", "3"):
        with generations.making() as unfinished:
            with open(unfinished, "w", encoding="utf-8") as file:
                file.write(content)
            path = generations.put_in_place(unfinished)
        names.add(path)
        assert generations.newest() == path
        with open(path, encoding="utf-8") as file:
            assert file.read() == content
    os.unlink(path)
    with generations.making() as unfinished:
        with open(unfinished, "w", encoding="utf-8"):
            pass
        names.add(generations.put_in_place(unfinished))
    assert len(names) == 4
    assert sorted(os.listdir(generations.directory)) == [
        "lock", os.path.basename(generations.newest() or ""),
    ]  # fmt: skip


def test_what_a_killed_maker_left(tmp_path: Path) -> None:
    """What somebody who was killed had begun is not gone on with."""
    generations = Generations(str(tmp_path))
    for name in ("unfinished.db", "unfinished.db-wal", "copy.db"):
        (tmp_path / name).write_text("half")
    with generations.making() as unfinished:
        assert not os.path.exists(unfinished)
        assert not os.path.exists(f"{unfinished}-wal")
    with generations.copying() as copy:
        assert not os.path.exists(copy)
