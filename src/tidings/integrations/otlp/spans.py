"""The spans in an OTLP/JSON export request, as they were sent, each for itself.

Keeps promise 5: a request whose shape is wrong is refused as a whole, with the place; a span whose
ids or times are wrong is refused alone. What we do not know is ignored, as OTLP wants it. It does
not judge what spans mean; `mapping` does.

Source: `trace.proto` and `resource.proto` of OTLP 1.x.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.errors import InvalidEvent
from tidings.integrations.discretion import mended
from tidings.integrations.otlp.values import (
    attributes_of,
    nanoseconds,
    objects,
    parent_id,
    span_id,
    trace_id,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["Link", "Resource", "Span", "SpanEvent", "spans_of"]

MOST_EVENTS = 32
"""So many events, and as many links, of one span are kept; the newest, where there are more."""

KINDS = ("", "internal", "server", "client", "producer", "consumer")
"""By their numbers."""

_ERROR = 2  # STATUS_CODE_ERROR


class Resource(NamedTuple):
    """What made the spans, and with which library."""

    attributes: dict[str, Any]
    scope: str


class SpanEvent(NamedTuple):
    """Something that happened within a span."""

    name: str
    time: int | None
    attributes: dict[str, Any]


class Link(NamedTuple):
    """Another span that a span has to do with."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


class Span(NamedTuple):
    """A span; times in nanoseconds since 1970, none where it says none.

    `parent_id` is empty at a root. `dropped` counts the attributes, events and links that were left
    out on the way here.
    """

    resource: Resource
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start: int | None
    end: int | None
    failed: bool
    message: str
    attributes: dict[str, Any]
    events: tuple[SpanEvent, ...]
    links: tuple[Link, ...]
    dropped: int


def spans_of(request: object) -> Iterator[Span | InvalidEvent]:
    """The spans of an ExportTraceServiceRequest, in order; or why one is none.

    Raises:
        InvalidEvent: the request is not of that shape; the error's field says where.

    >>> [span.name for span in spans_of({"resourceSpans": [{"scopeSpans": [{"spans": [
    ...     {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
    ...      "name": "chat"}]}]}]})]
    ['chat']
    """
    if not isinstance(request, dict):
        raise InvalidEvent("body", request, "must be an object with resourceSpans")
    groups = []
    for i, group in enumerate(objects(request, "resourceSpans", "")):
        where = f"resourceSpans[{i}]."
        described = _object(group.get("resource"))
        attributes = attributes_of(described)
        for j, part in enumerate(objects(group, "scopeSpans", where)):
            resource = Resource(attributes, _text(_object(part.get("scope")).get("name")))
            groups.append((resource, objects(part, "spans", f"{where}scopeSpans[{j}].")))
    # The shape of all of it is known by now, so that a request is refused before a span is taken.
    for resource, spans in groups:
        for span in spans:
            yield _span_or_error(span, resource)


def _span_or_error(given: dict[str, Any], resource: Resource) -> Span | InvalidEvent:
    try:
        return _span(given, resource)
    except InvalidEvent as error:
        return error


def _span(given: dict[str, Any], resource: Resource) -> Span:
    status = _object(given.get("status"))
    start = nanoseconds("startTimeUnixNano", given.get("startTimeUnixNano"))
    end = nanoseconds("endTimeUnixNano", given.get("endTimeUnixNano"))
    if start is not None and end is not None and end < start:
        end = start  # clocks are set back; how long it took is then not known
    events, links = _some(given.get("events")), _some(given.get("links"))
    return Span(
        resource=resource,
        trace_id=trace_id(given.get("traceId")),
        span_id=span_id(given.get("spanId")),
        parent_id=parent_id(given.get("parentSpanId")),
        name=_text(given.get("name")),
        kind=_kind(given.get("kind")),
        start=start,
        end=end,
        failed=status.get("code") == _ERROR,
        message=_text(status.get("message")),
        attributes=attributes_of(given),
        events=tuple(_event(each) for each in events[-MOST_EVENTS:]),
        links=tuple(filter(None, map(_link, links[-MOST_EVENTS:]))),
        dropped=_dropped(given)
        + max(0, len(events) - MOST_EVENTS)
        + max(0, len(links) - MOST_EVENTS),
    )


def _event(given: dict[str, Any]) -> SpanEvent:
    try:
        time = nanoseconds("timeUnixNano", given.get("timeUnixNano"))
    except InvalidEvent:
        time = None
    return SpanEvent(_text(given.get("name")), time, attributes_of(given))


def _link(given: dict[str, Any]) -> Link | None:
    try:
        return Link(
            trace_id(given.get("traceId")), span_id(given.get("spanId")), attributes_of(given)
        )
    except InvalidEvent:
        return None  # it leads nowhere


def _dropped(given: dict[str, Any]) -> int:
    counts = (given.get(f"dropped{what}Count") for what in ("Attributes", "Events", "Links"))
    return sum(count for count in counts if type(count) is int and 0 < count < 2**32)


def _kind(number: object) -> str:
    return KINDS[number] if isinstance(number, int) and 0 <= number < len(KINDS) else ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _some(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return mended(value) if isinstance(value, str) else ""
