"""The attributes of a CloudEvent and the fields of an event: which is which, in both directions.

What an attribute cannot say exactly, because CloudEvents bounds names and values, stands beside it
in the attribute `tidings`: a JSON object, as ASCII text, with any of

    source      where it is empty or no URI reference
    timestamp   where it is not RFC 3339
    status      "" where a reader would infer another
    extensions  all of them, where the attributes alone would not give them back as they were
    data        json, text or binary, where a body's media type would say otherwise

Readers that do not know it lose nothing else. Keeps promise 5: what contradicts itself is refused.
"""

from __future__ import annotations

import re
from json import dumps, loads
from typing import Any

from tidings.cloudevents.data import BINARY_MARK, NONE, Content
from tidings.cloudevents.headers import canonical
from tidings.errors import InvalidEvent, shorten
from tidings.event import Event
from tidings.fields import encode_json, moment, word
from tidings.outcome import infer_status
from tidings.record import EXTENSIONS, WRITTEN
from tidings.subject import read_subject, write_subject
from tidings.timestamps import format_instant, parse_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Value: TypeAlias = str | int  # a boolean is an int

__all__ = ["event_of", "exact_of", "write_attributes"]

_EXACT = "tidings"
_REQUIRED = ("id", "source", "type")
_WORDS = {
    "project": "project",
    "status": "status",
    "correlationid": "correlation_id",
    "causationid": "causation_id",
    "userid": "user_id",
}
_COUNTS = {"position": "position", "aggregateversion": "version"}
_TIMES = ("time", "recordedat")
_RESERVED = {
    *_REQUIRED,
    *_WORDS,
    *_COUNTS,
    *_TIMES,
    *("specversion", "subject", "datacontenttype", "data", BINARY_MARK),
    *("redacted", "context", _EXACT),
}
_STRINGS = (_RESERVED | {"dataschema"}) - {*_COUNTS, "redacted"}
_NOT_EMPTY = ("subject", "datacontenttype", "dataschema")
_ATTRIBUTES = {
    **{field: name for name, field in (*_WORDS.items(), *_COUNTS.items())},
    "timestamp": "time",
    "recorded_at": "recordedat",
    "aggregate_type": "subject",
    "aggregate_id": "subject",
    "payload": "data",
}
"""Which attribute an error about a field is about."""

_REPEATED = ("source", "status")
_EXACT_TYPES = {"source": str, "timestamp": str, "status": str, "extensions": dict, "data": str}

_NAME = re.compile(r"[a-z0-9]+")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LARGEST_INTEGER = 2**31 - 1
_WHOLE = re.compile(r"[1-9][0-9]{0,18}")
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
    r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_SECONDS = slice(17, 19)
_LONGEST_OFFSET = 24 * 3600 * 1_000_000
# Source: RFC 3986, appendix A, as far as its characters go.
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")


def write_attributes(event: Event, content: Content, *, as_headers: bool) -> dict[str, Value]:
    """The attributes of an event, without its data.

    Args:
        event: what they are to say.
        content: its data.
        as_headers: whether they become headers, which are text only, beside a body.
    """
    exact: dict[str, Any] = {}
    attributes: dict[str, Value] = {
        "specversion": "1.0",
        "id": event.id,
        "source": _uri_reference(event.source),
        "type": event.type,
        "time": _time(event, exact),
    }
    attributes |= _plain_attributes(event)
    if content.kind != NONE or "datacontenttype" in event.extensions:
        attributes["datacontenttype"] = content.media_type or "application/json"
    attributes |= _sayable(event)
    if attributes["source"] != event.source:
        exact["source"] = event.source
    if not event.status and infer_status(event.type, event.payload):
        exact["status"] = ""
    if as_headers and not content.is_plain():
        exact["data"] = content.kind
    if _kept_text(attributes, content, as_headers=as_headers) != event.record[EXTENSIONS]:
        exact["extensions"] = event.extensions
    if exact:
        attributes[_EXACT] = dumps(exact)
    return attributes


