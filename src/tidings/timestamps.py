"""Timestamps: RFC 3339 text on one side, microseconds since 1970 (an *instant*) on the other.

An instant is what is compared, indexed and sorted; the text is what a producer wrote. It does not
know relative times such as `1h`; those are the shell's.
"""

from __future__ import annotations

from time import gmtime, time_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["format_instant", "now_instant", "parse_instant"]

_MICROSECONDS = 1_000_000
_FIRST_INSTANT = -62_135_596_800 * _MICROSECONDS  # 0001-01-01T00:00:00Z
_LAST_INSTANT = 253_402_300_800 * _MICROSECONDS - 1  # the end of the year 9999

_REMEMBERED = 256
_seconds: dict[int, str] = {}
"""The text of seconds written before: what happens now is written within the same few."""


def now_instant() -> int:
    """Microseconds since 1970-01-01T00:00:00Z."""
    return time_ns() // 1000


def format_instant(instant: int) -> str:
    """An instant as RFC 3339 in UTC with microseconds.

    >>> format_instant(1_767_225_600_000_001)
    '2026-01-01T00:00:00.000001Z'
    """
    seconds, microseconds = divmod(instant, _MICROSECONDS)
    text = _seconds.get(seconds)
    if text is None:
        year, month, day, hour, minute, second, *_ = gmtime(seconds)
        text = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}."
        if len(_seconds) >= _REMEMBERED:
            _seconds.clear()
        _seconds[seconds] = text
    return f"{text}{microseconds:06}Z"


def parse_instant(text: str, *, naive: str = "local") -> int:
    """Read an ISO 8601 or RFC 3339 timestamp.

    Args:
        text: such as `2026-01-01T00:00:00Z`; digits beyond the microsecond are cut off, and the
            leap second `:60` (RFC 3339, section 5.6) counts as `:59`.
        naive: what a time without offset means: `local` (scitex-events writes those) or `utc`
            (eventuali writes those).

    Returns:
        Microseconds since 1970 in UTC.

    Raises:
        ValueError: the text is no timestamp.

    >>> parse_instant("2026-01-01T01:00:00.5+01:00")
    1767225600500000
    """
    from datetime import datetime

    if len(text) < 10:
        raise ValueError(f"no ISO 8601 timestamp: {text!r}")
    cleaned = text.strip().upper()
    if cleaned[16:19] == ":60":
        cleaned = cleaned[:16] + ":59" + cleaned[19:]
    return instant_of(datetime.fromisoformat(cleaned), naive=naive)


def instant_of(moment: datetime, *, naive: str = "local") -> int:
    """The instant of a datetime; one without offset is taken as `naive` says."""
    from datetime import UTC, datetime, timedelta

    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC) if naive == "utc" else moment.astimezone()
    instant = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    if not _FIRST_INSTANT <= instant <= _LAST_INSTANT:
        raise ValueError(f"{moment} lies outside of the years 1 to 9999 in UTC")
    return instant
