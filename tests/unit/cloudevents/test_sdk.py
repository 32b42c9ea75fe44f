"""The CloudEvents SDK reads what we write, and we read what it writes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http as sdk
from cloudevents.core.v1.event import CloudEvent

from tests.unit.cloudevents.messages import RICH, with_extensions
from tidings.cloudevents import (
    STRUCTURED_TYPE,
    from_binary,
    from_structured,
    to_binary,
    to_cloudevent,
    to_structured,
)
from tidings.event import Event

CASES = [
    RICH,
    Event("build", payload="text", extensions={"datacontenttype": "text/plain"}),
    Event("build", payload="iVD/", extensions={"data_base64": True}),
    Event("build", payload={"a": 1}, timestamp="2026-01-01"),
    Event.from_dict({"type": "build", "redacted": True}),
    with_extensions(subject="a b", dataschema="urn:x"),
    with_extensions(subject="", dataschema=""),
]


class TestInterop:
    """The CloudEvents SDK reads what we write, and we read what it writes."""

    @pytest.mark.parametrize("event", CASES, ids=range(len(CASES)))
    def test_the_sdk_reads_structured(self, event: Event) -> None:
        """The SDK finds every attribute and the data; what it writes again is the same event."""
        message = sdk.HTTPMessage({"content-type": STRUCTURED_TYPE}, to_structured(event).encode())
        theirs = sdk.from_structured_event(message)
        self.assert_reads(theirs, event)
        assert from_structured(sdk.to_structured_event(theirs).body) == event

    @pytest.mark.parametrize("event", CASES, ids=range(len(CASES)))
    def test_the_sdk_reads_binary(self, event: Event) -> None:
        """The SDK finds every attribute and the data; what it writes again is the same event."""
        theirs = sdk.from_binary_event(sdk.HTTPMessage(*to_binary(event)))
        self.assert_reads(theirs, event)
        again = sdk.to_binary_event(theirs)
        assert from_binary(again.headers, again.body) == event

    def assert_reads(self, theirs: Any, event: Event) -> None:
        """The SDK reads the event, with the instant that we mean."""
        message = to_cloudevent(event)
        assert (theirs.get_id(), theirs.get_type()) == (event.id, event.type)
        assert theirs.get_source() == message["source"]
        assert theirs.get_subject() == message.get("subject")
        assert theirs.get_dataschema() == message.get("dataschema")
        assert int(theirs.get_time().timestamp() * 1e6) == event.instant
        assert theirs.get_extension("correlationid") == event.correlation_id
        assert theirs.get_extension("project") == message.get("project")
        assert str(theirs.get_extension("position")) == str(event.position)
        assert str(theirs.get_extension("shard")) == str(event.extensions.get("shard"))
        if event.extensions.get("data_base64"):
            assert theirs.get_data() == b"\x89\x50\xff"
        else:
            assert theirs.get_data() == event.payload

    @pytest.mark.parametrize(
        ("media_type", "data", "payload"),
        [
            (None, {"n": [1, "é"]}, {"n": [1, "é"]}),
            ("application/json", {"a": None}, {"a": None}),
            ("text/plain", "é", "é"),
            ("application/octet-stream", b"\x89\x50\xff", "iVD/"),
            (None, None, {}),
        ],
    )
    def test_we_read_what_the_sdk_writes(
        self, media_type: str | None, data: Any, payload: object
    ) -> None:
        """Structured and binary messages of the SDK are one event, whole."""
        time = datetime(2026, 1, 1, 12, tzinfo=UTC)
        attributes = {"id": "1", "source": "/ci", "type": "build.failed", "time": time}
        attributes |= {"subject": "run/7", "traceparent": 'a "€" %'}
        if media_type is not None:
            attributes["datacontenttype"] = media_type
        theirs = CloudEvent(attributes, data)
        binary = sdk.to_binary_event(theirs)
        ours = [
            from_structured(sdk.to_structured_event(theirs).body),
            from_binary(binary.headers, binary.body),
        ]
        for event in ours:
            assert event.payload == payload
            assert (event.id, event.source, event.type) == ("1", "/ci", "build.failed")
            assert (event.aggregate_type, event.aggregate_id) == ("run", "7")
            assert event.status == "failure"
            assert event.timestamp == "2026-01-01T12:00:00Z"
            assert event.extensions["traceparent"] == 'a "€" %'
        assert ours[0].payload == ours[1].payload