def event_of(attributes: Mapping[str, Any], content: Content, max_payload: int) -> Event:
    """The event that attributes and data say.

    Args:
        attributes: by name; those that are None count as left out.
        content: the data.
        max_payload: the bound on the encoded payload (bytes).

    Raises:
        InvalidEvent: an attribute is missing, of the wrong kind, or breaks the rule of its field.
    """
    attributes = _checked(attributes)
    exact = exact_of(attributes)
    fields: dict[str, Any] = {name: attributes[name] for name in _REQUIRED}
    fields |= {field: attributes.get(name) for name, field in _WORDS.items()}
    fields |= {field: _count(name, attributes.get(name)) for name, field in _COUNTS.items()}
    fields |= _aggregate(attributes)
    fields["redacted"] = _is_redacted(attributes.get("redacted"), content)
    if fields["redacted"]:
        # An empty body of a type that is bytes or text looks like data, and is none.
        content = Content(NONE, None, attributes.get("datacontenttype"))
    fields["payload"] = content.payload()
    fields["timestamp"] = attributes.get("time")
    fields["recorded_at"] = attributes.get("recordedat")
    fields["context"] = _object("context", attributes.get("context"))
    fields["extensions"] = _with_exact(_extensions(attributes, content), exact)
    fields |= _exact_words(attributes, exact)
    return _with_written(_event(fields, max_payload), exact.get("timestamp"))


def _event(fields: dict[str, Any], max_payload: int) -> Event:
    try:
        return Event.from_dict(fields, max_payload=max_payload)
    except InvalidEvent as error:
        raise error.about(_ATTRIBUTES.get(error.field, error.field)) from None


def exact_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the attribute `tidings`.

    Raises:
        InvalidEvent: it is not what we write there.
    """
    exact = _object(_EXACT, attributes.get(_EXACT))
    for name, value in exact.items():
        if not isinstance(value, _EXACT_TYPES.get(name, ())):
            raise InvalidEvent(f"{_EXACT}.{name}", value, "is not what Tidings writes there")
    return exact


def _uri_reference(source: str) -> str:
    """The source, or what stands for it where it is empty or no URI reference."""
    if _URI_REFERENCE.fullmatch(source):
        return source
    from urllib.parse import quote

    return quote(source, safe="") or "/"


def _time(event: Event, exact: dict[str, Any]) -> str:
    written = event.record[WRITTEN]
    # Few readers know leap seconds; those that do not would refuse the event for one.
    if written is None or (_RFC_3339.fullmatch(written) and written[_SECONDS] != "60"):
        return event.timestamp
    exact["timestamp"] = written
    return format_instant(event.instant)


def _plain_attributes(event: Event) -> dict[str, Value]:
    """What goes as it is, or as JSON text."""
    attributes: dict[str, Value] = {}
    if event.aggregate_type is not None and event.aggregate_id is not None:
        attributes["subject"] = write_subject(event.aggregate_type, event.aggregate_id)
    for name, field in _WORDS.items():
        if value := getattr(event, field):
            attributes[name] = value
    for name, field in _COUNTS.items():
        number = getattr(event, field)
        if number is not None:
            # An Integer has 32 bits (CloudEvents 1.0.2, "Type System"); larger ones go as text.
            attributes[name] = number if number <= _LARGEST_INTEGER else str(number)
    if event.recorded_at is not None:
        attributes["recordedat"] = event.recorded_at
    if event.redacted:
        attributes["redacted"] = True
    if event.context:
        attributes["context"] = dumps(event.context)
    return attributes


def _sayable(event: Event) -> dict[str, Value]:
    """The extensions that CloudEvents can say; a subject only where it is not an aggregate's."""
    free = {"subject"} if event.aggregate_id is None else set()
    return {
        name: value
        for name, value in event.extensions.items()
        if _NAME.fullmatch(name) and name not in _RESERVED - free and _is_value(name, value)
    }


def _is_value(name: str, value: object) -> bool:
    if name == "subject":
        return _is_text(value) and value != "" and read_subject(str(value)) is None
    if name == "dataschema":
        return isinstance(value, str) and _URI_REFERENCE.fullmatch(value) is not None
    return _is_text(value) or (isinstance(value, int) and abs(value) <= _LARGEST_INTEGER)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not _FORBIDDEN.search(value)


def _kept_text(
    attributes: Mapping[str, Value], content: Content, *, as_headers: bool
) -> str | None:
    """The text of the extensions that a reader of these attributes would keep."""
    if as_headers:
        attributes = {name: canonical(value) for name, value in attributes.items()}
    extensions = _extensions(attributes, content)
    return encode_json(extensions) if extensions else None


