"""When an event happened, as a request says it: a time without offset is UTC here.

Local time, which it means elsewhere, would be that of the server, which its clients do not know;
those of eventuali-api-server write such times in UTC. What is kept then has an offset.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tidings.errors import InvalidEvent
from tidings.fields import word
from tidings.timestamps import format_instant, parse_instant

__all__ = ["moment_of", "moment_of_number"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SURE_YEARS = range(2, 9999)  # of those around them, an offset may lead out of what is kept
_CANONICAL_LENGTH = len("2026-01-01T12:00:00.000000Z")
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII
).fullmatch
_OFFSET = re.compile(r"[Tt ].*(?:[Zz]|[+-]\d\d(?::?\d\d){0,2})\s*$").search
_RULE = "must be an ISO 8601 timestamp such as 2026-01-01T12:00:00Z"

_LARGEST_SECONDS = 2e10
"""Larger numbers are milliseconds. Source: pydantic 2, which the peer reads timestamps with."""


def moment_of(value: object) -> tuple[int, str | None]:
    """A timestamp's instant, and its text where that is not the one we would write.

    Args:
        value: ISO 8601; without offset it is UTC, and the text is then ours.

    Raises:
        InvalidEvent: it is no timestamp.

    >>> moment_of("2026-01-01T01:00:00.5+01:00"), moment_of("2026-01-01")
    ((1767225600500000, '2026-01-01T01:00:00.5+01:00'), (1767225600000000, None))
    """
    if isinstance(value, str) and _RFC_3339(value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return _any_moment_of(value)  # A leap second, or an error.
        if moment.year in _SURE_YEARS:
            since = moment - _EPOCH
            instant = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
            is_ours = len(value) == _CANONICAL_LENGTH and value[-1] == "Z"
            return instant, None if is_ours else value
    return _any_moment_of(value)


def _any_moment_of(value: object) -> tuple[int, str | None]:
    text = word("timestamp", value)
    try:
        instant = parse_instant(text, naive="utc")
    except (ValueError, OverflowError):
        raise InvalidEvent("timestamp", value, _RULE) from None
    return instant, text if _OFFSET(text) and text != format_instant(instant) else None


def moment_of_number(value: float) -> tuple[int, None]:
    """The instant of seconds, or of milliseconds, since 1970.

    Raises:
        InvalidEvent: it lies outside of the years 1 to 9999.

    >>> moment_of_number(1767225600.5) == moment_of_number(1767225600500)
    True
    """
    unit = 1_000_000 if abs(value) <= _LARGEST_SECONDS else 1000
    try:
        instant = round(value * unit)
        _ = _EPOCH + timedelta(microseconds=instant)
    except (ValueError, OverflowError):
        raise InvalidEvent(
            "timestamp", value, "must be seconds since 1970, within the years 1 to 9999"
        ) from None
    return instant, None
