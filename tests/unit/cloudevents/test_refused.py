"""What is no CloudEvent brings an `InvalidEvent` that says where, and never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cloudevents.messages import (
    ANY_JSON,
    ANY_TEXT,
    HEADER_NAMES,
    HEADERS,
    MESSAGES,
    MINIMAL,
    TRICKY,
    assert_comes_back,
)
from tidings.cloudevents import from_batch, from_binary, from_cloudevent, from_structured
from tidings.cloudevents.headers import percent_encode
from tidings.errors import InvalidEvent

BAD: list[tuple[str, object]] = [
    ("specversion", None),
    ("specversion", "0.3"),
    ("specversion", 1.0),
    ("id", None),
    ("id", ""),
    ("id", 7),
    ("id", "x" * 256),
    ("id", "a\nb"),
    ("source", ""),
    ("source", ["a"]),
    ("type", None),
    ("type", "a\x00"),
    ("time", ""),
    ("time", "yesterday"),
    ("time", "2026-01-01"),
    ("time", "2026-01-01T00:00:00"),
    ("time", "2026-02-30T00:00:00Z"),
    ("time", 5),
    ("recordedat", "2026-01-01"),
    ("recordedat", "2026-02-30T00:00:00Z"),
    ("subject", ""),
    ("subject", 3),
    ("subject", "run/a\nb"),
    ("datacontenttype", ""),
    ("datacontenttype", 3),
    ("dataschema", ""),
    ("dataschema", 3),
    ("project", 3),
    ("project", "x" * 256),
    ("correlationid", ""),
    ("causationid", "a\u2028b"),
    ("userid", {}),
    ("position", 0),
    ("position", -1),
    ("position", True),
    ("position", "0"),
    ("position", "00000123456789012345678"),
    ("position", "9223372036854775808"),
    ("position", "٣"),
    ("aggregateversion", "x"),
    ("redacted", "yes"),
    ("redacted", 1),
    ("context", "[]"),
    ("context", "{"),
    ("context", "[" * 100_000),
    ("tidings", "3"),
    ("tidings.source", '{"source": 3}'),
    ("tidings.odd", '{"odd": "a"}'),
    ("tidings.timestamp", '{"timestamp": "soon"}'),
    ("tidings.timestamp", json.dumps({"timestamp": "2026-01-01T00:00:00\n"})),
    ("tidings.timestamp", json.dumps({"timestamp": "2026-01-01T00:00:00" + " " * 300})),
    ("tidings.timestamp", '{"timestamp": "1990-01-01"}'),
    ("shard", 1.5),
    ("shard", [1]),
    ("shard", "\ud800"),
    ("data_base64", "a"),
    ("data_base64", "é"),
    ("data_base64", 3),
]


class TestRefused:
    """What is no CloudEvent brings an `InvalidEvent` that says where, and nothing else."""

    @pytest.mark.parametrize(("field", "value"), BAD, ids=range(len(BAD)))
    def test_names_the_attribute(self, field: str, value: object) -> None:
        """The error names the attribute at fault, in a batch also which event."""
        message = {
            "time": "2026-01-01T00:00:00Z",
            **MINIMAL,
            field.partition(".")[0]: value,
        }
        with pytest.raises(InvalidEvent) as caught:
            from_cloudevent(message)
        assert caught.value.field == field
        with pytest.raises(InvalidEvent) as caught:
            from_batch(json.dumps([MINIMAL, message]))
        assert caught.value.field == f"[1].{field}"

    @pytest.mark.parametrize("name", ["Shard", "a-b", "a_b", "", "é", "a b", "a\n", 5, None])
    def test_names_of_attributes(self, name: Any) -> None:
        """Names are lower-case letters and digits."""
        with pytest.raises(InvalidEvent, match=r"^attribute .* must have a name of a–z and 0–9"):
            from_cloudevent({**MINIMAL, name: "x"})

    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"data": 1, "data_base64": "aGk="}, "data_base64"),
            ({"datacontenttype": "text/plain", "data": {"a": 1}}, "data"),
            ({"data": "\ud800"}, "data"),
            ({"data": float("nan")}, "data"),
            ({"data": 10**5000}, "data"),
            ({"data": {"a": 1}, "redacted": True}, "redacted"),
            ({"tidings": '{"source": "/else"}'}, "tidings.source"),
            ({"tidings": '{"source": ""}'}, "tidings.source"),
            ({"tidings": '{"source": "\\ud800"}'}, "tidings.source"),
            ({"tidings": '{"status": ""}', "status": "success"}, "tidings.status"),
            ({"tidings": '{"status": "failure"}'}, "tidings.status"),
        ],
    )
    def test_contradictions(self, more: dict[str, Any], field: str) -> None:
        """What contradicts itself, or is no JSON, is not guessed at."""
        with pytest.raises(InvalidEvent) as caught:
            from_cloudevent({**MINIMAL, **more})
        assert caught.value.field == field

    @pytest.mark.parametrize("text", ["", "{", "é", b"\xff", "[" * 100_000, "1" * 5000, "nul"])
    def test_what_is_no_json(self, text: str | bytes) -> None:
        """Broken, endless or absurd JSON is refused in every mode, as the data of a body too."""
        with pytest.raises(InvalidEvent, match=r"^CloudEvent .* must be JSON: "):
            from_structured(text)
        with pytest.raises(InvalidEvent, match=r"^CloudEvent .* must be JSON: "):
            from_batch(text)
        body = text if isinstance(text, bytes) else text.encode() or b"{"
        with pytest.raises(InvalidEvent, match=r"^data "):
            from_binary({**HEADERS, "content-type": "application/json"}, body)

    @pytest.mark.parametrize("message", [None, 1, "x", [], [MINIMAL], True])
    def test_what_is_no_object(self, message: Any) -> None:
        """A CloudEvent is an object, and a batch an array of them."""
        with pytest.raises(InvalidEvent, match=r"^CloudEvent .* must be a JSON object$"):
            from_cloudevent(message)
        with pytest.raises(InvalidEvent, match=r"^\[0\]\.CloudEvent "):
            from_batch(json.dumps([message]))
        if not isinstance(message, list):
            with pytest.raises(InvalidEvent, match=r"^batch .* must be a JSON array"):
                from_batch(json.dumps(message))

    @pytest.mark.parametrize("kind", ["none", "xml", ""])
    def test_kinds_of_body(self, kind: str) -> None:
        """A body is JSON, text or bytes."""
        tidings = percent_encode(json.dumps({"data": kind}))
        with pytest.raises(InvalidEvent, match=r"must be one of json, text, binary$"):
            from_binary({**HEADERS, "ce-tidings": tidings}, b"")


def accepts_or_refuses(read: Any, *given: Any) -> None:
    """Whatever is read either is an event that comes back, or is refused."""
    try:
        found = read(*given)
    except InvalidEvent:
        return
    for event in found if isinstance(found, list) else [found]:
        assert_comes_back(event)


class TestHostile:
    """Arbitrary messages bring events or `InvalidEvent`, and never anything else."""

    @settings(max_examples=300, deadline=None)
    @given(message=MESSAGES)
    def test_objects(self, message: Any) -> None:
        """Arbitrary JSON, much of it almost a CloudEvent."""
        accepts_or_refuses(from_cloudevent, message)

    @settings(max_examples=150, deadline=None)
    @given(message=MESSAGES, tail=st.sampled_from(["", "}", "\x00"]), coded=st.booleans())
    def test_texts(self, message: Any, tail: str, *, coded: bool) -> None:
        """Arbitrary JSON texts, some of them broken, as one event and as a batch."""
        text = json.dumps(message) + tail
        accepts_or_refuses(from_structured, text.encode() if coded else text)
        accepts_or_refuses(from_batch, f"[{text}, {text}]")

    @settings(max_examples=100, deadline=None)
    @given(text=st.binary(max_size=30) | ANY_TEXT)
    def test_noise(self, text: bytes | str) -> None:
        """Arbitrary bytes and text."""
        accepts_or_refuses(from_structured, text)
        accepts_or_refuses(from_batch, text)

    @settings(max_examples=300, deadline=None)
    @given(
        headers=st.lists(st.tuples(HEADER_NAMES | ANY_TEXT, TRICKY | ANY_TEXT), max_size=4),
        whole=st.booleans(),
        body=st.binary(max_size=8) | ANY_JSON.map(lambda value: json.dumps(value).encode()),
    )
    def test_headers_and_bodies(
        self, headers: list[tuple[str, str]], body: bytes, *, whole: bool
    ) -> None:
        """Arbitrary headers before arbitrary bytes."""
        pairs = dict(headers) | (HEADERS if whole else {})
        accepts_or_refuses(from_binary, pairs, body)
        accepts_or_refuses(from_binary, headers, body)