def _extensions(attributes: Mapping[str, Any], content: Content) -> dict[str, Any]:
    """What is no field of an event, in the order of the attributes."""
    subject = attributes.get("subject")
    named = {} if subject is None or read_subject(subject) else {"subject": subject}
    unknown = {name: value for name, value in attributes.items() if name not in _RESERVED}
    return {**named, **unknown, **content.extensions()}


def _with_exact(extensions: dict[str, Any], exact: Mapping[str, Any]) -> dict[str, Any]:
    """The extensions as they were; what a relay changed or added since then counts as it came."""
    kept = exact.get("extensions", {})
    changed = {
        name: value
        for name, value in extensions.items()
        if name not in kept or not _is_same(value, kept[name])
    }
    return {**kept, **changed}


def _is_same(value: str | int, kept: object) -> bool:
    """Whether an attribute says what was kept; a header says it as text."""
    return value == kept or (isinstance(kept, str | int) and value == canonical(kept))


def _exact_words(attributes: Mapping[str, str], exact: Mapping[str, str]) -> dict[str, str]:
    """Source and status as they were.

    Who lets events through by their attributes must be able to rely on them.
    """
    words = {name: word(f"{_EXACT}.{name}", exact[name]) for name in _REPEATED if name in exact}
    for name, value in words.items():
        said = attributes.get(name)
        if said != (_uri_reference(value) if name == "source" else value or None):
            rule = f"must not contradict {name}, which is {shorten(said)}"
            raise InvalidEvent(f"{_EXACT}.{name}", value, rule)
    return words


def _aggregate(attributes: Mapping[str, Any]) -> dict[str, str]:
    found = read_subject(attributes["subject"]) if "subject" in attributes else None
    return {} if found is None else {"aggregate_type": found[0], "aggregate_id": found[1]}


def _checked(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that have a value, once names and values are what CloudEvents allows."""
    given = {name: value for name, value in attributes.items() if value is not None}
    if given.get("specversion") != "1.0":
        raise InvalidEvent("specversion", given.get("specversion"), 'must be "1.0"')
    for name in _REQUIRED:
        if not given.get(name):
            raise InvalidEvent(name, given.get(name), "must be given")
    for name, value in given.items():
        _check(name, value)
    for name in _TIMES:
        if name in given and not _RFC_3339.fullmatch(given[name].upper()):
            raise InvalidEvent(name, given[name], "must be RFC 3339, as 2026-01-01T12:00:00Z is")
    return given


def _check(name: object, value: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidEvent("attribute", name, "must have a name of a–z and 0–9 only")
    if name == "data":
        raise InvalidEvent(name, value, "must not be an attribute; the body is the data")
    if not isinstance(value, str | int):
        raise InvalidEvent(name, value, "must be a string, an integer or a boolean")
    if name in _STRINGS and not isinstance(value, str):
        raise InvalidEvent(name, value, "must be a string")
    if name in _NOT_EMPTY and not value:
        raise InvalidEvent(name, value, "must not be empty")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise InvalidEvent(name, value, "must not contain lone surrogates")


def _count(name: str, value: object) -> object:
    """A number; headers, and numbers beyond 32 bits, write it as text."""
    if not isinstance(value, str):
        return value
    if not _WHOLE.fullmatch(value):
        raise InvalidEvent(name, value, "must be a whole number from 1 on")
    return int(value)


def _is_redacted(value: object, content: Content) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value not in (None, True, False, "true", "false"):
        raise InvalidEvent("redacted", value, "must be true or false")
    redacted = value in (True, "true")
    if redacted and content.kind != NONE and content.value != "":
        raise InvalidEvent("redacted", value, "must not stand beside data")
    return redacted


def _object(name: str, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidEvent(name, text, "must be a JSON object as text")
    return value


def _with_written(event: Event, written: str | None) -> Event:
    """The event with its timestamp as its producer wrote it; the instant is that of `time`.

    A time without offset was local where it was written, which may be elsewhere; so it may differ
    by as much as an offset can.
    """
    if written is None:
        return event
    field = f"{_EXACT}.timestamp"
    moment(written, field)
    if abs(parse_instant(written, naive="utc") - event.instant) > _LONGEST_OFFSET:
        raise InvalidEvent(field, written, f"must be the time that time says, {event.timestamp}")
    record = list(event.record)
    record[WRITTEN] = None if written == format_instant(event.instant) else written
    return Event.from_record(tuple(record))
