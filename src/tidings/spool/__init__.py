"""The spool: a directory of one-file-per-event, where events wait when their store can take none.

    tmp/        files that are being written; nobody reads them
    new/        whole events, one file each, named by when they came
    rejected/   what was no event, each beside a `.reason`; nothing here is ever deleted

Keeps promise 4 (a job is never hurt) and: *an emitted event is kept somewhere or the caller is
told*. Files are written as maildir(5) does it, tmp → fsync → rename, with no locks, so many nodes
of a cluster may share one spool on NFS or Lustre. It is a waiting room and no backend: it has no
positions, and nobody reads events from it; `collect` moves them into a store. `emit.sh` writes the
same files without Python.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tidings.durable_files import (
    forget,
    make_directory,
    names_in,
    remedy,
    rename,
    sync_directory,
    unique_name,
    write_durably,
)
from tidings.errors import NotKept, TransferError
from tidings.fields import encode_json
from tidings.spool.marks import forget_mark, write_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.event import Event
    from tidings.store.base import Store

__all__ = ["Collected", "Spool"]


class Collected(NamedTuple):
    """What a `collect` did, in files: moved into the store, put aside, and left to wait."""

    kept: int
    rejected: int
    waiting: int


class Spool:
    """The waiting room in one directory, for any number of processes and nodes at once.

    Args:
        directory: where it lies; made when first needed, for its owner only (mode 0700).

    >>> import tempfile
    >>> from tidings.event import Event
    >>> from tidings.store import open_store
    >>> store = open_store("memory:")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     spool = Spool(directory)
    ...     path = spool.put(Event("job_done", "figrecipe"))
    ...     spool.waiting(), spool.collect(store), store.head()
    (1, Collected(kept=1, rejected=0, waiting=0), 1)
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def put(self, event: Event, forward: str = "") -> str:
        """Keep an event until it is collected.

        Args:
            event: which one.
            forward: where it is to be forwarded to; empty for nowhere.

        Returns:
            The path of its file, which is on the disk when this returns.

        Raises:
            NotKept: it could not be written; the error says where, why and what to do. Nothing is
                left of it.

        Names start with the time, so that a listing by name is nearly one by time; clocks of
        several nodes may differ.
        """
        name = unique_name()
        temporary, path = self.path("tmp", name), self.path("new", name)
        try:
            make_directory(self.path("tmp"))
            make_directory(self.path("new"))
            if forward:
                # First, so that nobody collects the event without it.
                write_mark(path, forward)
            write_durably(temporary, f"{encode_json(event.to_dict())}\n".encode())
            rename(temporary, path)
            sync_directory(self.path("new"))
        except OSError as error:
            forget(temporary)
            self.withdraw(path)
            raise NotKept(
                f"the event could not be kept in the spool {self.directory}: {error}; "
                f"{remedy(error)}, or let TIDINGS_SPOOL name another directory"
            ) from error
        except BaseException:
            forget(temporary)
            raise
        return path

    def withdraw(self, path: str) -> None:
        """Take back what `put` has just written; where that fails, it stays."""
        forget(path)
        forget_mark(path)

    def collect(self, store: Store) -> Collected:
        """Move what waits into a store, in the order of the file names.

        A file is removed only once its event is kept. An event has the same id however often it is
        collected, so a collector that is killed, or two at once, lose and repeat nothing. What is
        no event, or contradicts one that is there, goes to `rejected/`.

        A file without an `id`, written by hand, gets one from its name, its time of change and its
        content; without a `timestamp` it happened when the file was written. Bytes that are no
        UTF-8, as old file names in a payload may have, become U+FFFD. Hidden files are left alone.

        Returns:
            How many files were kept, rejected, and how many wait now (those that came meanwhile,
            and those this user may not read).

        Raises:
            StoreUnavailable: the store takes nothing now; the files stay.
            OutcomeUnknown: as before; collecting again repeats nothing.
            TransferError: the spool's own directory cannot be read or written.
        """
        from tidings.spool.collecting import collect

        try:
            kept, rejected = collect(self, store)
        except OSError as error:
            raise self._cannot_go_on(error) from error
        return Collected(kept, rejected, self.waiting())

    def waiting(self) -> int:
        """How many files wait.

        Raises:
            TransferError: the directory cannot be read.
        """
        try:
            return len(names_in(self.path("new")))
        except OSError as error:
            raise self._cannot_go_on(error) from error

    def path(self, room: str, name: str = "") -> str:
        """Where a room of the spool is (`tmp`, `new`, `rejected`), or a file in it."""
        return os.path.join(self.directory, room, name) if name else f"{self.directory}/{room}"

    def _cannot_go_on(self, error: OSError) -> TransferError:
        return TransferError(
            f"the spool {self.directory} cannot be collected: {error}; {remedy(error)}"
        )
