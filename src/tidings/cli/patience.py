"""How long a job waits for a store that does not answer at all, such as one on a dead file system.

Keeps promise 4. An emit has a deadline for locks and connections, but no call into a dead file
system returns before that file system does; so it is made in a thread that can be left behind.
"""

from __future__ import annotations

from threading import Thread

from tidings import settings
from tidings.errors import InvalidSetting, StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

__all__ = ["SPARE", "Unanswered", "in_time", "patience"]

SPARE = 1.0
"""What is allowed beyond an emit's deadline (seconds)."""


class Unanswered(StoreUnavailable):
    """A call was given up; it may go on without us, and may still keep what it was given."""


def patience() -> float:
    """How long one emit may take before its store and spool are given up (seconds)."""
    try:
        return settings.deadline() + SPARE
    except InvalidSetting:
        return 2 * SPARE  # The bus says what is wrong with it.


def in_time(work: Callable[[], Result], seconds: float) -> Result:
    """What a call returns or raises, if that is soon enough; else it goes on without us.

    Raises:
        Unanswered: it took longer than that.

    >>> in_time(lambda: 42, 60.0)
    42
    """
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def attempt() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            failure.append(error)

    thread = Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise Unanswered(f"the store has not answered for {seconds:g} s; see tidings doctor")
    return outcome[0]
