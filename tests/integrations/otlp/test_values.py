"""Values of OTLP/JSON: typed, bounded, and never an error of a whole span."""

from __future__ import annotations

from typing import Any

import pytest

from tidings.errors import InvalidEvent
from tidings.integrations.otlp.spans import MOST_EVENTS, Span, spans_of
from tidings.integrations.otlp.values import MOST_ATTRIBUTES, attributes_of

IDS = {"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174"}


def read(**fields: Any) -> Span | InvalidEvent:
    """The one span of a request."""
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [{**IDS, **fields}]}]}]}
    (span,) = spans_of(request)
    return span


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"stringValue": "a"}, "a"),
        ({"stringValue": "\ud800"}, "\ufffd"),
        ({"boolValue": False}, False),
        ({"intValue": "9223372036854775807"}, 2**63 - 1),
        ({"intValue": -7}, -7),
        ({"intValue": 7.0}, 7),
        ({"intValue": "7e3"}, None),
        ({"intValue": "9" * 5000}, None),
        ({"doubleValue": 0.5}, 0.5),
        ({"doubleValue": "0.5"}, 0.5),
        ({"doubleValue": "NaN"}, "NaN"),
        ({"doubleValue": "nonsense"}, None),
        ({"bytesValue": "AAEC"}, {"bytes": 3}),
        ({"bytesValue": "?"}, None),
        ({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "b"}, 3]}}, [1, "b", None]),
        ({"arrayValue": {}}, []),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}, {"k": True}),
        ({"kvlistValue": 3}, {}),
        ({}, None),
        (None, None),
        ({"newValue": 1}, None),
    ],
)
def test_each_type_is_read(given: object, value: object) -> None:
    """A value is what its type says, and none where it makes no sense."""
    assert attributes_of({"attributes": [{"key": "k", "value": given}]}) == {"k": value}


def test_depth_and_number_are_bounded() -> None:
    """What is nested too deeply ends, and attributes past the bound are not read."""
    nested: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(200):
        nested = {"arrayValue": {"values": [nested]}}
    many = [{"key": f"k{n}", "value": {"intValue": n}} for n in range(MOST_ATTRIBUTES + 5)]
    found = attributes_of({"attributes": [{"key": "nested", "value": nested}, *many]})
    assert "deep" not in str(found["nested"])
    assert len(found) == MOST_ATTRIBUTES


def test_ids_are_told_in_one_way() -> None:
    """Hexadecimal digits may come in upper case, and a parent of zeros is none."""
    span = read(parentSpanId="0000000000000000")
    assert isinstance(span, Span)
    assert (span.trace_id, span.span_id) == (IDS["traceId"].lower(), IDS["spanId"].lower())
    assert span.parent_id == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"traceId": "00000000000000000000000000000000"},
        {"traceId": "W47/95gDgQPSabYzgT/GDA=="},
        {"spanId": None},
        {"spanId": 7},
        {"parentSpanId": "x"},
        {"startTimeUnixNano": "yesterday"},
        {"endTimeUnixNano": -1},
        {"endTimeUnixNano": "253402300800000000000"},
    ],
)
def test_ids_and_times_must_be_some(fields: dict[str, Any]) -> None:
    """A span whose ids or times are wrong is refused alone, and the field is named."""
    refused = read(**fields)
    assert isinstance(refused, InvalidEvent)
    assert refused.field in fields


def test_a_clock_that_was_set_back() -> None:
    """A span that ends before it starts took no time."""
    span = read(startTimeUnixNano="2000000000", endTimeUnixNano="1000000000")
    assert isinstance(span, Span)
    assert span.end == span.start == 2_000_000_000


def test_events_and_links_are_bounded() -> None:
    """The newest are kept, and how many were dropped is told."""
    events = [{"name": f"e{n}"} for n in range(MOST_EVENTS + 3)]
    links = [IDS, {"traceId": "nowhere"}, "nonsense"]
    span = read(events=events, links=links, droppedEventsCount=4)
    assert isinstance(span, Span)
    assert [event.name for event in span.events] == [f"e{n}" for n in range(3, MOST_EVENTS + 3)]
    assert len(span.links) == 1
    assert span.dropped == 7


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ([], "body"),
        ({"resourceSpans": {}}, "resourceSpans"),
        ({"resourceSpans": [3]}, "resourceSpans"),
        ({"resourceSpans": [{"scopeSpans": "x"}]}, "resourceSpans[0].scopeSpans"),
        (
            {"resourceSpans": [{"scopeSpans": [{"spans": [None]}]}]},
            "resourceSpans[0].scopeSpans[0].spans",
        ),
    ],
)
def test_the_shape_must_be_right(request_: object, field: str) -> None:
    """A request of another shape is refused as a whole, with the place."""
    with pytest.raises(InvalidEvent) as refused:
        list(spans_of(request_))
    assert refused.value.field == field


@pytest.mark.parametrize(
    "request_", [{}, {"resourceSpans": None}, {"resourceSpans": [{"scopeSpans": [{}]}], "new": 1}]
)
def test_empty_requests_and_unknown_fields(request_: object) -> None:
    """A request without spans is none too few, and what is not known is ignored."""
    assert list(spans_of(request_)) == []
