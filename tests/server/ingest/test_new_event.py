"""Events made of requests are those that `Event.from_dict` makes, times without offset apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidEvent
from tidings.event import Event
from tidings.server.ingest.moments import moment_of, moment_of_number
from tidings.server.ingest.new_event import event_of
from tidings.testing.strategies import events
from tidings.timestamps import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PAYLOAD = 1 << 20


def with_fields(arguments: dict[str, Any]) -> dict[str, Any]:
    """The strategy's arguments as the JSON form of an event."""
    about = arguments.pop("about", (None, None))
    return {
        "source": "local",
        "id": "e1",
        **arguments,
        "aggregate_type": about[0],
        "aggregate_id": about[1],
    }


@given(events().map(with_fields))
def test_the_same_event(fields: dict[str, Any]) -> None:
    """Field by field, with the same record and the same say about its timestamp."""
    expected, made = Event.from_dict(fields), event_of(fields, 0, MAX_PAYLOAD)
    if made.timestamp_given:
        assert made.record == expected.record
    assert made.timestamp_given == expected.timestamp_given == ("timestamp" in fields)
    assert made.to_dict() | {"timestamp": ""} == expected.to_dict() | {"timestamp": ""}


@given(
    events().map(with_fields),
    st.sampled_from(["type", "project", "status", "timestamp", "id", "context", "user_id"]),
    st.one_of(st.integers(), st.lists(st.none()), st.text(max_size=3), st.just("x" * 256)),
)
def test_the_same_refusal(fields: dict[str, Any], field: str, value: object) -> None:
    """What one refuses the other refuses, with the same words."""
    fields[field] = value
    assert _refusal(lambda: event_of(fields, 0, MAX_PAYLOAD)) == _refusal(
        lambda: Event.from_dict(fields)
    )


def _refusal(make: Callable[[], Event]) -> str:
    try:
        make()
    except InvalidEvent as error:
        return str(error)
    return ""


@given(
    st.datetimes(), st.sampled_from(["", "Z", "+00:00", "-11:30", "+0530", "+01"]), st.booleans()
)
def test_moments(moment: Any, offset: str, seconds_only: bool) -> None:
    """The instant is that of the plain reading; the text is kept where it has an offset."""
    text = moment.isoformat(timespec="seconds" if seconds_only else "auto") + offset
    try:
        instant = parse_instant(text, naive="utc")
    except (ValueError, OverflowError):
        with pytest.raises(InvalidEvent):
            moment_of(text)
        return
    found, written = moment_of(text)
    assert found == instant
    assert (written or format_instant(found)) == (text if offset else format_instant(instant))


@pytest.mark.parametrize(
    "text", ["2026-01-01", "2026-01-01 10:00", "2026-W01-1", "20260101T100000", "2026-01-01T10"]
)
def test_a_time_without_offset_gets_one(text: str) -> None:
    """In whatever way it is written, what is kept is ours, in UTC."""
    assert moment_of(text)[1] is None


@pytest.mark.parametrize("text", ["2026-01-01T00:00:60Z", "2026-01-01t10:00:00z", "20260101T10+01"])
def test_a_time_with_an_offset_is_kept_as_written(text: str) -> None:
    """Also where it is not RFC 3339 to the letter."""
    assert moment_of(text)[1] == text


@given(st.floats() | st.integers())
def test_any_number(value: float) -> None:
    """A number is a moment within the years 1 to 9999, or refused."""
    try:
        instant, written = moment_of_number(value)
    except InvalidEvent:
        return
    assert written is None
    assert parse_instant(format_instant(instant)) == instant
