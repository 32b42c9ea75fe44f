"""CloudEvents 1.0: events as structured JSON, as HTTP headers and body, and as batches.

Keeps: every event comes back as it was, with its place, and a foreign event loses nothing (unknown
attributes are kept as extensions). Our own code, because the SDK has no batches and guesses the mode
by headers. It opens no connections. Sources: CloudEvents 1.0.2, its JSON format and HTTP binding.
"""

from __future__ import annotations

from json import loads
from typing import Any

from tidings.cloudevents.attributes import event_of, exact_of, write_attributes
from tidings.cloudevents.data import BINARY_MARK, Content
from tidings.cloudevents.headers import read_headers, write_headers
from tidings.errors import InvalidEvent
from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


def from_cloudevent(message: Mapping[str, Any]) -> Event:
    """The event that the JSON object of a CloudEvent says.

    Raises:
        InvalidEvent: it is no CloudEvent 1.0; the error names the attribute.

    >>> event = from_cloudevent(
    ...     {"specversion": "1.0", "id": "1", "source": "/ci", "type": "build.failed", "shard": 3}
    ... )
    >>> event.status, event.extensions
    ('failure', {'shard': 3})
    """
    if not isinstance(message, dict):
        raise InvalidEvent("CloudEvent", message, "must be a JSON object")
    media_type = message.get("datacontenttype")
    if media_type is not None and not isinstance(media_type, str):
        raise InvalidEvent("datacontenttype", media_type, "must be a string")
    content = Content.of_members(message, media_type)
    data = ("data", BINARY_MARK)
    return event_of({k: value for k, value in message.items() if k not in data}, content)


def to_structured(event: Event) -> str:
    """An event as one JSON text, of the media type `STRUCTURED_TYPE`."""
    return encode_json(to_cloudevent(event))


def from_structured(text: str | bytes) -> Event:
    """The event in one JSON text.

    Raises:
        InvalidEvent: it is no JSON, or no CloudEvent.
    """
    return from_cloudevent(_parsed(text))


def to_batch(events: Iterable[Event]) -> str:
    """Events as one JSON array, of the media type `BATCH_TYPE`."""
    return encode_json([to_cloudevent(event) for event in events])


def from_batch(text: str | bytes) -> list[Event]:
    """The events in a JSON array.

    Raises:
        InvalidEvent: it is no JSON array, or one of them is no CloudEvent.
    """
    messages = _parsed(text)
    if not isinstance(messages, list):
        raise InvalidEvent("batch", messages, "must be a JSON array of CloudEvents")
    return [from_cloudevent(message) for message in messages]


def to_binary(event: Event) -> tuple[dict[str, str], bytes]:
    """An event as HTTP headers and a body.

    >>> from tidings.event import Event
    >>> headers, body = to_binary(Event("job_done", payload={"job_id": 4711}))
    >>> headers["ce-type"], headers["content-type"], body
    ('job_done', 'application/json', b'{"job_id":4711}')
    """
    content = Content.of_event(event)
    return write_headers(write_attributes(event, content, as_headers=True)), content.body()


def from_binary(headers: Mapping[str, str] | Iterable[tuple[str, str]], body: bytes) -> Event:
    """The event in HTTP headers and a body.

    Args:
        headers: all headers of the message; those that are no attributes are left alone.
        body: the data.

    Raises:
        InvalidEvent: they are no CloudEvent 1.0; the error names the header.
    """
    attributes = read_headers(headers)
    kind = exact_of(attributes).get("data")
    if kind not in (None, *_KINDS):
        raise InvalidEvent("tidings.data", kind, f"must be one of {', '.join(_KINDS)}")
    return event_of(attributes, Content.of_body(body, attributes.get("datacontenttype"), kind))


def _parsed(text: str | bytes) -> Any:
    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent("CloudEvent", text, f"must be JSON: {error}") from None
