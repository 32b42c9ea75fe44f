"""What others send as CloudEvents loses nothing."""

from __future__ import annotations

import pytest

from tests.unit.cloudevents.messages import HEADERS, MINIMAL, assert_comes_back
from tidings.cloudevents import from_binary, from_cloudevent, to_cloudevent


class TestForeign:
    """What others send loses nothing."""

    def test_least(self) -> None:
        """The four attributes are enough; there is then no data, and no outcome."""
        event = from_cloudevent(MINIMAL)
        assert (event.id, event.source, event.type) == ("1", "/ci", "build")
        assert (event.payload, event.status, event.project) == ({}, "", "")
        assert (event.extensions, event.context, event.position) == ({}, {}, None)
        assert not event.timestamp_given
        assert from_binary(HEADERS, b"").to_dict() | {"timestamp": ""} == event.to_dict() | {
            "timestamp": ""
        }

    def test_null_counts_as_left_out(self) -> None:
        """An attribute that is null is not there (JSON format 1.0.2, section 2.2)."""
        message = {**MINIMAL, "subject": None, "time": None, "shard": None, "project": None}
        assert from_cloudevent(message).extensions == {}

    @pytest.mark.parametrize(
        ("event_type", "data", "status"),
        [
            ("build.failed", {}, "failure"),
            ("net.error", None, "failure"),
            ("build.completed", {}, "success"),
            ("build", {"success": False}, "failure"),
            ("build", {"success": True}, ""),
        ],
    )
    def test_status_is_inferred(self, event_type: str, data: object, status: str) -> None:
        """Where no status is given, type and data tell it; one that is given holds."""
        message = {**MINIMAL, "type": event_type, "data": data}
        assert from_cloudevent(message).status == status
        assert from_cloudevent({**message, "status": "odd"}).status == "odd"

    def test_unknown_attributes_are_extensions(self) -> None:
        """Attributes with no field are kept, with value and kind, and go out again."""
        more = {
            "dataschema": "https://example.org/schema",
            "partitionkey": "a b",
            "shard": 3,
            "x": True,
        }
        event = from_cloudevent({**MINIMAL, **more})
        assert event.extensions == more
        assert {name: to_cloudevent(event)[name] for name in more} == more
        assert_comes_back(event)

    @pytest.mark.parametrize(
        ("subject", "aggregate"),
        [
            ("run/7", ("run", "7")),
            ("run/a/b", ("run", "a/b")),
            ("a%2Fb/c", ("a/b", "c")),
            ("mynewfile.jpg", None),
            ("/home/ada", None),
            ("run/", None),
            ("a%20b/c", None),
            ("x" * 300, None),
        ],
    )
    def test_subject(self, subject: str, aggregate: tuple[str, str] | None) -> None:
        """A subject that names an aggregate is one; any other is kept as it is."""
        event = from_cloudevent({**MINIMAL, "subject": subject})
        if aggregate is None:
            assert (event.aggregate_type, event.extensions) == (None, {"subject": subject})
        else:
            assert (event.aggregate_type, event.aggregate_id) == aggregate
            assert event.extensions == {}
        assert to_cloudevent(event)["subject"] == subject
        assert_comes_back(event)

    @pytest.mark.parametrize("time", ["2026-06-30T23:59:60Z", "2026-01-01t00:00:00.5z"])
    def test_rare_times(self, time: str) -> None:
        """Leap seconds and lower case are RFC 3339, and kept as written."""
        event = from_cloudevent({**MINIMAL, "time": time})
        assert event.timestamp == time
        assert_comes_back(event)
