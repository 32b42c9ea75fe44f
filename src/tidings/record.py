"""The record: the tuple of values a store keeps for an event, and its checksum.

Backends bind records to their columns in the order given here. What the values mean to a user is
said in `event`.
"""

from __future__ import annotations

from zlib import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Record: TypeAlias = tuple[Any, ...]

__all__ = ["checksum_of", "differing_fields", "placed", "said"]

_NONE = "\x1e"
_NO_CHECKSUM = -1

(
    POSITION,
    KEY,
    FOREIGN_ID,  # the id's text, where it is not the UUID that the key spells
    TYPE,
    PROJECT,
    STATUS,
    SOURCE,
    INSTANT,
    WRITTEN,  # the timestamp's text, where it is not the one we would write for the instant
    AGGREGATE_TYPE,
    AGGREGATE_ID,
    VERSION,
    CORRELATION_ID,
    CAUSATION_ID,
    USER_ID,
    PAYLOAD,  # JSON text; None once redacted
    CONTEXT,  # JSON text; None where empty
    EXTENSIONS,  # JSON text; None where empty
    RECORDED,  # the instant the store took it
    CHECKSUM,  # over all of the above; None where a store keeps none
) = range(20)

_COMPARED = {
    "id": FOREIGN_ID,
    "type": TYPE,
    "project": PROJECT,
    "status": STATUS,
    "source": SOURCE,
    "aggregate_type": AGGREGATE_TYPE,
    "aggregate_id": AGGREGATE_ID,
    "correlation_id": CORRELATION_ID,
    "causation_id": CAUSATION_ID,
    "user_id": USER_ID,
    "extensions": EXTENSIONS,
}


def checksum_of(record: Record) -> int:
    """CRC-32 over a record, its own place for the checksum left out.

    A unit separator stands between the values, a record separator for those that are none; no value
    can hold one, because fields refuse control characters and JSON escapes them. Texts are joined
    and not formatted, as that takes half the time. A record with a value that is not of its type,
    as a damaged store may give it, has the checksum -1, which no other has.
    """
    (
        position, key, foreign_id, type_, project, status, source, instant, written, aggregate_type,
        aggregate_id, version, correlation_id, causation_id, user_id, payload, context, extensions,
        recorded, _,
    ) = record  # fmt: skip
    try:
        texts = (
            str(position),
            bytes.hex(key),
            _NONE if foreign_id is None else foreign_id,
            type_,
            project,
            status,
            source,
            str(instant),
            _NONE if written is None else written,
            _NONE if aggregate_type is None else aggregate_type,
            _NONE if aggregate_id is None else aggregate_id,
            _NONE if version is None else str(version),
            _NONE if correlation_id is None else correlation_id,
            _NONE if causation_id is None else causation_id,
            _NONE if user_id is None else user_id,
            _NONE if payload is None else payload,
            _NONE if context is None else context,
            _NONE if extensions is None else extensions,
            str(recorded),
        )
        return crc32("\x1f".join(texts).encode())
    except TypeError:
        return _NO_CHECKSUM


def placed(record: Record, position: int, version: int | None, recorded: int) -> Record:
    """What a store keeps: the record at the place it was given, and the checksum over that."""
    before, after = record[KEY:VERSION], record[VERSION + 1 : RECORDED]
    row = (position, *before, version, *after, recorded, None)
    return (*row[:CHECKSUM], checksum_of(row))


def said(record: Record) -> Record:
    """What the event says, without the place a store gave it."""
    return record[KEY:VERSION] + record[CORRELATION_ID:RECORDED]


def differing_fields(kept: Record, sent: Record, *, timestamp_given: bool) -> tuple[str, ...]:
    """The fields in which an event sent again under a known id differs from the one kept.

    A timestamp that its producer did not give is not compared, nor is a payload redacted since, nor
    the context: that says where the event was made, not what happened.
    """
    names = [name for name, index in _COMPARED.items() if kept[index] != sent[index]]
    if timestamp_given and kept[INSTANT] != sent[INSTANT]:
        names.append("timestamp")
    if kept[PAYLOAD] is not None and kept[PAYLOAD] != sent[PAYLOAD]:
        names.append("payload")
    return tuple(names)
