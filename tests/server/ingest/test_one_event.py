"""POST /events/ of one event: what is kept, what is answered, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tidings.event import Event
from tidings.store.query import Query

if TYPE_CHECKING:
    import httpx

    from tests.server.conftest import Server
    from tidings.store.base import Store

FULL = Event(
    "build.done",
    "figrecipe",
    "failure",
    {"job_id": 4711, "text": "Ünïcode 🎉"},
    "ci",
    "2026-01-01T12:00:00.5+02:00",
    id="build/42 ü",
    aggregate_type="build",
    aggregate_id="one-event",
    correlation_id="nightly",
    causation_id="push-1",
    user_id="ada",
    context={"host": "n12"},
    extensions={"shard": 3},
)


def test_a_whole_event(client: httpx.Client, store: Store) -> None:
    """Every field is kept as it was sent, also the client's own context."""
    answer = client.post("/events/", json=FULL.to_dict())
    assert answer.status_code == 201, answer.text
    assert list(answer.json()) == ["id", "type", "position", "version", "timestamp", "recorded_at"]
    (event,) = store.read(Query(ids=[FULL.id]))
    assert event == FULL
    assert (event.timestamp, event.context) == (FULL.timestamp, {"host": "n12"})
    assert answer.json() == {
        "id": FULL.id,
        "type": "build.done",
        "position": event.position,
        "version": 1,
        "timestamp": "2026-01-01T12:00:00.5+02:00",
        "recorded_at": event.recorded_at,
    }
    assert answer.headers["location"] == "/events/by-id/build%2F42%20%C3%BC"


@pytest.mark.parametrize("path", ["/events/", "/events"])
@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", None])
def test_the_least_there_is(
    client: httpx.Client, store: Store, path: str, content_type: str | None
) -> None:
    """A type is enough, with and without slash and Content-Type; nothing is made up about it."""
    headers = {} if content_type is None else {"content-type": content_type}
    answer = client.post(path, content=b' {"type": "least"}\r\n', headers=headers)
    assert answer.status_code == 201, answer.text
    (event,) = store.read(Query(ids=[answer.json()["id"]]))
    assert (event.type, event.project, event.status, event.payload) == ("least", "", "", {})
    assert (event.source, event.context, event.extensions) == ("http", {}, {})
    assert event.version is answer.json()["version"] is None
    assert answer.headers["location"] == f"/events/by-id/{event.id}"


def test_what_only_a_store_says_is_dropped(client: httpx.Client, store: Store) -> None:
    """What was read from one store can be sent to another: its place there does not count here."""
    sent = {
        "type": "again",
        "position": 10**6,
        "version": 17,
        "recorded_at": "2001-01-01T00:00:00Z",
        "redacted": True,
        "payload": [1],
    }
    answer = client.post("/events/", json=sent).json()
    (event,) = store.read(Query(ids=[answer["id"]]))
    assert event.position == answer["position"] < 10**6
    assert event.version is None
    assert not event.redacted
    assert event.payload == [1]
    assert str(event.recorded_at) > "2001-01-02"


@pytest.mark.parametrize("payload", [None, 0, "", "text", [], [1, {"a": None}], False, 0.5])
def test_any_json_is_a_payload(client: httpx.Client, store: Store, payload: object) -> None:
    """Null too, which is not the same as none given."""
    answer = client.post("/events/", json={"type": "any", "payload": payload})
    (event,) = store.read(Query(ids=[answer.json()["id"]]))
    assert event.payload == payload


def test_none_counts_as_left_out(client: httpx.Client, store: Store) -> None:
    """Fields that are null are as if they were not there, and the outcome is inferred."""
    sent = {"type": "x.failed", "id": None, "status": None, "source": None, "timestamp": None}
    answer = client.post("/events/", json=sent | {"aggregate_type": None, "context": None})
    (event,) = store.read(Query(ids=[answer.json()["id"]]))
    assert (event.status, event.source) == ("failure", "http")


