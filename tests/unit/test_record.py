"""The record: its checksum, and in what two records differ."""

from __future__ import annotations

from typing import Any

import pytest

from tidings.event import Event
from tidings.record import (
    CHECKSUM,
    CONTEXT,
    INSTANT,
    KEY,
    PAYLOAD,
    POSITION,
    RECORDED,
    VERSION,
    WRITTEN,
    checksum_of,
    differing_fields,
    said,
)

FULL: dict[str, Any] = {
    "type": "x",
    "project": "p",
    "status": "success",
    "payload": {"a": 1},
    "source": "ci",
    "timestamp": "2026-01-01T00:00:00Z",
    "id": "build-42",
    "aggregate_type": "agent",
    "aggregate_id": "a",
    "correlation_id": "w",
    "causation_id": "c",
    "user_id": "u",
    "context": {"host": "n"},
    "extensions": {"e": 1},
}
CHANGES: dict[str, Any] = {
    "type": "y",
    "project": "q",
    "status": "failure",
    "payload": {"a": 2},
    "source": "hpc",
    "timestamp": "2026-01-01T00:00:01Z",
    "id": "build-43",
    "aggregate_type": "run",
    "aggregate_id": "b",
    "correlation_id": "v",
    "causation_id": "d",
    "user_id": "o",
    "extensions": {"e": 2},
}


def changed(record: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    """The record with another value in one place."""
    return (*record[:index], value, *record[index + 1 :])


def full_record() -> tuple[Any, ...]:
    """A record without any empty place, as a store keeps it."""
    record = Event(**FULL).record
    for index, value in ((POSITION, 7), (VERSION, 3), (RECORDED, 11)):
        record = changed(record, index, value)
    return changed(record, CHECKSUM, checksum_of(record))


class TestChecksum:
    """What the checksum covers."""

    def test_changes_with_every_place(self) -> None:
        """A change in any place but its own gives another checksum."""
        record = full_record()
        assert all(value is not None for value in record)
        for index, value in enumerate(record):
            other = value[::-1] + b"x" if index == KEY else f"{value}x"
            differs = checksum_of(changed(record, index, other)) != checksum_of(record)
            assert differs is (index != CHECKSUM)

    def test_changes_when_a_place_is_emptied(self) -> None:
        """A value that went missing is noticed."""
        record = full_record()
        for index in range(CHECKSUM):
            if index != KEY:
                assert checksum_of(changed(record, index, None)) != checksum_of(record)

    def test_values_do_not_run_together(self) -> None:
        """A character that moved from one value to the next is noticed."""
        record = full_record()
        moved = changed(changed(record, 3, "ab"), 4, "c")
        assert checksum_of(moved) != checksum_of(changed(changed(record, 3, "a"), 4, "bc"))

    def test_is_a_crc_of_text(self) -> None:
        """It fits 32 bits without a sign, also for text that is not ASCII."""
        assert 0 <= checksum_of(Event("🎉", payload="é" * 1000).record) < 2**32


class TestSaid:
    """What an event says, apart from its place."""

    def test_leaves_out_the_place(self) -> None:
        """Position, version, time of recording and checksum do not count; all else does."""
        record = full_record()
        for index in range(len(record)):
            same = said(changed(record, index, object())) == said(record)
            assert same is (index in {POSITION, VERSION, RECORDED, CHECKSUM})


class TestDifferences:
    """In what an event sent again under a known id differs."""

    def test_none(self) -> None:
        """The same event differs in nothing."""
        record = Event(**FULL).record
        assert differing_fields(record, record, timestamp_given=True) == ()

    @pytest.mark.parametrize("field", CHANGES)
    def test_of_one_field(self, field: str) -> None:
        """A field that differs is named."""
        kept, sent = Event(**FULL).record, Event(**{**FULL, field: CHANGES[field]}).record
        assert differing_fields(kept, sent, timestamp_given=True) == (field,)

    def test_of_several_fields(self) -> None:
        """All fields that differ are named."""
        kept, sent = Event(**FULL).record, Event(**{**FULL, **CHANGES}).record
        assert set(differing_fields(kept, sent, timestamp_given=True)) == set(CHANGES)

    def test_the_context_is_none(self) -> None:
        """Where an event was made does not make it another one."""
        record = Event(**FULL).record
        assert differing_fields(record, changed(record, CONTEXT, "{}"), timestamp_given=True) == ()

    def test_a_timestamp_not_given_is_none(self) -> None:
        """The moment at which we made it counts only where the producer named it."""
        record = Event(**FULL).record
        later = changed(record, INSTANT, record[INSTANT] + 1)
        assert differing_fields(record, later, timestamp_given=False) == ()
        assert differing_fields(record, later, timestamp_given=True) == ("timestamp",)

    def test_another_way_to_write_the_time_is_none(self) -> None:
        """The same moment in another offset is the same content."""
        record = Event(**FULL).record
        other = changed(record, WRITTEN, "2026-01-01T01:00:00+01:00")
        assert differing_fields(record, other, timestamp_given=True) == ()

    def test_a_redacted_payload_is_none(self) -> None:
        """What was redacted cannot be compared, and is not brought back."""
        sent = Event(**FULL).record
        kept = changed(sent, PAYLOAD, None)
        assert differing_fields(kept, sent, timestamp_given=True) == ()
        assert differing_fields(sent, changed(sent, PAYLOAD, None), timestamp_given=True) == (
            "payload",
        )
