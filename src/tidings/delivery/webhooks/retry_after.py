"""What an answer's `Retry-After` asks for: a pause in seconds, or until a date.

It only reads; who is to wait is the engine's matter. Source: RFC 9110, section 10.2.3.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LONGEST_PAUSE", "pause_asked"]

LONGEST_PAUSE = 86_400.0
"""No receiver makes us wait longer than this (seconds): the longest pause of the schedule."""

_MICROSECONDS = 1_000_000


def pause_asked(values: Sequence[str], now: int) -> float | None:
    """The pause that `Retry-After` asks for.

    Args:
        values: of all headers of that name.
        now: the instant (microseconds since 1970) a date is compared with.

    Returns:
        Seconds, more than 0 and at most `LONGEST_PAUSE`; none where nothing sensible is asked for.

    >>> pause_asked(["120"], 0), pause_asked(["Thu, 01 Jan 1970 00:00:30 GMT"], 10_000_000)
    (120.0, 20.0)
    >>> pause_asked(["soon"], 0), pause_asked([], 0)
    (None, None)
    """
    if len(values) != 1:
        return None
    text = values[0].strip()
    seconds = _whole_seconds(text) if text.isascii() and text.isdigit() else _until(text, now)
    return None if seconds is None or seconds <= 0 else min(seconds, LONGEST_PAUSE)


def _whole_seconds(digits: str) -> float:
    # More digits than that are longer than any pause, and `int` refuses thousands of them.
    return float(digits) if len(digits) <= 15 else LONGEST_PAUSE


def _until(text: str, now: int) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)  # one of its forms names no zone
        return date.timestamp() - now / _MICROSECONDS
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
