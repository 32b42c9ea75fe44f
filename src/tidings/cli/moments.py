"""Spans and moments as people type them (`90s`, `1h30m`, `2026-01-01`), and back into words."""

from __future__ import annotations

import re
from time import localtime, strftime

from tidings.timestamps import now_instant, parse_instant

__all__ = ["ago", "clock", "read_moment", "read_span"]

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN = r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?"
_LONGEST = 100 * 366 * 86_400


def read_span(text: str) -> float:
    """A span of time (seconds).

    Args:
        text: numbers with `w`, `d`, `h`, `m` or `s`, the larger units first; a bare number is
            seconds.

    Raises:
        ValueError: it is no span, or longer than a hundred years.

    >>> read_span("1h30m"), read_span("90"), read_span("0.5s")
    (5400.0, 90.0, 0.5)
    """
    match = re.fullmatch(_SPAN, text)
    if match is None or not any(match.groups()):
        raise ValueError("must be a span such as 90s, 10m, 1h30m or 2d")
    seconds = sum(
        float(count) * scale
        for count, scale in zip(match.groups(), _SECONDS.values(), strict=True)
        if count
    )
    if seconds > _LONGEST:
        raise ValueError("must be a span of at most a hundred years")
    return seconds


def read_moment(text: str) -> int:
    """A moment (microseconds since 1970): a span before now, or a date with or without a time.

    Args:
        text: a span such as `1h`, or ISO 8601; a time without offset is local.

    Raises:
        ValueError: it is neither.

    >>> read_moment("2026-01-01T00:00:00Z")
    1767225600000000
    """
    try:
        return now_instant() - round(read_span(text) * 1_000_000)
    except ValueError:
        pass
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise ValueError(
            "must be a moment such as 2026-01-01 or 2026-01-01T12:00:00Z, or a span before now "
            "such as 90s, 1h30m or 2d"
        ) from None


def clock(instant: int, *, now: int | None = None) -> str:
    """A moment in local time, as short as today allows: `14:03:07`, `2026-01-01 14:03:07`."""
    moment = localtime(instant // 1_000_000)
    today = localtime((now_instant() if now is None else now) // 1_000_000)
    return strftime("%H:%M:%S" if moment[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", moment)


def ago(instant: int, *, now: int | None = None) -> str:
    """How long ago a moment was, in one unit.

    >>> ago(0, now=7_400_000_000), ago(5_000_000, now=0), ago(0, now=0)
    ('2h ago', 'in 5s', 'now')
    """
    seconds = ((now_instant() if now is None else now) - instant) / 1_000_000
    for unit, scale in _SECONDS.items():
        count = int(abs(seconds) // scale)
        if count:
            return f"{count}{unit} ago" if seconds > 0 else f"in {count}{unit}"
    return "now"
