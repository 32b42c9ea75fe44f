"""Which file systems are shared between machines, by the kernel's table of mounts.

SQLite's WAL needs memory that all of its users share, so every process must be on the same host
(https://www.sqlite.org/wal.html); and locks on these file systems are often missing or local to a
node. It only tells where a path lies: what follows from it is the store's decision. It is told on
Linux; elsewhere there is no such table and every path counts as local.
"""

from __future__ import annotations

import os

__all__ = ["NETWORK_TYPES", "network_file_system"]

NETWORK_TYPES = frozenset(
    {
        "9p",  # a folder that a virtual machine or WSL shares with its host
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "cvfs",  # StorNext
        "davfs",
        "dvs",  # what Cray nodes see of their service nodes' file systems
        "fuse.blobfuse",
        "fuse.blobfuse2",
        "fuse.ceph",
        "fuse.ceph-fuse",
        "fuse.daos",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.juicefs",
        "fuse.mfs",  # MooseFS
        "fuse.quobyte",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "fuse.vmhgfs-fuse",  # VMware, as 9p
        "gfs2",  # one disk mounted by several hosts
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",  # as gfs2
        "orangefs",
        "panfs",
        "prl_fs",  # Parallels, as 9p
        "pvfs2",
        "smb3",
        "smbfs",
        "vboxsf",  # VirtualBox, as 9p
        "wekafs",
    }
)
"""Types of file systems, as a mount table names them, that other machines may write to as well.

`overlay` and `virtiofs` are left out: one kernel serves all who see them there.
"""


def network_file_system(path: str, mounts: str = "/proc/self/mounts") -> str | None:
    """The type of the network file system that a path lies on.

    Args:
        path: a file or directory that need not exist; its nearest existing parent then counts.
            Symbolic links are followed.
        mounts: the table of mounts, in the form of proc_pid_mounts(5).

    Returns:
        Such as `nfs4`; none where the path lies on a local disk, or nothing tells. Never raises.

    >>> network_file_system("/home/ada/.tidings/events.db", mounts="/no/such/table") is None
    True
    """
    try:
        real = os.fsencode(os.path.realpath(path))
        with open(mounts, "rb") as table:
            kind = _type_at(real, table.read())
    except (OSError, ValueError, TypeError):
        return None
    return kind if kind in NETWORK_TYPES else None


def _type_at(path: bytes, table: bytes) -> str | None:
    """The type of what is mounted at the longest mount point that holds a path.

    Of two mounts at one point the later covers the earlier: an automounter's own entry comes before
    that of what it mounted.
    """
    longest, found = -1, None
    for line in table.split(b"\n"):
        fields = line.split(b" ")
        if len(fields) < 3:
            continue
        point = _unescaped(fields[1]).rstrip(b"/")
        if len(point) >= longest and (path == point or path.startswith(point + b"/")):
            longest, found = len(point), fields[2].decode("ascii", "replace")
    return found


def _unescaped(field: bytes) -> bytes:
    r"""A field of the table as it was: space, tab, line break and backslash stand as \ooo there."""
    first, *rest = field.split(b"\\")
    return first + b"".join(_character(part) for part in rest)


def _character(part: bytes) -> bytes:
    digits = part[:3]
    if len(digits) == 3 and digits.isdigit() and max(digits) < ord("8") and digits[:1] < b"4":
        return bytes([int(digits, 8)]) + part[3:]
    return b"\\" + part