def test_a_time_without_offset_is_utc(client: httpx.Client, store: Store) -> None:
    """The server's own time zone is nothing its clients know of."""
    answer = client.post("/events/", json={"type": "x", "timestamp": "2026-01-01T00:00:00"}).json()
    assert answer["timestamp"] == "2026-01-01T00:00:00.000000Z"
    (event,) = store.read(Query(ids=[answer["id"]]))
    assert event.instant == 1_767_225_600_000_000


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({}, "type"),
        ({"type": ""}, "type"),
        ({"type": "x", "typ": 1}, "typ"),
        ({"type": "x", "max_payload": 10**9}, "max_payload"),
        ({"type": "x", "a\ud800\n": 1}, "a\\ud800\\n"),
        ({"type": "x", "aggregate_id": "1"}, "aggregate_type"),
        ({"type": "x", "timestamp": 5}, "timestamp"),
        ({"type": "x", "timestamp": "2026-13-01T00:00:00Z"}, "timestamp"),
        ({"type": "x", "context": []}, "context"),
        ({"type": "x", "extensions": "x"}, "extensions"),
        ({"type": "x", "payload": {"a": "\ud800"}}, "payload"),
        ("text", "event"),
        (17, "event"),
        (None, "event"),
    ],
)
def test_a_wrong_field_is_named(client: httpx.Client, event: object, field: str) -> None:
    """422 names the field and says what holds for it."""
    import json

    content = json.dumps(event).encode()
    answer = client.post("/events/", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert [each["field"] for each in problem["errors"]] == [field]
    assert problem["type"] == "urn:tidings:problem:invalid-event"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"type": "x"} {', "Extra data"),
        (b'{"type": "x", "payload": NaN}', "JSON has no NaN"),
        (b'{"type": "x", "payload": -Infinity}', "JSON has no -Infinity"),
        (b'{"type": "x", "type": "y"}', "the key 'type' is there twice"),
        (b'{"type": "x", "payload": [{"a": 1, "a": 1}]}', "the key 'a' is there twice"),
        (b'{"type": "\xff"}', "it is not UTF-8: byte 10"),
        ('{"type": "x"}'.encode("utf-16"), "it is not UTF-8"),
        (b'{"type": "x", "payload": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"type": "x", "payload": ' + b"9" * 5000 + b"}", "more digits than are read"),
    ],
)
def test_what_is_no_json_is_said_to_be_none(client: httpx.Client, body: bytes, words: str) -> None:
    """422 says what is wrong with the text and where, whatever Python's reader would take."""
    answer = client.post("/events/", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:tidings:problem:invalid-json"
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("payload", [b"1e999", b"[" * 201 + b"]" * 201])
def test_what_cannot_be_kept_is_refused(client: httpx.Client, payload: bytes) -> None:
    """Numbers without a value and more than 200 levels break the payload's rule."""
    body = b'{"type": "x", "payload": ' + payload + b"}"
    answer = client.post("/events/", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "payload"


def test_expected_version(client: httpx.Client) -> None:
    """409 with both versions; 422 where there is no aggregate to stand anywhere."""
    event = {"type": "x", "aggregate_type": "order", "aggregate_id": "one"}

    def post(version: int, **other: Any) -> httpx.Response:
        return client.post("/events/", json=event | other, params={"expected_version": version})

    assert post(0).json()["version"] == 1
    refused = post(0)
    assert (refused.status_code, refused.json()["expected"], refused.json()["actual"]) == (
        409,
        0,
        1,
    )
    assert post(1).json()["version"] == 2
    assert post(0, aggregate_type=None, aggregate_id=None).status_code == 422


@pytest.mark.parametrize(
    "query",
    ["atomc=true", "atomic=maybe", "expected_version=-1", "expected_version=", "expected_version=x",
     "expected_version=1&expected_version=1", "expected_version=99999999999999999999"],
)  # fmt: skip
def test_unusable_parameters_are_refused(client: httpx.Client, query: str) -> None:
    """A mistyped `atomic` does not silently keep the half."""
    answer = client.post(f"/events/?{query}", json={"type": "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


def test_an_id_that_is_taken(client: httpx.Client) -> None:
    """The same again gives the same place; another event under that id is a conflict."""
    event = {"type": "x", "id": "taken", "timestamp": "2026-01-01T00:00:00Z"}
    first = client.post("/events/", json=event)
    again = client.post("/events/", json=event)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = client.post("/events/", json=event | {"payload": {"n": 1}})
    assert other.status_code == 409
    assert other.json()["differs"] == ["payload"]


@pytest.mark.parametrize(
    ("headers", "slug"),
    [
        ({"content-type": "text/plain"}, "unsupported-media-type"),
        ({"content-type": "application/x-www-form-urlencoded"}, "unsupported-media-type"),
        ({"content-type": "application/cloudevents+xml"}, "unsupported-media-type"),
        ({"content-type": "application/cloudevents-batch"}, "unsupported-media-type"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "unsupported-encoding"),
    ],
)
def test_other_forms_are_refused(client: httpx.Client, headers: dict[str, str], slug: str) -> None:
    """415 says which forms are read."""
    answer = client.post("/events/", content=b'{"type":"x"}', headers=headers)
    assert answer.status_code == 415
    assert answer.json()["type"] == f"urn:tidings:problem:{slug}"


def test_a_body_that_is_too_large(server: Any) -> None:
    """413 beyond the largest payload and what the other fields may take."""
    small: Server = server(env={"TIDINGS_MAX_PAYLOAD": "1000"})
    with small.client() as client:
        fits = client.post("/events/", json={"type": "x", "payload": "x" * 998})
        assert fits.status_code == 201
        payload = client.post("/events/", json={"type": "x", "payload": "x" * 999})
        assert (payload.status_code, payload.json()["errors"][0]["field"]) == (413, "payload")
        for path in ("/events/", "/events/emit/agent"):
            body = client.post(path, json={"type": "x", "payload": "x" * 67_000})
            assert (body.status_code, body.json()["limit"]) == (413, 66_536)


def test_names_of_the_wire_are_understood(client: httpx.Client) -> None:
    """An aggregate named as answers name it is found by either name."""
    about = {"aggregate_type": "agent_aggregate", "aggregate_id": "named-as-answered"}
    assert client.post("/events/", json={"type": "w", **about}).status_code == 201
    for kind in ("agent_aggregate", "agent"):
        found = client.get("/events/", params={**about, "aggregate_type": kind}).json()
        assert [event["event_type"] for event in found["events"]] == ["AgentEvent"]
