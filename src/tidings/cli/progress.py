"""How far a long command is: a line on the standard error, where that is a terminal."""

from __future__ import annotations

import sys
from time import monotonic

from tidings.cli.show import is_terminal, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tidings.cli.command import Given

__all__ = ["Progress"]

_SHOW_EVERY = 0.2


class Progress:
    """A line that is drawn anew while the work goes on, and is gone when it is done.

    Args:
        unit: what is counted, such as `events`.
        given: the command's arguments; with `--json` nothing is shown.

    Attributes:
        unit: as above; may be changed on the way.
    """

    def __init__(self, unit: str, given: Given) -> None:
        self.unit = unit
        self._shows = is_terminal(2) and not given["json"]
        self._next = monotonic() + _SHOW_EVERY
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, count: int, done: int, whole: int | None) -> None:
        """Draw the line anew, if it is time."""
        now = monotonic()
        if not self._shows or now < self._next:
            return
        self._next, self._drawn = now + _SHOW_EVERY, True
        share = f" {min(done / whole, 1):4.0%}" if whole else ""
        sys.stderr.write(f"\r\x1b[K{count:>12,} {printable(self.unit)}{share}")
        sys.stderr.flush()
