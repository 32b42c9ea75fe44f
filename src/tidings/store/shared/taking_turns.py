"""Which process of this machine reads on next, so that not all of them read and apply the same.

It is for economy alone: who does not get the turn goes on a moment later all the same, and finds,
as a rule, that the replica they share has been brought up to date. A turn ends with its process.
"""

from __future__ import annotations

import os
from threading import Lock

__all__ = ["TakingTurns"]


class TakingTurns:
    """The turns of the processes that share a replica, as one of them sees them.

    Args:
        directory: the replica's, on a local disk. Where it is not there, everybody has a turn.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = Lock()
        self._descriptor: int | None = None
        self._after: int | None = None
        self._closed = False

    def has(self, after: int) -> bool:
        """Whether this process may read past a sequence at once; if so, it should do so soon."""
        with self._lock:
            if self._closed:
                return True
            try:
                self._take()
            except BlockingIOError:
                return False
            except (OSError, ImportError):  # no such directory, or no such locks there
                return True
            self._after = after
            return True

    def done(self, after: int) -> None:
        """Let others have the turn, once this process asks for more than it had the turn for."""
        if self._after is None or self._after == after:
            return
        with self._lock:
            self._after = None
            if self._descriptor is not None:
                import fcntl

                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of it for good."""
        with self._lock:
            self._closed = True
            descriptor, self._descriptor, self._after = self._descriptor, None, None
            if descriptor is not None:
                os.close(descriptor)

    def after_fork_in_child(self) -> None:
        """Let go of the parent's, which stays the parent's."""
        self._lock = Lock()
        self.close()

    def _take(self) -> None:
        import fcntl

        if self._descriptor is None:
            self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
