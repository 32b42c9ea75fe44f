"""The part file: what an export has written so far, and from where it can go on.

    events.ndjson.part      the events until now; becomes events.ndjson when it is whole
    events.ndjson.resume    how many of its bytes are safe on the disk, and up to which position

Keeps: the target is either what it was before or the whole export. Two exports to one target do not
mix; the second is refused.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tidings.errors import TransferError
from tidings.transfer.compression import Frames

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["PartFile", "Progress"]


class Progress(NamedTuple):
    """How far an export is: events written, and the position up to which it has looked."""

    count: int  # type: ignore[assignment]  # hides tuple.count
    position: int


class PartFile:
    """The part file of one export; a context manager that holds it alone.

    Args:
        path: the target.
        compression: `gz`, `zst`, or none.
        export: what is exported and how, as one text; another export is not gone on with.
        resume: whether to go on with what an earlier export left, where there is something.

    Attributes:
        start: how far the earlier export was; nothing where this one begins anew.

    Raises:
        TransferError: another export writes to the same target.
        OSError: it cannot be written.
    """

    def __init__(self, path: str, compression: str | None, export: str, *, resume: bool) -> None:
        self._path = path
        self._export = export
        self._file = open(f"{path}.part", "ab")  # noqa: SIM115 - __exit__ closes it
        try:
            self._frames = Frames(self._file, compression)
            _hold(self._file)
            size, self.start = self._left_before() if resume else (0, _NOTHING)
            if size == 0:
                _remove(f"{path}.resume")
            self._file.truncate(size)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append lines."""
        self._frames.write(data)

    def save(self, progress: Progress) -> None:
        """Put on the disk what was written, and from where a killed export can go on."""
        size = self._sync()
        there = {"export": self._export, "bytes": size, **progress._asdict()}
        with open(f"{self._path}.resume.tmp", "w", encoding="utf-8") as file:
            json.dump(there, file)
        os.replace(f"{self._path}.resume.tmp", f"{self._path}.resume")

    def finish(self) -> None:
        """Make it the target, in one step."""
        self._sync()
        os.replace(f"{self._path}.part", self._path)
        _remove(f"{self._path}.resume")
        _remove(f"{self._path}.resume.tmp")

    def _sync(self) -> int:
        """Put on the disk what was written; the file's size (bytes)."""
        self._frames.end_frame()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def _left_before(self) -> tuple[int, Progress]:
        """The bytes that an earlier export left for good, and how far it was."""
        try:
            with open(f"{self._path}.resume", encoding="utf-8") as file:
                there = json.load(file)
            size, progress = int(there["bytes"]), Progress(there["count"], there["position"])
            is_same = there["export"] == self._export
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            return 0, _NOTHING
        if not is_same or size > os.fstat(self._file.fileno()).st_size:
            return 0, _NOTHING
        return size, progress


_NOTHING = Progress(0, 0)


def _hold(file: BinaryIO) -> None:
    """Refuse to write where another export does, as far as the file system knows locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _held(file) from None
    except OSError:
        return  # The file system knows no locks.
    # The other export may have ended just now, and what is open here be its target.
    if not os.path.exists(file.name) or not os.path.samestat(
        os.fstat(file.fileno()), os.stat(file.name)
    ):
        raise _held(file)


def _held(file: BinaryIO) -> TransferError:
    return TransferError(
        f"another export writes {file.name}; wait for its end, or choose another target"
    )


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
