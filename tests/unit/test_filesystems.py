"""`tidings.filesystems`: which paths lie on file systems that other machines write to, too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.filesystems import NETWORK_TYPES, network_file_system

if TYPE_CHECKING:
    from pathlib import Path


class Table:
    """A table of mounts for the tests to fill."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, *rows: tuple[str, str]) -> Table:
        """Write mount points and types, the way the kernel writes them."""
        lines = [f"device {point} {kind} rw,relatime 0 0\n" for point, kind in rows]
        self.path.write_text("".join(lines), errors="surrogateescape")
        return self

    def type_of(self, path: str | Path) -> str | None:
        """What is to be tested."""
        return network_file_system(str(path), mounts=str(self.path))


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """A table that is still empty."""
    return Table(tmp_path / "mounts").write()


@pytest.mark.parametrize("kind", sorted(NETWORK_TYPES))
def test_a_network_file_system_is_told_by_its_type(table: Table, kind: str) -> None:
    """A path below a mount of a listed type is told that type."""
    table.write(("/", "ext4"), ("/no/such/home", kind))
    assert table.type_of("/no/such/home/ada/.tidings/events.db") == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "fuse.sshfs"])
def test_the_types_that_clusters_have_are_listed(kind: str) -> None:
    """The list holds what users' home directories lie on."""
    assert kind in NETWORK_TYPES


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuse.lxcfs", "autofs"]
)
def test_a_local_file_system_is_none(table: Table, kind: str) -> None:
    """A path on a local disk gives none."""
    table.write(("/", kind))
    assert table.type_of("/no/such/home") is None


def test_the_longest_mount_point_counts(table: Table) -> None:
    """A local disk below a network mount is local, and the other way round, in any order."""
    rows = [("/no", "nfs4"), ("/no/such/scratch", "xfs"), ("/", "ext4"), ("/no/such", "lustre")]
    for ordered in (rows, rows[::-1]):
        table.write(*ordered)
        assert table.type_of("/no/x") == "nfs4"
        assert table.type_of("/no/such/x") == "lustre"
        assert table.type_of("/no/such/scratch/x") is None
        assert table.type_of("/x") is None


def test_a_mount_point_is_a_whole_directory(table: Table) -> None:
    """A name that only starts like a mount point is not below it; the mount point itself is."""
    table.write(("/", "ext4"), ("/no/home", "nfs4"))
    assert table.type_of("/no/home2/x") is None
    assert table.type_of("/no/home") == "nfs4"


def test_the_root_may_be_a_network_file_system(table: Table) -> None:
    """A diskless node, whose root is mounted over the network, is told so."""
    table.write(("/", "nfs"))
    assert table.type_of("/no/such/path") == "nfs"
    assert table.type_of("/") == "nfs"


def test_of_two_mounts_at_one_point_the_later_counts(table: Table) -> None:
    """An automounter's own entry is covered by what it mounted, and a bind mount covers both."""
    table.write(("/no/home", "autofs"), ("/no/home", "nfs4"))
    assert table.type_of("/no/home/x") == "nfs4"
    table.write(("/no/home", "autofs"), ("/no/home", "nfs4"), ("/no/home", "ext4"))
    assert table.type_of("/no/home/x") is None


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("my home", r"my\040home"),
        ("a\tb", r"a\011b"),
        ("a\nb", r"a\012b"),
        ("a\\b", r"a\134b"),
        ("a\\040b", r"a\134040b"),
        ("a#b", r"a\043b"),
        ("a\rb", "a\rb"),
        ("日本", "日本"),
        (os.fsdecode(b"\xff"), os.fsdecode(b"\xff")),
        ("a\\9b", "a\\9b"),
        ("a\\081", "a\\081"),
        ("a\\400", "a\\400"),
        ("a\\1", "a\\1"),
        ("a\\", "a\\"),
    ],
)
def test_escaped_characters_are_read(table: Table, name: str, written: str) -> None:
    """A mount point is found whatever its name, as the kernel writes it."""
    table.write(("/", "ext4"), (f"/no/{written}", "nfs4"))
    assert table.type_of(f"/no/{name}/x") == "nfs4"


def test_torn_rows_are_passed_over(table: Table) -> None:
    """A row without a type says nothing, and hides no other row."""
    table.path.write_text("device /no nfs4\n\ndevice\ndevice /no\n")
    assert table.type_of("/no/x") == "nfs4"


def test_a_path_that_does_not_exist_lies_where_its_parent_does(tmp_path: Path) -> None:
    """What will be made lies on the file system of the nearest directory that is there."""
    table = Table(tmp_path / "mounts").write(("/", "ext4"), (str(tmp_path.resolve()), "nfs4"))
    assert table.type_of(tmp_path / "not" / "there" / "events.db") == "nfs4"


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    """A link into a network file system lies there, also where the last part does not exist."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "link").symlink_to("shared")
    (tmp_path / "dangling").symlink_to("shared/not/there")
    table = Table(tmp_path / "mounts").write(
        ("/", "ext4"), (f"{tmp_path.resolve()}/shared", "gpfs")
    )
    assert table.type_of(tmp_path / "link" / "events.db") == "gpfs"
    assert table.type_of(tmp_path / "dangling") == "gpfs"
    assert table.type_of(tmp_path / "events.db") is None


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path lies below the current directory."""
    table = Table(tmp_path / "mounts").write(("/", "ext4"), (str(tmp_path.resolve()), "nfs4"))
    monkeypatch.chdir(tmp_path)
    assert table.type_of("events.db") == "nfs4"


def test_without_a_table_nothing_is_told(tmp_path: Path) -> None:
    """Where there is no table of mounts, as on macOS, every path counts as local."""
    assert network_file_system("/", mounts=str(tmp_path / "none")) is None
    assert network_file_system("/", mounts=str(tmp_path)) is None


def test_the_table_of_this_machine_is_read() -> None:
    """With the kernel's own table the answer is one of the types, or none."""
    assert network_file_system(os.getcwd()) in {*NETWORK_TYPES, None}
    assert network_file_system("/proc/self") is None


@given(content=st.binary(max_size=300), path=st.text(max_size=40))
def test_nothing_is_raised(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, path: str
) -> None:
    """Whatever the table holds and whatever is asked for, the answer is a listed type or none."""
    table = tmp_path_factory.getbasetemp() / "hostile"
    table.write_bytes(content + b"\ndevice / nfs4\\")
    assert network_file_system(path, mounts=str(table)) in {*NETWORK_TYPES, None}
