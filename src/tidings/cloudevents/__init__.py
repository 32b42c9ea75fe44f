"""CloudEvents 1.0: events as structured JSON, as HTTP headers and body, and as batches.

Keeps: every event comes back as it was, with its place, and a foreign event loses nothing (unknown
attributes are kept as extensions). Our own code, because the SDK has no batches and guesses the
mode by headers. It opens no connections. Sources: CloudEvents 1.0.2, its JSON format and HTTP
binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from json import loads
from typing import Any

from tidings.cloudevents.attributes import event_of, exact_of, write_attributes
from tidings.cloudevents.data import BINARY_MARK, Content
from tidings.cloudevents.headers import read_headers, write_headers
from tidings.errors import InvalidEvent
from tidings.fields import MAX_PAYLOAD_BYTES, encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.event import Event

__all__ = [
    "BATCH_TYPE",
    "STRUCTURED_TYPE",
    "from_batch",
    "from_binary",
    "from_cloudevent",
    "from_structured",
    "to_batch",
    "to_binary",
    "to_cloudevent",
    "to_structured",
]

STRUCTURED_TYPE = "application/cloudevents+json"
"""The media type of one event as JSON."""

BATCH_TYPE = "application/cloudevents-batch+json"
"""The media type of a JSON array of events."""

_KINDS = ("json", "text", "binary")


def to_cloudevent(event: Event) -> dict[str, Any]:
    """An event as the JSON object of a CloudEvent.

    >>> from tidings.event import Event
    >>> message = to_cloudevent(Event("job_done", "figrecipe", payload={"job_id": 4711}))
    >>> message["type"], message["project"], message["data"]
    ('job_done', 'figrecipe', {'job_id': 4711})
    """
    content = Content.of_event(event)
    return {**write_attributes(event, content, as_headers=False), **content.members()}


def from_cloudevent(message: Mapping[str, Any], *, max_payload: int = MAX_PAYLOAD_BYTES) -> Event:
    """The event that the JSON object of a CloudEvent says.

    Args:
        message: the object.
        max_payload: the bound on the payload as JSON (bytes).

    Raises:
        InvalidEvent: it is no CloudEvent 1.0; the error names the attribute.

    >>> event = from_cloudevent(
    ...     {"specversion": "1.0", "id": "1", "source": "/ci", "type": "build.failed", "shard": 3}
    ... )
    >>> event.status, event.extensions
    ('failure', {'shard': 3})
    """
    if not isinstance(message, Mapping):
        raise InvalidEvent("CloudEvent", message, "must be a JSON object")
    media_type = message.get("datacontenttype")
    if media_type is not None and not isinstance(media_type, str):
        raise InvalidEvent("datacontenttype", media_type, "must be a string")
    content = Content.of_members(message, media_type)
    attributes = {name: message[name] for name in message if name not in ("data", BINARY_MARK)}
    return event_of(attributes, content, max_payload)


def to_structured(event: Event) -> str:
    """An event as one JSON text, of the media type `STRUCTURED_TYPE`."""
    return encode_json(to_cloudevent(event))


def from_structured(text: str | bytes, *, max_payload: int = MAX_PAYLOAD_BYTES) -> Event:
    """The event in one JSON text.

    Args:
        text: the JSON.
        max_payload: as for `from_cloudevent`.

    Raises:
        InvalidEvent: it is no JSON, or no CloudEvent.
    """
    return from_cloudevent(_parsed(text), max_payload=max_payload)


def to_batch(events: Iterable[Event]) -> str:
    """Events as one JSON array, of the media type `BATCH_TYPE`."""
    return encode_json([to_cloudevent(event) for event in events])


def from_batch(text: str | bytes, *, max_payload: int = MAX_PAYLOAD_BYTES) -> list[Event]:
    """The events in a JSON array.

    Args:
        text: the JSON.
        max_payload: as for `from_cloudevent`, for each of them.

    Raises:
        InvalidEvent: it is no JSON array, or one of them is no CloudEvent; the error names which,
            counted from 0, and its attribute, such as `[2].id`.
    """
    messages = _parsed(text)
    if not isinstance(messages, list):
        raise InvalidEvent("batch", messages, "must be a JSON array of CloudEvents")
    return [_in_batch(place, message, max_payload) for place, message in enumerate(messages)]


def _in_batch(place: int, message: Any, max_payload: int) -> Event:
    try:
        return from_cloudevent(message, max_payload=max_payload)
    except InvalidEvent as error:
        raise error.about(f"[{place}].{error.field}") from None


def to_binary(event: Event) -> tuple[dict[str, str], bytes]:
    """An event as HTTP headers and a body.

    >>> from tidings.event import Event
    >>> headers, body = to_binary(Event("job_done", payload={"job_id": 4711}))
    >>> headers["ce-type"], headers["content-type"], body
    ('job_done', 'application/json', b'{"job_id":4711}')
    """
    content = Content.of_event(event)
    return write_headers(write_attributes(event, content, as_headers=True)), content.body()


def from_binary(
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    body: bytes,
    *,
    max_payload: int = MAX_PAYLOAD_BYTES,
) -> Event:
    """The event in HTTP headers and a body.

    Args:
        headers: all headers of the message; those that are no attributes are left alone.
        body: the data.
        max_payload: as for `from_cloudevent`.

    Raises:
        InvalidEvent: they are no CloudEvent 1.0; the error names the attribute or header.
    """
    attributes = read_headers(headers)
    kind = exact_of(attributes).get("data")
    if kind not in (None, *_KINDS):
        raise InvalidEvent("tidings.data", kind, f"must be one of {', '.join(_KINDS)}")
    content = Content.of_body(body, attributes.get("datacontenttype"), kind)
    return event_of(attributes, content, max_payload)


def _parsed(text: str | bytes) -> Any:
    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent("CloudEvent", text, f"must be JSON: {error}") from None
