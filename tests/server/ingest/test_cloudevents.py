"""CloudEvents over HTTP in all three modes, sent by the SDK and by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cloudevents.core.bindings import http as sdk
from cloudevents.core.v1.event import CloudEvent

from tidings.cloudevents import to_batch, to_binary, to_cloudevent, to_structured
from tidings.event import Event
from tidings.store.query import Query

if TYPE_CHECKING:
    import httpx

    from tidings.store.base import Store

BATCH = {"content-type": "application/cloudevents-batch+json"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}

LEAST = {"specversion": "1.0", "id": "1", "source": "/least", "type": "x"}


def of_the_sdk(event_id: str) -> CloudEvent:
    """An event as a foreign producer makes it."""
    return CloudEvent(
        attributes={
            "id": event_id,
            "source": "https://ci.example.org/figrecipe",
            "type": "build.failed",
            "subject": "build/42",
            "time": datetime(2026, 1, 1, 12, tzinfo=UTC),
            "datacontenttype": "application/json",
            "correlationid": "nightly",
            "shard": 3,
        },
        data={"text": "Ünïcode 🎉"},
    )


@pytest.mark.parametrize("write", [sdk.to_structured_event, sdk.to_binary_event])
def test_what_the_sdk_sends(client: httpx.Client, store: Store, write: Any) -> None:
    """Structured and binary mode say the same event, and nothing of it is lost."""
    message = write(of_the_sdk(write.__name__))
    answer = client.post("/events/", content=message.body, headers=message.headers)
    assert answer.status_code == 201, answer.text
    (event,) = store.read(Query(ids=[write.__name__]))
    assert event.position == answer.json()["position"]
    assert (event.type, event.source) == ("build.failed", "https://ci.example.org/figrecipe")
    assert (event.aggregate_type, event.aggregate_id) == ("build", "42")
    assert (event.correlation_id, event.status) == ("nightly", "failure")
    assert event.payload == {"text": "Ünïcode 🎉"}
    assert str(event.extensions["shard"]) == "3"
    assert event.instant == 1_767_268_800_000_000


def test_a_batch(client: httpx.Client, store: Store) -> None:
    """Each event of a batch stands for itself."""
    events = [{**LEAST, "id": f"batch-{n}", "data": n} for n in range(3)]
    answer = client.post(
        "/events/", content=json.dumps([*events, {**LEAST, "specversion": "0.3"}]), headers=BATCH
    )
    assert answer.status_code == 207
    body = answer.json()
    assert [each["id"] for each in body["results"][:3]] == ["batch-0", "batch-1", "batch-2"]
    problem = body["results"][3]["problem"]
    assert (problem["index"], problem["errors"][0]["field"]) == (3, "specversion")
    assert [event.payload for event in store.read(Query(ids=["batch-0", "batch-2"]))] == [0, 2]


def test_an_atomic_batch(client: httpx.Client) -> None:
    """All or none of it, where asked for."""
    body = json.dumps([{**LEAST, "id": "atomic-1"}, {}])
    answer = client.post("/events/?atomic=true", content=body, headers=BATCH)
    assert (answer.status_code, answer.json()["index"]) == (422, 1)


def test_our_own_events_come_back_as_they_were(client: httpx.Client, store: Store) -> None:
    """In all modes; but for their place in the store they came from."""
    event = Event(
        "run.done",
        "p",
        "",
        [1],
        "a b",
        "2026-01-01",
        aggregate_type="run",
        aggregate_id="mine",
        context={"host": "n12"},
        extensions={"Key": "of ours"},
    )
    message = to_cloudevent(event) | {
        "position": 10**6,
        "aggregateversion": 9,
        "recordedat": "2001-01-01T00:00:00Z",
        "redacted": False,
    }
    headers, body = to_binary(event)
    headers |= {"ce-position": "1000000", "ce-aggregateversion": "9", "ce-redacted": "false"}
    for content, sent in (
        (json.dumps(message), STRUCTURED),
        (to_batch([event]), BATCH),
        (to_structured(event), STRUCTURED),
        (body, headers),
    ):
        answer = client.post("/events/", content=content, headers=sent)
        assert answer.status_code == 201, answer.text
    (kept,) = store.read(Query(ids=[event.id]))
    assert kept == event
    assert (kept.version, kept.timestamp, kept.context) == (1, "2026-01-01", {"host": "n12"})
    assert kept.position == store.head()


def test_binary_data(client: httpx.Client, store: Store) -> None:
    """Bytes that are no JSON come as base64, with their content type."""
    headers = {"ce-specversion": "1.0", "ce-id": "png", "ce-source": "/x", "ce-type": "picture"}
    headers["content-type"] = "image/png"
    assert client.post("/events/", content=b"\x89PNG", headers=headers).status_code == 201
    (event,) = store.read(Query(ids=["png"]))
    assert event.payload == "iVBORw=="
    assert event.extensions == {"data_base64": True, "datacontenttype": "image/png"}


def test_an_expected_version(client: httpx.Client) -> None:
    """Holds for them as for all others."""
    message = {**LEAST, "id": "version", "subject": "order/cloud"}
    path = "/events/?expected_version=1"
    answer = client.post(path, content=json.dumps(message), headers=STRUCTURED)
    assert (answer.status_code, answer.json()["actual"]) == (409, 0)


@pytest.mark.parametrize(
    ("headers", "content", "field"),
    [
        (STRUCTURED, {}, "specversion"),
        (STRUCTURED, {**LEAST, "source": ""}, "source"),
        (STRUCTURED, {**LEAST, "time": "yesterday"}, "time"),
        (STRUCTURED, {**LEAST, "Über": 1}, "attribute"),
        (STRUCTURED, {**LEAST, "data": "\ud800"}, "data"),
        (STRUCTURED, [], "CloudEvent"),
        (BATCH, {}, "body"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x"}, None, "type"),
        ({"ce-specversion": "1.0", "ce-id": "%FF", "ce-source": "x", "ce-type": "x"}, 0, "ce-id"),
    ],
)
def test_what_is_no_cloudevent(
    client: httpx.Client, headers: dict[str, str], content: object, field: str
) -> None:
    """422 names the attribute."""
    answer = client.post("/events/", content=json.dumps(content), headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b"NaN", b"\xff", b"[" * 100_000])
def test_binary_mode_reads_json_as_strictly(client: httpx.Client, body: bytes) -> None:
    """Data that says it is JSON is JSON."""
    headers = {f"ce-{name}": value for name, value in LEAST.items()}
    answer = client.post(
        "/events/", content=body, headers=headers | {"content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
