"""An event that goes out as a CloudEvent comes back as it was, in every mode."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings

from tests.unit.cloudevents.messages import assert_comes_back, events, with_extensions
from tidings.cloudevents import (
    BATCH_TYPE,
    STRUCTURED_TYPE,
    from_batch,
    from_binary,
    from_cloudevent,
    to_batch,
    to_binary,
    to_cloudevent,
)
from tidings.event import Event


class TestRoundTrip:
    """An event comes back as it was."""

    @settings(max_examples=200, deadline=None)
    @given(event=events())
    def test_of_any_event(self, event: Event) -> None:
        """Any event comes back from every mode, its place included."""
        assert_comes_back(event)

    @settings(max_examples=50, deadline=None)
    @given(event=events())
    def test_is_legal_on_the_way(self, event: Event) -> None:
        """What goes out is a CloudEvent: its names, its kinds of value, and headers in ASCII."""
        message = to_cloudevent(event)
        headers, body = to_binary(event)
        for name, value in message.items():
            assert name in ("data", "data_base64") or re.fullmatch("[a-z0-9]+", name)
            assert name == "data" or isinstance(value, str | int)
            assert name == "data" or isinstance(value, str) or abs(value) < 2**31
        assert {"specversion", "id", "source", "type"} <= message.keys()
        assert "" not in message.values() or message.get("data") == ""
        assert all(" " < letter <= "~" for n, v in headers.items() for letter in n)
        assert all(
            value.isascii() and value.isprintable() and '"' not in value
            for name, value in headers.items()
            if name != "content-type"
        )
        assert isinstance(body, bytes)

    @pytest.mark.parametrize("subject", ["run/7", "", "a b", 3, "x"])
    def test_of_a_subject_that_is_no_aggregate(self, subject: object) -> None:
        """An extension `subject` comes back as one, though a reader would take it for more."""
        event = with_extensions(subject=subject, shard=3)
        assert ("subject" in to_cloudevent(event)) is (subject in ("a b", "x"))
        assert_comes_back(event)

    def test_of_a_batch(self) -> None:
        """A batch gives its events in their order; it may be empty."""
        made = [Event("build", payload=number) for number in range(3)]
        assert from_batch(to_batch(made)) == made
        assert from_batch(to_batch([])) == []

    @pytest.mark.parametrize(
        "written",
        [
            "2026-01-01",
            "2026-01-01T12:00:00",
            "2026-01-01 12:00:00+02:00",
            "20260101T120000Z",
            "2026-06-30T23:59:60Z",
            "2026-01-01T12:00:00+00:00:30",
        ],
    )
    def test_of_a_timestamp_that_readers_may_not_know(self, written: str) -> None:
        """`time` is RFC 3339 without leap seconds; the text its producer wrote comes back."""
        event = Event("build", timestamp=written)
        time = datetime.fromisoformat(str(to_cloudevent(event)["time"]))
        assert (time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6 == event.instant
        assert json.loads(to_cloudevent(event)["tidings"]) == {"timestamp": written}
        assert_comes_back(event)

    @pytest.mark.parametrize("number", [1, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1])
    def test_of_large_positions(self, number: int) -> None:
        """An Integer has 32 bits; a larger position goes as text, and comes back as a number."""
        fields = {"type": "build", "aggregate_type": "run", "aggregate_id": "7", "version": number}
        event = Event.from_dict({**fields, "position": number})
        expected = number if number < 2**31 else str(number)
        assert to_cloudevent(event)["position"] == expected
        assert to_cloudevent(event)["aggregateversion"] == expected
        assert_comes_back(event)

    @pytest.mark.parametrize("source", ["", " ", "a b", "é", "100%", "%zz", "<x>", "/ok", "urn:x"])
    def test_of_any_source(self, source: str) -> None:
        """A source that is no URI reference is written as one, and comes back as it was."""
        event = Event("build", source=source)
        sent = to_cloudevent(event)["source"]
        assert re.fullmatch("[!-~]+", str(sent))
        assert (sent == source) is (source in ("/ok", "urn:x"))
        assert_comes_back(event)

    @pytest.mark.parametrize(
        ("event_type", "status"),
        [("a.failed", ""), ("a.failed", "success"), ("a.completed", "odd"), ("a", "failure")],
    )
    def test_of_a_status_that_would_be_inferred_otherwise(
        self, event_type: str, status: str
    ) -> None:
        """A status that a reader would infer otherwise, the empty one too, comes back."""
        assert_comes_back(Event(event_type, status=status))


class TestMapping:
    """Which field is which attribute."""

    def test_of_every_field(self) -> None:
        """The documented names, written out once."""
        event = Event.from_dict(
            {
                "type": "run.completed",
                "project": "figrecipe",
                "status": "success",
                "payload": {"exit_code": 0},
                "source": "hpc",
                "timestamp": "2026-01-01T12:00:00+01:00",
                "id": "evt-1",
                "aggregate_type": "run",
                "aggregate_id": "a/b",
                "version": 2,
                "correlation_id": "slurm:alpha:7",
                "causation_id": "evt-0",
                "user_id": "ada",
                "context": {"host": "n12"},
                "extensions": {"traceparent": "00-ab-cd-01", "shard": 3, "sampled": True},
                "position": 41,
                "recorded_at": "2026-01-01T11:00:00.000001Z",
            }
        )
        assert to_cloudevent(event) == {
            "specversion": "1.0",
            "id": "evt-1",
            "source": "hpc",
            "type": "run.completed",
            "time": "2026-01-01T12:00:00+01:00",
            "subject": "run/a/b",
            "datacontenttype": "application/json",
            "project": "figrecipe",
            "status": "success",
            "correlationid": "slurm:alpha:7",
            "causationid": "evt-0",
            "userid": "ada",
            "position": 41,
            "aggregateversion": 2,
            "recordedat": "2026-01-01T11:00:00.000001Z",
            "context": '{"host": "n12"}',
            "traceparent": "00-ab-cd-01",
            "shard": 3,
            "sampled": True,
            "data": {"exit_code": 0},
        }
        assert_comes_back(event)

    def test_to_headers(self) -> None:
        """Attributes are headers `ce-…`, `datacontenttype` is the Content-Type, data the body."""
        event = Event(
            "build.failed", "fig €", "failure", {"n": 1}, "/ci", "2026-01-01T00:00:00Z", id="e 1"
        )
        headers, body = to_binary(event)
        assert headers == {
            "ce-specversion": "1.0",
            "ce-id": "e%201",
            "ce-source": "/ci",
            "ce-type": "build.failed",
            "ce-time": "2026-01-01T00:00:00Z",
            "ce-project": "fig%20%E2%82%AC",
            "ce-status": "failure",
            "content-type": "application/json",
        }
        assert body == b'{"n":1}'

    def test_media_types(self) -> None:
        """The names that the JSON format registers."""
        assert STRUCTURED_TYPE == "application/cloudevents+json"
        assert BATCH_TYPE == "application/cloudevents-batch+json"

    def test_of_a_redacted_event(self) -> None:
        """It has no data, and says why."""
        event = Event.from_dict({"type": "build", "payload": {"a": 1}, "redacted": True})
        message = to_cloudevent(event)
        assert message["redacted"] is True
        assert "data" not in message
        assert to_binary(event)[1] == b""
        assert_comes_back(event)

    @pytest.mark.parametrize("mark", [{}, {"data_base64": True}])
    @pytest.mark.parametrize(
        "media_type", ["application/octet-stream", "application/json", "text/plain", "image/png"]
    )
    def test_of_a_redacted_event_of_any_type(self, media_type: str, mark: dict[str, bool]) -> None:
        """What its data was is still said, and its empty body is taken for no data."""
        extensions = {"datacontenttype": media_type, **mark}
        data = {"type": "build", "payload": "", "redacted": True, "extensions": extensions}
        assert_comes_back(Event.from_dict(data))

    def test_what_one_extension_cannot_say_hides_no_other(self) -> None:
        """Readers that know nothing of Tidings see every extension that attributes can say."""
        event = with_extensions(shard=3, dataschema="urn:x", nested={"a": 1})
        headers, _ = to_binary(event)
        assert (headers["ce-shard"], headers["ce-dataschema"]) == ("3", "urn:x")
        assert to_cloudevent(event)["shard"] == 3
        assert_comes_back(event)

    def test_what_is_added_on_the_way_is_kept(self) -> None:
        """An attribute that a relay adds stands beside what came exactly."""
        message = {**to_cloudevent(with_extensions(nested={"a": 1})), "traceparent": "00-ab-cd-01"}
        assert from_cloudevent(message).extensions == {
            "nested": {"a": 1},
            "traceparent": "00-ab-cd-01",
        }

    def test_what_is_changed_on_the_way_counts_as_it_came(self) -> None:
        """A relay may give an attribute a new value, as tracing does; the rest stays exact."""
        event = with_extensions(nested={"a": 1}, shard=3, traceparent="00-ab-cd-01")
        message = {**to_cloudevent(event), "traceparent": "00-ab-ef-01"}
        changed = {"nested": {"a": 1}, "shard": 3, "traceparent": "00-ab-ef-01"}
        assert from_cloudevent(message).extensions == changed
        headers, body = to_binary(event)
        headers["ce-traceparent"] = "00-ab-ef-01"
        assert from_binary(headers, body).extensions == changed
