"""The exit codes of every command: one table, for the code, `tidings help exit-codes` and the docs.

A script may rely on them. Codes above 63 follow BSD's sysexits(3), 124 follows timeout(1), 126 and
up follow the shell (POSIX.1-2017, section 2.8.2).
"""

from __future__ import annotations

from tidings.errors import (
    Conflict,
    HistoryPruned,
    InvalidEvent,
    InvalidQuery,
    InvalidSetting,
    MissingExtra,
    NotFound,
    NotKept,
    OutcomeUnknown,
    StoreClosed,
    StoreUnavailable,
    TidingsError,
    TransferError,
)

__all__ = ["EXIT_CODES", "code_of"]

DONE = 0
NO = 1
USAGE = 2
UNAVAILABLE = 69
BUG = 70
FILE = 74
KEPT_NOWHERE = 75
TIMED_OUT = 124
NOT_EXECUTABLE = 126
NOT_FOUND = 127
SIGNALLED = 128
INTERRUPTED = 130

_UNAVAILABLE = (
    "the store cannot be read or written, the server cannot start, or an optional dependency is "
    "missing"
)

EXIT_CODES = (
    (DONE, "done; also where a reader such as `head` had enough"),
    (NO, "the answer is no: nothing found, problems found, a conflict, or not confirmed"),
    (USAGE, "wrong usage: an argument, an event or a setting breaks a rule; nothing was done"),
    (UNAVAILABLE, _UNAVAILABLE),
    (BUG, "a bug in Tidings; what is shown says where, please report it"),
    (FILE, "a file or the output cannot be read or written"),
    (KEPT_NOWHERE, "emit, run with --strict: neither the store nor the spool took the event"),
    (TIMED_OUT, "wait: no such event came in time"),
    (NOT_EXECUTABLE, "run: the command was found but cannot be executed"),
    (NOT_FOUND, "run: the command was not found"),
    (SIGNALLED, "128+n. run: the command was ended by signal n, such as 143 for SIGTERM"),
    (INTERRUPTED, "ended by Ctrl-C, tail -f included"),
)
"""What each code means; `run` otherwise exits with the code of its command."""

_OF_ERRORS: tuple[tuple[type[TidingsError], int], ...] = (
    (InvalidEvent, USAGE),
    (InvalidQuery, USAGE),
    (InvalidSetting, USAGE),
    (Conflict, NO),
    (HistoryPruned, NO),
    (NotFound, NO),
    (TransferError, FILE),
    (NotKept, KEPT_NOWHERE),
    (StoreUnavailable, UNAVAILABLE),
    (OutcomeUnknown, UNAVAILABLE),
    (StoreClosed, UNAVAILABLE),
    (MissingExtra, UNAVAILABLE),
)


def code_of(error: TidingsError) -> int:
    """The exit code that tells a script about an error.

    >>> code_of(InvalidSetting("no such URL"))
    2
    """
    return next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), UNAVAILABLE)
