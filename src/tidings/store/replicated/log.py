"""The log of commands behind a replicated store: what a replica needs of it, and no more.

A log keeps entries in one total order that is the same for everybody, for good, until they are
trimmed. What entries mean is `command`'s matter, what they do is the replica's. A log is
synchronous and safe for many threads; like a store it outlives a fork.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.errors import TidingsError

__all__ = ["Entry", "Log", "LogTrimmed"]


class Entry(namedtuple("Entry", "sequence data")):
    """One entry: its place in the order, and its bytes."""

    __slots__ = ()

    sequence: int
    data: bytes


class LogTrimmed(Exception):  # noqa: N818 - a signal to the replica, never to users
    """What comes next was trimmed away; a replica starts again from the snapshot."""


class Log(ABC):
    """What every log promises; see the methods.

    Sequences are whole numbers from 1 on that only grow; they may leave numbers out. All methods
    raise `StoreUnavailable` (a subclass says why) when the log cannot serve them.

    Attributes:
        url: what was opened, without secrets.
        durability: what a published entry survives: `power`, `process` or `none`.
        most_bytes: the largest entry (bytes).
        replica_path: the directory of this machine's replica.
    """

    url: str
    durability: str
    most_bytes: int
    replica_path: str

    @abstractmethod
    def identity(self) -> str:
        """What tells this log from every other, also from one made later under the same name.

        At most 255 characters; it never changes while the log lives. The log is made here where it
        does not exist yet.
        """

    @abstractmethod
    def publish(self, entries: Sequence[tuple[str, bytes]], deadline: float) -> None:
        """Add entries, in the order given among themselves; others may come between them.

        They are kept (as `durability` says) when this returns. It need not have put them in order
        yet: the caller reads on until it sees them.

        Args:
            entries: names and bytes. A name is unique for good, at most 64 characters of
                `A-Za-z0-9_-`: where an attempt is repeated inside, the log may tell by it that the
                entry is there already. Twice in the log does no harm: the replica tells.
            deadline: the longest to take (seconds).

        Raises:
            StoreUnavailable: nothing was added.
            OutcomeUnknown: added or not is not known; also when only some were.
        """

    @abstractmethod
    def read(self, after: int) -> list[Entry]:
        """The entries past a sequence that are at hand, without waiting; none if there are none.

        They follow each other without a hole: what is not given lies past the last one. About a
        thousand entries or 8 MiB at once. It may be asked from any sequence at any time.

        Raises:
            LogTrimmed: what follows `after` was trimmed away.
        """

    @abstractmethod
    def wait(self, after: int, timeout: float) -> bool:
        """Wait until `read(after)` may give something; whether it may.

        A connection that is lost is made again inside; where that does not succeed within the time
        it returns false. It never raises for that.

        Args:
            after: a sequence.
            timeout: the longest to wait (seconds).
        """

    def trouble(self) -> TidingsError | None:
        """Why nothing comes from the log just now, where it is tried again without an error."""
        return None

    @abstractmethod
    def head(self, deadline: float) -> int:
        """The sequence of the newest entry that anyone was told of, asked of the log itself.

        What waits to be put in order is put in order first, where that can be done at once.

        Args:
            deadline: the longest to take (seconds).
        """

    @abstractmethod
    def trim(self, through: int) -> None:
        """Remove the entries up to and with a sequence; a snapshot past it is there already."""

    @abstractmethod
    def put_snapshot(self, sequence: int, path: str) -> None:
        """Keep a copy of a file for new replicas: the replica as it is after a sequence.

        Older snapshots may go once this one is whole.
        """

    @abstractmethod
    def fetch_snapshot(self, path: str) -> int | None:
        """Write the newest snapshot to `path`, a new file; its sequence, or none if there is none.

        What was written is compared with a checksum that was kept with it.

        Raises:
            StoreDamaged: it differs.
        """

    @abstractmethod
    def check(self) -> list[str]:
        """What is wrong with the log, one sentence each; empty where nothing is."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts about the log for people, such as its engine, version, nodes and size (bytes)."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; waiting calls return. Calling again is harmless."""
