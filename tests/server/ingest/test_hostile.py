"""Whatever a stranger sends, the answer is one that was meant: never a 500, never a broken body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    import httpx

PATHS = (
    "/events/",
    "/events/?atomic=true",
    "/events/?expected_version=0",
    "/events/emit/agent",
    "/events/emit/workflow",
    "/events/emit/system",
)
TYPES = (
    "application/json",
    "application/x-ndjson",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "text/plain",
    "image/png",
    "nonsense",
    "",
)
ANSWERED = {200, 201, 207, 409, 413, 415, 422}

# Lone surrogates and control characters among them: JSON can write them all.
texts = st.text(st.characters(), max_size=6)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
names = st.sampled_from(
    ["type", "name", "id", "source", "timestamp", "payload", "attributes", "extensions", "context",
     "aggregate_type", "aggregate_id", "expected_version", "status", "project", "specversion",
     "data", "data_base64", "time", "subject", "tidings", "datacontenttype", "position", "redacted"]
)  # fmt: skip
events = st.fixed_dictionaries(
    {"type": st.just("x"), "name": st.just("x")}, optional={}
) | st.dictionaries(names, values, max_size=5).map(
    lambda fields: {"specversion": "1.0", "id": "1", "source": "s", "type": "x", **fields}
)
documents = st.one_of(values, events, st.lists(events | values, max_size=3))
bodies = st.one_of(
    st.binary(max_size=40),
    documents.map(lambda value: json.dumps(value).encode()),
    documents.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")),
    st.lists(events, max_size=4).map(lambda many: "\n".join(map(json.dumps, many)).encode()),
)


def assert_meant(answer: httpx.Response) -> None:
    """The status is one that is declared, and an error has its body."""
    assert answer.status_code in ANSWERED, answer.text
    body = answer.json()
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["status"] == answer.status_code
        assert body["detail"]
    problems = [each for each in body.get("results", ()) if "problem" in each]
    assert len(problems) == body.get("failed", 0)
    assert answer.status_code != 207 or problems


@settings(max_examples=150)
@given(path=st.sampled_from(PATHS), content_type=st.sampled_from(TYPES), body=bodies)
def test_any_body(kept_client: httpx.Client, path: str, content_type: str, body: bytes) -> None:
    """Any bytes, of any type, on any of the routes."""
    headers = {"content-type": content_type} if content_type else {}
    assert_meant(kept_client.post(path, content=body, headers=headers))


_headers = st.dictionaries(
    st.sampled_from(
        ["id", "source", "type", "time", "subject", "tidings", "position", "redacted", "context",
         "aggregateversion", "data", "datacontenttype", "x"]
    ),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")),
    max_size=4,
)  # fmt: skip


@settings(max_examples=100)
@given(headers=_headers, content_type=st.sampled_from(TYPES), body=bodies)
def test_any_headers_of_binary_mode(
    kept_client: httpx.Client, headers: dict[str, str], content_type: str, body: bytes
) -> None:
    """Any attributes, beside any body."""
    sent: dict[str, Any] = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "x"}
    sent |= {f"ce-{name}": value.strip().encode("latin-1") for name, value in headers.items()}
    if content_type:
        sent["content-type"] = content_type
    assert_meant(kept_client.post("/events/", content=body, headers=sent))
