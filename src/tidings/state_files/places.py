"""Where files of scitex-events may lie, ours among them.

~/.scitex/events/           as its documentation says; Tidings' own state files lie there too
~/.scitex/events/runtime/   where version 0.1.7 writes
.scitex/events/runtime/     the same within a git repository that has such a directory
"""

from __future__ import annotations

import os
import re

from tidings import settings
from tidings.state_files.names import HISTORY, LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["has_files", "is_our_line", "may_have_foreign_files", "places"]

_OURS = re.compile(rb'"timestamp": "[-0-9T:.]{26}Z"\}\s*\Z')
_END = 64
_LOOK = 8192


def places(directory: str | os.PathLike[str] | None = None) -> list[str]:
    """The directories in which files of scitex-events may lie, each once.

    Args:
        directory: its own, or the one above; none for those that its versions choose.
    """
    if directory is None:
        own = settings.scitex_directory()
        found = [own, os.path.join(own, "runtime"), *_of_project()]
    else:
        there = os.fspath(directory)
        found = [
            os.path.join(there, *inner)
            for inner in ((), ("runtime",), ("events",), ("events", "runtime"))
        ]
    return list({os.path.realpath(place): place for place in reversed(found)}.values())[::-1]


def has_files(place: str) -> bool:
    """Whether a directory holds files as scitex-events has them, ours included."""
    try:
        return any(name == HISTORY or name.endswith(LATEST) for name in os.listdir(place))
    except OSError:
        return False


def is_our_line(line: bytes) -> bool:
    """Whether a line of a history ends as only Tidings ends them: with a time in UTC.

    scitex-events writes local time without an offset. So our lines need not be decoded to be told.

    >>> is_our_line(b'{"type": "job_done", "timestamp": "2026-01-01T12:00:00.000001Z"}')
    True
    """
    return _OURS.search(line[-_END:]) is not None


def may_have_foreign_files() -> bool:
    """Whether scitex-events itself may have written somewhere, by a quick look.

    Where our own files lie, that is said by the first and the last line of the history.
    """
    return any(has_files(place) and not _seems_ours(place) for place in places())


def _seems_ours(place: str) -> bool:
    try:
        with open(os.path.join(place, HISTORY), "rb") as file:
            first = file.readline(_LOOK)
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOOK))
            last = file.read()
    except OSError:
        return False
    return is_our_line(first) and is_our_line(last)


def _of_project() -> Iterator[str]:
    """The place of the git repository that this process works in, if it is in one."""
    try:
        here = os.getcwd()
    except OSError:
        return
    while not os.path.lexists(os.path.join(here, ".git")):
        above = os.path.dirname(here)
        if above == here:
            return
        here = above
    yield os.path.join(here, ".scitex", "events", "runtime")
