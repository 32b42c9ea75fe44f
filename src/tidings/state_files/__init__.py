"""State files: the newest event of each type as a small file, and a history to which all append.

    {type}_latest.json   the newest event of a type, replaced in one step
    history.jsonl        every event, one line each, in the order they were written
    .{type}_latest.json.spare   the file that was replaced, to be the next one
    .history.waiting/    lines that could not be appended in time; the next writer does it
    .history.lock        whose turn it is, on a network file system

They are for scripts that watch files, in the form scitex-events gave them; the store stays the
truth. Keeps: a reader never sees half of a file or line, however many processes of however many
machines write; no type, however it is named, reaches outside of the directory; nobody waits long
for another's turn. Does not keep: both files may lack the newest events after a power loss. The
history is never cut; whoever finds it too long moves it away.
"""

from __future__ import annotations

import os
import warnings
from json import loads

from tidings.state_files.forms import FULL, SIX_FIELDS, Form, six_fields
from tidings.state_files.history import History
from tidings.state_files.names import LATEST, file_name
from tidings.state_files.replacing import replace
from tidings.timestamps import format_instant, now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.event import Event

__all__ = ["FULL", "SIX_FIELDS", "Form", "StateFileWarning", "StateFiles", "six_fields"]


_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)

_TICK = 20_000_000
"""By so much (nanoseconds) a file system may be wrong about what was changed last."""


class StateFileWarning(RuntimeWarning):
    """A state file could not be written; the event itself is kept all the same."""


class StateFiles:
    """The state files in one directory, for any number of threads, processes and machines.

    Args:
        directory: where they lie; made when first needed, for its owner only (mode 0700).
        form: how an event is written there: `FULL`, or `SIX_FIELDS` as scitex-events does it.

    >>> import tempfile
    >>> from tidings.event import Event
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     files = StateFiles(directory)
    ...     files.write(Event("job_done", "figrecipe"))
    ...     sorted(os.listdir(directory))
    True
    ['history.jsonl', 'job_done_latest.json']
    """

    def __init__(self, directory: str, form: Form = FULL) -> None:
        self.directory = directory
        self._form = form
        self._history = History(directory)

    def write(self, event: Event) -> bool:
        """Make an event the newest of its type, and append it to the history.

        It is called after the event is kept, so it raises nothing: what cannot be written is said
        as a `StateFileWarning` with the path and the reason. Of two processes that write at once,
        the event that its store took later stays the newest. For its turn to append it waits a
        fifth of a second at most; the line then waits beside the history, for the next writer or
        `collect` to append it.

        Returns:
            Whether both files show it, or will.
        """
        try:
            line = f"{self._form.line(event)}\n".encode()
            with self._history.turn() as turn:
                turn.append(line)
                self._replace_latest(event, alone=turn.is_alone)
        except OSError as error:
            warnings.warn(
                f"the state files in {self.directory} do not show {event!r}: {error}",
                StateFileWarning,
                stacklevel=2,
            )
            return False
        return True

    def collect(self) -> int:
        """Append the lines that wait beside the history.

        Returns:
            How many wait still, because another writer has its turn and keeps it.

        Raises:
            OSError: the directory cannot be read or written.
        """
        return self._history.collect()

    def latest(self, event_type: str | None = None) -> dict[str, Any] | None:
        """What the file of a type's newest event holds, or the newest file of all.

        Returns:
            The event as it stands there; none where there is no file, or none that can be read.
        """
        if event_type is not None:
            return _read(self.path_of(event_type))
        found: dict[str, Any] | None = None
        last = 0
        for changed, path in self._newest_files():
            if found is not None and changed < last - _TICK:
                break
            event = _read(path)
            if event is not None and self._form.moment_in(event) >= self._form.moment_in(found):
                found, last = event, max(last, changed)
        return found

    def history(self, limit: int) -> list[dict[str, Any]]:
        """The last events of the history, newest first, those that wait to be appended included."""
        return self._history.last(limit)

    def path_of(self, event_type: str) -> str:
        """The file of a type's newest event.

        Letters, digits, `.`, `_` and `-` stay as they are; any other byte of the UTF-8 is written
        `%2F`, as in URLs, and so is a dot at the beginning. What is too long for a file name ends
        in `~` and a hash. So two types never share a file (but those that differ in upper and lower
        case only do, where the file system does not tell them apart).

        >>> StateFiles("state").path_of("job_done"), StateFiles("state").path_of("../etc/passwd")
        ('state/job_done_latest.json', 'state/%2E.%2Fetc%2Fpasswd_latest.json')
        """
        return os.path.join(self.directory, f"{file_name(event_type)}{LATEST}")

    def _replace_latest(self, event: Event, *, alone: bool) -> None:
        path = self.path_of(event.type)
        if not self._is_newer(path, self._form.moment(event)):
            replace(path, f"{self._form.page(event)}\n".encode(), alone=alone)

    def _is_newer(self, path: str, moment: str) -> bool:
        """Whether the file holds an event of later, by a clock that is not ahead."""
        if not moment:
            return False
        return moment < self._form.moment_in(_read(path)) <= format_instant(now_instant())

    def _newest_files(self) -> list[tuple[int, str]]:
        """When the files of newest events were changed, the last one first."""
        try:
            with os.scandir(self.directory) as entries:
                found = [
                    (entry.stat().st_mtime_ns, entry.path)
                    for entry in entries
                    if entry.name.endswith(LATEST) and entry.name[0] != "."
                ]
        except OSError:
            return []  # there is no directory, or it is being taken away
        return sorted(found, reverse=True)


def _read(path: str) -> dict[str, Any] | None:
    try:
        file = os.open(path, _READ)
        try:
            # As a file object it would take three times as long, for each event.
            event = loads(os.read(file, os.fstat(file).st_size))
        finally:
            os.close(file)
    except (OSError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
