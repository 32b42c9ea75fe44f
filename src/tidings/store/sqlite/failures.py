"""The one place where errors of sqlite3 become ours.

Each message names the file and what to do next.
"""

from __future__ import annotations

import os
import sqlite3

from tidings.errors import (
    InvalidQuery,
    NotAStore,
    OutcomeUnknown,
    StoreClosed,
    StoreDamaged,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
    TidingsError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Translated", "translate"]

_PRIMARY = 0xFF  # the low byte of an extended result code is the primary one

# Source: https://www.sqlite.org/rescode.html
_ERROR = 1
_BUSY, _LOCKED, _READONLY, _INTERRUPT, _IOERR, _CORRUPT = 5, 6, 8, 9, 10, 11
_FULL, _CANTOPEN, _PERM, _AUTH, _NOTADB = 13, 14, 3, 23, 26


class Translated:
    """A context in which sqlite3's errors leave as ours.

    Args:
        path: the store's file, for the message.
        deadline: how long locks were waited for (seconds), for the message.

    Attributes:
        committing: set while a commit is under way: an I/O error then leaves the outcome open.
    """

    __slots__ = ("committing", "deadline", "path")

    def __init__(self, path: str, deadline: float) -> None:
        self.path = path
        self.deadline = deadline
        self.committing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # sqlite3 fails to decode its own message where that quotes a damaged schema.
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            raise translate(error, self.path, self.deadline, committing=self.committing) from error
        if isinstance(error, UnicodeEncodeError | OverflowError):
            # What is written was checked before; only what is looked for can be unsayable.
            raise InvalidQuery(f"no event can have what was asked for: {error}") from None


def translate(
    error: sqlite3.Error | UnicodeDecodeError,
    path: str,
    deadline: float,
    *,
    committing: bool = False,
) -> TidingsError:
    """Our error for one of sqlite3's."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        if "closed database" in str(error):
            return StoreClosed(f"{path} was closed meanwhile; open the store again")
        if isinstance(error, sqlite3.DataError | sqlite3.InterfaceError | sqlite3.ProgrammingError):
            return StoreUnavailable(f"{path} could not take a value: {error}")
        # What sqlite3 itself finds in a page, such as text that is no UTF-8, carries no code.
        return StoreDamaged(_damaged(path, error))
    return _by_code(code & _PRIMARY, error, path, deadline, committing=committing)


def _by_code(
    code: int, error: Exception, path: str, deadline: float, *, committing: bool
) -> TidingsError:
    if code == _ERROR and ("too large" in str(error) or "too many" in str(error)):
        return InvalidQuery(f"too much is asked for at once: {error}; ask for fewer at a time")
    if code in (_BUSY, _LOCKED):
        return StoreLocked(
            f"{path} was locked by others for {deadline:g} s; try again, or raise TIDINGS_DEADLINE"
        )
    if code == _FULL:
        return StoreFull(f"{path}: the disk or quota is full; free space, then try again")
    if code == _CANTOPEN and os.path.isdir(path):
        return NotAStore(f"{path} is a directory; set TIDINGS_URL to a file in it")
    if code in (_READONLY, _PERM, _AUTH, _CANTOPEN):
        return StoreReadOnly(
            f"{path} cannot be opened for writing ({error}); check the rights of the file and its "
            f"directory, or set TIDINGS_HOME elsewhere"
        )
    if code == _CORRUPT:
        return StoreDamaged(_damaged(path, error))
    if code == _NOTADB:
        return NotAStore(
            f"{path} is no SQLite database; move it away, or set TIDINGS_URL to another file"
        )
    if code == _IOERR and committing:
        return OutcomeUnknown(
            f"{path}: {error} while events were being made durable; send them again (same ids)"
        )
    return StoreUnavailable(f"{path}: {error}; check the disk and its file system")


def _damaged(path: str, error: Exception) -> str:
    return f"{path} is damaged ({error}); run `tidings check`, then restore a backup"
