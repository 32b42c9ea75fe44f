"""The data of a CloudEvent: JSON, text and bytes, and what their marks may do."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest

from tests.unit.cloudevents.messages import HEADERS, MINIMAL, RICH, assert_comes_back
from tidings.cloudevents import (
    from_batch,
    from_binary,
    from_cloudevent,
    from_structured,
    to_batch,
    to_binary,
    to_cloudevent,
    to_structured,
)
from tidings.errors import InvalidEvent
from tidings.event import Event


class TestData:
    """JSON, text and bytes."""

    @pytest.mark.parametrize("data", [None, 0, "", "text", [], {"a": [None]}, False, 1.5])
    @pytest.mark.parametrize("media_type", [None, "application/json", "application/vnd.x+json"])
    def test_json(self, data: object, media_type: str | None) -> None:
        """Any JSON value is data, null and text included."""
        event = from_cloudevent({**MINIMAL, "datacontenttype": media_type, "data": data})
        assert event.payload == data
        assert to_cloudevent(event)["data"] == data
        assert json.loads(to_binary(event)[1]) == data
        assert_comes_back(event)

    def test_text(self) -> None:
        """Data whose type is not JSON is text, in the charset of its type."""
        media_type = "text/plain; charset=iso-8859-1"
        event = from_cloudevent({**MINIMAL, "datacontenttype": media_type, "data": "é 1"})
        assert event.payload == "é 1"
        headers, body = to_binary(event)
        assert (headers["content-type"], body) == (media_type, b"\xe9 1")
        back = from_binary({**HEADERS, "Content-Type": media_type}, b"\xe9 1")
        assert (back.payload, back.extensions) == ("é 1", {"datacontenttype": media_type})
        assert_comes_back(event)

    def test_bytes(self) -> None:
        """Bytes are base64 in JSON and themselves in a body; the payload is the base64."""
        event = from_cloudevent({**MINIMAL, "datacontenttype": "image/png", "data_base64": "iVD/"})
        assert event.payload == "iVD/"
        assert event.extensions == {"data_base64": True, "datacontenttype": "image/png"}
        assert to_cloudevent(event)["data_base64"] == "iVD/"
        assert to_binary(event)[1] == b"\x89\x50\xff"
        back = from_binary({**HEADERS, "Content-Type": "image/png"}, b"\x89\x50\xff")
        assert (back.payload, back.extensions) == (event.payload, event.extensions)
        assert_comes_back(event)

    @pytest.mark.parametrize(
        ("media_type", "body", "payload"),
        [
            (None, b"", {}),
            ("application/json", b"", {}),
            ("application/json", b"null", None),
            ("application/problem+json; charset=utf-8", b'{"a": 1}', {"a": 1}),
            ("text/plain", b"", ""),
            ("text/html; charset=UTF-8", b"\xc3\xa9", "é"),
            ("image/svg+xml", b"<svg/>", "<svg/>"),
            ("text/plain", b"\xff", "/w=="),
            ("text/plain; charset=utf-16", b"a\x00", "YQA="),
            ("application/octet-stream", b"{}", "e30="),
        ],
    )
    def test_of_a_body(self, media_type: str | None, body: bytes, payload: object) -> None:
        """Its type says what a body is; text in a charset that is not known is bytes."""
        headers = HEADERS if media_type is None else {**HEADERS, "content-type": media_type}
        event = from_binary(headers, body)
        assert event.payload == payload
        assert to_binary(event)[1] == body or payload in ({}, {"a": 1})
        assert_comes_back(event)

    @pytest.mark.parametrize(
        ("payload", "extensions"),
        [
            ("aGk=", {"data_base64": True}),
            ("aGk", {"data_base64": True}),
            ({"a": 1}, {"data_base64": True}),
            ("€", {"datacontenttype": "text/plain; charset=us-ascii"}),
            ({"a": 1}, {"datacontenttype": "text/plain"}),
            ("text", {"datacontenttype": "text/plain\r\nX-Evil: 1"}),
            ("text", {"datacontenttype": "application/cloudevents+json"}),
            ("text", {"datacontenttype": 5}),
        ],
    )
    def test_marks_that_do_not_fit(self, payload: object, extensions: dict[str, object]) -> None:
        """A mark that the payload does not bear out changes nothing, and is no way into headers."""
        event = Event("build", payload=payload, extensions=extensions)
        content_type = to_binary(event)[0]["content-type"]
        assert "\n" not in content_type
        assert not content_type.startswith("application/cloudevents")
        assert_comes_back(event)

    def test_the_bound_on_payloads(self) -> None:
        """Data is bounded as payloads are, by the default or by what the caller says."""
        large = Event("build", payload="x" * 2_000_000, max_payload=3_000_000)
        headers, body = to_binary(large)
        for max_payload, fits in ((None, False), (3_000_000, True), (100, False)):
            more = {} if max_payload is None else {"max_payload": max_payload}
            ways: list[Callable[[], Event]] = [
                partial(from_cloudevent, to_cloudevent(large), **more),
                partial(from_structured, to_structured(large), **more),
                partial(from_binary, headers, body, **more),
            ]
            for way in ways:
                if fits:
                    assert way() == large
                else:
                    with pytest.raises(InvalidEvent, match=r"^data '.* bytes as JSON"):
                        way()
        with pytest.raises(InvalidEvent, match=r"^\[1\]\.data '.* bytes as JSON"):
            from_batch(to_batch([RICH, large]))
        assert from_batch(to_batch([large]), max_payload=3_000_000) == [large]
