"""The one place where errors of the file system become ours.

Each message names the directory and what to do next.
"""

from __future__ import annotations

import errno

from tidings.durable_files import remedy
from tidings.errors import StoreDamaged, StoreFull, StoreReadOnly, StoreUnavailable
from tidings.store.shared.files import NotPlain
from tidings.store.shared.layout import Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Translated", "no_links"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class Translated:
    """A context in which errors of the file system leave as ours.

    Args:
        directory: that of the log, for the message.
    """

    __slots__ = ("directory",)

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise _translated(error, self.directory) from error
        if isinstance(error, NotPlain):
            raise StoreDamaged(
                f"the shared log {self.directory} holds something that is no plain file where its "
                f"own files are; run `tidings check`, then restore it from a backup"
            ) from error
        if isinstance(error, Broken):
            raise StoreDamaged(
                f"the shared log {self.directory} is damaged: {error}; run `tidings check`, then "
                f"restore that file from a backup"
            ) from error


def no_links(error: OSError, directory: str) -> StoreUnavailable | None:
    """What to raise where a link was refused because the file system knows none, if that is why."""
    if error.errno not in _NO_LINKS:
        return None
    from tidings.filesystems import network_file_system

    kind = network_file_system(directory) or "its file system"
    return StoreUnavailable(
        f"the shared log {directory} needs hard and symbolic links, and {kind} refuses them "
        f"({error.strerror}); put it on NFS, Lustre, GPFS, BeeGFS or CephFS, or let TIDINGS_URL "
        f"name a server (`tidings serve`), PostgreSQL or NATS"
    )


def _translated(error: OSError, directory: str) -> StoreUnavailable:
    if error.errno in _FULL:
        return StoreFull(
            f"the shared log {directory}: {error.strerror}; free space (or files) there, then try "
            f"again"
        )
    if error.errno in _READ_ONLY:
        return StoreReadOnly(f"the shared log {directory}: {error}; {remedy(error)}")
    return StoreUnavailable(f"the shared log {directory}: {error}; {remedy(error)}")
