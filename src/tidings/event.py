"""The event: something that happened. Immutable, checked when made.

An event is a view on its *record*, the tuple of values a store keeps, so that reading a million of
them costs no more than the tuples: payload, context and extensions stay JSON text until touched.
Keeps promise 5 (bad input gets a clear error and changes nothing). It does not add context, assign
positions or decide about duplicates; bus and store do.
"""

from __future__ import annotations

from tidings.errors import InvalidEvent, StoreDamaged, shorten
from tidings.fields import (
    MAX_PAYLOAD_BYTES,
    EncodedObject,
    count,
    decode_json,
    json_text,
    moment,
    name,
    object_text,
    word,
)
from tidings.ids import id_of_key, key_of, new_key
from tidings.outcome import infer_status
from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CAUSATION_ID,
    CHECKSUM,
    CONTEXT,
    CORRELATION_ID,
    EXTENSIONS,
    FOREIGN_ID,
    INSTANT,
    KEY,
    PAYLOAD,
    POSITION,
    PROJECT,
    RECORDED,
    SOURCE,
    STATUS,
    TYPE,
    USER_ID,
    VERSION,
    WRITTEN,
    checksum_of,
    said,
)
from tidings.timestamps import format_instant, now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn, TypeAlias

    from tidings.record import Record

    Json: TypeAlias = Any

__all__ = ["Event"]

_NO_PAYLOAD: Json = {}
_UNREAD: Json = object()
_OPTIONAL = (
    ("aggregate_type", AGGREGATE_TYPE),
    ("aggregate_id", AGGREGATE_ID),
    ("version", VERSION),
    ("correlation_id", CORRELATION_ID),
    ("causation_id", CAUSATION_ID),
    ("user_id", USER_ID),
    ("position", POSITION),
)
_PLACE = ("position", "version", "recorded_at")
_FIELDS = {"id", "type", "project", "status", "payload", "source", "timestamp"}
_FIELDS |= {"context", "extensions", "redacted", *_PLACE, *(field for field, _ in _OPTIONAL)}


