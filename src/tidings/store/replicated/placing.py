"""Where the replica of a store lies on this machine: a directory on a local disk.

SQLite is not safe on a network file system (see `tidings.filesystems`), and a cluster's home often
is one; then the replica lies below /var/tmp, which lives on each node and survives a restart.
"""

from __future__ import annotations

import os
import re
import stat
from hashlib import sha256

from tidings import settings
from tidings.errors import InvalidSetting, NetworkFileSystem, StoreUnavailable
from tidings.filesystems import network_file_system

__all__ = ["replica_path"]

_LOCAL = "/var/tmp"  # noqa: S108 - the directory below it must be ours, and nobody else's to write
_SHOWN_NAME = 32
_SHOWN_DIGEST = 16


def replica_path(url: str, name: str, given: str | None) -> str:
    """The directory of the replica of a store.

    Args:
        url: the store's, in one form for all who mean the same, without secrets.
        name: what people call the store; part of the directory's name.
        given: the directory the user named, if any.

    Raises:
        InvalidSetting: the directory that was named is empty.
        NetworkFileSystem: the directory that was named lies on a network file system.
        StoreUnavailable: no directory can be trusted.
    """
    if given is not None:
        if not given:
            raise InvalidSetting("replica= needs the path of a directory on a local disk")
        path = os.path.abspath(os.path.expanduser(given))
        kind = network_file_system(path)
        if kind is not None:
            raise NetworkFileSystem(
                f"the replica {path} would lie on a network file system ({kind}), where SQLite "
                f"loses events; name a directory on a local disk with ?replica="
            )
        return path
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:_SHOWN_NAME]
    digest = sha256(url.encode()).hexdigest()[:_SHOWN_DIGEST]
    return os.path.join(_cache(), f"{plain or 'store'}-{digest}")


def _cache() -> str:
    directory = settings.cache_directory()
    if network_file_system(directory) is None:
        return directory
    directory = os.path.join(_LOCAL, f"tidings-{os.getuid()}")
    _ensure_ours(directory)
    return directory


def _ensure_ours(directory: str) -> None:
    """Refuse a directory that another user made or may write to."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreUnavailable(
            f"{directory} cannot be made ({error.strerror}); set TIDINGS_CACHE to a directory on a "
            f"local disk"
        ) from error
    found = os.lstat(directory)
    open_to_others = stat.S_IMODE(found.st_mode) & 0o077
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or open_to_others:
        raise StoreUnavailable(
            f"{directory} belongs to somebody else, or others may use it; set TIDINGS_CACHE to a "
            f"directory of your own on a local disk"
        )
