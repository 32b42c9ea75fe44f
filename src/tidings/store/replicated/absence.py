"""A log that is away: what its callers are told, and that they wait for it only once.

Keeps promise 4 where a job emits again and again while the log is out of reach.
"""

from __future__ import annotations

import time

from tidings.errors import StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.errors import TidingsError

__all__ = ["Absence", "again", "unforeseen"]

_SECONDS = 2.0
"""For how long a log that did not answer one caller in time is not asked for another."""


class Absence:
    """Remembers that a log did not answer.

    Args:
        url: the log's, for messages.
        deadline: how long a caller waits for it (seconds).
    """

    def __init__(self, url: str, deadline: float) -> None:
        self._url = url
        self._deadline = deadline
        self._until = 0.0

    def note(self, waited: float) -> None:
        """A caller has waited for nothing, for so long (seconds)."""
        if waited > self._deadline / 2:
            self._until = time.monotonic() + _SECONDS

    def end(self) -> None:
        """It lives."""
        self._until = 0.0

    def ensure_over(self) -> None:
        """Let nobody wait again so soon.

        Raises:
            StoreUnavailable: it did not answer a moment ago.
        """
        if time.monotonic() < self._until:
            raise StoreUnavailable(
                f"{self._url} did not answer in time a moment ago; it is asked again in a few "
                f"seconds"
            )


def again(error: TidingsError) -> TidingsError:
    """The same error for one more caller: raised twice, one would carry the other's traceback."""
    return type(error)(*error.args) if type(error).__init__ is Exception.__init__ else error


def unforeseen(url: str, error: Exception) -> StoreUnavailable:
    """What callers are told of an error that nobody thought of."""
    trouble = StoreUnavailable(f"{url} cannot be followed: {type(error).__name__}: {error}")
    trouble.__cause__ = error
    return trouble
