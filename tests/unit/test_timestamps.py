"""Timestamps: text on one side, instants on the other."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.timestamps import format_instant, instant_of, now_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_YEAR = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z in microseconds
HOUR = 3_600_000_000


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local time nine hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01T00:00:00.000001Z", NEW_YEAR + 1),
        ("2026-01-01T00:00:00.1Z", NEW_YEAR + 100_000),
        ("2026-01-01T00:00:00,1Z", NEW_YEAR + 100_000),
        ("2026-01-01T00:00:00.123456789Z", NEW_YEAR + 123_456),
        ("2026-01-01T00:00:00+01:00", NEW_YEAR - HOUR),
        ("2026-01-01T00:00:00-00:30", NEW_YEAR + HOUR // 2),
        ("2026-01-01 00:00:00Z", NEW_YEAR),
        ("2026-01-01t00:00:00z", NEW_YEAR),
        ("20260101T000000Z", NEW_YEAR),
        ("2026-W01-4T00:00:00Z", NEW_YEAR),
        ("  2026-01-01T00:00:00Z\n", NEW_YEAR),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_ways_to_write_a_moment(text: str, instant: int) -> None:
    """ISO 8601 and RFC 3339 are read to the microsecond, in any offset."""
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    ("leap", "same"),
    [
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.5Z"),
        ("2017-01-01T08:59:60+09:00", "2016-12-31T23:59:59Z"),
    ],
)
def test_a_leap_second_is_the_one_before(leap: str, same: str) -> None:
    """The leap second, which RFC 3339 allows and datetime refuses, counts as :59."""
    assert parse_instant(leap) == parse_instant(same)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "yesterday",
        "1767225600",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00+25:00",
        "2026-01-01T00:00:00Zjunk",
        "2026-01-01T00:00:00 UTC",
        "10000-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z" * 2,
        "٢٠٢٦-01-01T00:00:00Z",
    ],
)
def test_what_is_no_moment(text: str) -> None:
    """Anything else is refused, as the one error callers expect."""
    with pytest.raises(ValueError, match=r".*"):
        parse_instant(text)


@pytest.mark.usefixtures("far_east")
def test_a_time_without_offset_is_local() -> None:
    """A naive time is local, as scitex-events wrote them; on request UTC, as eventuali did."""
    assert parse_instant("2026-01-01T09:00:00") == NEW_YEAR
    assert parse_instant("2026-01-01T09:00:00", naive="local") == NEW_YEAR
    assert parse_instant("2026-01-01T00:00:00", naive="utc") == NEW_YEAR
    assert parse_instant("2026-01-01T00:00:00Z") == NEW_YEAR
    assert parse_instant("2026-01-01") == NEW_YEAR - 9 * HOUR


@pytest.mark.usefixtures("far_east")
def test_datetimes_are_taken_alike() -> None:
    """A datetime with an offset is exact; one without is local, or UTC on request."""
    moment = datetime(2026, 1, 1, 9, 0, 0, 7, tzinfo=timezone(timedelta(hours=9)))
    assert instant_of(moment) == NEW_YEAR + 7
    assert instant_of(moment.replace(tzinfo=None)) == NEW_YEAR + 7
    assert instant_of(moment.replace(tzinfo=None), naive="utc") == NEW_YEAR + 7 + 9 * HOUR


@given(instant=st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_there_and_back(instant: int) -> None:
    """Every instant of the years 1 to 9999 is written and read back exactly, as datetime has it."""
    text = format_instant(instant)
    assert parse_instant(text) == instant
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)
    assert text == moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def test_text_sorts_as_instants_do() -> None:
    """What we write has a fixed width, so that it sorts by time."""
    instants = [-1, 0, 1, NEW_YEAR, NEW_YEAR + 1, NEW_YEAR + HOUR]
    assert sorted(map(format_instant, instants)) == [format_instant(i) for i in instants]


def test_now_is_the_clock() -> None:
    """Now lies between two looks at the system's clock."""
    before = time.time_ns() // 1000
    now = now_instant()
    assert before <= now <= time.time_ns() // 1000