class Event:
    """Something that happened.

    Args:
        type: what happened, such as `job_done`; 1–255 characters, none of them a control character.
        project: what it belongs to; may be empty.
        status: its outcome: `success`, `failure`, or empty where it has none.
        payload: any JSON value, at most 1 MiB (1,048,576 bytes) encoded and 200 levels deep.
        source: where it comes from: `local`, `hpc`, `ci`, or the producer's own word.
        timestamp: when it happened, ISO 8601; kept as written. A time without offset is local time.
            Left out, it is now.
        id: 1–255 characters; left out, a UUIDv7 is made.
        aggregate_type: with `aggregate_id`, the thing it is about; both or neither.
        aggregate_id: see `aggregate_type`.
        correlation_id: the larger undertaking it belongs to, such as a workflow or a Slurm array.
        causation_id: what caused it: an earlier event's id, or an aggregate's.
        user_id: on whose behalf it happened.
        context: where it was made (host, user, job, commit, …), an object.
        extensions: what came with it that Tidings has no field for, an object.
        max_payload: the bound on the encoded payload (bytes).

    Raises:
        InvalidEvent: a field breaks its rule; the error names field, value and rule.

    Two events are equal when they say the same thing under the same id; the place a store gave them
    (`position`, `version`, `recorded_at`) does not count.

    >>> event = Event("job_done", "figrecipe", payload={"job_id": 4711})
    >>> event.status, event.payload["job_id"], event.position
    ('success', 4711, None)
    >>> Event.from_dict(event.to_dict()) == event
    True
    """

    __slots__ = ("_context", "_extensions", "_payload", "_timestamp_given", "record")

    record: Record
    """The event's values in storage order; see `tidings.record`."""

    _payload: Json

    def __init__(
        self,
        type: str,
        project: str = "",
        status: str = "success",
        payload: Json = _NO_PAYLOAD,
        source: str = "local",
        timestamp: str = "",
        *,
        id: str | None = None,
        aggregate_type: str | None = None,
        aggregate_id: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        user_id: str | None = None,
        context: Mapping[str, Json] | EncodedObject | None = None,
        extensions: Mapping[str, Json] | None = None,
        max_payload: int = MAX_PAYLOAD_BYTES,
    ) -> None:
        source = word("source", source)
        if id is None:
            key, foreign_id = new_key(), None
        else:
            id = name("id", id)
            key = key_of(id, source)
            foreign_id = None if id_of_key(key) == id else id
        if timestamp == "":
            instant, written = now_instant(), None
        else:
            instant, written = moment(timestamp)
        if (aggregate_type is None) is not (aggregate_id is None):
            missing = "aggregate_id" if aggregate_id is None else "aggregate_type"
            raise InvalidEvent(missing, None, "must be given: aggregate type and id, or neither")
        _set(self, "_timestamp_given", timestamp != "")
        _set_record(
            self,
            (
                None,
                key,
                foreign_id,
                name("type", type),
                word("project", project),
                word("status", status),
                source,
                instant,
                written,
                None if aggregate_type is None else name("aggregate_type", aggregate_type),
                None if aggregate_id is None else name("aggregate_id", aggregate_id),
                None,
                None if correlation_id is None else name("correlation_id", correlation_id),
                None if causation_id is None else name("causation_id", causation_id),
                None if user_id is None else name("user_id", user_id),
                "{}" if payload is _NO_PAYLOAD else json_text("payload", payload, max_payload),
                object_text("context", context),
                object_text("extensions", extensions),
                None,
                None,
            ),
        )

    @classmethod
    def from_record(cls, record: Record, *, timestamp_given: bool = True) -> Event:
        """The event a store kept as this record; nothing is checked again."""
        event = _new(cls)
        _set_record(event, record)
        if not timestamp_given:
            _set(event, "_timestamp_given", False)
        return event

    @classmethod
    def from_dict(cls, data: Mapping[str, Json], *, max_payload: int = MAX_PAYLOAD_BYTES) -> Event:
        """The event that `to_dict` wrote, or that someone wrote in that form.

        Args:
            data: the fields by name; `type` is needed, `None` counts as left out. A missing status
                is inferred (see `infer_status`).
            max_payload: the bound on the encoded payload (bytes).

        Raises:
            InvalidEvent: `data` is no object, a field breaks its rule, or is not known.
        """
        fields = _known_fields(data)
        position, version, recorded_at = (fields.pop(field, None) for field in _PLACE)
        redacted = fields.pop("redacted", False)
        if not isinstance(redacted, bool):
            raise InvalidEvent("redacted", redacted, "must be true or false")
        if "type" not in fields:
            raise InvalidEvent("type", None, "must be given")
        if "status" not in fields:
            fields["status"] = infer_status(fields["type"], fields.get("payload"))
        event = cls(**fields, max_payload=max_payload)
        record = list(event.record)
        record[POSITION] = count("position", position)
        record[VERSION] = count("version", version)
        if recorded_at is not None:
            record[RECORDED], _ = moment(recorded_at, "recorded_at")
        if redacted:
            record[PAYLOAD] = None
        _set_record(event, tuple(record))
        return event

    def to_dict(self) -> dict[str, Json]:
        """The event as a JSON object: the seed's six fields and the id, then what else it has.

        It is the caller's own: nothing in it is shared with the event.

        Raises:
            StoreDamaged: as for `payload`.
        """
        self.verify()
        record = self.record
        data = {
            "type": record[TYPE],
            "project": record[PROJECT],
            "status": record[STATUS],
            "payload": None if record[PAYLOAD] is None else decode_json(record[PAYLOAD]),
            "source": record[SOURCE],
            "timestamp": self.timestamp,
            "id": self.id,
        }
        for field, index in _OPTIONAL:
            if record[index] is not None:
                data[field] = record[index]
        if record[CONTEXT] is not None:
            data["context"] = decode_json(record[CONTEXT])
        if record[EXTENSIONS] is not None:
            data["extensions"] = decode_json(record[EXTENSIONS])
        if record[RECORDED] is not None:
            data["recorded_at"] = self.recorded_at
        if record[PAYLOAD] is None:
            data["redacted"] = True
        return data

    @property
    def id(self) -> str:
        """1–255 characters, unique for its source; a UUIDv7 where we made it."""
        record = self.record
        return record[FOREIGN_ID] or id_of_key(record[KEY])

    @property
    def type(self) -> str:
        """What happened."""
        return self.record[TYPE]  # type: ignore[no-any-return]  # records hold many types

    @property
    def project(self) -> str:
        """What it belongs to; may be empty."""
        return self.record[PROJECT]  # type: ignore[no-any-return]

    @property
    def status(self) -> str:
        """Its outcome: `success`, `failure`, or empty."""
        return self.record[STATUS]  # type: ignore[no-any-return]

    @property
    def source(self) -> str:
        """Where it comes from."""
        return self.record[SOURCE]  # type: ignore[no-any-return]

    @property
    def timestamp(self) -> str:
        """When it happened, as its producer wrote it."""
        return self.record[WRITTEN] or format_instant(self.record[INSTANT])

    @property
    def instant(self) -> int:
        """When it happened, in microseconds since 1970."""
        return self.record[INSTANT]  # type: ignore[no-any-return]

    @property
    def aggregate_type(self) -> str | None:
        """The kind of thing it is about."""
        return self.record[AGGREGATE_TYPE]  # type: ignore[no-any-return]

    @property
    def aggregate_id(self) -> str | None:
        """The thing it is about."""
        return self.record[AGGREGATE_ID]  # type: ignore[no-any-return]

    @property
    def version(self) -> int | None:
        """Its place within its aggregate: 1, 2, 3 …; none where it has no aggregate."""
        return self.record[VERSION]  # type: ignore[no-any-return]

    @property
    def correlation_id(self) -> str | None:
        """The larger undertaking it belongs to."""
        return self.record[CORRELATION_ID]  # type: ignore[no-any-return]

    @property
    def causation_id(self) -> str | None:
        """What caused it."""
        return self.record[CAUSATION_ID]  # type: ignore[no-any-return]

    @property
    def user_id(self) -> str | None:
        """On whose behalf it happened."""
        return self.record[USER_ID]  # type: ignore[no-any-return]

    @property
    def position(self) -> int | None:
        """Its place in the whole store; none until a store took it."""
        return self.record[POSITION]  # type: ignore[no-any-return]

    @property
    def recorded_at(self) -> str | None:
        """When the store took it, RFC 3339 in UTC; none until then."""
        recorded = self.record[RECORDED]
        return None if recorded is None else format_instant(recorded)

    @property
    def redacted(self) -> bool:
        """Whether its payload was emptied afterwards."""
        return self.record[PAYLOAD] is None

    @property
    def timestamp_given(self) -> bool:
        """Whether the producer named the time, or we took the moment it was made."""
        return getattr(self, "_timestamp_given", True)

    @property
    def payload(self) -> Json:
        """What its producer has to say about it; decoded when first touched.

        Changing the value returned changes no event: what is kept, compared and sent is the text.

        Raises:
            StoreDamaged: what the store gave is not what it was given.
        """
        value = getattr(self, "_payload", _UNREAD)
        if value is _UNREAD:
            self.verify()
            text = self.record[PAYLOAD]
            value = None if text is None else decode_json(text)
            _set(self, "_payload", value)
        return value

    @property
    def context(self) -> dict[str, Json]:
        """Where it was made: host, user, job, CI run, commit, …; empty where nobody said."""
        return self._decoded("_context", CONTEXT)

    @property
    def extensions(self) -> dict[str, Json]:
        """What came with it that Tidings has no field for."""
        return self._decoded("_extensions", EXTENSIONS)

    def verify(self) -> None:
        """Compare the event with the checksum its store kept.

        Raises:
            StoreDamaged: they differ.
        """
        checksum = self.record[CHECKSUM]
        if checksum is not None and checksum != checksum_of(self.record):
            raise StoreDamaged(
                f"the event at position {self.record[POSITION]} is not what was kept there (its "
                f"checksum differs); run `tidings check`, then restore a backup"
            )

    def _decoded(self, slot: str, index: int) -> dict[str, Json]:
        value: Json = getattr(self, slot, _UNREAD)
        if value is _UNREAD:
            self.verify()
            text = self.record[index]
            value = {} if text is None else decode_json(text)
            _set(self, slot, value)
        return value  # type: ignore[no-any-return]  # only objects are kept there

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return said(self.record) == said(other.record)

    def __hash__(self) -> int:
        return hash(self.record[KEY])

    def __repr__(self) -> str:
        place = "" if self.position is None else f", position={self.position}"
        return f"Event({self.type!r}, {self.project!r}, {self.status!r}, id={self.id!r}{place})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an event is immutable: {name} cannot be set to {shorten(value)}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an event is immutable: {name} cannot be deleted")

    def __reduce__(self) -> tuple[object, ...]:
        return Event.from_record, (self.record,)

    def __copy__(self) -> Event:
        return self

    def __deepcopy__(self, memo: object) -> Event:
        return self


_new = Event.__new__
_set = object.__setattr__
# The slot's own setter: half the time of `object.__setattr__`, on the way of every event read.
_set_record = Event.__dict__["record"].__set__


def _known_fields(data: object) -> dict[str, Json]:
    if not isinstance(data, dict):
        raise InvalidEvent("event", data, "must be an object with at least a type")
    unknown = data.keys() - _FIELDS
    if unknown:
        raise InvalidEvent(
            "field",
            min(map(str, unknown)),
            "is not known; put what is your own into payload or extensions",
        )
    return {
        field: value for field, value in data.items() if value is not None or field == "payload"
    }
