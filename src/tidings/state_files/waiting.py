"""Where lines of the history wait for a turn: a directory with one file a line, and no locks.

It is there only while something waits, so that looking for it costs a writer next to nothing.
"""

from __future__ import annotations

import os
from time import time

from tidings.durable_files import forget, names_in, unique_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["WaitingLines"]

_MOST_BYTES = 1024 * 1024
"""About so much is given at once."""

_ATTEMPTS = 100
_ABANDONED_AFTER = 36 * 3600
"""The age at which the writer of a half file counts as dead (seconds); maildir(5) says so."""


class WaitingLines:
    """The lines that wait in one directory.

    Args:
        directory: where; made when first needed.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def put(self, line: bytes) -> None:
        """Have a line wait.

        Raises:
            OSError: it cannot be written; nothing is left of it.
        """
        name = unique_name()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                os.makedirs(self._directory, mode=0o700, exist_ok=True)
                self._put(name, line)
            except (FileNotFoundError, FileExistsError):
                # Who emptied the directory removes it, maybe between any two of these calls.
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def is_any(self) -> bool:
        """Whether there may be any, by the quickest look: each event takes one."""
        return os.path.exists(self._directory)

    def names(self) -> list[str]:
        """The names of the files, in the order in which they came."""
        return names_in(self._directory)

    def lines(self, names: Iterable[str]) -> list[tuple[str, bytes]]:
        """The lines in files of these names, each with its name; the first ones, if it is much."""
        found: list[tuple[str, bytes]] = []
        size = 0
        for name in names:
            try:
                with open(os.path.join(self._directory, name), "rb") as file:
                    line = file.read()
            except OSError:
                continue  # another writer was quicker
            # A power loss can leave a file empty; an empty line says nothing, and does no harm.
            found.append((name, line if line.endswith(b"\n") else line + b"\n"))
            size += len(line)
            if size >= _MOST_BYTES:
                break
        return found

    def forget(self, names: Iterable[str]) -> None:
        """Take away lines that are appended, and the directory where it is then empty."""
        for name in names:
            forget(os.path.join(self._directory, name))
        try:
            self._forget_abandoned()
            os.rmdir(self._directory)
        except OSError:
            return  # others wait, or write just now

    def _put(self, name: str, line: bytes) -> None:
        temporary = os.path.join(self._directory, f".{name}")
        try:
            with open(temporary, "xb") as file:
                file.write(line)
            os.rename(temporary, os.path.join(self._directory, name))
        except BaseException:
            forget(temporary)
            raise

    def _forget_abandoned(self) -> None:
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name[0] == "." and time() - entry.stat().st_mtime > _ABANDONED_AFTER:
                    forget(entry.path)
